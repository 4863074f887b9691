//! The address guard: the client never connects to a special address because a server's
//! answer names it. The connection is made to the addresses that were checked, so that
//! a name cannot resolve differently the second time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use ipnet::IpNet;

use super::dns::Dns;
use super::resolve_error::ResolveError;

/// Ranges that are not public unicast addresses: the IANA registries of special-purpose
/// IPv4 and IPv6 addresses, multicast and the reserved space.
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

static RANGES: LazyLock<Vec<IpNet>> =
    LazyLock::new(|| SPECIAL.iter().filter_map(|range| range.parse().ok()).collect());

/// Whether an address is loopback, private, link-local, shared, multicast or otherwise
/// not a public unicast address. An IPv4 address inside IPv6 (mapped, NAT64) is checked
/// as IPv4.
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

/// Refuses `name` if one of its addresses `found` is special and does not belong to the
/// configured host.
pub async fn check(dns: &Dns, name: &str, found: &[IpAddr], configured: &str) -> Result<(), ResolveError> {
    let special: Vec<IpAddr> = found.iter().copied().filter(|ip| is_special(*ip)).collect();
    if special.is_empty() {
        return Ok(());
    }
    // An empty name is not looked up: with a search domain it would be that domain.
    let own = if configured.is_empty() { None } else { dns.lookup(configured).await.ok() };
    match special.into_iter().find(|ip| !own.as_ref().is_some_and(|own| own.contains(ip))) {
        Some(address) => Err(ResolveError::Blocked { name: name.to_owned(), address }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
        let dns = Dns::new(Duration::from_secs(5), 1);
        let loopback = [IpAddr::from([127, 0, 0, 1])];
        assert!(check(&dns, "files.example", &loopback, "127.0.0.1").await.is_ok());
        assert!(check(&dns, "files.example", &loopback, "art.localhost").await.is_ok());
        assert!(check(&dns, "files.example", &loopback, "127.0.0.2").await.is_err());
        assert!(check(&dns, "files.example", &[IpAddr::from([10, 0, 0, 1])], "127.0.0.1").await.is_err());
    }
}
