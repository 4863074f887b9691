//! The state of one target between collections: what is known, what is due, and which
//! requests are running.

mod enter;
mod plan;
mod succeed;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::api::{Answer, Pacing};
use crate::clock::Moment;
use crate::endpoint::Endpoint;
use crate::outcome::ErrorType;
use crate::snapshot::{Found, LastAttempt, ServedFrom, Slot, Snapshot};
use crate::target::Target;

use super::changes::Changes;
use super::log::{Outages, TargetLog};
use super::schedule::{Attempted, Candidate, Choice, Ended, Timing};

use enter::is_read;

pub use plan::{Next, Plan};

/// The reason for people if an attempt has no result.
const UNRECORDED: &str = "the attempt was cut off, or failed in the bridge itself: see the bridge's log";

/// A target and its state.
#[derive(Debug)]
pub struct Polled {
    target: Arc<Target>,
    state: Mutex<State>,
    done: Notify,
    pacing: Arc<Pacing>,
    outages: Arc<Outages>,
    changes: Arc<Changes>,
}

#[derive(Debug)]
struct State {
    snapshot: Arc<Snapshot>,
    /// In the order of the snapshot's slots.
    work: Vec<Work>,
    /// The number of jobs that still use the target.
    jobs: usize,
    /// Whether the last run failed to connect or timed out.
    slow: bool,
    /// When the token was last replaced.
    token_replaced: Option<Moment>,
    /// The number of searches for the NodeInfo document since it was last read.
    searches: u32,
    log: TargetLog,
    /// Since when no document shows that the server is up. A document from a stale
    /// cache shows nothing.
    unseen_since: Option<Moment>,
}

/// What refreshing keeps about an endpoint, besides its facts.
#[derive(Debug, Clone, Default)]
struct Work {
    timing: Timing,
    under_way: bool,
    etag: Option<Arc<str>>,
    with_token: bool,
}

/// What an attempt needs from earlier attempts.
#[derive(Debug)]
pub struct Known {
    pub etag: Option<Arc<str>>,
    pub with_token: bool,
    pub snapshot: Arc<Snapshot>,
    /// Why the last discovery failed. `None` if it succeeded, or an earlier discovery
    /// is known.
    pub undiscovered: Option<(ErrorType, Arc<str>)>,
}

impl Polled {
    /// A target of which nothing is known by now.
    pub fn new(target: Target, outages: Arc<Outages>, changes: Arc<Changes>, now: Moment) -> Polled {
        let state = Mutex::new(State::new(&target, now));
        let (target, pacing) = (Arc::new(target), Arc::default());
        Polled { target, state, done: Notify::new(), pacing, outages, changes }
    }

    pub fn target(&self) -> &Arc<Target> {
        &self.target
    }

    pub fn pacing(&self) -> &Pacing {
        &self.pacing
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.lock().snapshot.clone()
    }

    pub fn is_busy(&self) -> bool {
        self.lock().jobs > 0
    }

    pub fn is_slow(&self) -> bool {
        self.lock().slow
    }

    pub fn set_slow(&self, slow: bool) {
        self.lock().slow = slow;
    }

    /// Makes endpoints due that need the token, and those that were refused without it.
    pub fn has_new_token(&self, now: Moment) {
        self.lock().has_new_token(now);
    }

    /// Waits until no job is working on the target.
    pub async fn idle(&self) {
        loop {
            let mut done = std::pin::pin!(self.done.notified());
            done.as_mut().enable();
            if !self.is_busy() {
                return;
            }
            done.await;
        }
    }

    /// Claims the endpoints that are due and not yet being asked for. The job has to
    /// call [`Polled::finish`] in the end, whatever happens.
    pub fn claim(&self, now: Moment) -> Vec<usize> {
        self.claim_if(|state| self.due(state, now, None))
    }

    /// The same, and what would be due by then and may be requested already.
    pub fn claim_by(&self, now: Moment, by: Moment) -> Vec<usize> {
        self.claim_if(|state| self.choice(state, now).due_by(by))
    }

    /// The same of some endpoints only.
    pub fn claim_of(&self, now: Moment, wanted: &[Endpoint]) -> Vec<usize> {
        self.claim_if(|state| self.due(state, now, Some(wanted)))
    }

