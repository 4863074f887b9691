//! How pushing fares, for the bridge's own metrics and its status page.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::backlog::{Dropped, Level};
use super::failure::{CANCELLED, REJECTED, code_name};

/// Counts of one exporter, readable while it works.
#[derive(Default)]
pub struct PushStats {
    in_flight: AtomicU64,
    outcomes: Mutex<BTreeMap<Option<&'static str>, Outcome>>,
    last: Mutex<Option<Operation>>,
    rounds: Mutex<Rounds>,
    waiting: Mutex<Level>,
    listener: OnceLock<Listener>,
}

type Listener = Box<dyn Fn(&Operation) + Send + Sync>;

/// What became of points, by `error.type`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Points, since the start.
    pub points: u64,
    /// Requests (retries not counted), since the start. Points can be lost
    /// without one: while the receiver wants to be left alone, nothing is sent.
    pub operations: u64,
}

/// What is known of the push loop's rounds.
#[derive(Debug, Clone, Default)]
pub struct Rounds {
    /// The latest that ended with something to tell.
    pub last: Option<Round>,
    /// When the next begins; in the past while one is under way.
    pub next: Option<Instant>,
}

/// One round of push: a collection, and its requests.
#[derive(Debug, Clone, PartialEq)]
pub struct Round {
    /// When it ended.
    pub at: SystemTime,
    /// How long it took, collection and requests together.
    pub took: Duration,
    /// Points that arrived.
    pub accepted: u64,
    /// Points that did not, refused ones included.
    pub lost: u64,
    /// Points that wait for the receiver.
    pub waiting: u64,
    /// What went wrong, in words and without secrets; nothing when all is well.
    pub trouble: Option<String>,
    /// Since when rounds have been going wrong without a pause.
    pub failing_since: Option<SystemTime>,
}

/// One request with its retries.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// When it ended.
    pub at: SystemTime,
    /// How long it took, pauses between its attempts included.
    pub duration: Duration,
    /// What failed; nothing when the request was accepted.
    pub error_type: Option<&'static str>,
    /// The gRPC code that the receiver gave.
    pub grpc_code: Option<i32>,
    /// The HTTP status that the receiver gave.
    pub http_status: Option<u16>,
}

impl Operation {
    /// The gRPC code's name, as in `UNAVAILABLE`.
    #[must_use]
    pub fn grpc_code_name(&self) -> Option<&'static str> {
        self.grpc_code.map(|code| code_name(tonic::Code::from_i32(code)))
    }
}

impl PushStats {
    /// Points that are on their way.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// What became of all others, by `error.type`; under nothing those that
    /// arrived.
    #[must_use]
    pub fn outcomes(&self) -> BTreeMap<Option<&'static str>, Outcome> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Points that arrived.
    #[must_use]
    pub fn exported(&self) -> u64 {
        self.outcomes().get(&None).map_or(0, |outcome| outcome.points)
    }

    /// The latest request.
    #[must_use]
    pub fn last(&self) -> Option<Operation> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is known of the push loop's rounds.
    #[must_use]
    pub fn rounds(&self) -> Rounds {
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What waits for the receiver.
    #[must_use]
    pub fn waiting(&self) -> Level {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So much waits for the receiver now.
    pub(super) fn waits(&self, level: Level) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = level;
    }

    /// Points that waited were dropped.
    pub(super) fn dropped(&self, why: Dropped, points: u64) {
        self.lost(why.name(), points);
    }

    /// Points are lost without a request of their own.
    pub(super) fn lost(&self, error_type: &'static str, points: u64) {
        self.add(Some(error_type), points, 0);
    }

    /// A round has ended.
    pub fn ended(&self, round: Round) {
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner).last = Some(round);
    }

    /// The next round begins then.
    pub fn schedule(&self, next: Instant) {
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner).next = Some(next);
    }

    /// Calls `listener` at the end of every request, to record durations in a
    /// histogram. The first listener stays; it must not block.
    pub fn listen(&self, listener: impl Fn(&Operation) + Send + Sync + 'static) {
        // A second one is a mistake of ours that costs nothing.
        let _ = self.listener.set(Box::new(listener));
    }

    /// Counts `points` as on their way until the guard is told what became of
    /// them. Dropped untold, they count as cancelled, unless they are stored: a
    /// shutdown did not wait.
    pub(super) fn start(&self, points: u64, is_stored: bool) -> InFlight<'_> {
        self.in_flight.fetch_add(points, Ordering::Relaxed);
        InFlight { stats: self, points, told: is_stored }
    }

    /// A request has ended.
    fn note(&self, operation: Operation) {
        if let Some(listener) = self.listener.get() {
            listener(&operation);
        }
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(operation);
    }

    fn add(&self, error_type: Option<&'static str>, points: u64, operations: u64) {
        let mut outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = outcomes.entry(error_type).or_default();
        outcome.points += points;
        outcome.operations += operations;
    }
}

impl std::fmt::Debug for PushStats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PushStats")
            .field("in_flight", &self.in_flight())
            .field("outcomes", &self.outcomes())
            .field("last", &self.last())
            .field("rounds", &self.rounds())
            .finish_non_exhaustive()
    }
}

/// Points on their way.
pub(super) struct InFlight<'a> {
    stats: &'a PushStats,
    points: u64,
    told: bool,
}

impl InFlight<'_> {
    /// The request has ended; `rejected` of its points were refused by a
    /// receiver that took the others.
    pub fn end(mut self, mut operation: Operation, rejected: u64) {
        self.told = true;
        let rejected = rejected.min(self.points);
        self.stats.add(operation.error_type, self.points - rejected, 1);
        if rejected > 0 {
            self.stats.add(Some(REJECTED), rejected, 0);
            // Anything but a full success has an `error.type`.
            operation.error_type.get_or_insert(REJECTED);
        }
        self.stats.note(operation);
    }

    /// The points wait, after a request that failed or without one.
    pub fn waits(mut self, operation: Option<Operation>) {
        self.told = true;
        if let Some(operation) = operation {
            self.stats.add(operation.error_type, 0, 1);
            self.stats.note(operation);
        }
    }

    /// The points were lost without a request.
    pub fn unsent(mut self, error_type: &'static str) {
        self.told = true;
        self.stats.lost(error_type, self.points);
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.stats.in_flight.fetch_sub(self.points, Ordering::Relaxed);
        if !self.told {
            self.stats.add(Some(CANCELLED), self.points, 1);
        }
    }
}
