//! The settings of the bridge: one row for each key at the top level of the file.

mod draft;
mod fields;
mod syntaxes;

use super::Config;
use super::error::Place;
use super::setting::{Flag, Group, Setting, Structure, Value};
use super::shard::SHARDS;
use super::syntax::Boolean;

pub use draft::BridgeDraft;
pub use syntaxes::REQUEST_TIME;

use draft::{OTEL_HOST_VARIABLE, OTEL_LOG_VARIABLE, OTEL_PORT_VARIABLE};
use syntaxes::{
    AGE, BACKLOG, BODY, CONNECTIONS, CONTACT, LOG_FORMAT, LOG_LEVEL, MODE, PREFETCH, REFRESH, REQUEST,
    REQUESTS, STRATEGY, TARGETS, WAITING,
};

/// A setting that is this field of the configuration.
macro_rules! field {
    ($syntax:expr, config $(.$field:ident)+) => {
        &Value {
            syntax: $syntax,
            adds: false,
            set: |draft: &mut BridgeDraft, value, _: &Place| {
                draft.config $(.$field)+ = value;
                Ok(())
            },
            get: |config: &Config| Some(Clone::clone(&config $(.$field)+)),
        }
    };
}

/// The keys at the top level of the file.
pub static BRIDGE: &[Setting<BridgeDraft, Config>] = &[
    Setting::new(
        "targets",
        &Structure("list of targets"),
        "Servers to poll: `mastodon.social` (https is assumed), `example.org:8443`, `http://127.0.0.1:3000`.",
    )
    .details(
        "In the file, a target may also be a map with the keys of a target. In the variable, targets are \
         separated by commas or spaces; `MASTODON_HOST` names one more. Arguments replace both variables; \
         targets of the file are added.",
    )
    .flag(Flag::arguments(Group::Targets))
    .on_reload(),
    Setting::new(
        "targets_file",
        &fields::TARGETS_FILE,
        "Files with more targets, YAML or JSON: lists as in `targets`, or groups as in Prometheus's \
         file_sd. `*`, `?` and `[…]` in a path stand for any names.",
    )
    .details(
        "In the configuration file, a path is relative to that file. The files are checked every five \
         seconds, and read again when they change. The labels of a group become attributes.",
    )
    .flag(Flag::of(Group::Lists))
    .on_reload(),
    Setting::new(
        "targets_url",
        &fields::TARGETS_URL,
        "URLs that answer with groups of targets, as in Prometheus's HTTP service discovery.",
    )
    .details("While one cannot be read, its last list stays in effect.")
    .flag(Flag::of(Group::Lists))
    .on_reload(),
    Setting::new(
        "targets_url_token_file",
        &fields::TARGETS_URL_TOKEN_FILE,
        "A file with the bearer token for `targets_url`, read before each request.",
    )
    .flag(Flag::of(Group::Lists))
    .on_reload(),
    Setting::new(
        "targets_url_interval",
        field!(REFRESH, config.discovery.interval),
        "How often `targets_url` is requested.",
    )
    .flag(Flag::of(Group::Lists))
    .on_reload(),
    Setting::new(
        "targets_url_allow_private",
        field!(Boolean, config.discovery.allow_private),
        "Whether targets from `targets_url` may have private, loopback and other special addresses.",
    )
    .flag(Flag::on(Group::Lists))
    .on_reload(),
    Setting::new(
        "shard",
        &fields::SHARD,
        "Which part of the targets this bridge polls, from 0, if several bridges with the same targets \
         divide them.",
    )
    .details(
        "Only the number at the end of a name counts, so the name of a StatefulSet's pod can be used. \
         Without this setting, the host name must end with the number.",
    )
    .flag(Flag::of(Group::Lists)),
    Setting::new("total_shards", field!(SHARDS, config.shard.total), "How many bridges divide the targets.")
        .details(
            "Each target is polled by one of them, which depends only on the target's name. If a bridge is \
             added, each of the others gives a part of its targets to the new one, and keeps the rest.",
        )
        .flag(Flag::of(Group::Lists)),
    Setting::new(
        "watch_config",
        field!(Boolean, config.reload.watch),
        "Whether a changed configuration file, or a changed file of authorities that it names, is reloaded \
         without a signal.",
    )
    .details("The files are checked every five seconds. This suits mounted ConfigMaps and renewed secrets.")
    .flag(Flag::on(Group::Reload))
    .on_reload(),
    Setting::new(
        "enable_reload",
        field!(Boolean, config.reload.over_http),
        "Whether POST to `/-/reload` reloads the configuration, as SIGHUP does.",
    )
    .flag(Flag::on(Group::Reload)),
    Setting::new(
        "probe",
        &Structure("map"),
        "Whether and how `/probe` polls servers that clients name: the keys of `probe` below.",
    )
    .on_reload(),
    Setting::new(
        "defaults",
        &Structure("map"),
        "Settings for all targets, also those of the command line. The keys of a target that may be set \
         here are marked below.",
    )
    .details(
        "A target's own lists are added to these, its maps are merged with these, and its other values \
         replace these.",
    )
    .on_reload(),
    Setting::new(
        "metrics",
        &fields::METRICS,
        "The wanted metrics of all targets and of the bridge itself: patterns of OpenTelemetry or \
         Prometheus names, with `*` and `?`.",
    )
    .details(
        "Without `include` all metrics are wanted, except those that `exclude` names. \
         `fedimeter.target.up` is excluded only by its exact name. An endpoint that supplies no wanted \
         metric is not requested. A reload applies a change to targets at once; the bridge's own metrics \
         change at the next start.",
    )
    .restart_for("for the bridge's own metrics; targets have the change"),
    Setting::new(
        "listen",
        &fields::LISTEN,
        "Where `/metrics` listens: an IP address or `localhost`, with or without a port; `:PORT` for all \
         IPv4 addresses; `unix:PATH` for a Unix socket; `none` for no pull at all.",
    )
    .flag(Flag::of(Group::Address).short('l'))
    .otel(&[OTEL_HOST_VARIABLE, OTEL_PORT_VARIABLE]),
    Setting::new(
        "listen_hosts",
        &fields::LISTEN_HOSTS,
        "The host names to which `/metrics` and the pages answer, besides loopback names and addresses: \
         `*.example.org` for those below a domain, `*` for any.",
    )
    .details("It is needed behind a proxy that passes the original host name on.")
    .default("loopback names if `listen` is a loopback address, otherwise any")
    .flag(Flag::of(Group::Page).named("listen-host")),
    Setting::new(
        "external_url",
        &fields::EXTERNAL_URL,
        "The public URL of the pages behind a proxy: `https://metrics.example.org/fedimeter/`.",
    )
    .details(
        "Paths below its path are also served, for a proxy that does not remove it, and its host is one of \
         `listen_hosts`.",
    )
    .flag(Flag::of(Group::Page)),
    Setting::new(
        "listen_socket_mode",
        field!(MODE, config.socket_mode),
        "The mode of the Unix sockets of `listen`, which says who may connect.",
    )
    .details("The mode is octal. The sockets' group is that of the bridge: `Group=` in a systemd unit.")
    .default("`0660`"),
    Setting::new(
        "web_config_file",
        &fields::WEB_CONFIG_FILE,
        "A file with TLS, passwords and headers for `/metrics` and the pages, in the format that \
         Prometheus's exporters share.",
    )
    .details("The file is read again when it, or a file that it names, changes.")
    .flag(Flag::of(Group::Address)),
    Setting::new(
        "web_token_file",
        &fields::WEB_TOKEN_FILE,
        "Files with bearer tokens. A client must send one of them, or a password of `web_config_file`.",
    )
    .details("The files are read again when they change.")
    .flag(Flag::of(Group::Address)),
    Setting::new(
        "web_open_health",
        field!(Boolean, config.web.open_health),
        "Whether `/-/healthy` needs no password or token.",
    )
    .flag(Flag::on(Group::Address)),
    Setting::new(
        "listen_max_connections",
        field!(CONNECTIONS, config.limits.max_connections),
        "The maximum number of open connections. A further one replaces the connection that has waited \
         longest for its client.",
    ),
    Setting::new(
        "listen_max_requests",
        field!(REQUESTS, config.limits.max_requests),
        "The maximum number of simultaneous responses with metrics or pages. A further request waits a few \
         seconds for its turn, and is then answered with 503.",
    ),
    Setting::new(
        "listen_header_timeout",
        field!(REQUEST_TIME, config.limits.header_timeout),
        "Time for a client to send the headers of a request.",
    ),
    Setting::new(
        "listen_idle_timeout",
        field!(WAITING, config.limits.idle_timeout),
        "How long a client's connection is kept open between requests.",
    )
    .details("Longer than the scrape interval, so that Prometheus keeps its connection."),
    Setting::new(
        "listen_write_timeout",
        field!(WAITING, config.limits.write_timeout),
        "Time for a client to take a whole response.",
    ),
    Setting::new(
        "history_max_targets",
        field!(TARGETS, config.history_max_targets),
        "The maximum number of targets for which the pages draw the last hours of users, posts and response \
         times. 0 draws none.",
    )
    .details("The history takes 6 KiB of memory for each target."),
    Setting::new(
        "compat",
        &fields::COMPAT,
        "Also serves the metric names of an older exporter. `dada` makes 9410 the default port.",
    )
    .flag(Flag::of(Group::Address)),
    Setting::new(
        "scope_labels",
        field!(Boolean, config.scope_labels),
        "Whether `/metrics` carries `otel_scope_*` labels.",
    )
    .flag(Flag::off(Group::Page, "without-scope-labels", "Omit `otel_scope_*` labels from `/metrics`.")),
    Setting::new(
        "target_info",
        field!(Boolean, config.target_info),
        "Whether `/metrics` has `target_info`, with the attributes of the bridge's resource.",
    )
    .flag(Flag::off(Group::Page, "without-target-info", "Omit `target_info` from `/metrics`.")),
    Setting::new(
        "created",
        field!(Boolean, config.created),
        "Whether OpenMetrics says when each counter started (`_created`), which adds a series for each of \
         them.",
    )
    .flag(Flag::on(Group::Page)),
    Setting::new(
        "translation_strategy",
        field!(STRATEGY, config.translation_strategy),
        "How OpenTelemetry names are translated for `/metrics`.",
    )
    .details("Scrapers that ask for UTF-8 names get names with dots. For others these names are escaped.")
    .flag(Flag::of(Group::Page)),
    Setting::new(
        "endpoint_details",
        &fields::ENDPOINT_DETAILS,
        "Whether last success, duration and size are reported for each endpoint of every target.",
    )
    .details("`defaults` and targets can override it, unless a flag or a variable turns the details off.")
    .default("`true`")
    .flag(Flag::off(
        Group::Collection,
        "no-endpoint-details",
        "Report no last success, duration and size by endpoint, for any target.",
    )),
    Setting::new(
        "deadline",
        field!(REQUEST_TIME, config.deadline),
        "How long a collection may take, if the scraper sets no shorter timeout.",
    )
    .flag(Flag::of(Group::Collection)),
    Setting::new(
        "prefetch",
        field!(PREFETCH, config.prefetch),
        "Whether servers are polled ahead of collections, each at its own time within the interval of \
         collections, or within its last minute.",
    )
    .details(
        "A collection then finds everything fresh, and a large fleet is not polled all at once. If three \
         collections in a row do not come, nothing is polled until the next collection.",
    )
    .flag(Flag::of(Group::Collection)),
    Setting::new("timeout", field!(REQUEST_TIME, config.http.timeout), "Time for a whole request.")
        .flag(Flag::of(Group::Collection)),
    Setting::new(
        "connect_timeout",
        field!(REQUEST_TIME, config.http.connect_timeout),
        "Time to connect, including TLS.",
    )
    .flag(Flag::of(Group::Collection)),
    Setting::new("dns_timeout", field!(REQUEST_TIME, config.http.dns_timeout), "Time to resolve a name.")
        .flag(Flag::of(Group::Collection)),
    Setting::new(
        "connection_age",
        field!(AGE, config.http.connection_age),
        "The maximum age of a connection. After it a new one is made, to the name's current address.",
    )
    .flag(Flag::of(Group::Collection)),
    Setting::new(
        "max_requests",
        field!(REQUESTS, config.http.max_requests),
        "The maximum number of simultaneous requests.",
    )
    .flag(Flag::of(Group::Collection)),
    Setting::new(
        "max_requests_per_host",
        field!(REQUESTS, config.http.max_requests_per_host),
        "The maximum number of simultaneous requests to one host.",
    )
    .details(
        "With more than 100 targets it is 1 unless it is set, because then only one connection per host is \
         kept.",
    )
    .flag(Flag::of(Group::Collection)),
    Setting::new("max_body", field!(BODY, config.http.max_body), "The maximum size of a decoded response.")
        .flag(Flag::of(Group::Collection)),
    Setting::new(
        "otlp_max_request_size",
        field!(REQUEST, config.delivery.max_request),
        "The maximum size of an OTLP request, before compression. If the receiver refuses requests as too \
         large, smaller ones are sent.",
    )
    .flag(Flag::of(Group::Push)),
    Setting::new(
        "otlp_backlog_size",
        field!(BACKLOG, config.delivery.backlog),
        "How much data may wait for an OTLP receiver that is unreachable, compressed. If it is full, the \
         oldest data is dropped. 0 switches the backlog off, so data that cannot be delivered is lost.",
    )
    .details("The limit applies to each signal: metrics, logs and traces.")
    .flag(Flag::of(Group::Push)),
    Setting::new(
        "otlp_backlog_directory",
        &fields::OTLP_BACKLOG_DIRECTORY,
        "A directory in which the backlog survives a restart or a crash of the bridge.",
    )
    .details(
        "In the configuration file, the path is relative to that file. Each bridge needs a directory of its \
         own.",
    )
    .default("in memory")
    .flag(Flag::of(Group::Push)),
    Setting::new(
        "contact",
        field!(CONTACT, config.http.contact),
        "A URL in the User-Agent by which an administrator can reach you.",
    )
    .flag(Flag::of(Group::Collection)),
    Setting::new(
        "log_level",
        field!(LOG_LEVEL, config.log.level),
        "The least severe messages to log: `off`, `error`, `warn`, `info`, `debug` or `trace`.",
    )
    .details(
        "`debug` logs each collection and export, `trace` each request. Levels can differ by module, as in \
         `info,fedimeter::fetch=debug`.",
    )
    .flag(Flag::of(Group::Logging))
    .otel(&[OTEL_LOG_VARIABLE]),
    Setting::new("log_format", field!(LOG_FORMAT, config.log.format), "How log lines are written.")
        .flag(Flag::of(Group::Logging)),
];
