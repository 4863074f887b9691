//! How single values are written: the same in the file, in flags and in
//! variables. Each parser's error says what is wrong and how to write it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::suggest::{did_you_mean, list};
use crate::endpoint::{Endpoint, On};
use crate::target::{AccountRef, parse_host};

const SECOND: Duration = Duration::from_secs(1);
/// A server that needs longer than this is as good as down, and a scrape
/// could not wait for it.
const LONGEST_REQUEST: Duration = Duration::from_secs(300);
/// The longest lifetime of a value is a day; a week is far beyond.
const LONGEST_INTERVAL: Duration = Duration::from_secs(7 * 86_400);

/// Milliseconds in each unit of a duration, longest first.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// A duration as Prometheus writes it: `500ms`, `30s`, `5m`, `1h30m`, `1d`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "is not a duration; write a number with its unit: 500ms, 30s, 5m, 6h or 1d".to_owned();
    let mut rest = text.trim();
    let mut total: u64 = 0;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let (_, millis) = UNITS.iter().find(|(unit, _)| *unit == &rest[..letters]).ok_or_else(wrong)?;
        rest = &rest[letters..];
        total = number.checked_mul(*millis).and_then(|n| total.checked_add(n)).ok_or_else(wrong)?;
    }
    Ok(Duration::from_millis(total))
}

fn within(value: Duration, shortest: Duration, longest: Duration) -> Result<Duration, String> {
    if value < shortest || value > longest {
        return Err(format!(
            "is out of bounds; write a time from {} to {}",
            show_duration(shortest),
            show_duration(longest)
        ));
    }
    Ok(value)
}

/// The time for one request or one collection: 100 ms to 5 min.
pub fn request_time(text: &str) -> Result<Duration, String> {
    within(duration(text)?, SECOND / 10, LONGEST_REQUEST)
}

/// The time between two requests for an endpoint: 1 s to 7 d.
pub fn interval(text: &str) -> Result<Duration, String> {
    within(duration(text)?, SECOND, LONGEST_INTERVAL)
}

/// The shortest way to write a duration: `90s`, `5m`, `1d`.
#[must_use]
pub fn show_duration(value: Duration) -> String {
    let millis = value.as_millis();
    let (unit, size) = UNITS
        .iter()
        .find(|(_, size)| millis > 0 && millis.is_multiple_of(u128::from(*size)))
        .unwrap_or(&("ms", 1));
    format!("{}{unit}", millis / u128::from(*size))
}

/// A number of bytes, 1 KiB to 64 MiB: `1048576`, `512KiB`, `1MiB`.
pub fn size(text: &str) -> Result<usize, String> {
    let wrong = "is not a size; write bytes or a number with KiB or MiB, from 1KiB to 64MiB";
    let text = text.trim();
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let factor = match unit.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        _ => return Err(wrong.to_owned()),
    };
    let bytes = digits.parse::<usize>().ok().and_then(|n| n.checked_mul(factor));
    bytes.filter(|n| (1 << 10..=64 << 20).contains(n)).ok_or_else(|| wrong.to_owned())
}

/// A number of requests, 1 to 65536.
pub fn requests(text: &str) -> Result<usize, String> {
    let number = text.trim().parse::<usize>().ok();
    number
        .filter(|n| (1..=65_536).contains(n))
        .ok_or_else(|| "is not a number of requests; write one from 1 to 65536".to_owned())
}

/// Where to listen: nowhere, or an address whose port may be left to the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    /// `none`: no `/metrics` at all.
    Off,
    /// An address, and a port where one was given.
    At(IpAddr, Option<u16>),
}

impl Listen {
    /// The socket address, with `default_port` where none was given.
    #[must_use]
    pub fn socket(self, default_port: u16) -> Option<SocketAddr> {
        match self {
            Listen::Off => None,
            Listen::At(ip, port) => Some(SocketAddr::new(ip, port.unwrap_or(default_port))),
        }
    }
}

