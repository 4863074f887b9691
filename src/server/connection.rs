//! What is known of one client's connection: whether its client sends, waits or
//! reads, and since when. Times are handed in.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Version;
use tokio::sync::SetOnce;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::snapshot::ClientLimit;

use crate::config::Limits;

/// A client that made no progress for this time is slow, and loses its
/// connection first when another client needs room.
pub const SLOW_AFTER: Duration = Duration::from_secs(1);

/// A client's connection.
#[derive(Debug)]
pub struct Connection {
    state: Mutex<State>,
    close: CancellationToken,
    /// Set with the first request.
    asked: SetOnce<()>,
}

#[derive(Debug)]
struct State {
    waiting: Waiting,
    waiting_since: Instant,
    responses: Vec<Response>,
    next_id: u64,
    /// Since when there are bytes that the client has not taken.
    unsent_since: Option<Instant>,
    /// When the client last took bytes.
    sent: Instant,
    is_http2: bool,
    /// The client has taken a whole response.
    has_read: bool,
}

/// What a connection without a request under way waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    /// The first request.
    First,
    /// A further request.
    Next,
    /// The rest of a further request, whose first byte is here.
    Rest,
}

/// A request whose response is not yet handed over.
#[derive(Debug)]
struct Response {
    id: u64,
    /// When the response was ready, and when its client last took some of it.
    sending: Option<(Instant, Instant)>,
}

/// How readily a connection is given up for another: the least first.
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
    /// A connection that was accepted just now.
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

    /// Tells its task to drop it.
    pub fn close(&self) {
        self.close.cancel();
    }

    /// Whether it is to be dropped.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.close.is_cancelled()
    }

    /// Ends when it is to be dropped.
    pub async fn closing(&self) {
        self.close.cancelled().await;
    }

    /// Ends when its client has asked for something.
    pub async fn asked(&self) {
        self.asked.wait().await;
    }

    /// The headers of a request are complete.
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

    /// Bytes arrived.
    pub fn received(&self, now: Instant) {
        let mut state = self.lock();
        // HTTP/2 has frames beside requests, which say nothing.
        if state.waiting == Waiting::Next && state.responses.is_empty() && !state.is_http2 {
            (state.waiting, state.waiting_since) = (Waiting::Rest, now);
        }
    }

    /// There are bytes to send.
    pub fn sending(&self, now: Instant) {
        let mut state = self.lock();
        if state.unsent_since.is_none() {
            (state.unsent_since, state.sent) = (Some(now), now);
        }
    }

    /// The client took some bytes.
    pub fn sent(&self, now: Instant) {
        self.lock().sent = now;
    }

    /// The client took all bytes.
    pub fn flushed(&self) {
        let mut state = self.lock();
        state.unsent_since = None;
        state.has_read |= state.next_id > 0 && state.responses.is_empty();
    }

    /// Whether the client has taken a whole response already.
    #[must_use]
    pub fn has_read(&self) -> bool {
        self.lock().has_read
    }

    /// The limit that the connection has reached, if any.
    #[must_use]
    pub fn overdue(&self, now: Instant, limits: &Limits) -> Option<ClientLimit> {
        let state = self.lock();
        let responses = state.responses.iter().filter_map(|response| Some(response.sending?.0));
        let unsent_since = responses.chain(state.unsent_since).min();
        if unsent_since.is_some_and(|since| now - since >= limits.write_timeout) {
            return Some(ClientLimit::WriteTimeout);
        }
        if !state.responses.is_empty() || state.unsent_since.is_some() {
            return None;
        }
        let (limit, timeout) = match state.waiting {
            Waiting::First | Waiting::Rest => (ClientLimit::HeaderTimeout, limits.header_timeout),
            Waiting::Next => (ClientLimit::IdleTimeout, limits.idle_timeout),
        };
        (now - state.waiting_since >= timeout).then_some(limit)
    }

    /// What the connection is worth when another needs its place; `None` where
    /// it works for its client, or is being closed already.
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

    /// Since when the client has taken none of a response that is there for it.
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
    /// Some of the response is asked for, by the client's taking what was before.
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
