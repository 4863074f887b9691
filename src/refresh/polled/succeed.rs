//! A target after a reload of the configuration. It keeps the facts of the server and
//! the pauses that the server asked for.

use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use crate::clock::Moment;
use crate::endpoint::Endpoint;
use crate::outcome::Outcome;
use crate::target::Target;

use super::{Polled, State, Work};

impl Polled {
    /// Returns the same server with other settings. Endpoints with unchanged requests
    /// keep their facts, due times and numbers of failures; others start again. Running
    /// requests are repeated, because their answers go to the old target.
    pub fn succeeded_by(&self, target: Target, now: Moment) -> Polled {
        let mut state = self.lock();
        let mut next = State::new(&target, now);
        let places: Vec<Option<usize>> = target
            .endpoints
            .iter()
            .map(|endpoint| state.snapshot.slots.iter().position(|slot| slot.endpoint == *endpoint))
            .collect();
        let snapshot = Arc::make_mut(&mut next.snapshot);
        for (new, old) in places.into_iter().enumerate() {
            let Some(old) = old else { continue };
            let slot = &state.snapshot.slots[old];
            if asks_the_same(slot.endpoint, &self.target, &target) {
                snapshot.slots[new] = slot.clone();
                next.work[new] = Work { under_way: false, ..state.work[old].clone() };
            } else {
                // All failures stay counted, whatever their requests were.
                snapshot.slots[new] = slot.restarted();
                next.work[new].timing.not_before = state.work[old].timing.not_before;
                next.work[new].timing.due = state.work[old].timing.not_before;
            }
        }
        snapshot.since = state.snapshot.since;
        snapshot.streaming.clone_from(&state.snapshot.streaming);
        snapshot.rate_limit = state.snapshot.rate_limit;
        snapshot.certificate_expiry = state.snapshot.certificate_expiry;
        next.slow = state.slow;
        next.token_replaced = state.token_replaced;
        next.searches = state.searches;
        next.unseen_since = state.unseen_since;
        next.log = std::mem::take(&mut state.log);
        if self.target.token != target.token {
            next.has_new_token(now);
        }
        let (pacing, outages, changes) = (self.pacing.clone(), self.outages.clone(), self.changes.clone());
        let (target, state) = (Arc::new(target), Mutex::new(next));
        Polled { target, state, done: Notify::new(), pacing, outages, changes }
    }

    /// Makes endpoints due that the server did not offer: a reload may mean that it
    /// does now.
    pub fn is_reloaded(&self, now: Moment) {
        let mut state = self.lock();
        let State { work, snapshot, .. } = &mut *state;
        for (work, slot) in work.iter_mut().zip(&snapshot.slots) {
            if slot.outcome() == Some(Outcome::NotOffered) {
                work.timing.bring_forward(now);
            }
        }
    }
}

/// Whether an endpoint's request is the same under both settings.
fn asks_the_same(endpoint: Endpoint, before: &Target, after: &Target) -> bool {
    match endpoint {
        Endpoint::Accounts => before.accounts == after.accounts,
        Endpoint::Tags => before.tags == after.tags,
        _ => before.url == after.url && before.host == after.host,
    }
}
