//! The servers that may be probed.

use std::net::IpAddr;

use ipnet::IpNet;
use url::{Host, Url};

use crate::config::syntax::Parsed;
use crate::fetch::guard;
use crate::target::parse_target;

/// The servers that may be probed besides the configured ones: those that match any
/// entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allow(pub Vec<Allowed>);

/// An entry of `probe.allow`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// Every name, and every public address.
    Any,
    /// A name.
    Name(String),
    /// Every name below a domain.
    Below(String),
    /// The addresses of a network.
    Network(IpNet),
}

pub const ALLOWED: Parsed<Allowed> = Parsed {
    kind: "domain, suffix, network or `*`",
    placeholder: "DOMAIN",
    expected: "a domain such as example.org",
    parse,
    show,
};

impl Default for Allow {
    fn default() -> Allow {
        Allow(vec![Allowed::Any])
    }
}

impl Allow {
    /// Whether a server at this URL may be probed. Its name may still resolve to an
    /// address to which no connection is permitted.
    #[must_use]
    pub fn permits(&self, url: &Url) -> bool {
        let host = url.host();
        self.0.iter().any(|allowed| match (&host, allowed) {
            (Some(Host::Domain(_)), Allowed::Any) => true,
            (Some(Host::Domain(name)), Allowed::Name(known)) => name == known,
            (Some(Host::Domain(name)), Allowed::Below(domain)) => {
                name.strip_suffix(domain.as_str()).is_some_and(|rest| rest.ends_with('.'))
            }
            (None, _) | (Some(Host::Domain(_)), Allowed::Network(_)) => false,
            (Some(Host::Ipv4(ip)), allowed) => allowed.has(IpAddr::V4(*ip)),
            (Some(Host::Ipv6(ip)), allowed) => allowed.has(IpAddr::V6(*ip)),
        })
    }

    /// The networks to which names may resolve, besides public addresses.
    #[must_use]
    pub fn networks(&self) -> Vec<IpNet> {
        let networks = self.0.iter().filter_map(|allowed| match allowed {
            Allowed::Network(network) => Some(*network),
            _ => None,
        });
        networks.collect()
    }
}

impl Allowed {
    fn has(&self, address: IpAddr) -> bool {
        match self {
            Allowed::Any => !guard::is_special(address),
            Allowed::Network(network) => network.contains(&address),
            Allowed::Name(_) | Allowed::Below(_) => false,
        }
    }
}

fn parse(text: &str) -> Result<Allowed, String> {
    let text = text.trim();
    if text == "*" {
        return Ok(Allowed::Any);
    }
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(Allowed::Network(address.into()));
    }
    if let Ok(network) = text.parse::<IpNet>() {
        return Ok(Allowed::Network(network.trunc()));
    }
    let wrong = || {
        "is not an entry of probe.allow; write a name (example.org), all names below a domain (.example.org), a \
         network (10.0.0.0/8), an address or *"
            .to_owned()
    };
    let below = text.strip_prefix("*.").or_else(|| text.strip_prefix('.'));
    let name = below.unwrap_or(text);
    if name.contains([':', '/', '@', '*', '[']) || name.starts_with('.') {
        return Err(wrong());
    }
    let url = parse_target(name).map_err(|_| wrong())?;
    let Some(Host::Domain(name)) = url.host() else { return Err(wrong()) };
    Ok(if below.is_some() { Allowed::Below(name.to_owned()) } else { Allowed::Name(name.to_owned()) })
}

fn show(allowed: &Allowed) -> String {
    match allowed {
        Allowed::Any => "*".to_owned(),
        Allowed::Name(name) => name.clone(),
        Allowed::Below(domain) => format!(".{domain}"),
        Allowed::Network(network) => network.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(entries: &[&str], target: &str) -> bool {
        let entries = entries.iter().map(|entry| parse(entry).unwrap()).collect();
        Allow(entries).permits(&parse_target(target).unwrap())
    }

    #[test]
    fn an_entry_permits_what_it_names_and_nothing_beside_it() {
        for (entries, target, expected) in [
            (&["*"][..], "mastodon.social", true),
            (&["*"], "localhost", true),
            (&["*"], "1.1.1.1", true),
            (&["*"], "127.0.0.1", false),
            (&["*"], "[::1]", false),
            (&["*"], "[::ffff:10.0.0.1]", false),
            (&["*"], "169.254.169.254", false),
            (&[], "mastodon.social", false),
            (&["example.org"], "example.org", true),
            (&["Example.org"], "EXAMPLE.org.", true),
            (&["example.org"], "http://example.org:8080", true),
            (&["example.org"], "a.example.org", false),
            (&["example.org"], "example.org.evil.net", false),
            (&[".example.org"], "a.b.example.org", true),
            (&["*.example.org"], "a.example.org", true),
            (&[".example.org"], "example.org", false),
            (&[".example.org"], "badexample.org", false),
            (&["bücher.example"], "bücher.example", true),
            (&["bücher.example"], "xn--bcher-kva.example", true),
            (&["10.0.0.0/8"], "10.1.2.3", true),
            (&["10.1.2.3"], "10.1.2.3", true),
            (&["10.1.2.3/8"], "10.9.9.9", true),
            (&["10.0.0.0/8"], "11.0.0.1", false),
            (&["10.0.0.0/8"], "[::ffff:10.0.0.1]", false),
            (&["10.0.0.0/8"], "mastodon.social", false),
            (&["fd00::/8"], "[fd00::1]", true),
            (&["[fd00::1]"], "[fd00::1]", true),
            (&["example.org", "10.0.0.0/8"], "10.0.0.1", true),
        ] {
            assert_eq!(permits(entries, target), expected, "{entries:?} {target}");
        }
    }

    #[test]
    fn what_is_no_entry_is_told() {
        for wrong in [
            "",
            "https://example.org",
            "example.org:443",
            "me@example.org",
            "example.org/x",
            "a*.example.org",
            "..example.org",
            "*.",
            "10.0.0.0/33",
            "9464",
        ] {
            let message = parse(wrong).unwrap_err();
            assert!(message.contains("is not an entry of probe.allow"), "{wrong}: {message}");
        }
    }

    #[test]
    fn an_entry_is_shown_as_it_reads() {
        for entry in ["*", "example.org", ".example.org", "10.0.0.0/8", "fd00::/8"] {
            assert_eq!(show(&parse(entry).unwrap()), entry);
        }
        assert_eq!(show(&parse("10.1.2.3").unwrap()), "10.1.2.3/32");
    }
}
