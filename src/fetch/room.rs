//! Limits the open connections to servers, the hosts to which connections are kept
//! between requests, and the age of kept ones. Each connection needs one of the process's
//! file descriptors.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper_util::client::legacy::connect::CaptureConnection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::state::{State, give_up};

/// The room for open connections, in use or kept.
#[derive(Debug)]
pub struct Room {
    places: Arc<Semaphore>,
    keepers: Arc<Keepers>,
}

/// The hosts to which connections are kept.
#[derive(Debug)]
struct Keepers {
    most: usize,
    /// By the name of the host.
    hosts: Mutex<HashMap<Box<str>, Host>>,
}

/// A host to which connections are kept.
#[derive(Debug, Default)]
struct Host {
    /// How many connections and requests there are that keep.
    keep: usize,
    /// The connections that have answered, each with its state.
    kept: Vec<(Arc<State>, CaptureConnection)>,
}

/// The place of one connection. It is free again when this is dropped.
#[derive(Debug)]
pub struct Place {
    _permit: Option<OwnedSemaphorePermit>,
    _keeps: Option<Keeps>,
}

/// A connection that is kept to a host, or a request that may make one.
#[derive(Debug)]
pub struct Keeps {
    keepers: Arc<Keepers>,
    host: Box<str>,
}

impl Room {
    /// Room for at most `most` connections, and for kept ones to at most `hosts` hosts.
    pub fn new(most: usize, hosts: usize) -> Room {
        let places = Arc::new(Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS)));
        Room { places, keepers: Arc::new(Keepers { most: hosts, hosts: Mutex::default() }) }
    }

    /// Waits for a place. With a host, the connection is one that is kept to it.
    pub async fn take(&self, host: Option<&str>) -> Place {
        let keeps = host.map(|host| {
            self.keepers.hosts().entry(host.into()).or_default().keep += 1;
            Keeps { keepers: self.keepers.clone(), host: host.into() }
        });
        // The semaphore is never closed.
        Place { _permit: self.places.clone().acquire_owned().await.ok(), _keeps: keeps }
    }

    /// Reserves a kept connection to this host for the time of a request, which does not
    /// get one that has reached its maximum age. Returns `None` if none is kept to the
    /// host yet and there is no room for another host.
    pub fn keep(&self, host: &str) -> Option<Keeps> {
        let mut hosts = self.keepers.hosts();
        let has_room = hosts.len() < self.keepers.most;
        match hosts.get_mut(host) {
            Some(host) => {
                host.keep += 1;
                host.kept.retain(|(state, connection)| {
                    if state.has_expired() {
                        give_up(connection);
                    }
                    !state.is_over()
                });
            }
            None if has_room => drop(hosts.insert(host.into(), Host { keep: 1, kept: Vec::new() })),
            None => return None,
        }
        Some(Keeps { keepers: self.keepers.clone(), host: host.into() })
    }
}

impl Keeps {
    /// Keeps this connection from requests that come after its maximum age.
    pub fn limit(&self, state: Arc<State>, connection: CaptureConnection) {
        if let Some(host) = self.keepers.hosts().get_mut(&self.host) {
            host.kept.push((state, connection));
        }
    }
}

impl Keepers {
    fn hosts(&self) -> MutexGuard<'_, HashMap<Box<str>, Host>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Keeps {
    fn drop(&mut self) {
        let mut hosts = self.keepers.hosts();
        let Some(host) = hosts.get_mut(&self.host) else { return };
        host.keep -= 1;
        if host.keep == 0 {
            hosts.remove(&self.host);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hyper_util::client::legacy::connect::capture_connection;

    use super::*;

    #[tokio::test]
    async fn connections_are_kept_to_as_many_hosts_as_there_is_room_for() {
        let room = Room::new(10, 2);
        let (a, b) = (room.keep("a").unwrap(), room.keep("b").unwrap());
        assert!(room.keep("a").is_some() && room.keep("c").is_none());
        drop(b);
        let c = room.keep("c").expect("no connection to b was made");
        let (first, second) = (room.take(Some("a")).await, room.take(Some("a")).await);
        let other = room.take(Some("c")).await;
        drop((a, c));
        assert!(room.keep("b").is_none());
        drop(first);
        assert!(room.keep("b").is_none() && room.keep("a").is_some(), "one to a is there");
        drop((second, other));
        let (_b, _d) = (room.keep("b").unwrap(), room.keep("d").unwrap());
        assert!(room.keep("a").is_none());
    }

    /// Otherwise a host that closes each connection would leave one here for each.
    #[test]
    fn only_connections_that_may_be_used_are_remembered() {
        let room = Room::new(10, 2);
        let keeps = room.keep("a").unwrap();
        let limit = |state: State| {
            keeps.limit(Arc::new(state), capture_connection(&mut http::Request::new(())));
        };
        let lasting = || State::new(Duration::from_secs(3600), false);
        let kept = || room.keepers.hosts()["a"].kept.len();
        let closed = lasting();
        closed.note_closed();
        for state in [State::new(Duration::ZERO, false), lasting(), closed] {
            limit(state);
        }
        let _next = room.keep("a");
        assert_eq!(kept(), 1, "one has expired, and one is closed");
        limit(State::new(Duration::ZERO, false));
        let _next = room.keep("a");
        assert_eq!(kept(), 1, "an hour is not over");
    }

    #[tokio::test]
    async fn no_more_connections_are_open_than_there_is_room_for() {
        let room = Room::new(2, 0);
        let places = (room.take(None).await, room.take(None).await);
        let waits = std::pin::pin!(room.take(None));
        assert!(futures_util::poll!(waits).is_pending());
        drop(places);
        room.take(None).await;
    }
}
