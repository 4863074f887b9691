//! The host names that a listener answers to.
//!
//! A page of another site can point its own name to 127.0.0.1, so that a browser reads
//! from a bridge that listens only on this machine (DNS rebinding). The attack is
//! visible, because the browser sends that site's name as the host. An IP address as
//! the host cannot be such a name.

use std::net::{Ipv6Addr, SocketAddr};

use axum::body::Body;
use http::header::{HOST, LOCATION};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, Version};
use url::Url;

use crate::log_once::LogOnce;

use super::text;

/// The maximum length of a name that is repeated in a message.
const MAX_SHOWN: usize = 80;

/// The host names of one listener.
#[derive(Debug)]
pub struct HostNames {
    /// The names, also patterns such as `*.example.org`. `None` allows any name.
    names: Option<Vec<String>>,
    /// The path below which a proxy serves the bridge, without a slash at the end.
    prefix: String,
    refusals: LogOnce,
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The host is missing or invalid by RFC 9112, section 3.2, and RFC 9113, section
    /// 8.3.1.
    Invalid(&'static str),
    /// The host is not ours.
    Foreign(String),
    /// The path needs a slash at its end, because links are relative.
    Slash(String),
}

impl HostNames {
    /// Returns the names that a listener on `address` answers to. These are the
    /// configured names, or every name if none is configured and other machines can
    /// reach the address. Loopback names and addresses are always included.
    #[must_use]
    pub fn of(address: SocketAddr, given: &[String]) -> HostNames {
        let any = given.iter().any(|name| name == "*") || (given.is_empty() && !address.ip().is_loopback());
        let names = (!any).then(|| given.iter().map(|name| plain(name)).collect());
        HostNames { names, prefix: String::new(), refusals: LogOnce::default() }
    }

    /// Returns the names for a listener on a Unix socket. Browsers do not connect to
    /// one, so every name is allowed.
    #[must_use]
    pub fn of_unix_socket(given: &[String]) -> HostNames {
        let any = given.is_empty() || given.iter().any(|name| name == "*");
        let names = (!any).then(|| given.iter().map(|name| plain(name)).collect());
        HostNames { names, prefix: String::new(), refusals: LogOnce::default() }
    }

    /// Adds the public URL of the pages: its host is one of the names, and its path a
    /// prefix of paths.
    #[must_use]
    pub fn found_at(mut self, url: Option<&Url>) -> HostNames {
        if let Some(url) = url {
            if let (Some(names), Some(host)) = (&mut self.names, url.host_str()) {
                names.push(plain(host));
            }
            url.path().trim_end_matches('/').clone_into(&mut self.prefix);
        }
        self
    }

    /// Checks a request, and removes the proxy's prefix from its path.
    ///
    /// # Errors
    ///
    /// When the request names no host, several hosts or a foreign one, or when a slash
    /// is missing.
    pub fn admit<B>(&self, request: &mut Request<B>) -> Result<(), Refusal> {
        let uri = request.uri();
        let rest = uri.path_and_query().and_then(|path| path.as_str().strip_prefix(&self.prefix));
        match rest.filter(|_| !self.prefix.is_empty()) {
            Some(rest) if rest.starts_with('/') => {
                let mut parts = uri.clone().into_parts();
                parts.path_and_query = rest.parse().ok();
                if let Ok(uri) = Uri::from_parts(parts) {
                    *request.uri_mut() = uri;
                }
            }
            Some(rest) if rest.is_empty() || rest.starts_with('?') => {
                let last = self.prefix.rsplit('/').next().unwrap_or_default();
                return Err(Refusal::Slash(format!("{last}/{rest}")));
            }
            _ => {}
        }
        self.check(request)
    }

    /// Checks the host of a request.
    ///
    /// # Errors
    ///
    /// When the request names no host, several hosts or a foreign one.
    pub fn check<B>(&self, request: &Request<B>) -> Result<(), Refusal> {
        let host = host(request.version(), request.uri().authority(), request.headers())?;
        // Health checks reveal nothing, and probes use many host names.
        if request.uri().path().starts_with("/-/") || self.has(&host) {
            return Ok(());
        }
        if self.refusals.begins() {
            tracing::warn!(
                "a request for the host {host:.MAX_SHOWN$} was refused, because this listener answers to \
                 loopback names and listen_hosts only; if a proxy sends that name, add it there (further \
                 ones are not logged)"
            );
        }
        Err(Refusal::Foreign(host))
    }

