//! The syntax of single values, the same in the file, in flags and in variables. Each
//! parser's error says what is wrong and how to write it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::address::{Address, unix_socket};
use super::suggest::{did_you_mean, list};
use crate::endpoint::{Endpoint, On};

/// The milliseconds in each unit of a duration, longest first.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Parses a duration in Prometheus's format: `500ms`, `30s`, `5m`, `1h30m`, `1d`.
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

/// Formats a duration in its shortest form: `90s`, `5m`, `1d`.
#[must_use]
pub fn show_duration(value: Duration) -> String {
    let millis = value.as_millis();
    let (unit, size) = UNITS
        .iter()
        .find(|(_, size)| millis > 0 && millis.is_multiple_of(u128::from(*size)))
        .unwrap_or(&("ms", 1));
    format!("{}{unit}", millis / u128::from(*size))
}

/// Parses a size in bytes: `1048576`, `512KiB`, `1MiB`.
#[must_use]
pub fn size(text: &str) -> Option<usize> {
    let text = text.trim();
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let factor = match unit.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    digits.parse::<usize>().ok()?.checked_mul(factor)
}

/// Formats a size in bytes in its shortest form: `1MiB`.
#[must_use]
pub fn show_size(bytes: usize) -> String {
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let unit = units.iter().find(|(_, size)| bytes > 0 && bytes.is_multiple_of(*size));
    unit.map_or_else(|| bytes.to_string(), |(unit, size)| format!("{}{unit}", bytes / size))
}

/// A place to listen: none, or an address with an optional port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// `none`: `/metrics` is off.
    Off,
    /// An address, with a port if one was given.
    At(IpAddr, Option<u16>),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl Listen {
    /// Returns the address, with `default_port` if no port was given.
    #[must_use]
    pub fn address(&self, default_port: u16) -> Option<Address> {
        match self {
            Listen::Off => None,
            Listen::At(ip, port) => Some(SocketAddr::new(*ip, port.unwrap_or(default_port)).into()),
            Listen::Unix(path) => Some(Address::Unix(path.clone())),
        }
    }
}

/// Parses an address to listen on: `127.0.0.1:9464`, `[::]:9464`, `localhost`,
/// `0.0.0.0` (default port), `:9464` (all IPv4 addresses), `unix:/run/fedimeter.sock`,
/// or `none`.
///
/// Names other than `localhost` are refused, because reading a configuration must not
/// use the network.
pub fn listen(text: &str) -> Result<Listen, String> {
    let text = text.trim();
    if text == "none" {
        return Ok(Listen::Off);
    }
    if let Some(path) = unix_socket(text) {
        return path.map(Listen::Unix);
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(Listen::At(address.ip(), Some(address.port())));
    }
    let bracketed = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    if let Ok(ip) = bracketed.unwrap_or(text).parse::<Ipv6Addr>() {
        return match text.rsplit_once(':') {
            Some((host, port)) if bracketed.is_none() && is_like_port(port) => Err(format!(
                "is an IPv6 address that may be meant to end in a port; write [{host}]:{port} or [{text}]"
            )),
            _ => Ok(Listen::At(ip.into(), None)),
        };
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
                  0.0.0.0:9464 or [::]:9464, unix:/run/fedimeter/fedimeter.sock, or none"
            .to_owned()),
    }
}

/// Whether the last group of an IPv6 address looks like a common port.
fn is_like_port(group: &str) -> bool {
    group.len() == 4 && group.bytes().all(|digit| digit.is_ascii_digit()) && !group.starts_with('0')
}

/// Parses the permissions of a file, in octal: `0660`.
pub fn mode(text: &str) -> Result<u32, String> {
    let digits = text.trim().trim_start_matches("0o");
    let is_octal = digits.len() >= 3 && digits.bytes().all(|digit| digit.is_ascii_digit());
    let mode = u32::from_str_radix(digits, 8).ok().filter(|mode| *mode <= 0o777);
    mode.filter(|_| is_octal)
        .ok_or_else(|| "is not the mode of a file; write it in octal, such as 0660".to_owned())
}

/// Parses a host name to which a listener answers, in lower case and without a final
/// dot: `metrics.example.org`, `*.example.org`, or `*`.
pub fn listen_host(text: &str) -> Result<String, String> {
    let text = text.trim();
    let name = text.trim_end_matches('.').to_ascii_lowercase();
    let labels = name.strip_prefix("*.").unwrap_or(&name);
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    if text == "*" || labels.split('.').all(is_label) {
        return Ok(name);
    }
    Err("is not a host name; write it without scheme, port and path, such as metrics.example.org, \
         *.example.org for those below it, or * for any"
        .to_owned())
}

