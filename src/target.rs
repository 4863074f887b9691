//! A target: the server that is polled, how it is identified on every point,
//! and what is asked of it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use url::{Host, Url};

use crate::endpoint::{Endpoint, On};

mod token;

pub use token::{Token, TokenOrigin};

/// One server to poll. Everything in it has been checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// How people refer to it: `mastodon.social`, `http://127.0.0.1:3000`,
    /// or the `host` where one is set.
    pub name: Arc<str>,
    /// Scheme, host and port that are connected to; path `/`.
    pub url: Url,
    /// The `Host` header to send instead of the URL's own: a server polled
    /// behind its proxy.
    pub host: Option<String>,
    /// `X-Forwarded-Proto` to send: `http` or `https`.
    pub forwarded_proto: Option<String>,
    /// An access token, if the user gave one.
    pub token: Option<Token>,
    /// Where that token was read, to show in its place.
    pub token_origin: Option<TokenOrigin>,
    /// Attributes of every point about this target, sorted by key:
    /// `server.address`, `server.port` where it is not https on 443, and the
    /// user's own.
    pub identity: Arc<[(Arc<str>, AttributeValue)]>,
    /// The endpoints to ask for, in the order of [`Endpoint::ALL`].
    pub endpoints: Vec<Endpoint>,
    /// Accounts to follow.
    pub accounts: Vec<AccountRef>,
    /// Hashtags to follow, without `#`.
    pub tags: Vec<Arc<str>>,
    /// Whether robots.txt says what may be asked.
    pub obey_robots: bool,
    /// Whether `last_success`, `duration` and `size` are reported by endpoint.
    pub endpoint_details: bool,
    /// Intervals that the user set.
    pub intervals: BTreeMap<Endpoint, Duration>,
}

/// The value of an attribute on a measured point.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum AttributeValue {
    /// Text.
    Text(Arc<str>),
    /// A whole number (`server.port`).
    Int(i64),
}

/// An account as the user wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountRef {
    /// `name` or `name@domain`, without a leading `@`.
    Acct(Arc<str>),
    /// The server's own id, digits.
    Id(Arc<str>),
}

impl AccountRef {
    /// What stands in `mastodon.account.acct`: as the user wrote it.
    #[must_use]
    pub fn label(&self) -> &Arc<str> {
        match self {
            AccountRef::Acct(a) | AccountRef::Id(a) => a,
        }
    }
}

impl Target {
    /// A target with the default endpoints, from a checked URL.
    ///
    /// `host` and `forwarded_proto` are those of [`Target`]; `attributes` are
    /// the user's static attributes.
    #[must_use]
    pub fn new(
        url: Url,
        host: Option<String>,
        forwarded_proto: Option<String>,
        attributes: &BTreeMap<String, String>,
    ) -> Target {
        let scheme = forwarded_proto.as_deref().unwrap_or(url.scheme()).to_owned();
        // With `host` the site is the one of that name; the URL only says
        // where its server is reached.
        let (address, port) = match &host {
            Some(h) => split_host(h),
            None => (bare_host(&url), url.port()),
        };
        let default_port = if scheme == "https" { 443 } else { 80 };
        let port = port.unwrap_or(default_port);
        let mut identity: Vec<(Arc<str>, AttributeValue)> = attributes
            .iter()
            .map(|(k, v)| (k.as_str().into(), AttributeValue::Text(v.as_str().into())))
            .collect();
        identity.push(("server.address".into(), AttributeValue::Text(address.as_str().into())));
        if scheme != "https" || port != 443 {
            identity.push(("server.port".into(), AttributeValue::Int(port.into())));
        }
        identity.sort();
        let shown = if address.contains(':') { format!("[{address}]") } else { address };
        let name = match (scheme.as_str(), port == default_port) {
            ("https", true) => shown,
            (_, true) => format!("{scheme}://{shown}"),
            (_, false) => format!("{scheme}://{shown}:{port}"),
        };
        let endpoints = Endpoint::ALL.iter().copied().filter(|e| e.on() == On::Default).collect();
        Target {
            name: name.into(),
            url,
            host,
            forwarded_proto,
            token: None,
            token_origin: None,
            identity: identity.into(),
            endpoints,
            accounts: Vec::new(),
            tags: Vec::new(),
            obey_robots: false,
            endpoint_details: true,
            intervals: BTreeMap::new(),
        }
    }

