//! How the result of an attempt changes what is known, and which requests come next.

use std::sync::Arc;
use std::time::Duration;

use crate::api::{Answer, Verdict};
use crate::clock::Moment;
use crate::endpoint::{Endpoint, On};
use crate::outcome::{ErrorType, Outcome};
use crate::snapshot::{Facts, Found, LastAttempt, Response, ServedFrom, Slot, Snapshot};

use super::State;
use crate::refresh::schedule::{Attempted, Ended, FIRST_BACK_OFF, NOT_OFFERED_FOR, back_off, less_a_tenth};

/// How long robots.txt applies while it cannot be read again, in seconds.
const ROBOTS_FOR: f64 = 86_400.0;

impl State {
    pub(super) fn enter(&mut self, index: usize, answer: Answer, now: Moment, unix: f64, interval: Duration) {
        let verdict = answer.verdict;
        let work = &mut self.work[index];
        let snapshot = Arc::make_mut(&mut self.snapshot);
        let slot = &mut snapshot.slots[index];
        let began = now.before(answer.requests.elapsed);
        let is_read = verdict.outcome() == Outcome::Ok;
        // A token that did not help is not sent again without being asked for.
        work.with_token = answer.requests.with_token && is_read;
        work.etag = answer.validity.etag.filter(|_| is_read);
        let moved = verdict == Verdict::Ok && place_of(slot.facts()) != place_of(answer.facts.as_ref());
        let ended = match verdict {
            _ if !answer.requests.asked => Ended::NotAsked,
            Verdict::Ok | Verdict::NotModified => Ended::Read { lifetime: answer.validity.lifetime },
            Verdict::NotOffered | Verdict::Missing(_) => Ended::NotOffered { for_long: true },
            Verdict::Gone => Ended::NotOffered { for_long: false },
            Verdict::Failed(_) => Ended::Failed,
        };
        let took = Attempted { began, now, retry_after: answer.limits.retry_after };
        work.timing.enter(ended, took, slot.endpoint, interval);
        let next = work.timing.due;
        let size = match verdict {
            Verdict::NotModified => slot.response().map_or(0, |response| response.size),
            _ => answer.requests.size,
        };
        let reason: Option<Arc<str>> = answer.reason.map(Arc::from);
        let why = || reason.clone().unwrap_or_else(|| "no reason given".into());
        let served_from = answer.validity.served_from;
        let found = match verdict {
            Verdict::Ok => Found::Read { facts: answer.facts, unix, served_from, lacks: reason },
            Verdict::NotModified => {
                Found::Read { facts: slot.facts().cloned(), unix, served_from, lacks: reason }
            }
            Verdict::NotOffered | Verdict::Gone | Verdict::Missing(_) => Found::not_offered(why()),
            Verdict::Failed(error) => {
                let kept = if outlives_failure(slot, unix) { slot.facts().cloned() } else { answer.facts };
                Found::Failed { error, why: why(), kept }
            }
        };
        let last = LastAttempt {
            ended: now,
            took: answer.requests.elapsed,
            response: answer.requests.status.map(|status| Response { status, size }),
            // Facts from an attempt that failed in part live no longer than usual.
            fresh_until: match verdict {
                Verdict::Failed(_) => next.min(began + less_a_tenth(interval)),
                _ => next,
            },
            found,
        };
        slot.record(last);
        // The request may have used a token that has been replaced since.
        if self.token_replaced.is_some_and(|at| began <= at) && depends_on_token(slot) {
            work.timing.bring_forward(now);
        }
        if !answer.problems.is_empty() {
            slot.count(ErrorType::Decode, answer.problems.len() as u64);
        }
        self.log.note(slot, answer.problems);
        if let Some(url) = streaming_of(&snapshot.slots) {
            snapshot.streaming = Some(url);
        }
        snapshot.rate_limit = answer.limits.rate_limit.or(snapshot.rate_limit);
        self.follow_discovery(index, moved, now, answer.requests.asked);
    }

    /// Makes endpoints due that need the token, and those that were refused without it.
    pub(super) fn has_new_token(&mut self, now: Moment) {
        self.token_replaced = Some(now);
        for (work, slot) in self.work.iter_mut().zip(&self.snapshot.slots) {
            if depends_on_token(slot) {
                work.timing.bring_forward(now);
            }
        }
    }

