//! The settings of the bridge: a row for each key at the top of the file.

mod draft;
mod fields;
mod syntaxes;

use super::choice::Choices;
use super::error::Place;
use super::setting::{Flag, Group, Setting, Structure, Value};
use super::shard::SHARDS;
use super::syntax::{Boolean, Plain};
use super::values::Listen;
use super::{Address, Config};
use crate::target::Choice;

pub use draft::BridgeDraft;
pub use syntaxes::REQUEST_TIME;

use draft::{OTEL_HOST_VARIABLE, OTEL_LOG_VARIABLE, OTEL_PORT_VARIABLE};
use syntaxes::{
    ADDRESSES, AGE, BACKLOG, BODY, COMPAT, CONNECTIONS, CONTACT, EXTERNAL_URL, HOSTS, LOG_FORMAT, LOG_LEVEL,
    MODE, PREFETCH, REFRESH, REQUEST, REQUESTS, STRATEGY, TARGETS, WAITING,
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

/// Keys at the top of the file.
pub static BRIDGE: &[Setting<BridgeDraft, Config>] = &[
    Setting::new(
        "targets",
        &Structure("list of targets"),
        "Servers to poll: `mastodon.social` (https is assumed), `example.org:8443`, `http://127.0.0.1:3000`.",
    )
    .details(
        "In the file, a target may also be a map with the keys of a target. In the variable, targets are separated \
         by commas or spaces; `MASTODON_HOST` names one more. Arguments replace both variables; targets of the \
         file are added.",
    )
    .flag(Flag::arguments(Group::Targets))
    .on_reload(),
    Setting::new(
        "targets_file",
        &fields::TARGETS_FILE,
        "Files with more targets, YAML or JSON: lists as in `targets`, or groups as in Prometheus's file_sd. `*`, `?` and \
         `[…]` in a path stand for any names.",
    )
    .details(
        "In the configuration file, a path is relative to that file. They are looked at every five seconds, and read again \
         when they have changed. The labels of a group become attributes.",
    )
    .flag(Flag::of(Group::Lists))
    .on_reload(),
    Setting::new(
        "targets_url",
        &fields::TARGETS_URL,
        "URLs that answer with groups of targets, as in Prometheus's HTTP service discovery.",
    )
    .details("While one cannot be read, its last list holds.")
    .flag(Flag::of(Group::Lists))
    .on_reload(),
    Setting::new(
        "targets_url_token_file",
        &fields::TARGETS_URL_TOKEN_FILE,
        "A file with a bearer token to show to `targets_url`; it is read each time.",
    )
    .flag(Flag::of(Group::Lists))
    .on_reload(),
    Setting::new(
        "targets_url_interval",
        field!(REFRESH, config.discovery.interval),
        "How often `targets_url` is asked.",
    )
    .flag(Flag::of(Group::Lists))
    .on_reload(),
    Setting::new(
        "targets_url_allow_private",
        field!(Boolean, config.discovery.allow_private),
        "Whether targets that `targets_url` lists may be at private, loopback and other special addresses.",
    )
    .flag(Flag::on(Group::Lists))
    .on_reload(),
    Setting::new(
        "shard",
        &fields::SHARD,
        "Which part of the targets this bridge polls, from 0, where several bridges with the same targets divide them.",
    )
    .details("Of a name only the number at its end counts, so that the name of a StatefulSet's pod will do. Without it, the host name has to end so.")
    .flag(Flag::of(Group::Lists)),
    Setting::new(
        "total_shards",
        field!(SHARDS, config.shard.total),
        "How many bridges divide the targets.",
    )
    .details("Each target is polled by one of them: which one depends on the target's name alone. With one bridge more, each of the others gives a part of its targets to the new one, and keeps the rest.")
    .flag(Flag::of(Group::Lists)),
    Setting::new(
        "watch_config",
        field!(Boolean, config.reload.watch),
        "Whether a change of the configuration file, or of a file with authorities that it names, is taken without a signal.",
    )
    .details("They are looked at every five seconds: for mounted ConfigMaps and renewed secrets.")
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
        "Whether and how `/probe` asks servers that are named by its clients: the keys of `probe` below.",
    )
    .on_reload(),
    Setting::new(
        "defaults",
        &Structure("map"),
        "Settings for all targets, those of the command line included: the keys of a target marked so below.",
    )
    .details(
        "A target's own lists are added to these, its maps are merged into these, everything else replaces these.",
    )
    .on_reload(),
    Setting::new(
        "metrics",
        &Value {
            syntax: Choices,
            adds: true,
            set: |draft: &mut BridgeDraft, value: Choice, _: &Place| {
                draft.config.metrics.include.extend(value.include);
                draft.config.metrics.exclude.extend(value.exclude);
                Ok(())
            },
            get: |config: &Config| Some(config.metrics.clone()).filter(|choice| *choice != Choice::default()),
        },
        "Which metrics are wanted, of every target and of the bridge itself: patterns of names, as OpenTelemetry or Prometheus has them, with `*` and `?`.",
    )
    .details("Without `include` all are; what `exclude` names is not. `fedimeter.target.up` stays unless it is named whole. An endpoint from which nothing is wanted is not asked for."),
    Setting::new(
        "listen",
        &Value {
            syntax: ADDRESSES,
            adds: false,
            set: |draft: &mut BridgeDraft, value, _: &Place| {
                draft.listen = Some(value);
                Ok(())
            },
            get: |config: &Config| {
                let listen = |address: &Address| match address {
                    Address::Ip(address) => Listen::At(address.ip(), Some(address.port())),
                    Address::Unix(path) => Listen::Unix(path.clone()),
                };
                Some(config.listen.iter().map(listen).collect())
            },
        },
        "Where `/metrics` listens: an IP address or `localhost`, with or without a port; `:PORT` for all IPv4 \
         addresses; `unix:PATH` for a Unix socket; `none` for no pull at all.",
    )
    .flag(Flag::of(Group::Address).short('l'))
    .otel(&[OTEL_HOST_VARIABLE, OTEL_PORT_VARIABLE]),
    Setting::new(
        "listen_hosts",
        &Value {
            syntax: HOSTS,
            adds: false,
            set: |draft: &mut BridgeDraft, value, _: &Place| {
                draft.config.listen_hosts = value;
                Ok(())
            },
            get: |config: &Config| Some(config.listen_hosts.clone()).filter(|hosts| !hosts.is_empty()),
        },
        "The host names, beside loopback names and addresses, that `/metrics` and the pages answer to: \
         `*.example.org` for those below a domain, `*` for any.",
    )
    .details("It is for a proxy that passes on the name it was asked for.")
    .default("loopback names, if `listen` is a loopback address; else any")
    .flag(Flag::of(Group::Page).named("listen-host")),
    Setting::new(
        "external_url",
        &Value {
            syntax: EXTERNAL_URL,
            adds: false,
            set: |draft: &mut BridgeDraft, value, _: &Place| {
                draft.config.external_url = Some(value);
                Ok(())
            },
            get: |config: &Config| config.external_url.clone(),
        },
        "Where people find the pages behind a proxy: `https://metrics.example.org/fedimeter/`.",
    )
    .details(
        "Paths below its path are served, too, for a proxy that does not take it off, and its host is one of \
         `listen_hosts`.",
    )
    .flag(Flag::of(Group::Page)),
    Setting::new(
        "listen_socket_mode",
        field!(MODE, config.socket_mode),
        "The mode of the Unix sockets of `listen`: who may connect.",
    )
    .details("In octal. Their group is the bridge's: `Group=` in a unit of systemd.")
    .default("`0660`"),
    Setting::new(
        "web_config_file",
        &fields::WEB_CONFIG_FILE,
        "A file with TLS, passwords and headers for `/metrics` and the pages, in the format that Prometheus's exporters \
         share.",
    )
    .details("It is read again when it, or a file that it names, has changed.")
    .flag(Flag::of(Group::Address)),
    Setting::new(
        "web_token_file",
        &fields::WEB_TOKEN_FILE,
        "Files with bearer tokens of which a client must show one, or else a password of `web_config_file`.",
    )
    .details("They are read again when they change.")
    .flag(Flag::of(Group::Address)),
    Setting::new(
        "web_open_health",
        field!(Boolean, config.web.open_health),
        "Whether `/-/healthy` is answered to anybody, without password or token.",
    )
    .flag(Flag::on(Group::Address)),
    Setting::new(
        "listen_max_connections",
        field!(CONNECTIONS, config.limits.max_connections),
        "Open connections of clients; one more takes the place of the one that has waited longest for its client.",
    ),
    Setting::new(
        "listen_max_requests",
        field!(REQUESTS, config.limits.max_requests),
        "Responses with metrics or pages under way at once; one more waits for its turn, for a few seconds, and is then answered with 503.",
    ),
    Setting::new(
        "listen_header_timeout",
        field!(REQUEST_TIME, config.limits.header_timeout),
        "Time for a client to send the headers of a request.",
    ),
    Setting::new(
        "listen_idle_timeout",
        field!(WAITING, config.limits.idle_timeout),
        "How long a client's connection is kept between requests.",
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
        "Up to so many targets the pages draw the last hours of users, posts and response times; 0 draws none.",
    )
    .details("It takes 6 KiB of memory for each target."),
    Setting::new(
        "compat",
        &Value {
            syntax: COMPAT,
            adds: false,
            set: |draft: &mut BridgeDraft, value, _: &Place| {
                draft.config.compat = Some(value);
                Ok(())
            },
            get: |config: &Config| config.compat,
        },
        "Also serves the metric names of an older exporter. `dada` makes 9410 the default port.",
    )
    .flag(Flag::of(Group::Address)),
    Setting::new(
        "scope_labels",
        field!(Boolean, config.scope_labels),
        "Whether `/metrics` carries `otel_scope_*` labels.",
    )
    .flag(Flag::off(Group::Page, "without-scope-labels", "Leave `otel_scope_*` labels out of `/metrics`.")),
    Setting::new(
        "target_info",
        field!(Boolean, config.target_info),
        "Whether `/metrics` has `target_info`, with the attributes of the bridge's resource.",
    )
    .flag(Flag::off(Group::Page, "without-target-info", "Leave `target_info` out of `/metrics`.")),
    Setting::new(
        "created",
        field!(Boolean, config.created),
        "Whether OpenMetrics says since when each counter counts (`_created`): a series more for each of them.",
    )
    .flag(Flag::on(Group::Page)),
    Setting::new(
        "translation_strategy",
        field!(STRATEGY, config.translation_strategy),
        "How names of OpenTelemetry become names on `/metrics`.",
    )
    .details("Names with dots go to scrapers that ask for UTF-8 names; for others they are escaped.")
    .flag(Flag::of(Group::Page)),
    Setting::new(
        "endpoint_details",
        &Value {
            syntax: Boolean,
            adds: false,
            set: |draft: &mut BridgeDraft, value, _: &Place| {
                draft.endpoint_details = value;
                Ok(())
            },
            // Each target has its own.
            get: |_: &Config| None,
        },
        "Whether last success, duration and size are reported for each endpoint of every target.",
    )
    .details(
        "`defaults` and targets can say otherwise, but not where a flag or a variable turns the details off.",
    )
    .default("`true`")
    .flag(Flag::off(
        Group::Collection,
        "no-endpoint-details",
        "Report no last success, duration and size by endpoint, for any target.",
    )),
    Setting::new(
        "deadline",
        field!(REQUEST_TIME, config.deadline),
        "How long a collection may take when the scraper sets no shorter time.",
    )
    .flag(Flag::of(Group::Collection)),
    Setting::new(
        "prefetch",
        field!(PREFETCH, config.prefetch),
        "Whether servers are asked ahead of collections, each at a time of its own in the interval at which those come.",
    )
    .details("A collection then finds everything fresh, and a large fleet is not asked all at once. When three collections in a row have not come, nobody is asked until somebody collects again.")
    .flag(Flag::of(Group::Collection)),
    Setting::new("timeout", field!(REQUEST_TIME, config.http.timeout), "Time for a whole request.")
        .flag(Flag::of(Group::Collection)),
    Setting::new(
        "connect_timeout",
        field!(REQUEST_TIME, config.http.connect_timeout),
        "Time to connect, TLS included.",
    )
    .flag(Flag::of(Group::Collection)),
    Setting::new(
        "dns_timeout",
        field!(REQUEST_TIME, config.http.dns_timeout),
        "Time to find the addresses of a name.",
    )
    .flag(Flag::of(Group::Collection)),
    Setting::new(
        "connection_age",
        field!(AGE, config.http.connection_age),
        "The greatest age of a connection: then a new one is made, to where the name leads by then.",
    )
    .flag(Flag::of(Group::Collection)),
    Setting::new("max_requests", field!(REQUESTS, config.http.max_requests), "Requests under way in all.")
        .flag(Flag::of(Group::Collection)),
    Setting::new(
        "max_requests_per_host",
        field!(REQUESTS, config.http.max_requests_per_host),
        "Requests under way per host.",
    )
    .details("With more than 100 targets it is 1 unless it is set, because one connection is kept per host then.")
    .flag(Flag::of(Group::Collection)),
    Setting::new(
        "max_body",
        field!(BODY, config.http.max_body),
        "The largest answer that is read, decoded.",
    )
    .flag(Flag::of(Group::Collection)),
    Setting::new(
        "otlp_max_request_size",
        field!(REQUEST, config.delivery.max_request),
        "The greatest OTLP request, before compression. Requests that the receiver finds too large become smaller \
         by themselves.",
    )
    .flag(Flag::of(Group::Push)),
    Setting::new(
        "otlp_backlog_size",
        field!(BACKLOG, config.delivery.backlog),
        "How much may wait for an OTLP receiver that is away, compressed. When it is full, the oldest go first. \
         0 switches the backlog off: what cannot be delivered is lost.",
    )
    .details("It is the limit of each signal: metrics, logs and traces.")
    .flag(Flag::of(Group::Push)),
    Setting::new(
        "otlp_backlog_directory",
        &Value {
            syntax: Plain { kind: "path", placeholder: "DIR", expected: "the path of a directory" },
            adds: false,
            set: |draft: &mut BridgeDraft, value, place: &Place| {
                draft.config.delivery.directory = Some(place.directory().join(value));
                Ok(())
            },
            get: |config: &Config| config.delivery.directory.as_ref().map(|path| path.display().to_string()),
        },
        "A directory in which the backlog outlives a restart or a crash of the bridge.",
    )
    .details(
        "In the configuration file, the path is relative to that file. Each bridge needs a directory of its own.",
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
        "Least severe messages to log: `off`, `error`, `warn`, `info`, `debug` or `trace`.",
    )
    .details(
        "`debug` has each collection and export, `trace` each request. Or levels by module, as in \
         `info,fedimeter::fetch=debug`.",
    )
    .flag(Flag::of(Group::Logging))
    .otel(&[OTEL_LOG_VARIABLE]),
    Setting::new("log_format", field!(LOG_FORMAT, config.log.format), "How log lines are written.")
        .flag(Flag::of(Group::Logging)),
];