    fn has(&self, host: &str) -> bool {
        let Some(names) = &self.names else { return true };
        let is_address = host.parse::<std::net::Ipv4Addr>().is_ok() || is_ipv6(host);
        is_address
            || host == "localhost"
            || host.ends_with(".localhost")
            || names.iter().any(|name| match name.strip_prefix('*') {
                Some(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
                None => host == name,
            })
    }
}

impl Refusal {
    /// Returns the response for the client.
    #[must_use]
    pub fn response(&self) -> Response<Body> {
        match self {
            Refusal::Invalid(why) => text(StatusCode::BAD_REQUEST, &format!("{why}\n")),
            Refusal::Slash(to) => {
                let mut response = text(StatusCode::PERMANENT_REDIRECT, "the pages are below this path\n");
                if let Ok(to) = HeaderValue::try_from(to) {
                    response.headers_mut().insert(LOCATION, to);
                }
                response
            }
            Refusal::Foreign(host) => text(
                StatusCode::MISDIRECTED_REQUEST,
                &format!("the host name {host:.MAX_SHOWN$} is not allowed; to allow it, set listen_hosts\n"),
            ),
        }
    }
}

/// Returns the host that a request names, in lower case and without its port.
fn host(version: Version, authority: Option<&Authority>, headers: &HeaderMap) -> Result<String, Refusal> {
    let mut values = headers.get_all(HOST).iter();
    let value = values.next();
    if values.next().is_some() {
        return Err(Refusal::Invalid("more than one Host header"));
    }
    if value.is_none() && (version == Version::HTTP_11 || (version == Version::HTTP_2 && authority.is_none()))
    {
        return Err(Refusal::Invalid("the request names no host"));
    }
    let invalid = Refusal::Invalid("the host is not valid");
    let named = match value {
        Some(value) if !value.is_empty() => {
            let named: Authority = value.as_bytes().try_into().map_err(|_| invalid.clone())?;
            Some(named)
        }
        _ => None,
    };
    // The request target takes precedence over the header.
    match authority.or(named.as_ref()) {
        Some(authority) if authority.as_str().contains('@') => Err(invalid),
        Some(authority) => Ok(plain(authority.host())),
        None => Ok(String::new()),
    }
}

fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

fn is_ipv6(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    address.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(version: Version, uri: &str, hosts: &[&str]) -> Request<()> {
        let mut request = Request::builder().version(version).uri(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        request.body(()).unwrap()
    }

    #[test]
    fn loopback_listeners_answer_to_loopback_names_addresses_and_what_is_given() {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 9464));
        let lan = SocketAddr::from(([192, 0, 2, 1], 9464));
        let given = ["metrics.example".to_owned(), "*.corp.example".to_owned()];
        for (host, is_loopback, is_given) in [
            ("localhost", true, true),
            ("LOCALHOST:9464", true, true),
            ("localhost.", true, true),
            ("bridge.localhost", true, true),
            ("127.0.0.1:9464", true, true),
            ("10.1.2.3", true, true),
            ("[::1]:9464", true, true),
            ("metrics.example:443", false, true),
            ("Metrics.Example.", false, true),
            ("a.corp.example", false, true),
            ("corp.example", false, false),
            (".corp.example", false, false),
            ("evil.example", false, false),
            ("127.0.0.1.evil.example", false, false),
            ("localhost.evil.example", false, false),
            ("notlocalhost", false, false),
            ("0x7f000001", false, false),
            ("", false, false),
        ] {
            let asked = request(Version::HTTP_11, "/metrics", &[host]);
            for (address, given, answered) in [
                (loopback, &[][..], is_loopback),
                (loopback, &given, is_given),
                (lan, &[], true),
                (lan, &given, is_given),
                (loopback, &["*".to_owned()], true),
            ] {
                let names = HostNames::of(address, given);
                assert_eq!(names.check(&asked).is_ok(), answered, "{host:?} at {address}, {given:?}");
            }
        }
    }

    #[test]
    fn a_request_names_one_valid_host() {
        let names = HostNames::of(SocketAddr::from(([0, 0, 0, 0], 9464)), &[]);
        for (version, uri, hosts, valid) in [
            (Version::HTTP_11, "/", &[][..], false),
            (Version::HTTP_11, "/-/healthy", &[], false),
            (Version::HTTP_11, "/", &["localhost"], true),
            (Version::HTTP_11, "/", &["localhost", "localhost"], false),
            (Version::HTTP_11, "/", &["a b"], false),
            (Version::HTTP_11, "/", &["user@localhost"], false),
            (Version::HTTP_11, "/", &["localhost/path"], false),
            (Version::HTTP_11, "http://localhost/", &["localhost"], true),
            (Version::HTTP_11, "http://localhost/", &[], false),
            (Version::HTTP_10, "/", &[], true),
            (Version::HTTP_10, "/", &["a", "b"], false),
            (Version::HTTP_2, "http://localhost/", &[], true),
            (Version::HTTP_2, "/", &["localhost"], true),
            (Version::HTTP_2, "/", &[], false),
        ] {
            let checked = names.check(&request(version, uri, hosts));
            assert_eq!(checked.is_ok(), valid, "{version:?} {uri} {hosts:?}: {checked:?}");
        }
    }

    #[test]
    fn what_the_target_names_counts_and_health_is_for_all() {
        let names = HostNames::of(SocketAddr::from(([127, 0, 0, 1], 9464)), &[]);
        let foreign = request(Version::HTTP_11, "http://evil.example/metrics", &["localhost"]);
        assert_eq!(names.check(&foreign), Err(Refusal::Foreign("evil.example".to_owned())));
        for path in ["/", "/metrics", "/targets/a.example", "/style.css"] {
            assert!(names.check(&request(Version::HTTP_11, path, &["evil.example"])).is_err(), "{path}");
        }
        for path in ["/-/healthy", "/-/ready"] {
            assert_eq!(names.check(&request(Version::HTTP_11, path, &["kubelet.example"])), Ok(()), "{path}");
        }
    }
}
