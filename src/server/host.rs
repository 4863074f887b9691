//! Which host names a listener answers to.
//!
//! A page of another site can make its own name stand for 127.0.0.1 and so have
//! a browser read from a bridge that listens on this machine only (DNS
//! rebinding). The browser names that site as the host, which is how it shows.
//! An address as the host cannot be such a name.

use std::net::{Ipv6Addr, SocketAddr};

use axum::body::Body;
use http::header::{HOST, LOCATION};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, Version};
use url::Url;

use crate::log_once::LogOnce;

use super::text;

/// Longest name that is repeated to people.
const MAX_SHOWN: usize = 80;

/// The host names of one listener.
#[derive(Debug)]
pub struct HostNames {
    /// Names, also such as `*.example.org`. `None` for any name.
    names: Option<Vec<String>>,
    /// The path below which a proxy serves the bridge, without a slash at its end.
    prefix: String,
    refusals: LogOnce,
}

/// Why a request is not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// By RFC 9112, section 3.2, and RFC 9113, section 8.3.1.
    Invalid(&'static str),
    /// It is for another host.
    Foreign(String),
    /// It is there with a slash at the end of the path: links are relative.
    Slash(String),
}

impl HostNames {
    /// The names that a listener on `address` answers to: those that the user
    /// gave, and every one where it can be reached from elsewhere and none is
    /// given. Loopback names and addresses are always among them.
    #[must_use]
    pub fn of(address: SocketAddr, given: &[String]) -> HostNames {
        let any = given.iter().any(|name| name == "*") || (given.is_empty() && !address.ip().is_loopback());
        let names = (!any).then(|| given.iter().map(|name| plain(name)).collect());
        HostNames { names, prefix: String::new(), refusals: LogOnce::default() }
    }

    /// The names that a listener on a Unix socket answers to. No browser connects to
    /// one, and who does has any name for it.
    #[must_use]
    pub fn of_unix_socket(given: &[String]) -> HostNames {
        let any = given.is_empty() || given.iter().any(|name| name == "*");
        let names = (!any).then(|| given.iter().map(|name| plain(name)).collect());
        HostNames { names, prefix: String::new(), refusals: LogOnce::default() }
    }

    /// The same for people who find the pages at this URL: its host is one of the names,
    /// and paths may begin with its path.
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

    /// Whether a request is to be answered. Its path is then as without a proxy.
    ///
    /// # Errors
    ///
    /// It names no host, more than one, or one that is not ours; or a slash is missing.
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

    /// Whether a request is to be answered.
    ///
    /// # Errors
    ///
    /// It names no host, more than one, or one that is not ours.
    pub fn check<B>(&self, request: &Request<B>) -> Result<(), Refusal> {
        let host = host(request.version(), request.uri().authority(), request.headers())?;
        // Health tells nothing, and probes name many hosts.
        if request.uri().path().starts_with("/-/") || self.has(&host) {
            return Ok(());
        }
        if self.refusals.begins() {
            tracing::warn!(
                "a request for the host {host:.MAX_SHOWN$} was refused, because this listener answers \
                 to loopback names and listen_hosts only; if a proxy sends that name, add it there (further ones \
                 are not logged)"
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
    /// What the client gets.
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
                &format!(
                    "fedimeter does not answer to the host name {host:.MAX_SHOWN$} here; to allow it, set listen_hosts\n"
                ),
            ),
        }
    }
}

/// The one host that a request names, in small letters and without its port.
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
    // What the target of the request says goes before the header.
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
