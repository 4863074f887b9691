//! One target's state between collections: what is known, what is due, what
//! is under way.

mod plan;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::api::{Answer, Paging, Verdict};
use crate::clock::Moment;
use crate::endpoint::Endpoint;
use crate::outcome::{ErrorType, Outcome};
use crate::snapshot::{Facts, Slot, Snapshot};
use crate::target::Target;

use super::said::{Said, told};

pub use plan::{Next, Plan};

/// What the server does not offer is asked for again after this time.
const NOT_OFFERED_FOR: Duration = Duration::from_secs(6 * 3600);
/// The first wait after a failure; each further one doubles it, up to the
/// endpoint's interval.
const FIRST_BACK_OFF: Duration = Duration::from_secs(60);
/// `up` is never older.
const UP_FOR: Duration = Duration::from_secs(60);
/// How long robots.txt holds while it cannot be read anew, seconds.
const ROBOTS_FOR: f64 = 86_400.0;
/// No server keeps us away longer.
const LONGEST_HOLD: f64 = 3600.0;

/// A target that is polled.
#[derive(Debug)]
pub struct Polled {
    target: Arc<Target>,
    state: Mutex<State>,
    done: Notify,
    paging: Paging,
}

#[derive(Debug)]
struct State {
    snapshot: Arc<Snapshot>,
    /// In the order of the snapshot's slots.
    work: Vec<Work>,
    /// Jobs that are not done with the target.
    jobs: usize,
    /// Until when nothing below `/api` is asked: the rate limit is spent.
    held_until: Moment,
    /// The last run met a wall: no connection, or no answer in time.
    suspect: bool,
}

/// What refreshing keeps of an endpoint beside what it said.
#[derive(Debug, Default)]
struct Work {
    due: Moment,
    under_way: bool,
    failures_in_row: u32,
    etag: Option<Arc<str>>,
    with_token: bool,
    said: Said,
}

/// What an attempt needs to know of earlier ones.
#[derive(Debug)]
pub struct Known {
    pub etag: Option<Arc<str>>,
    pub with_token: bool,
    pub snapshot: Arc<Snapshot>,
    /// Why the last discovery failed, if it did.
    pub undiscovered: Option<(ErrorType, Arc<str>)>,
}

impl Polled {
    pub fn new(target: Target) -> Polled {
        let slots: Vec<Slot> = target.endpoints.iter().map(|e| Slot::new(*e)).collect();
        let state = State {
            work: slots.iter().map(|_| Work::default()).collect(),
            snapshot: Arc::new(Snapshot { slots, ..Snapshot::default() }),
            jobs: 0,
            held_until: Duration::ZERO,
            suspect: false,
        };
        Polled {
            target: Arc::new(target),
            state: Mutex::new(state),
            done: Notify::new(),
            paging: Paging::default(),
        }
    }

    pub fn target(&self) -> &Arc<Target> {
        &self.target
    }

    pub fn paging(&self) -> &Paging {
        &self.paging
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.lock().snapshot.clone()
    }

    pub fn is_busy(&self) -> bool {
        self.lock().jobs > 0
    }

    pub fn is_suspect(&self) -> bool {
        self.lock().suspect
    }

    pub fn set_suspect(&self, suspect: bool) {
        self.lock().suspect = suspect;
    }

    /// Waits until no job has anything left to do.
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

    /// Takes what is due and not under way, for a job that calls
    /// [`Polled::finish`] in the end, whatever happens. Where nothing is due and the last
    /// attempt at a document that shows the server up is older than a minute,
    /// takes one of those.
    pub fn claim(&self, now: Moment) -> Vec<usize> {
        let mut state = self.lock();
        let mut claimed: Vec<usize> =
            (0..state.work.len()).filter(|i| state.may_ask(*i, now) && state.work[*i].due <= now).collect();
        let shows_up = |i: &usize| {
            let slot = &state.snapshot.slots[*i];
            slot.endpoint.shows_up() && slot.outcome != Some(Outcome::NotOffered)
        };
        let asked = |i: usize| state.work[i].under_way || claimed.contains(&i);
        if !(0..state.work.len()).filter(shows_up).any(asked) {
            let last =
                (0..state.work.len()).filter(shows_up).map(|i| state.snapshot.slots[i].attempted).max();
            if last.is_some_and(|last| last + less_a_tenth(UP_FOR) <= now) {
                claimed.extend((0..state.work.len()).filter(shows_up).find(|i| state.may_ask(*i, now)));
            }
        }
        state.take(&claimed);
        state.jobs += usize::from(!claimed.is_empty());
        claimed
    }

