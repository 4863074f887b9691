//! The settings of the HTTP client.

use std::time::Duration;

use url::Url;

/// From so many targets on, a host keeps one connection, which takes 19 KiB and more, and is
/// asked for one thing at a time, so that it needs no other.
pub const FLEET: usize = 100;

/// The settings of the HTTP client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// The maximum number of simultaneous requests.
    pub max_requests: usize,
    /// The maximum number of simultaneous requests per host.
    pub max_requests_per_host: usize,
    /// The timeout for resolving a name.
    pub dns_timeout: Duration,
    /// The timeout for connecting, including TLS.
    pub connect_timeout: Duration,
    /// The timeout for a whole request.
    pub timeout: Duration,
    /// The maximum size of a decoded body in bytes.
    pub max_body: usize,
    /// A URL in the User-Agent by which an administrator can reach the operator of the
    /// bridge.
    pub contact: String,
    /// The maximum age of a connection. Then a new one is made, to the name's current
    /// address.
    pub connection_age: Duration,
    /// The number of connections per host that are kept between collections. It is not
    /// a setting; a bridge with many targets keeps fewer.
    pub kept_per_host: usize,
    /// The maximum number of open connections. So many are kept that
    /// [`Http::max_requests`] can be added. It is not a setting, but follows from the
    /// limit on open files.
    pub most_open: usize,
}

impl Default for Http {
    fn default() -> Http {
        Http {
            max_requests: 256,
            max_requests_per_host: 2,
            dns_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(10),
            max_body: 1 << 20,
            contact: "https://docs.rs/fedimeter".to_owned(),
            connection_age: Duration::from_secs(300),
            kept_per_host: 2,
            most_open: usize::MAX,
        }
    }
}

/// Checks a URL for the User-Agent: http, https or mailto.
///
/// # Errors
///
/// What to write instead.
pub fn parse_contact(text: &str) -> Result<String, String> {
    let text = text.trim();
    // The User-Agent contains it in a comment, which parentheses would end.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contacts() {
        assert!(parse_contact("https://example.org/about").is_ok());
        assert!(parse_contact("mailto:ops@example.org").is_ok());
        for text in ["", "ops@example.org", "ftp://x", "https://a b", "https://u:p@x", "https://x/)\r\nX: y"]
        {
            assert!(parse_contact(text).is_err(), "{text}");
        }
    }
}