/// Parses a URL that answers with a list of targets.
pub fn list_url(text: &str) -> Result<Url, String> {
    let wrong = || "is not a URL; write it in full: https://inventory.example.org/targets.json".to_owned();
    let mut url = Url::parse(text.trim()).map_err(|_| wrong())?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(wrong());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("names a user or a password, which would show; put a token into targets_url_token_file"
            .to_owned());
    }
    url.set_fragment(None);
    Ok(url)
}

/// The first segments of the paths that the bridge serves.
const OWN_PATHS: [&str; 7] = ["-", "api", "icon.svg", "metrics", "style.css", "target", "targets"];

/// Parses the public URL of the pages, which must end in a slash.
pub fn external_url(text: &str) -> Result<Url, String> {
    let wrong = "is not a URL; write it as people open it, such as https://metrics.example.org/fedimeter/";
    let mut url = Url::parse(text.trim()).map_err(|_| wrong.to_owned())?;
    let is_plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !is_plain {
        return Err(wrong.to_owned());
    }
    let path = format!("{}/", url.path().trim_end_matches('/'));
    url.set_path(&path);
    if path.split('/').nth(1).is_some_and(|first| OWN_PATHS.contains(&first)) {
        return Err("has a path that begins with one of fedimeter's own; choose another".to_owned());
    }
    Ok(url)
}

/// Parses the name of an endpoint.
pub fn endpoint(text: &str) -> Result<Endpoint, String> {
    let name = text.trim();
    Endpoint::from_name(name).ok_or_else(|| {
        let names: Vec<&str> = Endpoint::ALL.iter().map(|e| e.name()).collect();
        unknown_endpoint(name, &names)
    })
}

/// Parses the name of an endpoint that `collect` may contain.
pub fn collect(text: &str) -> Result<Endpoint, String> {
    let name = text.trim();
    match Endpoint::from_name(name) {
        Some(endpoint) if endpoint.on() == On::Listed => {
            Err(format!("`{name}` needs to know which; list them under `{name}` instead"))
        }
        Some(endpoint) => Ok(endpoint),
        None => {
            // Only these endpoints need to be named, but default ones may be.
            let named = Endpoint::collected(On::OptIn);
            Err(unknown_endpoint(name, &named.map(Endpoint::name).collect::<Vec<_>>()))
        }
    }
}

fn unknown_endpoint(name: &str, names: &[&str]) -> String {
    match did_you_mean(name, names) {
        meant if meant.is_empty() => format!("no endpoint `{name}`; known are {}", list(names)),
        meant => format!("no endpoint `{name}`{meant} Known are {}", list(names)),
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Off => f.write_str("none"),
            Listen::At(ip, Some(port)) => SocketAddr::new(*ip, *port).fmt(f),
            Listen::At(ip, None) => ip.fmt(f),
            Listen::Unix(path) => Address::Unix(path.clone()).fmt(f),
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
    }

    #[test]
    fn sizes() {
        for text in ["1MiB", "2047", "2KiB", "1025KiB", "3GiB", "0"] {
            assert_eq!(show_size(size(text).unwrap()), text);
        }
        assert_eq!(size("2048"), Some(2048));
        for text in ["", "MiB", "1GB", "-1", "99999999999999999999MiB"] {
            assert_eq!(size(text), None, "{text}");
        }
    }

    #[test]
    fn modes() {
        for (text, value) in [("0660", 0o660), ("660", 0o660), ("0o600", 0o600), ("000", 0), ("0777", 0o777)]
        {
            assert_eq!(mode(text), Ok(value), "{text}");
        }
        for text in ["", "0", "u=rw", "0668", "1777", "-660", "+660", "0x1b0"] {
            assert!(mode(text).is_err(), "{text}");
        }
    }

    #[test]
    fn listen_hosts() {
        for (text, name) in [
            ("Metrics.Example.org.", "metrics.example.org"),
            ("*.example.org", "*.example.org"),
            ("*", "*"),
            ("fedimeter", "fedimeter"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(listen_host(text).as_deref(), Ok(name));
        }
        for text in ["", ".", "a..b", "*.", "**", "a.*.b", "https://a.example", "a.example:80", "a.example/x"]
        {
            assert!(listen_host(text).is_err(), "{text}");
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
            ("unix:///run/a.sock", "unix:/run/a.sock"),
        ] {
            let address = listen(text).unwrap().address(9464).unwrap();
            assert_eq!(address.to_string(), shown, "{text}");
        }
        assert_eq!(listen("none"), Ok(Listen::Off));
        assert_eq!(
            listen("fd00::5:9464").unwrap_err(),
            "is an IPv6 address that may be meant to end in a port; write [fd00::5]:9464 or [fd00::5:9464]"
        );
        for text in ["fd00::5", "fd00::0001", "fd00::abcd", "[fd00::5:9464]"] {
            assert!(listen(text).is_ok(), "{text}");
        }
        for text in ["", "9464", "example.org:80", "1.2.3.4:", "1.2.3.4:99999", "http://127.0.0.1:1"] {
            assert!(listen(text).is_err(), "{text}");
        }
    }
}