/// An address to listen on: `127.0.0.1:9464`, `[::]:9464`, `localhost`,
/// `0.0.0.0` (default port), `:9464` (all IPv4 addresses), or `none`.
///
/// Names other than `localhost` are refused: reading a configuration touches
/// no network.
pub fn listen(text: &str) -> Result<Listen, String> {
    let text = text.trim();
    if text == "none" {
        return Ok(Listen::Off);
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(Listen::At(address.ip(), Some(address.port())));
    }
    let bracketed = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    if let Ok(ip) = bracketed.unwrap_or(text).parse::<Ipv6Addr>() {
        return Ok(Listen::At(ip.into(), None));
    }
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    let ip = match host {
        "localhost" => Some(Ipv4Addr::LOCALHOST),
        "" if port.is_some() => Some(Ipv4Addr::UNSPECIFIED),
        _ => host.parse().ok(),
    };
    match (ip, port.map(str::parse)) {
        (Some(ip), None) => Ok(Listen::At(ip.into(), None)),
        (Some(ip), Some(Ok(port))) => Ok(Listen::At(ip.into(), Some(port))),
        _ => Err("is not an address to listen on; write an IP address and a port such as 127.0.0.1:9464, \
                  0.0.0.0:9464 or [::]:9464, or none"
            .to_owned()),
    }
}

/// A URL in the User-Agent: http, https or mailto.
pub fn contact(text: &str) -> Result<String, String> {
    let text = text.trim();
    // The User-Agent puts it in a comment: parentheses would end that.
    let plain = text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'(' | b')' | b'\\'));
    match Url::parse(text) {
        Ok(url)
            if plain
                && matches!(url.scheme(), "http" | "https" | "mailto")
                && url.username().is_empty()
                && url.password().is_none() =>
        {
            Ok(text.to_owned())
        }
        _ => Err("is not a contact; write a URL in plain ASCII by which an admin can reach you, such as \
                  https://example.org/about or mailto:ops@example.org"
            .to_owned()),
    }
}

/// An endpoint by name.
pub fn endpoint(text: &str) -> Result<Endpoint, String> {
    let name = text.trim();
    Endpoint::from_name(name).ok_or_else(|| {
        let names: Vec<&str> = Endpoint::ALL.iter().map(|e| e.name()).collect();
        unknown_endpoint(name, &names)
    })
}

/// An endpoint that `collect` may name.
pub fn collect(text: &str) -> Result<Endpoint, String> {
    let name = text.trim();
    match Endpoint::from_name(name) {
        Some(endpoint) if endpoint.on() == On::Listed => {
            Err(format!("`{name}` needs to know which; list them under `{name}` instead"))
        }
        Some(endpoint) => Ok(endpoint),
        None => {
            // Only these need naming; what comes by itself may be named, too.
            let named = Endpoint::ALL.iter().filter(|e| e.on() == On::OptIn);
            Err(unknown_endpoint(name, &named.map(|e| e.name()).collect::<Vec<_>>()))
        }
    }
}

fn unknown_endpoint(name: &str, names: &[&str]) -> String {
    match did_you_mean(name, names) {
        meant if meant.is_empty() => format!("no endpoint `{name}`; known are {}", list(names)),
        meant => format!("no endpoint `{name}`{meant} Known are {}", list(names)),
    }
}

/// `http` or `https`.
pub fn forwarded_proto(text: &str) -> Result<String, String> {
    match text.trim() {
        proto @ ("http" | "https") => Ok(proto.to_owned()),
        _ => Err("must be http or https".to_owned()),
    }
}

/// An account: `Gargron`, `@Gargron@mastodon.social`, or its id in digits.
pub fn account(text: &str) -> Result<AccountRef, String> {
    let wrong = || {
        "is not an account; write its name (Gargron), its handle (@Gargron@mastodon.social) or its id (1)"
            .to_owned()
    };
    let text = text.trim();
    let acct = text.strip_prefix('@').unwrap_or(text);
    if !acct.is_empty() && acct.len() <= 40 && acct.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(AccountRef::Id(acct.into()));
    }
    let (name, domain) = acct.split_once('@').map_or((acct, None), |(name, domain)| (name, Some(domain)));
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    if name.is_empty() || name.len() > 255 || !name.bytes().all(plain) {
        return Err(wrong());
    }
    if let Some(domain) = domain {
        parse_host(domain, "https").map_err(|_| wrong())?;
    }
    Ok(AccountRef::Acct(acct.into()))
}

