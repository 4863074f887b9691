//! The address guard: what a server's answer names is never asked at a
//! special address, and the check stands where the name is resolved for the
//! connection, so that it cannot resolve differently the second time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, LazyLock};

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;

/// Ranges that are no public unicast addresses: the IANA registries of
/// special-purpose IPv4 and IPv6 addresses, multicast and the reserved space.
const SPECIAL: &[&str] = &[
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/127",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
];

/// Look-ups under way at once: a name server that hangs must not take all of
/// the threads that other work waits for.
static LOOKUPS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(128)));

static RANGES: LazyLock<Vec<IpNet>> =
    LazyLock::new(|| SPECIAL.iter().filter_map(|range| range.parse().ok()).collect());

/// Whether an address is loopback, private, link-local, shared, multicast or
/// otherwise no public unicast address. IPv4 inside IPv6 (mapped, NAT64) is
/// judged as the IPv4 address that it stands for.
#[must_use]
pub fn is_special(address: IpAddr) -> bool {
    let address = match address {
        IpAddr::V6(v6) => embedded_v4(v6).map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    };
    RANGES.iter().any(|range| range.contains(&address))
}

fn embedded_v4(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = v6.segments();
    let nat64 = s[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
    let compatible = s[..6] == [0; 6] && s[6] != 0;
    let last = || Ipv4Addr::from((u32::from(s[6]) << 16) | u32::from(s[7]));
    v6.to_ipv4_mapped().or_else(|| (nat64 || compatible).then(last))
}

/// An address was refused, or a name not found: told apart by type where the
/// HTTP client hands the error back.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The name leads to a special address.
    #[error("{name} is at {address}, an address that no server's answer may lead to")]
    Blocked {
        /// The name that was resolved.
        name: String,
        /// The first special address that it has.
        address: IpAddr,
    },
    /// The name could not be resolved.
    #[error("the name {name} was not found ({cause})")]
    NotFound {
        /// The name.
        name: String,
        /// What the system's resolver said.
        cause: String,
    },
}

/// Resolves what the user configured, wherever it is.
pub struct Configured;

impl Resolve for Configured {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let all = lookup(name.as_str()).await?;
            Ok(Box::new(all.into_iter()) as Addrs)
        })
    }
}

/// Resolves what an answer named: special addresses are refused, unless the
/// target itself is at that very address.
pub struct Guarded {
    /// The host that the user configured.
    pub configured: Arc<str>,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let configured = self.configured.clone();
        Box::pin(async move {
            let all = lookup(name.as_str()).await?;
            check(name.as_str(), &all, &configured).await?;
            Ok(Box::new(all.into_iter()) as Addrs)
        })
    }
}

/// Refuses `name`, which is at the addresses `found`, when one of them is
/// special and not an address of the configured host.
pub async fn check(name: &str, found: &[SocketAddr], configured: &str) -> Result<(), ResolveError> {
    let special: Vec<IpAddr> = found.iter().map(SocketAddr::ip).filter(|ip| is_special(*ip)).collect();
    if special.is_empty() {
        return Ok(());
    }
    let own = lookup(configured).await.unwrap_or_default();
    match special.into_iter().find(|ip| !own.iter().any(|o| o.ip() == *ip)) {
        Some(address) => Err(ResolveError::Blocked { name: name.to_owned(), address }),
        None => Ok(()),
    }
}

/// The addresses of a name or of an address literal. `localhost` and the names
/// below it are loopback, whatever a resolver says (RFC 6761, 6.3).
async fn lookup(name: &str) -> Result<Vec<SocketAddr>, ResolveError> {
    let bare = name.trim_matches(['[', ']']);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, 0)]);
    }
    let lower = bare.trim_end_matches('.').to_ascii_lowercase();
    if lower == "localhost" || lower.ends_with(".localhost") {
        return Ok(vec![(Ipv4Addr::LOCALHOST, 0).into(), (Ipv6Addr::LOCALHOST, 0).into()]);
    }
    let not_found = |cause: String| ResolveError::NotFound { name: bare.to_owned(), cause };
    // The permit lives as long as the look-up, which nobody can interrupt.
    let permit = LOOKUPS.clone().acquire_owned().await.map_err(|e| not_found(e.to_string()))?;
    let name = bare.to_owned();
    let found = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        (name.as_str(), 0).to_socket_addrs().map(Iterator::collect::<Vec<SocketAddr>>)
    });
    let found = found.await.map_err(|e| not_found(e.to_string()))?;
    let all = found.map_err(|e| not_found(e.to_string()))?;
    if all.is_empty() { Err(not_found("it has no address".to_owned())) } else { Ok(all) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_range_is_written_right() {
        assert_eq!(RANGES.len(), SPECIAL.len());
    }

    #[test]
    fn special_addresses_are_known() {
        for special in [
            "127.0.0.1",
            "127.8.9.10",
            "10.1.2.3",
            "172.31.255.255",
            "192.168.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.2.1",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2001::1",
        ] {
            assert!(is_special(special.parse().unwrap()), "{special}");
        }
        for public in
            ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a01:4f8::1", "64:ff9b::808:808"]
        {
            assert!(!is_special(public.parse().unwrap()), "{public}");
        }
    }

    #[tokio::test]
    async fn only_the_targets_own_address_is_excepted() {
        let loopback = [SocketAddr::from(([127, 0, 0, 1], 0))];
        assert!(check("files.example", &loopback, "127.0.0.1").await.is_ok());
        assert!(check("files.example", &loopback, "art.localhost").await.is_ok());
        assert!(check("files.example", &loopback, "127.0.0.2").await.is_err());
        assert!(check("files.example", &[SocketAddr::from(([10, 0, 0, 1], 0))], "127.0.0.1").await.is_err());
    }
}