    /// Takes the other documents that show the server up and were read more
    /// than a minute ago: one has just failed, and what the others said then
    /// does not tell whether the server is there now.
    pub fn claim_to_confirm_down(&self, now: Moment) -> Vec<usize> {
        let mut state = self.lock();
        let claimed: Vec<usize> = (0..state.work.len())
            .filter(|i| {
                let slot = &state.snapshot.slots[*i];
                slot.endpoint.shows_up()
                    && slot.outcome == Some(Outcome::Ok)
                    && slot.attempted + less_a_tenth(UP_FOR) <= now
                    && state.may_ask(*i, now)
            })
            .collect();
        state.take(&claimed);
        claimed
    }

    /// Whether a document that shows the server up was read in its last
    /// attempt, beside these.
    pub fn has_document_beside(&self, missing: &[usize]) -> bool {
        let state = self.lock();
        let mut slots = state.snapshot.slots.iter().enumerate();
        slots.any(|(i, s)| s.endpoint.shows_up() && s.outcome == Some(Outcome::Ok) && !missing.contains(&i))
    }

    /// The endpoint in this place.
    pub fn endpoint(&self, index: usize) -> Endpoint {
        self.target.endpoints[index]
    }

    pub fn known(&self, index: usize) -> Known {
        let state = self.lock();
        let work = &state.work[index];
        let undiscovered = state.snapshot.slots.iter().find_map(|slot| match slot.outcome {
            Some(Outcome::Failed(error)) if slot.endpoint == Endpoint::NodeinfoDiscovery => {
                Some((error, slot.reason.clone().unwrap_or_default()))
            }
            _ => None,
        });
        // An ETag is of use only while the facts that it stands for are kept.
        let etag = work.etag.clone().filter(|_| state.snapshot.slots[index].facts.is_some());
        Known { etag, with_token: work.with_token, snapshot: state.snapshot.clone(), undiscovered }
    }

    /// Enters what came of an attempt that has just ended.
    pub fn record(&self, index: usize, answer: Answer, now: Moment, unix: f64, certificate: Option<i64>) {
        let interval = self.target.interval(self.target.endpoints[index]);
        let mut state = self.lock();
        state.enter(index, answer, now, unix, interval, &self.target.name);
        if certificate.is_some() {
            Arc::make_mut(&mut state.snapshot).certificate_expiry = certificate;
        }
        state.work[index].under_way = false;
    }

