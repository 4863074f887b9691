//! Where an answer may lead: only to the same site, and never from https to http.

use std::net::IpAddr;

use url::{Host, Url};

use crate::outcome::ErrorType;
use crate::target::Target;

use super::guard;

/// The public URL of a target. With the setting `host` it differs from the URL at which
/// the server is reached.
#[must_use]
pub fn public_url(target: &Target) -> Url {
    let mut url = target.url.clone();
    if let Some(scheme) = &target.forwarded_proto {
        let _ = url.set_scheme(scheme);
    }
    if let Some(host) = &target.host {
        let with_host = Url::parse(&format!("{}://{host}/", url.scheme()));
        url = with_host.unwrap_or(url);
    }
    url
}

/// Checks a URL that an answer named. Returns the URL to connect to, or why it must not
/// be used.
pub fn follow(target: &Target, from: &Url, to: &Url) -> Result<Url, (ErrorType, String)> {
    if !matches!(to.scheme(), "http" | "https") {
        return Err((ErrorType::Redirect, format!("the URL has the scheme {}", to.scheme())));
    }
    let public = public_url(target);
    if let Some(address) = literal(to)
        && guard::is_special(address)
        && literal(&target.url) != Some(address)
        && literal(&public) != Some(address)
    {
        return Err((ErrorType::BlockedAddress, format!("the URL leads to the special address {address}")));
    }
    let secure = public.scheme() == "https" || from.scheme() == "https";
    if secure && to.scheme() == "http" {
        return Err((ErrorType::Redirect, format!("the URL leads from https to {to}")));
    }
    // The target's own public URL is reached at the configured address.
    if to.origin() == public.origin() {
        let mut url = target.url.clone();
        url.set_path(to.path());
        url.set_query(to.query());
        return Ok(url);
    }
    if same_site(&target.url, to) || same_site(&public, to) {
        let mut url = to.clone();
        // An answer must not supply credentials. A URL with a host can have user
        // information, so removing it cannot fail.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        Ok(url)
    } else {
        let host = to.host_str().unwrap_or_default();
        Err((ErrorType::Redirect, format!("the URL leads to another site, {host}")))
    }
}

/// Whether two URLs belong to one site: the same registrable domain, or the same host
/// and port for addresses and for names without one.
fn same_site(a: &Url, b: &Url) -> bool {
    match (registrable(a), registrable(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a.host() == b.host() && a.port_or_known_default() == b.port_or_known_default(),
    }
}

/// Returns the registrable domain of a URL's host by the Public Suffix List. A suffix
/// that is not on the list (`localhost`, an intranet's) does not make a site.
fn registrable(url: &Url) -> Option<String> {
    let Some(Host::Domain(name)) = url.host() else { return None };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let domain = psl::domain(name.as_bytes())?;
    if !domain.suffix().is_known() {
        return None;
    }
    std::str::from_utf8(domain.as_bytes()).ok().map(str::to_owned)
}

fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(ip) => Some(ip.into()),
        Host::Ipv6(ip) => Some(ip.into()),
        Host::Domain(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn judge(target: &Target, to: &str) -> String {
        match follow(target, &target.url, &Url::parse(to).unwrap()) {
            Ok(url) => url.to_string(),
            Err((error, _)) => error.name().to_owned(),
        }
    }

    fn target(url: &str, host: Option<&str>, proto: Option<&str>) -> Target {
        let host = host.map(str::to_owned);
        Target::new(Url::parse(url).unwrap(), host, proto.map(str::to_owned), &BTreeMap::new())
    }

    #[test]
    fn answers_lead_to_the_same_site_only() {
        let public = target("https://example.com", None, None);
        for (to, expected) in [
            ("https://example.com/nodeinfo/2.0", "https://example.com/nodeinfo/2.0"),
            ("https://social.example.com/x", "https://social.example.com/x"),
            ("https://example.com:8443/x", "https://example.com:8443/x"),
            ("https://admin:secret@social.example.com/x", "https://social.example.com/x"),
            ("https://admin@example.com/x", "https://example.com/x"),
            ("https://:secret@example.com:8443/x", "https://example.com:8443/x"),
            ("http://example.com/x", "redirect"),
            ("https://mastodon.social/nodeinfo/2.0", "redirect"),
            ("https://example.com.evil.org/", "redirect"),
            ("https://127.0.0.1/", "blocked_address"),
            ("https://[::1]/", "blocked_address"),
            ("https://169.254.169.254/latest", "blocked_address"),
            ("https://93.184.216.34/", "redirect"),
            ("data:application/json,{}", "redirect"),
            ("file:///etc/passwd", "redirect"),
        ] {
            assert_eq!(judge(&public, to), expected, "{to}");
        }
    }

    #[test]
    fn a_suffix_is_no_site() {
        let hosted = target("https://one.github.io", None, None);
        assert_eq!(judge(&hosted, "https://two.github.io/"), "redirect");
    }

    #[test]
    fn addresses_match_by_host_and_port() {
        let local = target("http://127.0.0.1:3000", None, None);
        assert_eq!(judge(&local, "http://127.0.0.1:3000/x"), "http://127.0.0.1:3000/x");
        assert_eq!(judge(&local, "http://127.0.0.1:6379/"), "redirect");
        assert_eq!(judge(&local, "http://127.0.0.2:3000/"), "blocked_address");
        let named = target("http://art.localhost:3000", None, None);
        assert_eq!(judge(&named, "http://science.localhost:3000/"), "redirect");
    }

    #[test]
    fn behind_its_own_proxy_a_server_names_its_public_place() {
        let sidecar = target("http://127.0.0.1:3000", Some("example.com"), Some("https"));
        assert_eq!(
            judge(&sidecar, "https://example.com/nodeinfo/2.0?a=b"),
            "http://127.0.0.1:3000/nodeinfo/2.0?a=b"
        );
        assert_eq!(judge(&sidecar, "https://social.example.com/x"), "https://social.example.com/x");
        assert_eq!(judge(&sidecar, "http://example.com/x"), "redirect");
    }
}