/// A hashtag, without its `#`: letters of any script, digits and `_`.
pub fn tag(text: &str) -> Result<Arc<str>, String> {
    let name = text.trim();
    let name = name.strip_prefix('#').unwrap_or(name);
    let plain =
        |c: char| c.is_alphanumeric() || c == '_' || c == '\u{b7}' || c == '\u{30fb}' || c == '\u{200c}';
    if name.is_empty() || name.chars().count() > 200 || !name.chars().all(plain) {
        return Err("is not a hashtag; write its letters and digits, with or without #".to_owned());
    }
    Ok(name.into())
}

/// Whether to obey robots.txt.
pub fn robots(text: &str) -> Result<bool, String> {
    match text.trim() {
        "obey" => Ok(true),
        "ignore" => Ok(false),
        _ => Err("must be obey or ignore".to_owned()),
    }
}

/// The values of an enumeration, by the names that clap knows them by.
pub fn one_of<T: clap::ValueEnum>(text: &str) -> Result<T, String> {
    T::from_str(text.trim(), false).map_err(|_| {
        let values = T::value_variants().iter().filter_map(clap::ValueEnum::to_possible_value);
        let names: Vec<String> = values.map(|v| v.get_name().to_owned()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        format!("must be one of {}{}", list(&names), did_you_mean(text, &names))
    })
}

/// The name that clap knows the value of an enumeration by.
pub fn name_of<T: clap::ValueEnum>(value: &T) -> String {
    value.to_possible_value().map(|v| v.get_name().to_owned()).unwrap_or_default()
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Off => f.write_str("none"),
            Listen::At(ip, Some(port)) => SocketAddr::new(*ip, *port).fmt(f),
            Listen::At(ip, None) => ip.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, millis) in
            [("500ms", 500), ("30s", 30_000), ("1h30m", 5_400_000), ("1d", 86_400_000), (" 5m ", 300_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in
            ["", "30", "s", "1.5s", "-1s", "5 m", "1y", "99999999999999999999d", "18446744073709551615d"]
        {
            assert!(duration(text).is_err(), "{text}");
        }
        for text in ["500ms", "90s", "1500ms", "5m", "90m", "6h", "1d", "7d"] {
            assert_eq!(show_duration(duration(text).unwrap()), text);
        }
        assert!(interval("0s").is_err() && interval("8d").is_err() && request_time("6m").is_err());
    }

    #[test]
    fn sizes() {
        assert_eq!(size("1MiB"), Ok(1 << 20));
        assert_eq!(size("2048"), Ok(2048));
        for text in ["", "1023", "65MiB", "1GB", "-1", "99999999999999999999MiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn listen_addresses() {
        for (text, shown) in [
            ("127.0.0.1:9464", "127.0.0.1:9464"),
            ("localhost:1", "127.0.0.1:1"),
            ("localhost", "127.0.0.1:9464"),
            (":9999", "0.0.0.0:9999"),
            ("0.0.0.0", "0.0.0.0:9464"),
            ("[::1]:80", "[::1]:80"),
            ("::", "[::]:9464"),
            ("[::1]", "[::1]:9464"),
        ] {
            let socket = listen(text).unwrap().socket(9464).unwrap();
            assert_eq!(socket.to_string(), shown, "{text}");
        }
        assert_eq!(listen("none"), Ok(Listen::Off));
        for text in ["", "9464", "example.org:80", "1.2.3.4:", "1.2.3.4:99999", "http://127.0.0.1:1"] {
            assert!(listen(text).is_err(), "{text}");
        }
    }

    #[test]
    fn accounts() {
        for (text, expected) in [
            ("Gargron", AccountRef::Acct("Gargron".into())),
            ("@Gargron@mastodon.social", AccountRef::Acct("Gargron@mastodon.social".into())),
            ("1", AccountRef::Id("1".into())),
        ] {
            assert_eq!(account(text), Ok(expected));
        }
        for text in ["", "@", "a b", "https://mastodon.social/@Gargron", "a@", "a@b/c", "a@b@c"] {
            assert!(account(text).is_err(), "{text}");
        }
    }

    #[test]
    fn contacts() {
        assert!(contact("https://example.org/about").is_ok());
        assert!(contact("mailto:ops@example.org").is_ok());
        for text in ["", "ops@example.org", "ftp://x", "https://a b", "https://u:p@x", "https://x/)\r\nX: y"]
        {
            assert!(contact(text).is_err(), "{text}");
        }
    }
}