    fn claim_if(&self, due: impl FnOnce(&State) -> Vec<usize>) -> Vec<usize> {
        let mut state = self.lock();
        let claimed = due(&state);
        state.take(&claimed);
        if !claimed.is_empty() {
            state.jobs += 1;
            self.changes.begins();
        }
        claimed
    }

    /// Whether anything is due and not yet being asked for, of all endpoints or of these.
    pub fn is_due(&self, now: Moment, wanted: Option<&[Endpoint]>) -> bool {
        !self.due(&self.lock(), now, wanted).is_empty()
    }

    fn due(&self, state: &State, now: Moment, wanted: Option<&[Endpoint]>) -> Vec<usize> {
        let mut due = self.choice(state, now).due();
        due.retain(|i| wanted.is_none_or(|wanted| wanted.contains(&self.target.endpoints[*i])));
        due
    }

    /// After requests for documents: records whether the server is up. If it is up
    /// again, claims the endpoints that this makes due.
    pub fn claim_after_return(&self, now: Moment, wanted: Option<&[Endpoint]>) -> Vec<usize> {
        let mut state = self.lock();
        if !state.note_whether_seen(now) {
            return Vec::new();
        }
        let claimed = self.due(&state, now, wanted);
        state.take(&claimed);
        claimed
    }

    /// At the end of a run: records whether the server is up.
    pub fn note_whether_seen(&self, now: Moment) {
        self.lock().note_whether_seen(now);
    }

    /// Claims the other documents that show whether a server is up, after one of them
    /// failed.
    pub fn claim_to_confirm_down(&self, now: Moment) -> Vec<usize> {
        let mut state = self.lock();
        let claimed = self.choice(&state, now).to_confirm_down();
        state.take(&claimed);
        claimed
    }

    fn choice(&self, state: &State, now: Moment) -> Choice {
        let candidate = |(work, slot): (&Work, &Slot)| Candidate {
            endpoint: slot.endpoint,
            timing: work.timing,
            under_way: work.under_way,
            outcome: slot.outcome(),
            attempted: slot.began().unwrap_or_default(),
            has_facts: slot.facts().is_some(),
        };
        let all = state.work.iter().zip(&state.snapshot.slots).map(candidate).collect();
        Choice { all, held_until: self.pacing.hold.until(), now }
    }

    /// Returns the source of a document that shows that the server is up, that was
    /// requested after this moment and read, and is not among `beside`. Of several it
    /// returns the most informative one. A stale document does not show that the server
    /// is up.
    pub fn document_since(&self, since: Moment, beside: &[usize]) -> Option<ServedFrom> {
        let state = self.lock();
        let slots = state.snapshot.slots.iter().enumerate();
        let is_new = |slot: &Slot| slot.began() >= Some(since);
        let read = slots.filter(|(i, slot)| is_read(slot) && is_new(slot) && !beside.contains(i));
        let sources = read.filter_map(|(_, slot)| slot.served_from());
        sources.filter(|source| *source != ServedFrom::StaleCache).min()
    }

    /// Whether an endpoint has been read since the start.
    pub fn was_read(&self, index: usize) -> bool {
        self.lock().snapshot.slots[index].last_success().is_some()
    }

    /// Claims a document to check whether the server is up, even if its facts are
    /// fresh. The document is not among `beside`, and was not requested after `since`.
    pub fn claim_document(&self, now: Moment, since: Moment, beside: &[usize]) -> Option<usize> {
        let mut state = self.lock();
        let choice = self.choice(&state, now);
        let slots = state.snapshot.slots.iter().enumerate();
        let is_old = |slot: &Slot| slot.began() < Some(since);
        let read = slots.filter(|(i, slot)| is_read(slot) && is_old(slot) && !beside.contains(i));
        let mut read = read.map(|(i, _)| i);
        let document = read.find(|i| choice.may_ask(*i))?;
        state.take(&[document]);
        Some(document)
    }

    /// The endpoint with this index.
    pub fn endpoint(&self, index: usize) -> Endpoint {
        self.target.endpoints[index]
    }

