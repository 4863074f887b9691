//! The table of keys: what the reader accepts and docs/config.md shows.

/// One key of the configuration file.
#[derive(Debug)]
pub struct Key {
    /// Its name in the file.
    pub name: &'static str,
    /// How its value is written.
    pub kind: &'static str,
    /// What holds where it is not given.
    pub default: &'static str,
    /// The flag that says the same; empty where there is none.
    pub flag: &'static str,
    /// The environment variable that says the same; empty where there is none.
    pub env: &'static str,
    /// Whether `defaults` may have it. Of the keys of the bridge none may.
    pub in_defaults: bool,
    /// What it does.
    pub meaning: &'static str,
}

macro_rules! keys {
    ($( $name:literal, $kind:literal, $default:literal, $flag:literal, $env:literal, $in_defaults:literal, $meaning:literal; )*) => {
        &[ $( Key {
            name: $name, kind: $kind, default: $default, flag: $flag, env: $env,
            in_defaults: $in_defaults, meaning: $meaning,
        } ),* ]
    };
}

/// Keys at the top of the file.
#[rustfmt::skip]
pub const BRIDGE: &[Key] = keys! {
    "targets", "list of targets", "none", "TARGET", "FEDIMETER_TARGETS", false,
    "The servers to poll. Each is a host, a `host:port`, a URL, or a map with the keys below.";
    "defaults", "map", "none", "", "", false,
    "Settings for all targets, those of the command line included: the keys of a target marked so below. \
     A target's own lists are added to these, its maps are merged into these, everything else replaces these.";
    "listen", "address, or list of addresses", "`127.0.0.1:9464`", "--listen", "FEDIMETER_LISTEN", false,
    "Where `/metrics` listens: an IP address or `localhost`, with or without a port; `:PORT` for all IPv4 \
     addresses; `none` or an empty list for no pull at all.";
    "compat", "`dada` or `systemli`", "none", "--compat", "FEDIMETER_COMPAT", false,
    "Also serves the metric names of an older exporter. `dada` is for one target and makes 9410 the default port.";
    "scope_labels", "boolean", "`true`", "--without-scope-labels", "FEDIMETER_WITHOUT_SCOPE_LABELS", false,
    "Whether `/metrics` carries `otel_scope_*` labels.";
    "endpoint_details", "boolean", "`true`", "--no-endpoint-details", "FEDIMETER_NO_ENDPOINT_DETAILS", false,
    "Whether last success, duration and size are reported for each endpoint of every target. `defaults` and \
     targets can say otherwise; the flag cannot be overridden.";
    "deadline", "duration", "`10s`", "--deadline", "FEDIMETER_DEADLINE", false,
    "How long a collection may take when the scraper sets no shorter time. 100ms to 5m.";
    "timeout", "duration", "`10s`", "--timeout", "FEDIMETER_TIMEOUT", false,
    "Time for a whole request. 100ms to 5m.";
    "connect_timeout", "duration", "`5s`", "--connect-timeout", "FEDIMETER_CONNECT_TIMEOUT", false,
    "Time to connect, TLS included. 100ms to 5m.";
    "max_requests", "number", "`256`", "--max-requests", "FEDIMETER_MAX_REQUESTS", false,
    "Requests under way in all. 1 to 65536.";
    "max_requests_per_host", "number", "`2`", "--max-requests-per-host", "FEDIMETER_MAX_REQUESTS_PER_HOST", false,
    "Requests under way per host. 1 to 65536.";
    "max_body", "size", "`1MiB`", "--max-body", "FEDIMETER_MAX_BODY", false,
    "The largest answer that is read, decoded. 1KiB to 64MiB.";
    "contact", "URL", "`https://docs.rs/fedimeter`", "--contact", "FEDIMETER_CONTACT", false,
    "A URL in the User-Agent by which an admin can reach whoever runs this.";
    "log_level", "`off`, `error`, `warn`, `info`, `debug` or `trace`; or levels by module", "that of `OTEL_LOG_LEVEL`, or `info`", "--log-level", "FEDIMETER_LOG_LEVEL", false,
    "The least severe messages that are logged. By module: `info,fedimeter::fetch=debug`.";
    "log_format", "`text`, `logfmt` or `json`", "`text`", "--log-format", "FEDIMETER_LOG_FORMAT", false,
    "How log lines are written.";
};

/// Keys of a target.
#[rustfmt::skip]
pub const TARGET: &[Key] = keys! {
    "url", "host or URL", "required", "TARGET", "FEDIMETER_TARGETS", false,
    "The server: `mastodon.social` (https is assumed), `example.org:8443`, `http://127.0.0.1:3000`.";
    "host", "host", "that of `url`", "", "", false,
    "The name to ask for instead of the URL's, and to report as `server.address`: for a server polled behind its \
     own proxy.";
    "forwarded_proto", "`http` or `https`", "none", "", "", true,
    "Sent as `X-Forwarded-Proto`: Mastodon answers plain HTTP only if this says `https`.";
    "token_file", "path", "none", "--token-file", "FEDIMETER_TOKEN_FILE", false,
    "A file with an access token, relative to this file. A token belongs to one server.";
    "token_env", "variable name", "none", "--token-env", "FEDIMETER_TOKEN_ENV", false,
    "The environment variable with an access token.";
    "collect", "list of endpoints", "none", "--collect", "FEDIMETER_COLLECT", true,
    "Endpoints to collect beside the default ones.";
    "accounts", "list of accounts", "none", "--account", "FEDIMETER_ACCOUNTS", true,
    "Accounts to follow: `Gargron`, `@Gargron@mastodon.social`, or an id.";
    "tags", "list of hashtags", "none", "--tag", "FEDIMETER_TAGS", true,
    "Hashtags to follow, with or without `#`.";
    "robots", "ignore, obey", "ignore", "", "", true,
    "Whether robots.txt says what may be asked. A target that you name has been asked for by name.";
    "attributes", "map", "none", "", "", true,
    "Static attributes of every point about the target. Names are lowercase, with dots between the parts.";
    "endpoint_details", "boolean", "that of the bridge", "--no-endpoint-details", "FEDIMETER_NO_ENDPOINT_DETAILS", true,
    "Whether last success, duration and size are reported for each endpoint.";
    "intervals", "map of endpoint to duration", "by endpoint", "", "", true,
    "The shortest time between two requests for an endpoint. 1s to 7d.";
};

/// All keys of one of the tables.
#[must_use]
pub fn all(table: &'static [Key]) -> Vec<&'static Key> {
    table.iter().collect()
}

/// The keys of a target that `defaults` may have.
#[must_use]
pub fn defaults() -> Vec<&'static Key> {
    TARGET.iter().filter(|key| key.in_defaults).collect()
}
