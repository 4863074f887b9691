//! What is known of a target: plain data with optional fields, and the outcome of each
//! endpoint. This module does no I/O, reads no clock and cannot fail.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::outcome::{ErrorType, Outcome};
use crate::target::Target;

mod bridge;
mod facts;
mod reading;
mod slot;

pub use bridge::*;
pub use facts::*;
pub use reading::Reading;
pub use slot::{Found, LastAttempt, Response, ServedFrom, Slot};

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

    /// Returns from when and until when all that has been read of it would be read as it
    /// was, if the snapshots stay.
    #[must_use]
    pub fn holds_between(&self) -> [(Moment, f64); 2] {
        self.holds.between()
    }

    /// Returns the targets in these places, at the same time.
    #[must_use]
    pub fn part(&self, places: impl IntoIterator<Item = usize>) -> Arc<View> {
        let targets = places.into_iter().filter_map(|place| self.targets.get(place).cloned());
        Arc::new(View::new(self.started, self.unix, targets.collect()))
    }

    /// Returns the view after a final deadline: first attempts that are still running
    /// count as timed out. Nothing is said of a target whose requests wait for
    /// their turn.
    #[must_use]
    pub fn ended_by(&self, deadline: Duration) -> View {
        let why = format!("no complete response within the deadline of {deadline:?}").into();
        let targets = self.targets.iter().map(|(target, snapshot)| {
            if snapshot.is_waiting {
                return (target.clone(), snapshot.clone());
            }
            let slots = snapshot.slots.iter().map(|slot| slot.ended_by(self.started + deadline, &why));
            let slots = slots.collect();
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
    /// Whether the first requests wait for their turn, so that the server knows nothing
    /// of them yet.
    pub is_waiting: bool,
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
        let outcomes: Vec<Outcome> = documents.filter_map(Slot::outcome).collect();
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
    use crate::endpoint::Endpoint;

    #[test]
    fn a_target_is_down_only_where_every_document_was_asked_for_in_vain() {
        use ErrorType::{Connect, Http4xx, Local, RateLimited};
        let target = Target::new("https://a.example".parse().unwrap(), None, None, &BTreeMap::new());
        let (ok, missing) = (|| Some(Found::read(None, 0.0)), || Some(Found::not_offered("404")));
        let failed = |error| Some(Found::failed(error, "refused"));
        for (attempts, up) in [
            ([None, None, None], None),
            ([missing(), None, missing()], None),
            ([failed(Connect), failed(Connect), failed(Connect)], Some(false)),
            ([failed(Http4xx), missing(), None], Some(false)),
            ([failed(Connect), ok(), failed(Connect)], Some(true)),
            ([failed(Local), failed(Local), failed(Local)], None),
            ([failed(Connect), failed(Local), failed(Connect)], None),
            ([failed(Local), ok(), missing()], Some(true)),
            ([failed(RateLimited), failed(RateLimited), failed(RateLimited)], None),
            ([failed(RateLimited), failed(RateLimited), ok()], Some(true)),
            ([failed(RateLimited), failed(RateLimited), failed(Connect)], None),
        ] {
            let documents = [Endpoint::InstanceV2, Endpoint::InstanceV1, Endpoint::Nodeinfo];
            let slot = |(endpoint, found): (Endpoint, &Option<Found>)| {
                let mut slot = Slot::new(endpoint);
                if let Some(found) = found.clone() {
                    slot.record(LastAttempt::new(Moment::ORIGIN, found));
                }
                slot
            };
            let slots = documents.into_iter().zip(&attempts).map(slot).collect();
            let snapshot = Snapshot { slots, ..Snapshot::default() };
            let reading = Reading::new(&target, &snapshot, Moment::ORIGIN, 0.0);
            assert_eq!(reading.up(), up, "{attempts:?}");
        }
    }
}
