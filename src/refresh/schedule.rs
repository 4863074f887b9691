//! When an endpoint is asked for again, and what a collection asks for: pure
//! decisions, over what is known and the present.

use std::time::Duration;

use crate::clock::Moment;
use crate::endpoint::Endpoint;
use crate::outcome::Outcome;

/// What the server does not offer is asked for again after this time. No wait
/// after a failure is longer, either.
pub const NOT_OFFERED_FOR: Duration = Duration::from_secs(6 * 3600);
/// The first wait after a failure; each further one doubles it, up to the
/// endpoint's interval.
pub const FIRST_BACK_OFF: Duration = Duration::from_secs(60);
/// `up` is never older.
const UP_FOR: Duration = Duration::from_secs(60);

/// How an attempt ended, as far as it decides when the next one is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was read, and stays fresh for so long by its own headers.
    Read { lifetime: Duration },
    /// The server does not have it, or not for us. Where it may be there again in
    /// a moment, not for long: the wait is that of a failure.
    NotOffered { for_long: bool },
    /// It could not be read.
    Failed,
    /// No request was made: it would have met a wall, or was not allowed.
    NotAsked,
}

/// The dates of one endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timing {
    /// From when on a collection asks for it.
    pub due: Moment,
    /// Until when the server wants to be left alone with it. Nothing goes before.
    pub not_before: Moment,
    /// How many attempts in a row have failed, or found it gone for a while.
    pub failures_in_row: u32,
}

impl Timing {
    /// Sets the dates after an attempt of `endpoint`, which is asked for every
    /// `interval`.
    pub fn enter(&mut self, ended: Ended, took: Attempted, endpoint: Endpoint, interval: Duration) {
        let Attempted { began, now, retry_after } = took;
        let due = match ended {
            Ended::Read { lifetime } => {
                self.failures_in_row = 0;
                // From the request's start; the headers' lifetime from its end.
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
    }

    /// Brings the next attempt forward, as far as the server allows.
    pub fn bring_forward(&mut self, to: Moment) {
        self.due = self.due.min(to.max(self.not_before));
    }
}

/// When an attempt began and ended, and how long the server then wants to be
/// left alone.
#[derive(Debug, Clone, Copy)]
pub struct Attempted {
    pub began: Moment,
    pub now: Moment,
    pub retry_after: Option<Duration>,
}

/// The wait after so many failures in a row.
pub fn back_off(failures_in_row: u32, longest: Duration) -> Duration {
    let doubled = FIRST_BACK_OFF * 2u32.saturating_pow(failures_in_row.saturating_sub(1).min(10));
    less_a_tenth(doubled.min(longest))
}

/// The longest wait after a failure.
fn longest_back_off(endpoint: Endpoint, interval: Duration) -> Duration {
    match endpoint {
        // Everything waits for it.
        Endpoint::Robots => FIRST_BACK_OFF,
        _ => interval.clamp(FIRST_BACK_OFF, NOT_OFFERED_FOR),
    }
}

/// Intervals count a tenth less, so that a collection every 60 s finds an
/// interval of 60 s over.
pub fn less_a_tenth(interval: Duration) -> Duration {
    interval.mul_f64(0.9)
}

/// One endpoint of a target, as what to ask for is chosen.
#[derive(Debug, Clone, Copy)]
pub struct Candidate {
    pub endpoint: Endpoint,
    pub timing: Timing,
    pub under_way: bool,
    /// How the last attempt ended, and when it began.
    pub outcome: Option<Outcome>,
    pub attempted: Moment,
    /// Whether what it said is kept.
    pub has_facts: bool,
}

/// All endpoints of a target, at a moment.
#[derive(Debug, Clone)]
pub struct Choice {
    pub all: Vec<Candidate>,
    /// Until when nothing below `/api` is asked: the rate limit is spent.
    pub held_until: Moment,
    pub now: Moment,
}

impl Choice {
    /// What is due. Where that is none of the documents that show the server up,
    /// and the last attempt at one is older than a minute, one of those, too.
    pub fn due(&self) -> Vec<usize> {
        let is_due = |i: &usize| self.may_ask(*i) && self.all[*i].timing.due <= self.now;
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

    /// When [`Choice::due`] would choose something that it does not choose now, if nothing
    /// else happens until then.
    pub fn next_due(&self) -> Option<Moment> {
        let idle = || self.all.iter().filter(|c| !c.under_way);
        let allowed = |c: &Candidate, at: Moment| {
            let at = at.max(c.timing.not_before);
            if c.endpoint.is_under_api() { at.max(self.held_until) } else { at }
        };
        let due = idle().map(|c| allowed(c, c.timing.due));
        let documents = || idle().filter(|c| c.endpoint.shows_up() && c.outcome != Some(Outcome::NotOffered));
        let last = documents().map(|c| c.attempted).max();
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

    /// The discovery where NodeInfo is to be asked for, its place is not known,
    /// and no other document was read: it alone can show the server up, so it
    /// does not wait longer than a document would.
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

    /// Whether it may be asked for now, due or not.
    pub fn may_ask(&self, index: usize) -> bool {
        let c = &self.all[index];
        let is_held = c.endpoint.is_under_api() && self.held_until > self.now;
        !c.under_way && !is_held && c.timing.not_before <= self.now
    }
}

#[cfg(test)]
mod tests;
