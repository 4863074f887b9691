//! The state of a connection: its age, whether it has answered before, and whether it
//! was closed silently.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use http::Extensions;
use hyper_util::client::legacy::connect::CaptureConnection;

/// The state of a connection.
#[derive(Debug)]
pub struct State {
    /// From then on the connection is not used.
    expires: Instant,
    /// Whether a request on the connection has been answered.
    has_answered: AtomicBool,
    /// Whether a byte has arrived since the last one was written.
    is_heard: AtomicBool,
    /// Whether the other side has closed the connection, or it broke.
    has_ended: AtomicBool,
    /// Whether it is no longer open, whoever closed it. Unlike `has_ended`, it says nothing
    /// about the last request.
    is_closed: AtomicBool,
    is_http2: bool,
}

impl State {
    /// A new connection that is used for `age`.
    pub fn new(age: Duration, is_http2: bool) -> State {
        State {
            expires: Instant::now() + age,
            has_answered: AtomicBool::new(false),
            is_heard: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            is_http2,
        }
    }

    /// Returns the state of the connection on which a request was sent, if it was sent.
    pub fn of(seen: &CaptureConnection) -> Option<Arc<State>> {
        let mut extras = Extensions::new();
        seen.connection_metadata().as_ref()?.get_extras(&mut extras);
        extras.remove::<Arc<State>>()
    }

    /// Records that something was written.
    pub fn note_written(&self) {
        self.is_heard.store(false, Relaxed);
    }

    /// Records that something arrived.
    pub fn note_heard(&self) {
        self.is_heard.store(true, Relaxed);
    }

    /// Records that the other side has closed the connection, or it broke.
    pub fn note_ended(&self) {
        self.has_ended.store(true, Relaxed);
    }

    /// Records that the connection is no longer open.
    pub fn note_closed(&self) {
        self.is_closed.store(true, Relaxed);
    }

    /// Records an answer. Returns whether there was an earlier one.
    pub fn answers_again(&self) -> bool {
        self.has_answered.swap(true, Relaxed)
    }

    /// Whether the connection has reached its maximum age.
    pub fn has_expired(&self) -> bool {
        Instant::now() >= self.expires
    }

    /// Whether no request will be sent on the connection any more.
    pub fn is_over(&self) -> bool {
        self.is_closed.load(Relaxed) || self.has_expired()
    }

    /// Whether the connection had answered before, and was closed before the first byte
    /// of the answer to the last request. On HTTP/2 other bytes arrive, too, so only
    /// the closing counts.
    pub fn died_unheard(&self) -> bool {
        let is_heard = self.is_heard.load(Relaxed) && !self.is_http2;
        self.has_answered.load(Relaxed) && self.has_ended.load(Relaxed) && !is_heard
    }
}

/// Keeps later requests off a connection.
pub fn give_up(connection: &CaptureConnection) {
    if let Some(connected) = &*connection.connection_metadata() {
        connected.poison();
    }
}
