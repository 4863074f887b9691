//! The addresses on which the bridge listens.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The prefix of a Unix socket's path.
const UNIX: &str = "unix:";

/// An address on which the bridge listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// An IP address and a port.
    Ip(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl Address {
    /// Returns how to reach a path of the bridge at this address: a URL, or the socket
    /// and the path.
    #[must_use]
    pub fn page(&self, is_tls: bool, path: &str) -> String {
        match self {
            Address::Ip(_) if is_tls => format!("https://{self}{path}"),
            Address::Ip(_) => format!("http://{self}{path}"),
            Address::Unix(_) => format!("{self} ({path})"),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Address {
        Address::Ip(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Ip(address) => address.fmt(f),
            Address::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

/// Returns the path of a Unix socket, if the text names one.
pub fn unix_socket(text: &str) -> Option<Result<PathBuf, String>> {
    let path = text.strip_prefix(UNIX)?;
    // As a URL: `unix:///run/fedimeter.sock`.
    let path = path.strip_prefix("//").unwrap_or(path);
    let is_path = path.starts_with('/') && !path.ends_with('/') && !path.contains(char::is_control);
    Some(if is_path {
        fits(path).map(|()| PathBuf::from(path))
    } else {
        Err("is not the path of a Unix socket; write it from / on, such as unix:/run/fedimeter/fedimeter.sock"
            .to_owned())
    })
}

#[cfg(unix)]
fn fits(path: &str) -> Result<(), String> {
    let socket = std::os::unix::net::SocketAddr::from_pathname(path);
    socket
        .map(drop)
        .map_err(|_| "is longer than the system allows for a Unix socket; choose a shorter path".to_owned())
}

#[cfg(not(unix))]
fn fits(_: &str) -> Result<(), String> {
    Err("is a Unix socket, which this system does not have; write an IP address and a port".to_owned())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    #[test]
    fn unix_sockets_are_named_by_their_path() {
        for (text, path) in [
            ("unix:/run/fedimeter.sock", "/run/fedimeter.sock"),
            ("unix:///run/fedimeter.sock", "/run/fedimeter.sock"),
            ("unix:/run/a b:9464", "/run/a b:9464"),
        ] {
            assert_eq!(unix_socket(text), Some(Ok(path.into())), "{text}");
        }
        for text in [
            "unix:",
            "unix:/",
            "unix:fedimeter.sock",
            "unix://fedimeter.sock",
            "unix:@abstract",
            "unix:/run/",
            "unix:/a\nb",
        ] {
            let refused = unix_socket(text).unwrap().unwrap_err();
            assert!(refused.contains("write it from / on"), "{text}: {refused}");
        }
        let long = format!("unix:/{}", "x".repeat(200));
        assert!(unix_socket(&long).unwrap().unwrap_err().contains("longer than the system allows"));
        assert!(unix_socket("unix:/nul\0").unwrap().is_err());
        assert_eq!(unix_socket("127.0.0.1:9464"), None);
    }

    #[test]
    fn addresses_lead_to_pages() {
        let ip = Address::from(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 9464)));
        assert_eq!(ip.page(true, "/"), "https://[::1]:9464/");
        assert_eq!(ip.page(false, "/metrics"), "http://[::1]:9464/metrics");
        let unix = Address::Unix("/run/fedimeter.sock".into());
        assert_eq!(unix.page(true, "/metrics"), "unix:/run/fedimeter.sock (/metrics)");
    }
}
