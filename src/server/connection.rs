//! The state of one client's connection: whether the client sends, waits or reads, and
//! since when. Callers pass the time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Version;
use tokio::sync::SetOnce;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::snapshot::ClientLimit;

use crate::config::Limits;

/// A client without progress for this time is slow. If another client needs room, slow
/// clients lose their connection first.
pub const SLOW_AFTER: Duration = Duration::from_secs(1);

/// A client's connection.
#[derive(Debug)]
pub struct Connection {
    state: Mutex<State>,
    close: CancellationToken,
    /// Set by the first request.
    asked: SetOnce<()>,
}

#[derive(Debug)]
struct State {
    waiting: Waiting,
    waiting_since: Instant,
    responses: Vec<Response>,
    next_id: u64,
    /// Since when bytes wait for the client to take them.
    unsent_since: Option<Instant>,
    /// When the client last took bytes.
    sent: Instant,
    is_http2: bool,
    /// Whether the client has taken a whole response.
    has_read: bool,
}

/// What a connection without a running request waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    /// The first request.
    First,
    /// A further request.
    Next,
    /// The rest of a further request, whose first byte has arrived.
    Rest,
}

/// A request whose response is not finished.
#[derive(Debug)]
struct Response {
    id: u64,
    /// When the response was ready, and when the client last took part of it.
    sending: Option<(Instant, Instant)>,
}

/// The value of a connection when another needs its place, from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Worth {
    is_recent: bool,
    kind: Kind,
    since: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    NoRequestYet,
    Idle,
    NotReading,
}

impl Connection {
    /// Creates the state of a connection that was just accepted.
    #[must_use]
    pub fn new(now: Instant) -> Connection {
        let state = State {
            waiting: Waiting::First,
            waiting_since: now,
            responses: Vec::new(),
            next_id: 0,
            unsent_since: None,
            sent: now,
            is_http2: false,
            has_read: false,
        };
        Connection { state: Mutex::new(state), close: CancellationToken::new(), asked: SetOnce::new() }
    }

    /// Asks the connection's task to drop it.
    pub fn close(&self) {
        self.close.cancel();
    }

    /// Whether the connection is closing.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.close.is_cancelled()
    }

    /// Waits until the connection is closing.
    pub async fn closing(&self) {
        self.close.cancelled().await;
    }

    /// Waits for the client's first request.
    pub async fn asked(&self) {
        self.asked.wait().await;
    }

    /// Records that the headers of a request are complete.
    #[must_use]
    pub fn requested(self: &Arc<Self>, version: Version) -> Exchange {
        let _ = self.asked.set(());
        let mut state = self.lock();
        state.is_http2 = version == Version::HTTP_2;
        state.waiting = Waiting::Next;
        state.next_id += 1;
        let id = state.next_id;
        state.responses.push(Response { id, sending: None });
        Exchange { connection: self.clone(), id }
    }

    /// Records that bytes arrived.
    pub fn received(&self, now: Instant) {
        let mut state = self.lock();
        // HTTP/2 has frames besides requests, which do not count.
        if state.waiting == Waiting::Next && state.responses.is_empty() && !state.is_http2 {
            (state.waiting, state.waiting_since) = (Waiting::Rest, now);
        }
    }

    /// Records that there are bytes to send.
    pub fn sending(&self, now: Instant) {
        let mut state = self.lock();
        if state.unsent_since.is_none() {
            (state.unsent_since, state.sent) = (Some(now), now);
        }
    }

    /// Records that the client took some bytes.
    pub fn sent(&self, now: Instant) {
        self.lock().sent = now;
    }

    /// Records that the client took all bytes.
    pub fn flushed(&self) {
        let mut state = self.lock();
        // Idle is a client that has everything.
        if state.unsent_since.take().is_some() && state.waiting == Waiting::Next {
            state.waiting_since = Instant::now();
        }
        state.has_read |= state.next_id > 0 && state.responses.is_empty();
    }

    /// Whether the client has already taken a whole response.
    #[must_use]
    pub fn has_read(&self) -> bool {
        self.lock().has_read
    }

    /// Returns the limit that the connection reaches next if nothing happens on it, and
    /// when.
    #[must_use]
    pub fn next_limit(&self, limits: &Limits) -> Option<(Instant, ClientLimit)> {
        let state = self.lock();
        let responses = state.responses.iter().filter_map(|response| Some(response.sending?.0));
        if let Some(since) = responses.chain(state.unsent_since).min() {
            return Some((since.checked_add(limits.write_timeout)?, ClientLimit::WriteTimeout));
        }
        if !state.responses.is_empty() {
            return None;
        }
        let (limit, timeout) = match state.waiting {
            Waiting::First | Waiting::Rest => (ClientLimit::HeaderTimeout, limits.header_timeout),
            Waiting::Next => (ClientLimit::IdleTimeout, limits.idle_timeout),
        };
        Some((state.waiting_since.checked_add(timeout)?, limit))
    }

    /// Returns the connection's value when another needs its place. Returns `None` if
    /// it is working for its client or already closing.
    #[must_use]
    pub fn worth(&self, now: Instant) -> Option<Worth> {
        if self.is_closing() {
            return None;
        }
        let state = self.lock();
        let (kind, since) = match state.not_reading_since() {
            Some(since) if now - since >= SLOW_AFTER => (Kind::NotReading, since),
            Some(_) => return None,
            None if !state.responses.is_empty() => return None,
            None if state.waiting == Waiting::Next => (Kind::Idle, state.waiting_since),
            None => (Kind::NoRequestYet, state.waiting_since),
        };
        Some(Worth { is_recent: now - since < SLOW_AFTER, kind, since })
    }

    /// Since when a response has been ready without the client taking any of it.
    #[must_use]
    pub fn not_reading_since(&self) -> Option<Instant> {
        if self.is_closing() { None } else { self.lock().not_reading_since() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn not_reading_since(&self) -> Option<Instant> {
        let responses = self.responses.iter().filter_map(|response| Some(response.sending?.1));
        let unsent = self.unsent_since.map(|_| self.sent);
        responses.chain(unsent).min()
    }

    fn response(&mut self, id: u64) -> Option<&mut Response> {
        self.responses.iter_mut().find(|response| response.id == id)
    }
}

/// One request and its response, until it is dropped.
#[derive(Debug)]
pub struct Exchange {
    connection: Arc<Connection>,
    id: u64,
}

impl Exchange {
    /// Records that the client took a part of the response and the next one is
    /// requested.
    pub fn progressed(&self, now: Instant) {
        if let Some(response) = self.connection.lock().response(self.id) {
            response.sending = Some((response.sending.map_or(now, |(since, _)| since), now));
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let mut state = self.connection.lock();
        state.responses.retain(|response| response.id != self.id);
        state.waiting_since = Instant::now();
    }
}

#[cfg(test)]
mod tests;
