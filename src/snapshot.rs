//! What is known of a target: plain data with optional fields, and the outcome of each
//! endpoint. This module does no I/O, reads no clock and cannot fail.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::endpoint::Endpoint;
use crate::outcome::{ErrorType, Outcome};
use crate::target::Target;

mod bridge;
mod facts;
mod reading;

pub use bridge::*;
pub use facts::*;
pub use reading::Reading;

use reading::Holds;

/// The input of one collection: every target as it was when the refresh ended.
#[derive(Debug)]
pub struct View {
    /// When the collection began. Facts that were fresh then are reported.
    pub started: Moment,
    /// The same in Unix seconds.
    pub unix: f64,
    /// The targets, in the order of the configuration.
    pub targets: Vec<(Arc<Target>, Arc<Snapshot>)>,
    /// How many changes there had been of what is known, where somebody counts them.
    pub changes: u64,
    holds: Holds,
}

impl View {
    /// These targets, as a collection reads them that began then.
    #[must_use]
    pub fn new(started: Moment, unix: f64, targets: Vec<(Arc<Target>, Arc<Snapshot>)>) -> View {
        View { started, unix, targets, changes: 0, holds: Holds::default() }
    }

    /// The same, after so many changes of what is known.
    #[must_use]
    pub(crate) fn after(self, changes: u64) -> View {
        View { changes, ..self }
    }

    /// The targets, ready to be read.
    pub fn readings(&self) -> impl Iterator<Item = Reading<'_>> {
        let reading = |target, snapshot| Reading::new(target, snapshot, self.started, self.unix);
        self.targets.iter().map(move |(target, snapshot)| reading(target, snapshot).telling(&self.holds))
    }

    /// Until when all that has been read of it would be read again as it was, if the
    /// snapshots stay.
    #[must_use]
    pub fn holds_until(&self) -> (Moment, f64) {
        self.holds.until()
    }

    /// Returns a part of the targets, at the same time.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Arc<View> {
        let targets = self.targets.get(range).unwrap_or_default().to_vec();
        Arc::new(View::new(self.started, self.unix, targets))
    }

    /// Returns the view after a final deadline: first attempts that are still running
    /// count as timed out.
    #[must_use]
    pub fn ended_by(&self, deadline: Duration) -> View {
        let ended = |slot: &Slot| match slot.outcome {
            Some(_) => slot.clone(),
            None => Slot {
                outcome: Some(Outcome::Failed(ErrorType::Timeout)),
                reason: Some(format!("no complete response within the deadline of {deadline:?}").into()),
                ..slot.clone()
            },
        };
        let targets = self.targets.iter().map(|(target, snapshot)| {
            let slots = snapshot.slots.iter().map(ended).collect();
            (target.clone(), Arc::new(Snapshot { slots, ..Snapshot::clone(snapshot) }))
        });
        View::new(self.started, self.unix, targets.collect())
    }

    /// Returns a view with this time and without targets.
    #[must_use]
    pub fn without_targets(&self) -> View {
        View::new(self.started, self.unix, Vec::new())
    }
}

/// All that is known of one target.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// When the bridge first knew the target. Its counters count from then on.
    pub since: Moment,
    /// One slot for each endpoint, in the order of [`Target::endpoints`].
    pub slots: Vec<Slot>,
    /// The URL of the streaming server, from the last instance document that named one.
    /// It is kept while no document is available.
    pub streaming: Option<Arc<str>>,
    /// The rate limit from the last uncached anonymous answer.
    pub rate_limit: Option<RateLimit>,
    /// When the first certificate of the server's chain expires, in Unix seconds.
    pub certificate_expiry: Option<i64>,
}

impl Snapshot {
    /// Whether the target is up. `Some(true)` if any of v2 instance, v1 instance and
    /// NodeInfo was read in its last attempt, and `Some(false)` if all attempted ones
    /// failed. `None` before the first attempt has ended. Also `None` if none was read
    /// and one failed for a reason that says nothing about the server: the bridge could
    /// not send a request, or the server told it to wait.
    #[must_use]
    pub fn up(&self) -> Option<bool> {
        let documents = self.slots.iter().filter(|slot| slot.endpoint.shows_up());
        let outcomes: Vec<Outcome> = documents.filter_map(|slot| slot.outcome).collect();
        if outcomes.contains(&Outcome::Ok) {
            return Some(true);
        }
        let has_failed = outcomes.iter().any(|outcome| matches!(outcome, Outcome::Failed(_)));
        let is_unknown = [ErrorType::Local, ErrorType::RateLimited]
            .iter()
            .any(|error| outcomes.contains(&Outcome::Failed(*error)));
        (has_failed && !is_unknown).then_some(false)
    }
}

