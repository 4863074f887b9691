//! Ports for programs that have to be told theirs.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the ports that Linux gives to clients, and to listeners on port 0.
const PORTS: std::ops::Range<u16> = 10_000..32_000;

/// Returns an address of this machine at which nobody listens. No client and no other
/// test gets its port before the program that is told to listen there.
pub fn free() -> SocketAddr {
    /// Other test processes begin elsewhere.
    static NEXT: LazyLock<AtomicU16> =
        LazyLock::new(|| AtomicU16::new((std::process::id().wrapping_mul(997) % 22_000) as u16));
    for _ in PORTS {
        let port = PORTS.start + NEXT.fetch_add(1, Ordering::Relaxed) % (PORTS.end - PORTS.start);
        if TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return (Ipv4Addr::LOCALHOST, port).into();
        }
    }
    panic!("every port of {PORTS:?} is in use");
}
