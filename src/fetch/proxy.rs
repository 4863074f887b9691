//! The forward proxy that the environment names (`HTTP_PROXY`, `HTTPS_PROXY`,
//! `ALL_PROXY`, `NO_PROXY`), read in the same way as curl does. Requests to servers and
//! push use the same proxies.

use std::fmt;
use std::sync::Once;

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use ipnet::IpNet;

use crate::clean::Cleaner;

/// The proxies between the bridge and other machines.
pub struct Proxies(Option<Matcher>);

/// The proxy for a URL.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// The address of the proxy, without credentials.
    pub uri: Uri,
    /// The credentials for the proxy.
    pub authorization: Option<HeaderValue>,
}

impl Proxies {
    /// No proxy, whatever the environment names.
    #[must_use]
    pub fn none() -> Proxies {
        Proxies(None)
    }

    /// Reads the environment, and on systems other than Linux also the system settings.
    /// What cannot be used is logged once.
    #[must_use]
    pub fn of_the_system() -> Proxies {
        warn_of_the_environment();
        Proxies::read(&of_the_process)
    }

    fn read(env: &dyn Fn(&str) -> Option<String>) -> Proxies {
        let get = |name: &str| value(env, name).unwrap_or_default();
        let no_proxy = NoProxy::read(&get("NO_PROXY"));
        if no_proxy.is_everything {
            return Proxies(None);
        }
        let (http, https, all) = (get("HTTP_PROXY"), get("HTTPS_PROXY"), get("ALL_PROXY"));
        if http.is_empty() && https.is_empty() && all.is_empty() {
            return Proxies(Some(Matcher::from_system()));
        }
        // In a CGI program, HTTP_PROXY is the `Proxy` header of an unknown client.
        let http = if env("REQUEST_METHOD").is_some() { String::new() } else { http };
        let matcher = Matcher::builder().http(http).https(https).all(all).no(no_proxy.understood).build();
        Proxies(Some(matcher))
    }

    /// Returns the proxy for this URL, if there is one.
    #[must_use]
    pub fn for_uri(&self, uri: &Uri) -> Option<Proxy> {
        let through = self.0.as_ref()?.intercept(uri)?;
        Some(Proxy { uri: through.uri().clone(), authorization: through.basic_auth().cloned() })
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Proxies").field(&self.0.is_some()).finish()
    }
}

impl Proxy {
    /// Whether the proxy uses HTTP.
    #[must_use]
    pub fn is_http(&self) -> bool {
        matches!(self.uri.scheme_str(), Some("http" | "https"))
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
        write!(f, "{}://{authority}", self.uri.scheme_str().unwrap_or("http"))
    }
}

/// The parts of `NO_PROXY`.
#[derive(Debug, Default, PartialEq, Eq)]
struct NoProxy {
    /// `*`: every host, addresses included.
    is_everything: bool,
    /// Hosts, domains, addresses and networks, separated by commas.
    understood: String,
    /// Entries that are not understood.
    strange: Vec<String>,
}

impl NoProxy {
    fn read(text: &str) -> NoProxy {
        let mut read = NoProxy::default();
        let mut understood = Vec::new();
        for entry in text.split([',', ' ']).map(str::trim).filter(|entry| !entry.is_empty()) {
            let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(entry);
            let is_address = bare.parse::<std::net::IpAddr>().is_ok() || bare.parse::<IpNet>().is_ok();
            // Some programs write `*.domain` for `.domain`.
            let name = bare.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(bare);
            if entry == "*" {
                read.is_everything = true;
            } else if is_address {
                understood.push(bare);
            } else if name.contains([':', '*', '/', '[', ']']) {
                read.strange.push(entry.to_owned());
            } else {
                understood.push(name);
            }
        }
        read.understood = understood.join(",");
        read
    }
}

fn of_the_process(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Says in the log, once, what of the environment cannot be used; how much that is.
pub fn warn_of_the_environment() -> usize {
    static SAID: Once = Once::new();
    let complaints = complaints(&of_the_process);
    SAID.call_once(|| {
        for complaint in &complaints {
            tracing::warn!("{complaint}");
        }
    });
    complaints.len()
}

/// Describes what cannot be used in the environment.
fn complaints(env: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let mut all = Vec::new();
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        let Some(proxy) = value(env, name).filter(|value| !value.trim().is_empty()) else { continue };
        // The value may contain a password.
        let scheme = proxy.split_once("://").map_or("http", |(scheme, _)| scheme);
        let is_http = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
        let matcher = Matcher::builder().all(proxy.as_str()).build();
        let is_read = matcher.intercept(&Uri::from_static("http://example.com/")).is_some();
        if !is_http {
            all.push(format!(
                "{name}: a proxy of the kind `{scheme}` cannot be used; name an HTTP proxy, http://HOST:PORT"
            ));
        } else if !is_read {
            all.push(format!("{name} is not the URL of a proxy, and is ignored; write http://HOST:PORT"));
        }
    }
    for strange in NoProxy::read(&value(env, "NO_PROXY").unwrap_or_default()).strange {
        all.push(format!(
            "NO_PROXY: `{}` names no host and is ignored; write a host or domain without a port, an \
             address, a network as 10.0.0.0/8, or * for every host",
            Cleaner::default().clean(&strange, 100)
        ));
    }
    all
}

