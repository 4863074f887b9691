//! The next requests to a target, for people.

use std::sync::Arc;

use crate::clock::Moment;
use crate::snapshot::Snapshot;

use super::Polled;

/// When a target's endpoints are asked for again. No request is made before the next
/// collection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Until when nothing below `/api` is requested, because the rate limit is used up.
    /// A time in the past means no pause.
    pub held_until: Moment,
    /// In the order of the snapshot's slots.
    pub endpoints: Vec<Next>,
}

/// The next request for an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Next {
    /// From when on a collection requests it.
    pub due: Moment,
    /// Whether a request is running.
    pub under_way: bool,
    /// The number of failed attempts in a row. Each makes the wait longer.
    pub failures_in_row: u32,
}

impl Polled {
    /// From when on there is something to be asked for that is not asked for now, in the
    /// round from `since` until `by`.
    pub fn next_due(&self, now: Moment, since: Moment, by: Moment) -> Option<Moment> {
        let state = self.lock();
        self.choice(&state, now).next_due(since, by)
    }

    /// What is known, and what comes next, of one moment.
    pub fn planned(&self) -> (Arc<Snapshot>, Plan) {
        let state = self.lock();
        let held_until = self.pacing.hold.until();
        let next = state.snapshot.slots.iter().zip(&state.work).map(|(slot, work)| Next {
            due: if slot.endpoint.is_under_api() { work.timing.due.max(held_until) } else { work.timing.due },
            under_way: work.under_way,
            failures_in_row: work.timing.failures_in_row,
        });
        let plan = Plan { held_until, endpoints: next.collect() };
        (state.snapshot.clone(), plan)
    }
}