    /// Sets [`Target::endpoints`] to the default ones, those of `collect`, and
    /// those that the target's token and lists call for.
    pub fn select_endpoints(&mut self, collect: &[Endpoint]) {
        let wanted = |e: Endpoint| match e.on() {
            On::Default => true,
            On::OptIn => collect.contains(&e),
            On::Token => self.token.is_some(),
            On::Listed => match e {
                Endpoint::Accounts => !self.accounts.is_empty(),
                Endpoint::Tags => !self.tags.is_empty(),
                _ => self.obey_robots,
            },
        };
        self.endpoints = Endpoint::ALL.iter().copied().filter(|e| wanted(*e)).collect();
    }

    /// The user's own attributes: those of [`Target::identity`] that are not
    /// built in.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.identity.iter().filter_map(|(key, value)| match value {
            AttributeValue::Text(text) if &**key != "server.address" => Some((&**key, &**text)),
            _ => None,
        })
    }

    /// The value of `server.address`.
    #[must_use]
    pub fn address(&self) -> &str {
        self.identity
            .iter()
            .find_map(|(k, v)| match v {
                AttributeValue::Text(t) if &**k == "server.address" => Some(&**t),
                _ => None,
            })
            .unwrap_or_default()
    }

    /// The shortest time between two requests for `endpoint`.
    #[must_use]
    pub fn interval(&self, endpoint: Endpoint) -> Duration {
        self.intervals.get(&endpoint).copied().unwrap_or(endpoint.interval())
    }
}

/// The host of a URL without the brackets of an IPv6 address.
fn bare_host(url: &Url) -> String {
    url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned()
}

/// Splits a `Host` header value into name and port.
fn split_host(host: &str) -> (String, Option<u16>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => match port.parse() {
            Ok(port) => (name.trim_matches(['[', ']']).to_owned(), Some(port)),
            Err(_) => (host.to_owned(), None),
        },
        _ => (host.trim_matches(['[', ']']).to_owned(), None),
    }
}

/// Scheme, host and port of the server that `text` names: a host (https is
/// assumed), `host:port`, or a URL with the path `/`.
///
/// # Errors
/// What is wrong and what to write instead. A password or a query, which may
/// be a secret, is not repeated.
pub fn parse_target(text: &str) -> Result<Url, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("is empty; write a host such as mastodon.social".to_owned());
    }
    // The url crate would drop tabs and newlines and read `\` as `/`.
    if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err("has a space, a control character or a backslash; write one host or URL".to_owned());
    }
    let (scheme, rest) = text.split_once("://").unwrap_or(("https", text));
    let scheme = scheme.to_ascii_lowercase();
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let site = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let shown = if site.is_empty() { "mastodon.social" } else { site };
    if scheme != "https" && scheme != "http" {
        return Err(format!("has a scheme that is neither http nor https; write https://{shown}"));
    }
    if authority.contains('@') {
        return Err(
            if text.contains("://") || authority.split('@').next().is_some_and(|a| a.contains(':')) {
                format!(
                    "has a user name or a password; write {shown}, and give a token by token_file or token_env"
                )
            } else {
                format!(
                    "looks like an account; write its server, {shown}, and list the account under accounts"
                )
            },
        );
    }
    if tail.contains(['?', '#']) {
        return Err(format!("has a query or a fragment; write {scheme}://{shown}"));
    }
    if !matches!(tail, "" | "/") {
        return Err(format!("has a path; write {scheme}://{shown}"));
    }
    let bracketed = match site.parse::<Ipv6Addr>() {
        Ok(ip) => format!("[{ip}]"),
        Err(_) => site.to_owned(),
    };
    let wrong = |why: &str| format!("is not a host or a URL ({why}); write one such as mastodon.social");
    let mut url = Url::parse(&format!("{scheme}://{bracketed}/")).map_err(|e| wrong(&e.to_string()))?;
    match url.host().map(|host| host.to_owned()) {
        Some(Host::Domain(domain)) => {
            // One trailing dot only says that the name is complete.
            let domain = domain.strip_suffix('.').unwrap_or(&domain);
            check_domain(domain).map_err(wrong)?;
            url.set_host(Some(domain)).map_err(|e| wrong(&e.to_string()))?;
        }
        // A number is an address to the URL standard: 9464 is 0.0.36.248.
        Some(Host::Ipv4(_)) => {
            let written = bracketed.split(':').next().unwrap_or_default();
            written.parse::<Ipv4Addr>().map_err(|_| wrong("a number is no host"))?;
        }
        Some(Host::Ipv6(_)) => {}
        None => return Err(wrong("no host")),
    }
    if url.port() == Some(0) {
        return Err(wrong("port 0"));
    }
    Ok(url)
}