    pub fn known(&self, index: usize) -> Known {
        let state = self.lock();
        let work = &state.work[index];
        let mut slots = state.snapshot.slots.iter();
        let discovery = slots.find(|slot| slot.endpoint == Endpoint::NodeinfoDiscovery);
        let undiscovered = match discovery.and_then(Slot::last).map(|last| &last.found) {
            Some(Found::Failed { error, why, kept: None }) => Some((*error, why.clone())),
            _ => None,
        };
        // An ETag is only useful while its facts are kept.
        let etag = work.etag.clone().filter(|_| state.snapshot.slots[index].facts().is_some());
        Known { etag, with_token: work.with_token, snapshot: state.snapshot.clone(), undiscovered }
    }

    /// Records whether the only job waits for its turn, as far as nothing is known yet.
    pub fn set_waiting(&self, waits: bool) {
        let mut state = self.lock();
        let is_first = state.jobs == 1 && state.snapshot.slots.iter().all(|slot| slot.last().is_none());
        if state.snapshot.is_waiting != waits && (is_first || !waits) {
            Arc::make_mut(&mut state.snapshot).is_waiting = waits;
        }
    }

    /// Records the result of a finished attempt.
    pub fn record(&self, index: usize, answer: Answer, now: Moment, unix: f64, certificate: Option<i64>) {
        let interval = self.target.interval(self.target.endpoints[index]);
        let mut state = self.lock();
        state.enter(index, answer, now, unix, interval);
        if certificate.is_some() {
            Arc::make_mut(&mut state.snapshot).certificate_expiry = certificate;
        }
        state.work[index].under_way = false;
        self.changes.note();
    }

    /// Ends a job. Endpoints that it claimed and did not record, because it panicked or
    /// was cut off, are released.
    pub fn finish(&self, unrecorded: &[usize], now: Moment) {
        let mut state = self.lock();
        for index in unrecorded {
            let endpoint = self.target.endpoints[*index];
            let took = Attempted { began: now, now, retry_after: None };
            state.work[*index].under_way = false;
            state.work[*index].timing.enter(Ended::Failed, took, endpoint, self.target.interval(endpoint));
            let found = Found::failed(ErrorType::Other, UNRECORDED);
            let slot = &mut Arc::make_mut(&mut state.snapshot).slots[*index];
            slot.record(LastAttempt::new(now, found));
        }
        let State { log, snapshot, .. } = &mut *state;
        log.tell(&self.target.name, snapshot, now, &self.outages);
        state.jobs = state.jobs.saturating_sub(1);
        self.changes.ends();
        if state.jobs == 0 {
            self.done.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn new(target: &Target, now: Moment) -> State {
        let slots: Vec<Slot> = target.endpoints.iter().map(|e| Slot::new(*e)).collect();
        State {
            work: slots.iter().map(|_| Work::default()).collect(),
            snapshot: Arc::new(Snapshot { since: now, slots, ..Snapshot::default() }),
            jobs: 0,
            slow: false,
            token_replaced: None,
            searches: 0,
            log: TargetLog::default(),
            unseen_since: None,
        }
    }

    fn take(&mut self, claimed: &[usize]) {
        for i in claimed {
            self.work[*i].under_way = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::outcome::Outcome;

    #[test]
    fn an_attempt_without_a_result_has_failed_with_a_reason() {
        let now = Moment::at(std::time::Duration::from_secs(100));
        let target = Target::new("https://a.example".parse().unwrap(), None, None, &BTreeMap::new());
        let polled = Polled::new(target, Arc::default(), Arc::default(), now);
        let claimed = polled.claim(now);
        let (unrecorded, others) = (claimed[0], claimed.len() - 1);
        polled.finish(&[unrecorded], now);
        let slots = &polled.snapshot().slots;
        let slot = &slots[unrecorded];
        assert_eq!(slot.outcome(), Some(Outcome::Failed(ErrorType::Other)));
        assert_eq!((slot.reason(), slot.failures()), (Some(UNRECORDED), &[(ErrorType::Other, 1)][..]));
        assert_eq!((slot.ended(), slot.response(), slot.last_success()), (Some(now), None, None));
        assert_eq!(slots.iter().filter(|slot| slot.last().is_none()).count(), others);
        assert!(!polled.is_busy());
    }
}
