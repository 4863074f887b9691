//! Decides when an endpoint is requested again, and what a collection requests. The
//! decisions are pure functions of what is known and of the present time.

use std::time::Duration;

use crate::clock::Moment;
use crate::endpoint::Endpoint;
use crate::outcome::Outcome;

/// After this time an endpoint that the server does not offer is requested again. It is
/// also the longest wait after a failure.
pub const NOT_OFFERED_FOR: Duration = Duration::from_secs(6 * 3600);
/// The first wait after a failure. Each further failure doubles it, up to the
/// endpoint's interval.
pub const FIRST_BACK_OFF: Duration = Duration::from_secs(60);
/// The maximum age of `up`.
const UP_FOR: Duration = Duration::from_secs(60);

/// The result of an attempt, as far as it decides about the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The endpoint was read. By its own headers it stays fresh for `lifetime`.
    Read { lifetime: Duration },
    /// The server does not have the endpoint, or does not allow it. If it may return
    /// soon, `for_long` is false and the wait is that of a failure.
    NotOffered { for_long: bool },
    /// The endpoint could not be read.
    Failed,
    /// No request was made, because the server was unreachable or the request was not
    /// allowed.
    NotAsked,
}

/// The next times of one endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timing {
    /// From when on a collection requests the endpoint.
    pub due: Moment,
    /// From when on it may be requested together with others: never earlier than the
    /// server allows, but up to a quarter of the interval early.
    pub together: Moment,
    /// Until when the server asked for a pause. No request is made before.
    pub not_before: Moment,
    /// The number of attempts in a row that failed or found the endpoint missing for
    /// now.
    pub failures_in_row: u32,
}

impl Timing {
    /// Sets the times after an attempt at `endpoint`, which is requested every
    /// `interval`.
    pub fn enter(&mut self, ended: Ended, took: Attempted, endpoint: Endpoint, interval: Duration) {
        let Attempted { began, now, retry_after } = took;
        let mut together = None;
        let due = match ended {
            Ended::Read { lifetime } => {
                self.failures_in_row = 0;
                together = Some((began + interval.mul_f64(0.75)).max(now + lifetime));
                // The interval runs from the request's start, the headers' lifetime
                // from its end.
                (began + less_a_tenth(interval)).max(now + lifetime)
            }
            Ended::NotOffered { for_long: true } => {
                self.failures_in_row = 0;
                now + NOT_OFFERED_FOR
            }
            Ended::NotOffered { for_long: false } => {
                self.failures_in_row = self.failures_in_row.saturating_add(1);
                began + back_off(self.failures_in_row, NOT_OFFERED_FOR)
            }
            Ended::Failed => {
                self.failures_in_row = self.failures_in_row.saturating_add(1);
                began + back_off(self.failures_in_row, longest_back_off(endpoint, interval))
            }
            Ended::NotAsked => began + less_a_tenth(FIRST_BACK_OFF),
        };
        if let Some(wait) = retry_after {
            self.not_before = self.not_before.max(now + wait);
        }
        self.due = due.max(self.not_before);
        self.together = together.map_or(self.due, |together| together.max(self.not_before));
    }

    /// Makes the next attempt earlier, within the server's limits.
    pub fn bring_forward(&mut self, to: Moment) {
        self.due = self.due.min(to.max(self.not_before));
    }
}

/// When an attempt began and ended, and the pause that the server asked for.
#[derive(Debug, Clone, Copy)]
pub struct Attempted {
    pub began: Moment,
    pub now: Moment,
    pub retry_after: Option<Duration>,
}

/// The wait after this many failures in a row.
pub fn back_off(failures_in_row: u32, longest: Duration) -> Duration {
    let doubled = FIRST_BACK_OFF * 2u32.saturating_pow(failures_in_row.saturating_sub(1).min(10));
    less_a_tenth(doubled.min(longest))
}

/// The longest wait after a failure.
fn longest_back_off(endpoint: Endpoint, interval: Duration) -> Duration {
    match endpoint {
        // All other endpoints wait for robots.txt.
        Endpoint::Robots => FIRST_BACK_OFF,
        _ => interval.clamp(FIRST_BACK_OFF, NOT_OFFERED_FOR),
    }
}

/// Shortens an interval by a tenth, so that an interval of 60 s is over for a
/// collection every 60 s.
pub fn less_a_tenth(interval: Duration) -> Duration {
    interval.mul_f64(0.9)
}

/// An endpoint of a target, with what the choice of requests depends on.
#[derive(Debug, Clone, Copy)]
pub struct Candidate {
    pub endpoint: Endpoint,
    pub timing: Timing,
    pub under_way: bool,
    /// The outcome and the start of the last attempt.
    pub outcome: Option<Outcome>,
    pub attempted: Moment,
    /// Whether its facts are kept.
    pub has_facts: bool,
}