/// The outcome of one endpoint, and its facts.
#[derive(Debug, Clone)]
pub struct Slot {
    /// Which endpoint.
    pub endpoint: Endpoint,
    /// The outcome of the last attempt; `None` before the first one has ended.
    pub outcome: Option<Outcome>,
    /// The HTTP status of the last attempt, if there was an answer.
    pub status: Option<u16>,
    /// When the last attempt began.
    pub attempted: Moment,
    /// When the last attempt ended.
    pub finished: Moment,
    /// How long the last attempt took.
    pub duration: Duration,
    /// The size of its decoded body in bytes.
    pub size: u64,
    /// Whether the facts came from a cache.
    pub served_from: ServedFrom,
    /// When the last successful attempt ended, in Unix seconds.
    pub last_success: Option<f64>,
    /// Until when `facts` may be reported without another request.
    pub fresh_until: Moment,
    /// The number of failed attempts since the start, by reason.
    pub failures: Vec<(ErrorType, u64)>,
    /// Why the last attempt failed, for people.
    pub reason: Option<Arc<str>>,
    /// The content of the answer; `None` after a failure.
    pub facts: Option<Facts>,
}

impl Slot {
    /// Creates a slot without facts.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Slot {
        Slot {
            endpoint,
            outcome: None,
            status: None,
            attempted: Moment::ORIGIN,
            finished: Moment::ORIGIN,
            duration: Duration::ZERO,
            size: 0,
            served_from: ServedFrom::Origin,
            last_success: None,
            fresh_until: Moment::ORIGIN,
            failures: Vec::new(),
            reason: None,
            facts: None,
        }
    }

    /// What people should know of the last attempt: why it failed, or that a cache
    /// answered for a server that may be away.
    #[must_use]
    pub fn remark(&self) -> Option<&str> {
        match self.outcome {
            Some(Outcome::Ok) if self.served_from == ServedFrom::StaleCache => {
                Some("a cache gave an outdated answer: the server itself may be down")
            }
            Some(Outcome::Ok) => None,
            _ => self.reason.as_deref(),
        }
    }

    /// Adds `n` failures of this type.
    pub fn count(&mut self, error: ErrorType, n: u64) {
        match self.failures.iter_mut().find(|(e, _)| *e == error) {
            Some((_, count)) => *count += n,
            None => self.failures.push((error, n)),
        }
    }
}

/// Where an answer came from, from the most to the least reliable about the server's
/// state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServedFrom {
    /// The server itself, as far as the headers tell.
    #[default]
    Origin,
    /// A cache. Its rate limit belongs to another client.
    Cache,
    /// A cache that returned an expired answer. The server may be down.
    StaleCache,
}

/// `X-RateLimit-*` of an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateLimit {
    /// The number of requests in a window.
    pub limit: Option<i64>,
    /// The number of remaining requests.
    pub remaining: Option<i64>,
    /// When the window ends, in Unix seconds.
    pub reset: f64,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_target_is_down_only_where_every_document_was_asked_for_in_vain() {
        use ErrorType::{Connect, Http4xx, Local, RateLimited};
        let target = Target::new("https://a.example".parse().unwrap(), None, None, &BTreeMap::new());
        let (ok, missing) = (Some(Outcome::Ok), Some(Outcome::NotOffered));
        let failed = |error| Some(Outcome::Failed(error));
        for (outcomes, up) in [
            ([None, None, None], None),
            ([missing, None, missing], None),
            ([failed(Connect), failed(Connect), failed(Connect)], Some(false)),
            ([failed(Http4xx), missing, None], Some(false)),
            ([failed(Connect), ok, failed(Connect)], Some(true)),
            ([failed(Local), failed(Local), failed(Local)], None),
            ([failed(Connect), failed(Local), failed(Connect)], None),
            ([failed(Local), ok, missing], Some(true)),
            ([failed(RateLimited), failed(RateLimited), failed(RateLimited)], None),
            ([failed(RateLimited), failed(RateLimited), ok], Some(true)),
            ([failed(RateLimited), failed(RateLimited), failed(Connect)], None),
        ] {
            let documents = [Endpoint::InstanceV2, Endpoint::InstanceV1, Endpoint::Nodeinfo];
            let slot = |(endpoint, outcome)| Slot { outcome, ..Slot::new(endpoint) };
            let slots = documents.into_iter().zip(outcomes).map(slot).collect();
            let snapshot = Snapshot { slots, ..Snapshot::default() };
            let reading = Reading::new(&target, &snapshot, Moment::ORIGIN, 0.0);
            assert_eq!(reading.up(), up, "{outcomes:?}");
        }
    }
}
