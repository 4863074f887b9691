//! The state of one endpoint: what its last attempt found, and what is counted since
//! the start.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::endpoint::Endpoint;
use crate::outcome::{ErrorType, Outcome};

use super::Facts;

/// What is known of one endpoint of a target.
#[derive(Debug, Clone)]
pub struct Slot {
    /// Which endpoint.
    pub endpoint: Endpoint,
    last: Option<LastAttempt>,
    last_success: Option<f64>,
    failures: Vec<(ErrorType, u64)>,
}

/// The last attempt to read an endpoint, after it has ended.
#[derive(Debug, Clone)]
pub struct LastAttempt {
    /// When it ended.
    pub ended: Moment,
    /// How long it took. Zero if no request was made, because the server was already
    /// known to be unreachable.
    pub took: Duration,
    /// The response, if there was one.
    pub response: Option<Response>,
    /// Until when its facts may be reported without another request.
    pub fresh_until: Moment,
    /// What it found.
    pub found: Found,
}

/// The response to the last request of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The size of the decoded bodies in bytes. After "not modified", the size of the
    /// body that is still valid.
    pub size: u64,
}

/// What an attempt found.
#[derive(Debug, Clone)]
pub enum Found {
    /// The endpoint was read.
    Read {
        /// The content. `None` if the response did not contain what it should.
        facts: Option<Facts>,
        /// When they were read, in Unix seconds.
        unix: f64,
        /// Whether the facts came from a cache.
        served_from: ServedFrom,
        /// Which of several requests could not be read, and why, for people.
        lacks: Option<Arc<str>>,
    },
    /// The server does not have the endpoint, or does not offer it to the bridge.
    NotOffered {
        /// Why, for people.
        why: Arc<str>,
    },
    /// The endpoint could not be read.
    Failed {
        /// The type of the failure.
        error: ErrorType,
        /// Why, for people.
        why: Arc<str>,
        /// Facts that hold although the attempt failed: what could be read of several
        /// requests, or earlier facts that outlive a failure.
        kept: Option<Facts>,
    },
}

/// Where a response came from, from the most to the least reliable about the server's
/// state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServedFrom {
    /// The server itself, as far as the headers tell.
    #[default]
    Origin,
    /// A cache. Its rate limit belongs to another client.
    Cache,
    /// A cache that returned an expired response. The server may be down.
    StaleCache,
}

impl Slot {
    /// Creates the slot of an endpoint that has not been attempted.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Slot {
        Slot { endpoint, last: None, last_success: None, failures: Vec::new() }
    }

    /// Creates a slot for the same endpoint with another request. Only the numbers of
    /// failures are kept.
    #[must_use]
    pub fn restarted(&self) -> Slot {
        Slot { failures: self.failures.clone(), ..Slot::new(self.endpoint) }
    }

    /// Returns the slot after a final deadline: a first attempt that is still running
    /// is timed out. It does not count as a failure, because it has not ended.
    pub(super) fn ended_by(&self, ended: Moment, why: &Arc<str>) -> Slot {
        let timed_out = || LastAttempt::new(ended, Found::failed(ErrorType::Timeout, why.clone()));
        Slot { last: Some(self.last.clone().unwrap_or_else(timed_out)), ..self.clone() }
    }

    /// Records an attempt, and counts its failure.
    pub fn record(&mut self, attempt: LastAttempt) {
        match attempt.found {
            Found::Read { unix, .. } => self.last_success = Some(unix),
            Found::NotOffered { .. } => {}
            Found::Failed { error, .. } => self.count(error, 1),
        }
        self.last = Some(attempt);
    }

    /// Adds `n` failures of this type.
    pub fn count(&mut self, error: ErrorType, n: u64) {
        match self.failures.iter_mut().find(|(e, _)| *e == error) {
            Some((_, count)) => *count += n,
            None => self.failures.push((error, n)),
        }
    }

    /// Returns the last attempt; `None` before the first one has ended.
    #[must_use]
    pub fn last(&self) -> Option<&LastAttempt> {
        self.last.as_ref()
    }

    /// Returns when the last successful attempt ended, in Unix seconds.
    #[must_use]
    pub fn last_success(&self) -> Option<f64> {
        self.last_success
    }

    /// Returns the numbers of failures since the start, by type, without types that did
    /// not occur.
    #[must_use]
    pub fn failures(&self) -> &[(ErrorType, u64)] {
        &self.failures
    }

    /// Returns the number of failures of this type since the start.
    #[must_use]
    pub fn failures_of(&self, error: ErrorType) -> u64 {
        self.failures.iter().find(|(e, _)| *e == error).map_or(0, |(_, n)| *n)
    }

    /// Returns the outcome of the last attempt.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        Some(self.last()?.found.outcome())
    }

    /// Whether the endpoint was read in the last attempt.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        matches!(self.outcome(), Some(Outcome::Ok))
    }

    /// Whether the last attempt failed.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        matches!(self.outcome(), Some(Outcome::Failed(_)))
    }

    /// Returns the facts that the last attempt found or kept.
    #[must_use]
    pub fn facts(&self) -> Option<&Facts> {
        match &self.last()?.found {
            Found::Read { facts, .. } => facts.as_ref(),
            Found::NotOffered { .. } => None,
            Found::Failed { kept, .. } => kept.as_ref(),
        }
    }

    /// Returns when the last attempt began.
    #[must_use]
    pub fn began(&self) -> Option<Moment> {
        Some(self.last()?.began())
    }

    /// Returns when the last attempt ended.
    #[must_use]
    pub fn ended(&self) -> Option<Moment> {
        Some(self.last()?.ended)
    }

    /// Returns how long the last attempt took, or zero if it made no request.
    #[must_use]
    pub fn took(&self) -> Option<Duration> {
        Some(self.last()?.took)
    }

    /// Returns the response of the last attempt.
    #[must_use]
    pub fn response(&self) -> Option<Response> {
        self.last()?.response
    }

    /// Returns the source of the last response, if it was read.
    #[must_use]
    pub fn served_from(&self) -> Option<ServedFrom> {
        match self.last()?.found {
            Found::Read { served_from, .. } => Some(served_from),
            Found::NotOffered { .. } | Found::Failed { .. } => None,
        }
    }

    /// Returns why the last attempt, or one of its requests, read nothing, for people.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.last()?.found.reason().map(|reason| &**reason)
    }

    /// Returns what people should know of the last attempt: why it failed, or that a
    /// cache responded for a server that may be down.
    #[must_use]
    pub fn remark(&self) -> Option<&str> {
        match self.served_from() {
            Some(ServedFrom::StaleCache) => {
                Some("a cache gave an outdated answer: the server itself may be down")
            }
            Some(ServedFrom::Origin | ServedFrom::Cache) => None,
            None => self.reason(),
        }
    }
}