/// A `Host` header: a name, and a port unless it is the one of `scheme`.
///
/// # Errors
/// What is wrong and what to write instead.
pub fn parse_host(text: &str, scheme: &str) -> Result<String, String> {
    if text.contains("://") || text.contains('/') {
        return Err("is a URL; write the host alone, such as mastodon.social".to_owned());
    }
    let text = text.trim();
    let text = text.parse::<Ipv6Addr>().map_or_else(|_| text.to_owned(), |ip| format!("[{ip}]"));
    let url = parse_target(&format!("{scheme}://{text}"))?;
    let host = url.host_str().unwrap_or_default();
    Ok(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

fn check_domain(domain: &str) -> Result<(), &'static str> {
    if domain.len() > 253 {
        return Err("longer than 253 characters");
    }
    for label in domain.split('.') {
        if label.is_empty() || label.len() > 63 {
            return Err("a part between dots must have 1 to 63 characters");
        }
        if !label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) {
            return Err("a character that no host has");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_normalised() {
        for (text, url) in [
            ("mastodon.social", "https://mastodon.social/"),
            (" Mastodon.Social ", "https://mastodon.social/"),
            ("https://mastodon.social/", "https://mastodon.social/"),
            ("HTTPS://mastodon.social:443", "https://mastodon.social/"),
            ("mastodon.social.", "https://mastodon.social/"),
            ("example.org:8443", "https://example.org:8443/"),
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000/"),
            ("localhost:3000", "https://localhost:3000/"),
            ("bücher.example", "https://xn--bcher-kva.example/"),
            ("::1", "https://[::1]/"),
            ("[2001:DB8::1]:8443", "https://[2001:db8::1]:8443/"),
            ("http://[::1]", "http://[::1]/"),
        ] {
            assert_eq!(parse_target(text).as_ref().map(Url::as_str), Ok(url), "{text}");
        }
    }

    #[test]
    fn wrong_targets_say_what_to_write() {
        for (text, expected) in [
            ("", "is empty"),
            ("a b", "has a space"),
            ("a\\b", "backslash"),
            ("ftp://mastodon.social", "write https://mastodon.social"),
            ("https://mastodon.social/api/v1/instance", "has a path; write https://mastodon.social"),
            ("mastodon.social/about", "has a path; write https://mastodon.social"),
            ("https://mastodon.social/?access_token=hunter2", "has a query"),
            ("https://mastodon.social#hunter2", "has a query or a fragment"),
            ("https://me:hunter2@mastodon.social", "user name or a password; write mastodon.social"),
            ("me:hunter2@mastodon.social", "user name or a password"),
            ("https://me:hun@ter2@mastodon.social/x", "user name or a password; write mastodon.social"),
            ("@Gargron@mastodon.social", "write its server, mastodon.social"),
            ("9464", "a number is no host"),
            ("127.1", "a number is no host"),
            ("a..b", "a part between dots"),
            ("*.social", "no host has"),
            ("mastodon.social:http", "invalid port"),
            ("mastodon.social:99999", "invalid port"),
            ("mastodon.social:0", "port 0"),
            ("https://", "empty host"),
            ("http:mastodon.social", "invalid port"),
        ] {
            let message = parse_target(text).unwrap_err();
            assert!(message.contains(expected), "{text}: {message}");
            assert!(!message.contains("hunter2") && !message.contains("ter2"), "{text}: {message}");
        }
    }

    #[test]
    fn hosts() {
        assert_eq!(parse_host("Mastodon.Social", "http"), Ok("mastodon.social".to_owned()));
        assert_eq!(parse_host("mastodon.social:443", "https"), Ok("mastodon.social".to_owned()));
        assert_eq!(parse_host("mastodon.social:443", "http"), Ok("mastodon.social:443".to_owned()));
        assert_eq!(parse_host("[::1]:80", "https"), Ok("[::1]:80".to_owned()));
        assert!(parse_host("https://mastodon.social", "https").is_err());
    }
}