/// Reads a variable in upper case, or else in lower case, like most programs.
fn value(env: &dyn Fn(&str) -> Option<String>, name: &str) -> Option<String> {
    env(name).or_else(|| env(&name.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Variables = &'static [(&'static str, &'static str)];

    fn env(variables: Variables) -> impl Fn(&str) -> Option<String> {
        move |name| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn the_environment_says_who_stands_between() {
        const P: (&str, &str) = ("HTTP_PROXY", "http://user:pw@proxy.example:3128");
        let cases: &[(Variables, &str, Option<&str>)] = &[
            (&[], "http://a.example/", None),
            (&[P], "http://a.example/", Some("http://proxy.example:3128")),
            (&[P], "https://a.example/", None),
            (&[("https_proxy", "p:1")], "https://a.example/", Some("http://p:1")),
            (&[("ALL_PROXY", "http://p:1")], "https://a.example/", Some("http://p:1")),
            (&[P], "http://127.0.0.1/", Some("http://proxy.example:3128")),
            (&[P, ("NO_PROXY", "*")], "http://a.example/", None),
            (&[P, ("NO_PROXY", "*")], "http://127.0.0.1/", None),
            (&[P, ("NO_PROXY", "*")], "http://[::1]:8080/", None),
            (&[P, ("no_proxy", "b.example, *")], "http://10.0.0.1/", None),
            (&[P, ("NO_PROXY", "127.0.0.1,[::1]")], "http://[::1]/", None),
            (&[P, ("NO_PROXY", "10.0.0.0/8")], "http://10.1.2.3/", None),
            (&[P, ("NO_PROXY", "10.0.0.0/8")], "http://11.1.2.3/", Some("http://proxy.example:3128")),
            (&[P, ("NO_PROXY", "*.example")], "http://a.example/", None),
            (&[P, ("NO_PROXY", ".example")], "http://a.example/", None),
            (&[P, ("NO_PROXY", "example")], "http://a.example/", None),
            (&[P, ("NO_PROXY", "a.example b.example")], "http://b.example/", None),
            (&[P, ("NO_PROXY", "a.example:80")], "http://a.example/", Some("http://proxy.example:3128")),
            (&[P, ("REQUEST_METHOD", "GET")], "http://a.example/", None),
        ];
        for (variables, uri, expected) in cases {
            let proxy = Proxies::read(&env(variables)).for_uri(&uri.parse().unwrap());
            let shown = proxy.as_ref().map(ToString::to_string);
            assert_eq!(shown.as_deref(), *expected, "{variables:?} {uri}");
        }
        let proxy = Proxies::read(&env(&[P])).for_uri(&Uri::from_static("http://a.example/")).unwrap();
        assert_eq!(proxy.authorization.unwrap(), "Basic dXNlcjpwdw==");
    }

    #[test]
    fn what_cannot_be_used_is_told_without_its_secrets() {
        let cases: &[(Variables, &[&str])] = &[
            (
                &[("HTTP_PROXY", "http://u:hush@p:1"), ("NO_PROXY", "*, a.example, ::1, [::1], 10.0.0.0/8")],
                &[],
            ),
            (&[("ALL_PROXY", "socks5h://u:hush@p:1")], &["ALL_PROXY: a proxy of the kind `socks5h`"]),
            (&[("https_proxy", "http://u:hush@")], &["HTTPS_PROXY is not the URL of a proxy"]),
            (&[("NO_PROXY", "a:8080,*b")], &["NO_PROXY: `a:8080`", "NO_PROXY: `*b`"]),
        ];
        for (variables, expected) in cases {
            let told = complaints(&env(variables));
            assert_eq!(told.len(), expected.len(), "{variables:?}: {told:?}");
            for (told, expected) in told.iter().zip(*expected) {
                assert!(told.starts_with(expected) && !told.contains("hush"), "{told}");
            }
        }
    }
}