    /// A job is done. What it claimed and did not record, because it panicked
    /// or was cut off, is given back.
    pub fn finish(&self, unrecorded: &[usize], now: Moment) {
        let mut state = self.lock();
        for index in unrecorded {
            state.work[*index].under_way = false;
            state.work[*index].due = now + FIRST_BACK_OFF;
            let slot = &mut Arc::make_mut(&mut state.snapshot).slots[*index];
            slot.outcome = Some(Outcome::Failed(ErrorType::Other));
            slot.facts = None;
            slot.count(ErrorType::Other, 1);
        }
        state.jobs = state.jobs.saturating_sub(1);
        if state.jobs == 0 {
            self.done.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, claimed: &[usize]) {
        for i in claimed {
            self.work[*i].under_way = true;
        }
    }

    fn may_ask(&self, index: usize, now: Moment) -> bool {
        let endpoint = self.snapshot.slots[index].endpoint;
        let outside_api = !endpoint.is_under_api();
        !self.work[index].under_way && (outside_api || self.held_until <= now)
    }

    fn enter(
        &mut self,
        index: usize,
        answer: Answer,
        now: Moment,
        unix: f64,
        interval: Duration,
        target: &Arc<str>,
    ) {
        let verdict = answer.verdict;
        let work = &mut self.work[index];
        let snapshot = Arc::make_mut(&mut self.snapshot);
        let slot = &mut snapshot.slots[index];
        slot.attempted = now.saturating_sub(answer.elapsed);
        slot.finished = now;
        slot.duration = answer.elapsed;
        slot.status = answer.status;
        slot.reason = answer.reason.map(|reason| told(&reason));
        // A token that did not help is not shown again unasked.
        work.with_token = answer.with_token && matches!(verdict, Verdict::Ok | Verdict::NotModified);
        let mut moved = false;
        let next = match verdict {
            Verdict::Ok | Verdict::NotModified => {
                slot.outcome = Some(Outcome::Ok);
                slot.last_success = Some(unix);
                work.failures_in_row = 0;
                work.etag = answer.etag;
                if verdict == Verdict::Ok {
                    moved = place_of(slot.facts.as_ref()) != place_of(answer.facts.as_ref());
                    slot.facts = answer.facts;
                    slot.size = answer.size;
                }
                // From the request's start; the headers' lifetime from its end.
                (slot.attempted + less_a_tenth(interval)).max(now + answer.lifetime)
            }
            Verdict::NotOffered | Verdict::Missing => {
                slot.outcome = Some(Outcome::NotOffered);
                slot.size = answer.size;
                slot.facts = None;
                work.failures_in_row = 0;
                work.etag = None;
                now + NOT_OFFERED_FOR
            }
            Verdict::Failed(error) => {
                slot.outcome = Some(Outcome::Failed(error));
                slot.size = answer.size;
                slot.count(error, 1);
                work.etag = None;
                work.failures_in_row += 1;
                // robots.txt of a day ago still holds (RFC 9309, 2.3.1.4), and
                // everything waits for it: it is asked for every minute.
                let is_robots = slot.endpoint == Endpoint::Robots;
                let is_recent = slot.last_success.is_some_and(|at| unix - at < ROBOTS_FOR);
                if !(is_robots && is_recent) {
                    slot.facts = answer.facts;
                }
                let longest = if is_robots { FIRST_BACK_OFF } else { interval.max(FIRST_BACK_OFF) };
                let longer = FIRST_BACK_OFF * 2u32.saturating_pow((work.failures_in_row - 1).min(10));
                let usual = slot.attempted + less_a_tenth(longer.min(longest));
                answer.retry_after.map_or(usual, |wait| usual.max(now + wait))
            }
        };
        if !answer.problems.is_empty() {
            slot.count(ErrorType::Decode, answer.problems.len() as u64);
        }
        work.due = next;
        // What a failed attempt could read lives no longer than usual.
        slot.fresh_until = match verdict {
            Verdict::Failed(_) => next.min(slot.attempted + less_a_tenth(interval)),
            _ => next,
        };
        work.said.log(target, slot, &answer.problems);
        if let Some(url) = streaming_of(slot) {
            snapshot.streaming = Some(url);
        }
        let endpoint = snapshot.slots[index].endpoint;
        if verdict == Verdict::Failed(ErrorType::RateLimited) && endpoint.is_under_api() {
            let wait = answer.retry_after.unwrap_or(FIRST_BACK_OFF);
            self.held_until = self.held_until.max(now + wait);
        }
        if let Some(limit) = answer.rate_limit {
            snapshot.rate_limit = Some(limit);
            if limit.remaining == Some(0) {
                let wait = (limit.reset - unix).clamp(0.0, LONGEST_HOLD);
                self.held_until = self.held_until.max(now + Duration::from_secs_f64(wait));
            }
        }
        // The ETag of a document in another place says nothing of this one.
        if moved {
            for (work, slot) in self.work.iter_mut().zip(&self.snapshot.slots) {
                if slot.endpoint == Endpoint::Nodeinfo {
                    work.etag = None;
                }
            }
        }
        // A document that has moved is looked for again.
        if slot_failed(&self.snapshot, index) && self.snapshot.slots[index].endpoint == Endpoint::Nodeinfo {
            self.rediscover(now);
        }
    }

    fn rediscover(&mut self, now: Moment) {
        for (work, slot) in self.work.iter_mut().zip(&self.snapshot.slots) {
            if slot.endpoint == Endpoint::NodeinfoDiscovery {
                work.due = work.due.min(now + less_a_tenth(FIRST_BACK_OFF));
            }
        }
    }
}

/// Where the NodeInfo document is, by a discovery.
fn place_of(facts: Option<&Facts>) -> Option<&url::Url> {
    match facts {
        Some(Facts::Discovery(url)) => Some(url),
        _ => None,
    }
}

/// The streaming server that an instance document names.
fn streaming_of(slot: &Slot) -> Option<Arc<str>> {
    match &slot.facts {
        Some(Facts::InstanceV2(v2)) => v2.streaming.clone(),
        Some(Facts::InstanceV1(v1)) => v1.streaming.clone(),
        _ => None,
    }
}

fn slot_failed(snapshot: &Snapshot, index: usize) -> bool {
    matches!(snapshot.slots[index].outcome, Some(Outcome::Failed(_)))
}

/// Intervals count a tenth less, so that a collection every 60 s finds an
/// interval of 60 s over.
fn less_a_tenth(interval: Duration) -> Duration {
    interval.mul_f64(0.9)
}
