//! The clients of the bridge: decides which of them may connect and ask, which are too
//! slow, and which are disconnected when there is no room.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::snapshot::ClientLimit;

use super::connection::{Connection, SLOW_AFTER};
use crate::config::Limits;

/// The shortest and the longest time between two checks of connections against the time
/// limits.
const SHORTEST_SWEEP: Duration = Duration::from_millis(100);
const LONGEST_SWEEP: Duration = Duration::from_secs(60);
/// How long a closed connection may take to release its resources before another one is
/// closed.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(50);
/// How long a request waits for its turn. It exceeds the time after which clients that
/// read nothing count as slow. Prometheus waits 10 s.
const TURN_TIMEOUT: Duration = Duration::from_secs(3);

/// Extra turns for clients that have taken a whole response before. They keep clients
/// that read nothing from delaying a scraper on a kept connection.
const PROVEN_TURNS: usize = 8;

/// The clients of one bridge, across all listeners.
pub struct Clients {
    limits: Limits,
    reached: Reached,
    connections: Mutex<Connections>,
    room: Arc<Semaphore>,
    turns: Arc<Semaphore>,
    proven_turns: Arc<Semaphore>,
}

/// Called for each limit that a client reaches.
type Reached = Box<dyn Fn(ClientLimit) + Send + Sync>;

#[derive(Debug, Default)]
struct Connections {
    open: HashMap<u64, Arc<Connection>>,
    next_id: u64,
}

/// An open connection's place, until it is dropped.
pub struct Place {
    clients: Arc<Clients>,
    id: u64,
    connection: Arc<Connection>,
    _room: OwnedSemaphorePermit,
}

/// A turn to answer with metrics or a page, until it is dropped.
pub type Turn = OwnedSemaphorePermit;

impl Clients {
    /// Starts without clients. `reached` is called for each limit that a client
    /// reaches; it must not block.
    #[must_use]
    pub fn new(limits: Limits, reached: impl Fn(ClientLimit) + Send + Sync + 'static) -> Arc<Clients> {
        let room = Arc::new(Semaphore::new(limits.max_connections.max(1)));
        let turns = Arc::new(Semaphore::new(limits.max_requests.max(1)));
        let proven_turns = Arc::new(Semaphore::new(PROVEN_TURNS));
        let (reached, connections) = (Box::new(reached), Mutex::default());
        Arc::new(Clients { limits, reached, connections, room, turns, proven_turns })
    }

    /// The limits for clients.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Records that a client reached a limit.
    pub fn reached(&self, limit: ClientLimit) {
        (self.reached)(limit);
    }

    /// Returns a place for an accepted connection. If there is none, the connection
    /// that has waited longest for its client is closed. If all connections are working
    /// for their clients, this waits.
    pub async fn admit(self: &Arc<Self>) -> Place {
        let room = match self.room.clone().try_acquire_owned() {
            Ok(room) => room,
            Err(_) => self.make_room().await,
        };
        let connection = Arc::new(Connection::new(Instant::now()));
        let mut connections = self.lock();
        connections.next_id += 1;
        let id = connections.next_id;
        connections.open.insert(id, connection.clone());
        drop(connections);
        Place { clients: self.clone(), id, connection, _room: room }
    }

    async fn make_room(&self) -> OwnedSemaphorePermit {
        self.reached(ClientLimit::Connections);
        loop {
            self.close_least_worth();
            // The semaphore is never closed.
            if let Ok(Ok(room)) = timeout(CLOSE_TIMEOUT, self.room.clone().acquire_owned()).await {
                return room;
            }
        }
    }

    /// Closes the least valuable connection, if one may be closed.
    pub fn close_least_worth(&self) {
        let now = Instant::now();
        let connections = self.lock();
        let worth = connections.open.values().filter_map(|one| Some((one.worth(now)?, one)));
        if let Some((_, connection)) = worth.min_by_key(|(worth, _)| *worth) {
            connection.close();
        }
    }

    /// Returns a turn to answer this connection with metrics or a page. If all turns
    /// are taken, the clients that have not read for longest lose theirs. Returns
    /// `None` if all clients are reading.
    pub async fn turn(&self, connection: &Connection) -> Option<Turn> {
        let proven = || self.proven_turns.clone().try_acquire_owned().ok().filter(|_| connection.has_read());
        if let Some(turn) = self.turns.clone().try_acquire_owned().ok().or_else(proven) {
            return Some(turn);
        }
        self.reached(ClientLimit::Requests);
        // The request keeps its position in the queue.
        let mut turn = pin!(self.turns.clone().acquire_owned());
        let end = Instant::now() + TURN_TIMEOUT;
        while Instant::now() < end {
            self.close_slowest();
            // The semaphore is never closed.
            if let Ok(Ok(turn)) = timeout(CLOSE_TIMEOUT, turn.as_mut()).await {
                return Some(turn);
            }
        }
        None
    }

    fn close_slowest(&self) {
        let now = Instant::now();
        let connections = self.lock();
        let slow = connections.open.values().filter_map(|one| Some((one.not_reading_since()?, one)));
        let slow = slow.filter(|(since, _)| now - *since >= SLOW_AFTER);
        if let Some((_, connection)) = slow.min_by_key(|(since, _)| *since) {
            connection.close();
        }
    }

    /// Closes connections that reach a time limit, until `end`.
    pub async fn watch(&self, end: CancellationToken) {
        loop {
            let next = self.close_overdue(Instant::now());
            tokio::select! {
                () = end.cancelled() => return,
                () = tokio::time::sleep_until(next) => {}
            }
        }
    }

    /// Closes connections that have reached a time limit. Returns when the next one can
    /// reach a limit: a bridge without clients has few reasons to wake up.
    fn close_overdue(&self, now: Instant) -> Instant {
        let Limits { header_timeout, idle_timeout, write_timeout, .. } = self.limits;
        // What happens on a connection after this moment begins a time limit anew.
        let shortest = header_timeout.min(idle_timeout).min(write_timeout).min(LONGEST_SWEEP);
        let mut next = now + shortest;
        for connection in self.lock().open.values().filter(|one| !one.is_closing()) {
            match connection.next_limit(&self.limits) {
                Some((at, limit)) if at <= now => {
                    self.reached(limit);
                    connection.close();
                }
                Some((at, _)) => next = next.min(at),
                None => {}
            }
        }
        next.max(now + SHORTEST_SWEEP)
    }

    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// The state of the connection.
    #[must_use]
    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.clients.lock().open.remove(&self.id);
    }
}
