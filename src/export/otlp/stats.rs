//! Statistics of push, for the bridge's own metrics and its status page.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::backlog::{Dropped, Level};
use super::failure::{CANCELLED, REJECTED, code_name};

/// The statistics of one exporter, which can be read while it works.
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

/// What happened to points, by `error.type`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Points since the start.
    pub points: u64,
    /// Requests since the start, without retries. During a pause that the receiver
    /// asked for, points can be lost without a request.
    pub operations: u64,
}

/// The state of the push loop.
#[derive(Debug, Clone, Default)]
pub struct Rounds {
    /// The latest round with a result.
    pub last: Option<Round>,
    /// When the next round begins. It is in the past while a round runs.
    pub next: Option<Instant>,
}

/// One round of push: a collection and its requests.
#[derive(Debug, Clone, PartialEq)]
pub struct Round {
    /// When the round ended.
    pub at: SystemTime,
    /// The duration of collection and requests together.
    pub took: Duration,
    /// Points that arrived.
    pub accepted: u64,
    /// Points that did not arrive, including rejected ones.
    pub lost: u64,
    /// Points that wait for the receiver.
    pub waiting: u64,
    /// What went wrong, in words and without secrets, or `None`.
    pub trouble: Option<String>,
    /// When the current run of failed rounds began.
    pub failing_since: Option<SystemTime>,
}

/// One request with its retries.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// When the request ended.
    pub at: SystemTime,
    /// The duration, including pauses between attempts.
    pub duration: Duration,
    /// The `error.type`, or `None` if the request was accepted.
    pub error_type: Option<&'static str>,
    /// The gRPC code that the receiver gave.
    pub grpc_code: Option<i32>,
    /// The HTTP status that the receiver gave.
    pub http_status: Option<u16>,
}

impl Operation {
    /// The name of the gRPC code, such as `UNAVAILABLE`.
    #[must_use]
    pub fn grpc_code_name(&self) -> Option<&'static str> {
        self.grpc_code.map(|code| code_name(tonic::Code::from_i32(code)))
    }
}

impl PushStats {
    /// Points that are being sent.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Counts of all other points, by `error.type`. The count without an `error.type`
    /// is that of points that arrived.
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

    /// The state of the push loop.
    #[must_use]
    pub fn rounds(&self) -> Rounds {
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How much waits for the receiver.
    #[must_use]
    pub fn waiting(&self) -> Level {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets how much waits for the receiver.
    pub(super) fn waits(&self, level: Level) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = level;
    }

    /// Counts waiting points that were dropped.
    pub(super) fn dropped(&self, why: Dropped, points: u64) {
        self.lost(why.name(), points);
    }

    /// Counts points that are lost without a request.
    pub(super) fn lost(&self, error_type: &'static str, points: u64) {
        self.add(Some(error_type), points, 0);
    }

    /// Records the end of a round.
    pub fn ended(&self, round: Round) {
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner).last = Some(round);
    }

    /// Records when the next round begins.
    pub fn schedule(&self, next: Instant) {
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner).next = Some(next);
    }

    /// Calls `listener` at the end of every request, for example to record durations in
    /// a histogram. Only the first listener is kept; it must not block.
    pub fn listen(&self, listener: impl Fn(&Operation) + Send + Sync + 'static) {
        // A second listener is a harmless mistake in our code.
        let _ = self.listener.set(Box::new(listener));
    }

    /// Counts `points` as being sent, until the guard learns the result. If the guard
    /// is dropped first, the points count as cancelled, because a shutdown did not wait
    /// for them. Stored points do not: they are still in the backlog.
    pub(super) fn start(&self, points: u64, is_stored: bool) -> InFlight<'_> {
        self.in_flight.fetch_add(points, Ordering::Relaxed);
        InFlight { stats: self, points, told: is_stored }
    }

    /// Records the end of a request.
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

/// Points that are being sent.
pub(super) struct InFlight<'a> {
    stats: &'a PushStats,
    points: u64,
    told: bool,
}

impl InFlight<'_> {
    /// Records the end of the request. The receiver rejected `rejected` points and
    /// accepted the others.
    pub fn end(mut self, mut operation: Operation, rejected: u64) {
        self.told = true;
        let rejected = rejected.min(self.points);
        self.stats.add(operation.error_type, self.points - rejected, 1);
        if rejected > 0 {
            self.stats.add(Some(REJECTED), rejected, 0);
            // Every result except a full success has an `error.type`.
            operation.error_type.get_or_insert(REJECTED);
        }
        self.stats.note(operation);
    }

    /// The points wait, after a failed request or without one.
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