impl LastAttempt {
    /// Creates an attempt without a response. Its facts expire when it ends: only a
    /// collection that began earlier reports them.
    #[must_use]
    pub fn new(ended: Moment, found: Found) -> LastAttempt {
        LastAttempt { ended, took: Duration::ZERO, response: None, fresh_until: ended, found }
    }

    /// Returns when the attempt began.
    #[must_use]
    pub fn began(&self) -> Moment {
        self.ended.before(self.took)
    }
}

impl Found {
    /// These facts, from the server itself at this Unix time in seconds.
    #[must_use]
    pub fn read(facts: Option<Facts>, unix: f64) -> Found {
        Found::Read { facts, unix, served_from: ServedFrom::Origin, lacks: None }
    }

    /// An endpoint that the server does not offer.
    #[must_use]
    pub fn not_offered(why: impl Into<Arc<str>>) -> Found {
        Found::NotOffered { why: why.into() }
    }

    /// A failure that ends all facts.
    #[must_use]
    pub fn failed(error: ErrorType, why: impl Into<Arc<str>>) -> Found {
        Found::Failed { error, why: why.into(), kept: None }
    }

    /// Returns the outcome.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Found::Read { .. } => Outcome::Ok,
            Found::NotOffered { .. } => Outcome::NotOffered,
            Found::Failed { error, .. } => Outcome::Failed(*error),
        }
    }

    /// Returns why the attempt, or one of its requests, read nothing, for people.
    #[must_use]
    pub fn reason(&self) -> Option<&Arc<str>> {
        match self {
            Found::Read { lacks, .. } => lacks.as_ref(),
            Found::NotOffered { why } | Found::Failed { why, .. } => Some(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Count;

    const NOW: Moment = Moment::at(Duration::from_secs(100));

    fn peers() -> Facts {
        Facts::Peers(Count(1).into())
    }

    #[test]
    fn what_an_attempt_found_replaces_what_was_known() {
        let mut slot = Slot::new(Endpoint::Peers);
        assert!(slot.outcome().is_none() && slot.began().is_none() && slot.remark().is_none());
        let read = LastAttempt {
            took: Duration::from_secs(3),
            response: Some(Response { status: 200, size: 7 }),
            ..LastAttempt::new(NOW, Found::read(Some(peers()), 50.0))
        };
        slot.record(read);
        assert_eq!((slot.began(), slot.ended()), (Some(NOW.before(Duration::from_secs(3))), Some(NOW)));
        assert!(slot.is_ok() && slot.facts().is_some() && slot.reason().is_none());
        slot.record(LastAttempt::new(NOW, Found::failed(ErrorType::Timeout, "slow")));
        assert!(slot.has_failed() && slot.facts().is_none() && slot.response().is_none());
        assert_eq!((slot.reason(), slot.last_success()), (Some("slow"), Some(50.0)));
        slot.record(LastAttempt::new(NOW, Found::not_offered("404")));
        assert_eq!((slot.outcome(), slot.remark()), (Some(Outcome::NotOffered), Some("404")));
        assert_eq!(slot.failures(), [(ErrorType::Timeout, 1)]);
        assert_eq!((slot.failures_of(ErrorType::Timeout), slot.failures_of(ErrorType::Dns)), (1, 0));
        let restarted = slot.restarted();
        assert!(restarted.last().is_none() && restarted.last_success().is_none());
        assert_eq!(restarted.failures(), slot.failures());
    }

    #[test]
    fn a_failure_may_keep_facts() {
        let mut slot = Slot::new(Endpoint::Peers);
        let found = Found::Failed { error: ErrorType::Http5xx, why: "503".into(), kept: Some(peers()) };
        slot.record(LastAttempt::new(NOW, found));
        assert!(slot.has_failed() && slot.facts().is_some() && slot.last_success().is_none());
    }

    #[test]
    fn a_deadline_ends_only_first_attempts() {
        let (mut slot, why) = (Slot::new(Endpoint::Peers), "late".into());
        let ended = slot.ended_by(NOW, &why);
        assert_eq!(ended.outcome(), Some(Outcome::Failed(ErrorType::Timeout)));
        assert_eq!((ended.reason(), ended.failures()), (Some("late"), &[][..]));
        slot.record(LastAttempt::new(NOW, Found::read(Some(peers()), 50.0)));
        assert!(slot.ended_by(NOW, &why).is_ok());
    }
}