    /// Records whether a document shows that the server is up. Returns true if the
    /// server is up again. Then endpoints that it did not offer and endpoints that
    /// failed meanwhile become due, however long their wait had become.
    pub(super) fn note_whether_seen(&mut self, now: Moment) -> bool {
        if is_unseen(&self.snapshot) {
            self.unseen_since.get_or_insert(now);
            return false;
        }
        let Some(since) = self.unseen_since.take() else { return false };
        for (work, slot) in self.work.iter_mut().zip(&self.snapshot.slots) {
            let Some(last) = slot.last() else { continue };
            let is_meant = match last.found {
                Found::NotOffered { .. } => true,
                Found::Failed { .. } => last.ended >= since,
                Found::Read { .. } => false,
            };
            if is_meant {
                work.timing.bring_forward(now.max(last.began() + less_a_tenth(FIRST_BACK_OFF)));
            }
        }
        true
    }

    /// Links the discovery and the NodeInfo document: a document at a new place is read
    /// again, and a document that cannot be read is discovered again.
    fn follow_discovery(&mut self, index: usize, moved: bool, now: Moment, asked: bool) {
        let place = |endpoint| self.snapshot.slots.iter().position(|slot| slot.endpoint == endpoint);
        let (discovery, document) = (place(Endpoint::NodeinfoDiscovery), place(Endpoint::Nodeinfo));
        let (Some(discovery), Some(document)) = (discovery, document) else { return };
        let (discovered, read) = (&self.snapshot.slots[discovery], &self.snapshot.slots[document]);
        if index == discovery && discovered.is_ok() {
            if moved {
                // The ETag of the old document does not apply to the new one.
                self.work[document].etag = None;
            }
            if moved && !read.is_ok() {
                self.work[document].timing.bring_forward(now);
            }
            if read.last().is_some() && !read.is_ok() {
                self.searches = self.searches.saturating_add(1);
            }
        }
        if index == document && read.is_ok() {
            self.searches = 0;
        }
        // A failed discovery keeps its own back-off.
        if index == document && !read.is_ok() && asked && !discovered.has_failed() {
            let again = back_off(self.searches.saturating_add(1), NOT_OFFERED_FOR);
            let began = discovered.began().unwrap_or_default();
            self.work[discovery].timing.bring_forward(began + again);
        }
    }
}

/// Whether an endpoint's facts are kept while it fails. A day-old robots.txt still
/// applies (RFC 9309, 2.3.1.4), and the place of a document stays known.
fn outlives_failure(slot: &Slot, unix: f64) -> bool {
    match slot.endpoint {
        Endpoint::Robots => slot.last_success().is_some_and(|at| unix - at < ROBOTS_FOR),
        Endpoint::NodeinfoDiscovery => true,
        _ => false,
    }
}

/// Whether another token may change the server's answer.
fn depends_on_token(slot: &Slot) -> bool {
    slot.endpoint.on() == On::Token || slot.outcome() == Some(Outcome::Failed(ErrorType::Unauthorized))
}

/// The place of the NodeInfo document, from a discovery.
fn place_of(facts: Option<&Facts>) -> Option<&url::Url> {
    match facts {
        Some(Facts::Discovery(url)) => Some(url),
        _ => None,
    }
}

/// The streaming server that instance v2 names, or else v1.
fn streaming_of(slots: &[Slot]) -> Option<Arc<str>> {
    let named = |read: fn(&Facts) -> Option<Arc<str>>| slots.iter().find_map(|slot| read(slot.facts()?));
    let v2 = named(|facts| match facts {
        Facts::InstanceV2(v2) => v2.streaming.clone(),
        _ => None,
    });
    v2.or_else(|| {
        named(|facts| match facts {
            Facts::InstanceV1(v1) => v1.streaming.clone(),
            _ => None,
        })
    })
}

/// Whether documents that show a server up were requested, and none of them did.
fn is_unseen(snapshot: &Snapshot) -> bool {
    let documents = || snapshot.slots.iter().filter(|slot| slot.endpoint.shows_up());
    let is_stale = |slot: &Slot| slot.served_from() == Some(ServedFrom::StaleCache);
    documents().any(|slot| slot.has_failed() || is_stale(slot))
        && !documents().any(|slot| slot.is_ok() && !is_stale(slot))
}

/// Whether a document that shows the server up was read in its last attempt.
pub(super) fn is_read(slot: &Slot) -> bool {
    slot.endpoint.shows_up() && slot.is_ok()
}