/// All endpoints of a target, at one moment.
#[derive(Debug, Clone)]
pub struct Choice {
    pub all: Vec<Candidate>,
    /// Until when nothing below `/api` is requested, because the rate limit is used up.
    pub held_until: Moment,
    pub now: Moment,
}

impl Choice {
    /// Returns the endpoints that are due. If none of them is a document that shows the
    /// server up, and the last attempt at such a document is older than a minute, one
    /// is added.
    pub fn due(&self) -> Vec<usize> {
        self.due_by(self.now)
    }

    /// The same, and what would be due by then and may be requested together with it.
    pub fn due_by(&self, by: Moment) -> Vec<usize> {
        let is_due = |i: &usize| {
            let timing = self.all[*i].timing;
            self.may_ask(*i) && (timing.due <= self.now || timing.due <= by && timing.together <= self.now)
        };
        let mut chosen: Vec<usize> = (0..self.all.len()).filter(is_due).collect();
        let documents = || {
            let all = self.all.iter().enumerate();
            all.filter(|(_, c)| c.endpoint.shows_up() && c.outcome != Some(Outcome::NotOffered))
        };
        if !documents().any(|(i, c)| c.under_way || chosen.contains(&i)) {
            let last = documents().map(|(_, c)| c.attempted).max();
            if last.is_some_and(|last| last + less_a_tenth(UP_FOR) <= self.now) {
                chosen.extend(documents().map(|(i, _)| i).find(|i| self.may_ask(*i)));
            }
        }
        let discovery = self.needs_discovery(&chosen).filter(|i| !chosen.contains(i));
        chosen.extend(discovery);
        chosen.sort_unstable();
        chosen
    }

    /// When something is to be chosen that is not chosen now, if nothing else happens
    /// until then. In a round from `since` until `by`, what was last requested late in the
    /// round before, and is due in this one, comes as early as it may be requested
    /// together with others: so it approaches the target's own time round by round.
    /// Whatever is requested less often than once in a round comes when it is due.
    pub fn next_due(&self, since: Moment, by: Moment) -> Option<Moment> {
        let idle = || self.all.iter().filter(|c| !c.under_way);
        let allowed = |c: &Candidate, at: Moment| {
            let at = at.max(c.timing.not_before);
            if c.endpoint.is_under_api() { at.max(self.held_until) } else { at }
        };
        let time = |c: &Candidate| {
            let Timing { due, together, .. } = c.timing;
            let is_late = c.attempted < since && due <= by && due.since(c.attempted) <= by.since(since);
            if is_late { together.min(due) } else { due }
        };
        let due = idle().map(|c| allowed(c, time(c)));
        let documents =
            || self.all.iter().filter(|c| c.endpoint.shows_up() && c.outcome != Some(Outcome::NotOffered));
        // While one is being requested, its answer decides.
        let last = documents().map(|c| c.attempted).max().filter(|_| !documents().any(|c| c.under_way));
        let up = last.and_then(|last| documents().map(|c| allowed(c, last + less_a_tenth(UP_FOR))).min());
        due.chain(up).min()
    }

    /// The other documents that show the server up and were read more than a
    /// minute ago: one has just failed, and what the others said then does not
    /// tell whether the server is there now.
    pub fn to_confirm_down(&self) -> Vec<usize> {
        let is_old = |c: &Candidate| {
            c.endpoint.shows_up()
                && c.outcome == Some(Outcome::Ok)
                && c.attempted + less_a_tenth(UP_FOR) <= self.now
        };
        (0..self.all.len()).filter(|i| is_old(&self.all[*i]) && self.may_ask(*i)).collect()
    }

    /// Returns the discovery if NodeInfo is to be requested, its place is unknown, and
    /// no other document was read. Then only the discovery can show that the server is
    /// up, so it waits no longer than a document would.
    fn needs_discovery(&self, chosen: &[usize]) -> Option<usize> {
        let is_asked = chosen.iter().any(|i| self.all[*i].endpoint == Endpoint::Nodeinfo);
        let is_up = self.all.iter().any(|c| c.endpoint.shows_up() && c.outcome == Some(Outcome::Ok));
        let lacks_place = |c: &Candidate| {
            c.endpoint == Endpoint::NodeinfoDiscovery
                && matches!(c.outcome, Some(Outcome::Failed(_)))
                && !c.has_facts
                && c.attempted + less_a_tenth(UP_FOR) <= self.now
        };
        let place = self.all.iter().position(lacks_place)?;
        (is_asked && !is_up && self.may_ask(place)).then_some(place)
    }

    /// Whether the endpoint may be requested now, whether due or not.
    pub fn may_ask(&self, index: usize) -> bool {
        let c = &self.all[index];
        let is_held = c.endpoint.is_under_api() && self.held_until > self.now;
        !c.under_way && !is_held && c.timing.not_before <= self.now
    }
}

#[cfg(test)]
mod tests;
