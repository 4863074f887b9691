//! Resolves names without a thread for each. A slow name server delays only the
//! requests that need it, and not for long.
//!
//! The order is the system's: the hosts file, then DNS. If DNS does not have a name of
//! the local network, the system's own resolver is asked, which may know other sources
//! (mDNS).

mod system;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{fmt, io};

use futures_util::future::{Either, select};
use hickory_resolver::TokioResolver;
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RecordType};
use tokio::sync::Semaphore;

use super::local::is_local;
use super::resolve_error::ResolveError;

use self::system::{Source, System};

/// How long the addresses of one family wait for those of the other. Losing one of the
/// two answers is more common than losing both (RFC 8305, section 3).
const RESOLUTION_DELAY: Duration = Duration::from_millis(300);
/// The minimum time to live, so that a run of several requests resolves a name once.
/// The maximum shows a change of address within the hour.
const MIN_TTL: Duration = Duration::from_secs(1);
const MAX_TTL: Duration = Duration::from_secs(3600);
/// The maximum number of names whose addresses are kept. Answers can name hosts besides
/// the targets.
const MAX_NAMES: usize = 65_536;
/// Limits the threads that wait for the system's resolver, which cannot be interrupted.
static SYSTEM_LOOKUPS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(16)));

/// A resolver that follows the system's configuration and hosts file.
#[derive(Clone)]
pub struct Dns(Arc<Shared>);

struct Shared {
    source: Source,
    timeout: Duration,
    lookups: Semaphore,
    known: Mutex<HashMap<Box<str>, Known>>,
}

/// The addresses of a name, and until when they are valid.
#[derive(Debug, Clone)]
struct Known {
    addresses: Arc<[IpAddr]>,
    until: Instant,
}

impl Dns {
    /// Creates a resolver with the system's configuration. A look-up takes at most
    /// `timeout`, and at most `at_once` of them run at the same time.
    pub fn new(timeout: Duration, at_once: usize) -> Dns {
        Dns::of(Source::default(), timeout, at_once)
    }

    fn of(source: Source, timeout: Duration, at_once: usize) -> Dns {
        let lookups = Semaphore::new(at_once.max(1));
        Dns(Arc::new(Shared { source, timeout, lookups, known: Mutex::default() }))
    }

    /// Returns the addresses of a name or of an address literal. `localhost` and the
    /// names below it are loopback, whatever a resolver says (RFC 6761, 6.3).
    ///
    /// # Errors
    ///
    /// When the name has no address, when no server answered in time, or when the
    /// bridge lacks the resources to ask.
    pub async fn lookup(&self, name: &str) -> Result<Arc<[IpAddr]>, ResolveError> {
        self.lookup_in_turn(name, self.0.timeout, |_| {}).await
    }

    /// The same with another limit on the wait for a turn, which `waits` is told when it
    /// begins and when it ends.
    ///
    /// # Errors
    ///
    /// As for [`Dns::lookup`].
    pub async fn lookup_in_turn(
        &self,
        name: &str,
        patience: Duration,
        waits: impl Fn(bool),
    ) -> Result<Arc<[IpAddr]>, ResolveError> {
        let bare = name.trim_matches(['[', ']']);
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Ok([address].into());
        }
        let lower = bare.to_ascii_lowercase();
        let without_dot = lower.trim_end_matches('.');
        if without_dot == "localhost" || without_dot.ends_with(".localhost") {
            return Ok([Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()].into());
        }
        self.find(&lower, patience, waits).await.map_err(|failed| failed.of(bare))
    }

    async fn find(
        &self,
        name: &str,
        patience: Duration,
        waits: impl Fn(bool),
    ) -> Result<Arc<[IpAddr]>, Failed> {
        let timeout = self.0.timeout;
        let parsed = Name::from_ascii(name).map_err(|e| Failed::NotFound(e.to_string()))?;
        let system = self.0.source.system(timeout)?;
        if let Some(addresses) = system.in_hosts(&parsed).or_else(|| self.remembered(name)) {
            return Ok(addresses);
        }
        waits(true);
        let turn = tokio::time::timeout(patience, self.0.lookups.acquire()).await;
        waits(false);
        // The semaphore is never closed.
        let Ok(Ok(_turn)) = turn else {
            return Err(Failed::Local(format!("too many simultaneous look-ups for {patience:?}")));
        };
        let asked = tokio::time::timeout(timeout, ask(&system, &parsed));
        let unanswered = || Failed::Unanswered(format!("no name server answered within {timeout:?}"));
        match asked.await.unwrap_or_else(|_| Err(unanswered())) {
            Ok(found) => {
                self.remember(name, &found);
                Ok(found.addresses)
            }
            Err(Failed::NotFound(_)) if is_local_name(name) => {
                let known = tokio::time::timeout(timeout, by_the_system(name));
                known.await.unwrap_or_else(|_| Err(unanswered()))
            }
            Err(failed) => Err(failed),
        }
    }

    fn remembered(&self, name: &str) -> Option<Arc<[IpAddr]>> {
        let known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(name).filter(|known| known.until > Instant::now()).map(|known| known.addresses.clone())
    }

    fn remember(&self, name: &str, found: &Known) {
        let mut known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_NAMES {
            let now = Instant::now();
            known.retain(|_, known| known.until > now);
        }
        if known.len() < MAX_NAMES {
            known.insert(name.into(), found.clone());
        }
    }
}

