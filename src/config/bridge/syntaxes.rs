//! The syntax of the bridge's settings.

use std::time::Duration;

use url::Url;

use crate::config::log_filter::LogFilter;
use crate::config::syntax::{Count, List, OneOf, Parsed, Plain, Size, Time};
use crate::config::values::{self, Listen};
use crate::config::{Compat, LogFormat, Prefetch, Strategy};
use crate::export::otlp::MIN_REQUEST;
use crate::fetch::parse_contact;

/// The maximum bounds a scrape, which could not wait longer. A slower server is as good
/// as down.
pub const REQUEST_TIME: Time = Time { min: Duration::from_millis(100), max: Duration::from_secs(300) };
/// Clients may be slower than the servers that are asked.
pub const WAITING: Time = Time { min: Duration::from_secs(1), max: Duration::from_secs(3600) };
pub const AGE: Time = Time { min: Duration::from_secs(1), max: Duration::from_secs(86_400) };
pub const REQUESTS: Count = Count { min: 1, max: 65_536 };
pub const TARGETS: Count = Count { min: 0, max: 65_536 };
/// With fewer connections, one page in a browser would occupy them all.
pub const CONNECTIONS: Count = Count { min: 4, max: 65_536 };
pub const BODY: Size = Size { min: 1 << 10, max: 64 << 20 };
pub const REQUEST: Size = Size { min: MIN_REQUEST as usize, max: 64 << 20 };
/// 64 GiB, unless the platform allows less.
pub const BACKLOG: Size = Size { min: 0, max: if usize::BITS < 64 { 1 << 30 } else { 1 << 36 } };

pub const ADDRESSES: List<Parsed<Listen>> = List {
    kind: "address, or list of addresses",
    expected: "a list of addresses",
    item: Parsed {
        kind: "address",
        placeholder: "ADDR",
        expected: "an address such as 127.0.0.1:9464",
        parse: values::listen,
        show: ToString::to_string,
    },
    or_one: true,
};
pub const MODE: Parsed<u32> = Parsed {
    kind: "mode of a file",
    placeholder: "MODE",
    expected: "a mode such as 0660",
    parse: values::mode,
    show: |mode| format!("{mode:04o}"),
};
pub const HOSTS: List<Parsed<String>> = List {
    kind: "host, or list of hosts",
    expected: "a list of hosts",
    item: Parsed {
        kind: "host",
        placeholder: "HOST",
        expected: "a host such as metrics.example.org",
        parse: values::listen_host,
        show: String::clone,
    },
    or_one: true,
};
pub const FILES: List<Plain> = List {
    kind: "path, or list of paths",
    expected: "a list of paths",
    item: Plain { kind: "path of a list", placeholder: "PATH", expected: "a path such as targets/*.yaml" },
    or_one: true,
};
pub const TOKEN_FILES: List<Plain> = List {
    kind: "path, or list of paths",
    expected: "a list of paths",
    item: Plain { kind: "path", placeholder: "FILE", expected: "the path of a file" },
    or_one: true,
};
pub const URLS: List<Parsed<Url>> = List {
    kind: "URL, or list of URLs",
    expected: "a list of URLs",
    item: Parsed {
        kind: "URL",
        placeholder: "URL",
        expected: "a URL",
        parse: values::list_url,
        show: ToString::to_string,
    },
    or_one: true,
};
pub const REFRESH: Time = Time { min: Duration::from_secs(5), max: Duration::from_secs(86_400) };
pub const EXTERNAL_URL: Parsed<Url> = Parsed {
    kind: "URL",
    placeholder: "URL",
    expected: "a URL",
    parse: values::external_url,
    show: ToString::to_string,
};
pub const COMPAT: OneOf<Compat> = OneOf(&[
    ("dada", Compat::Dada, "the 2018 Python exporter: `mastodon_user_count`, one target, no labels"),
    ("systemli", Compat::Systemli, "systemli's exporter: `mastodon_users{host=\"…\"}`"),
]);
pub const STRATEGY: OneOf<Strategy> = OneOf(&[
    (
        "UnderscoreEscapingWithSuffixes",
        Strategy::UnderscoreEscapingWithSuffixes,
        "`fedimeter_endpoint_duration_seconds`",
    ),
    (
        "UnderscoreEscapingWithoutSuffixes",
        Strategy::UnderscoreEscapingWithoutSuffixes,
        "`fedimeter_endpoint_duration`",
    ),
    (
        "NoUTF8EscapingWithSuffixes",
        Strategy::NoUtf8EscapingWithSuffixes,
        "`fedimeter.endpoint.duration_seconds`",
    ),
    ("NoTranslation", Strategy::NoTranslation, "`fedimeter.endpoint.duration`"),
]);
pub const PREFETCH: OneOf<Prefetch> = OneOf(&[
    ("auto", Prefetch::Auto, "from a hundred targets on"),
    ("always", Prefetch::Always, "however few there are"),
    ("never", Prefetch::Never, "a collection asks for all that it needs"),
]);
pub const CONTACT: Parsed<String> =
    Parsed { kind: "URL", placeholder: "URL", expected: "a URL", parse: parse_contact, show: String::clone };
pub const LOG_LEVEL: Parsed<LogFilter> = Parsed {
    kind: "`off`, `error`, `warn`, `info`, `debug` or `trace`; or levels by module",
    placeholder: "LEVEL",
    expected: "a level such as info",
    parse: LogFilter::parse,
    show: ToString::to_string,
};
pub const LOG_FORMAT: OneOf<LogFormat> = OneOf(&[
    ("text", LogFormat::Text, "for people"),
    ("logfmt", LogFormat::Logfmt, "`key=value` pairs"),
    ("json", LogFormat::Json, "one JSON object"),
]);