impl fmt::Debug for Dns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dns").field("timeout", &self.0.timeout).finish_non_exhaustive()
    }
}

/// Why a name has no address.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Failed {
    NotFound(String),
    Unanswered(String),
    Local(String),
}

impl Failed {
    fn of(self, name: &str) -> ResolveError {
        let name = name.to_owned();
        match self {
            Failed::NotFound(cause) => ResolveError::NotFound { name, cause },
            Failed::Unanswered(cause) => ResolveError::Unanswered { name, cause },
            Failed::Local(cause) => ResolveError::Local { name, cause },
        }
    }
}

impl From<NetError> for Failed {
    fn from(error: NetError) -> Failed {
        match error {
            NetError::Io(error) if is_local(&error) => Failed::Local(error.to_string()),
            NetError::Dns(DnsError::NoRecordsFound(NoRecords { response_code, .. })) => match response_code {
                ResponseCode::NXDomain => Failed::NotFound("no such name".to_owned()),
                ResponseCode::NoError => Failed::NotFound("the name has no address".to_owned()),
                code => Failed::Unanswered(format!("the name server failed: {code}")),
            },
            NetError::Dns(DnsError::ResponseCode(code)) => {
                Failed::Unanswered(format!("the name server failed: {code}"))
            }
            NetError::Timeout => Failed::Unanswered("the name server does not answer".to_owned()),
            error => Failed::Unanswered(error.to_string()),
        }
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Failed {
        if is_local(&error) { Failed::Local(error.to_string()) } else { Failed::NotFound(error.to_string()) }
    }
}

/// Queries a name as it is and below the search domains, in the system's order. An
/// error is that of the name as it was written.
async fn ask(system: &System, name: &Name) -> Result<Known, Failed> {
    let mut failed = Failed::NotFound("no such name".to_owned());
    for (candidate, is_as_written) in system.candidates(name) {
        match addresses(&system.dns, &candidate).await {
            Ok(found) => return Ok(found),
            Err(local @ Failed::Local(_)) => return Err(local),
            Err(error) if is_as_written => failed = error,
            Err(_) => {}
        }
    }
    Err(failed)
}

/// Returns the addresses of both families, IPv6 first, because a connection tries them
/// in order.
async fn addresses(dns: &TokioResolver, name: &Name) -> Result<Known, Failed> {
    let v6 = Box::pin(dns.lookup(name.clone(), RecordType::AAAA));
    let v4 = Box::pin(dns.lookup(name.clone(), RecordType::A));
    let both = match select(v6, v4).await {
        Either::Left((v6, v4)) => {
            let v4 = other_family(&v6, v4).await;
            [Some(v6), v4]
        }
        Either::Right((v4, v6)) => {
            let v6 = other_family(&v4, v6).await;
            [v6, Some(v4)]
        }
    };
    let (mut addresses, mut until, mut failed) = (Vec::new(), None::<Instant>, None);
    for family in both.into_iter().flatten() {
        match family {
            Ok(lookup) => {
                addresses.extend(addresses_in(&lookup));
                until = until.into_iter().chain([lookup.valid_until()]).min();
            }
            // A failure to answer matters more than a missing family.
            Err(error) if matches!(failed, None | Some(Failed::NotFound(_))) => failed = Some(error.into()),
            Err(_) => {}
        }
    }
    if addresses.is_empty() {
        return Err(failed.unwrap_or_else(|| Failed::NotFound("the name has no address".to_owned())));
    }
    let now = Instant::now();
    let ttl = until.map_or(MIN_TTL, |until| until.saturating_duration_since(now));
    Ok(Known { addresses: addresses.into(), until: now + ttl.clamp(MIN_TTL, MAX_TTL) })
}

/// Waits for the query of the other family: briefly if the first family has addresses,
/// otherwise to the end.
async fn other_family(
    first: &Result<Lookup, NetError>,
    other: impl Future<Output = Result<Lookup, NetError>>,
) -> Option<Result<Lookup, NetError>> {
    if first.as_ref().is_ok_and(|lookup| addresses_in(lookup).next().is_some()) {
        tokio::time::timeout(RESOLUTION_DELAY, other).await.ok()
    } else {
        Some(other.await)
    }
}

fn addresses_in(lookup: &Lookup) -> impl Iterator<Item = IpAddr> {
    lookup.answers().iter().filter_map(|record| record.data.ip_addr())
}

/// Whether a name is one of a local network, which multicast or another source of the
/// system may know.
fn is_local_name(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name.rsplit_once('.').is_none_or(|(_, last)| last == "local")
}

/// Asks the system's own resolver on a thread, which keeps its permit until it ends.
async fn by_the_system(name: &str) -> Result<Arc<[IpAddr]>, Failed> {
    let not_found = |cause: String| Failed::NotFound(cause);
    let permit = SYSTEM_LOOKUPS.clone().acquire_owned().await.map_err(|e| not_found(e.to_string()))?;
    let name = name.to_owned();
    let found = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        (name.as_str(), 0)
            .to_socket_addrs()
            .map(|all| all.map(|address| address.ip()).collect::<Arc<[IpAddr]>>())
    });
    let found = found.await.map_err(|e| not_found(e.to_string()))??;
    if found.is_empty() { Err(not_found("the name has no address".to_owned())) } else { Ok(found) }
}

#[cfg(test)]
mod tests;
