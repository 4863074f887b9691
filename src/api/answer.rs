//! The result of an attempt to read an endpoint.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;

use crate::clean::Cleaner;
use crate::endpoint::On;
use crate::fetch::{Failure, Reply};
use crate::outcome::{ErrorType, Outcome};
use crate::snapshot::{Facts, RateLimit, ServedFrom};
use crate::target::Token;

use super::Attempt;
use crate::document::{Document, DocumentError, Top};

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The endpoint was read.
    Ok,
    /// The content is the same as when it was last read.
    NotModified,
    /// The server does not have the endpoint, or does not offer it to the bridge.
    NotOffered,
    /// The server does not have the endpoint now, but may have it again soon.
    Gone,
    /// The answer was 404, 410, 501 or a web page. The endpoint is not offered if a
    /// document that shows the server up is read afterwards. Otherwise it is a failure
    /// of this type, because a gateway gives such answers for a server that is
    /// restarting.
    Missing(ErrorType),
    /// The endpoint could not be read.
    Failed(ErrorType),
}

impl Verdict {
    /// Returns the outcome.
    #[must_use]
    pub fn outcome(self) -> Outcome {
        match self {
            Verdict::Ok | Verdict::NotModified => Outcome::Ok,
            Verdict::NotOffered | Verdict::Gone | Verdict::Missing(_) => Outcome::NotOffered,
            Verdict::Failed(error) => Outcome::Failed(error),
        }
    }

    /// Orders verdicts by which of several requests' counts, the highest.
    fn rank(self) -> u8 {
        match self {
            Verdict::Failed(_) => 3,
            // It still has to be decided, so it outranks a final `NotOffered`.
            Verdict::Missing(_) => 2,
            Verdict::NotOffered | Verdict::Gone => 1,
            Verdict::Ok | Verdict::NotModified => 0,
        }
    }
}

/// The result of an attempt.
#[derive(Debug)]
pub struct Answer {
    /// How it ended.
    pub verdict: Verdict,
    /// Why the attempt failed or the endpoint is not offered, for people; cleaned and
    /// without our secrets.
    pub reason: Option<String>,
    /// The facts. After a partial failure, those that could be read.
    pub facts: Option<Facts>,
    /// The paths and types of fields of a wrong type.
    pub problems: Vec<String>,
    /// The requests that were made.
    pub requests: Requests,
    /// How long the facts are valid, and how sure they are.
    pub validity: Validity,
    /// The limits that the server set.
    pub limits: Limits,
    /// The token, which the server may repeat.
    token: Option<Token>,
}

/// The requests of an attempt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Requests {
    /// Whether any request was made.
    pub asked: bool,
    /// The duration of all requests.
    pub elapsed: Duration,
    /// The size of the decoded bodies in bytes.
    pub size: u64,
    /// The last HTTP status. Of several results, that of the worst.
    pub status: Option<u16>,
    /// Whether the token was needed.
    pub with_token: bool,
    /// Whether no connection was possible at all.
    pub unreachable: bool,
}

/// How long facts are valid.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Validity {
    /// The `ETag` for the next conditional request.
    pub etag: Option<Arc<str>>,
    /// How long the facts stay fresh by the answer's own headers.
    pub lifetime: Duration,
    /// Where the answer came from. Of several answers, the least reliable source.
    pub served_from: ServedFrom,
}

/// The limits that a server set.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Limits {
    /// The pause that the server asked for.
    pub retry_after: Option<Duration>,
    /// The anonymous rate limit, if the answer contained it.
    pub rate_limit: Option<RateLimit>,
}

impl Answer {
    /// Creates the answer of an attempt before its first request.
    pub(super) fn new(attempt: &Attempt<'_>) -> Answer {
        // Without a token these endpoints answer 403 to everybody.
        let with_token = attempt.with_token || attempt.endpoint.on() == On::Token;
        Answer {
            verdict: Verdict::Ok,
            reason: None,
            facts: None,
            problems: Vec::new(),
            requests: Requests { with_token, ..Requests::default() },
            validity: Validity::default(),
            limits: Limits::default(),
            token: attempt.target.token.clone(),
        }
    }

    /// Returns the answer with these facts.
    pub(super) fn with(self, facts: impl Into<Option<Facts>>) -> Answer {
        Answer { facts: facts.into(), ..self }
    }

    /// Returns the answer with the facts of some of several requests. Then the endpoint
    /// is offered, even if others were not.
    pub(super) fn with_part(self, facts: Facts) -> Answer {
        let verdict = match self.verdict.outcome() {
            Outcome::NotOffered => Verdict::Ok,
            Outcome::Ok | Outcome::Failed(_) => self.verdict,
        };
        Answer { verdict, facts: Some(facts), ..self }
    }

    /// Ends the attempt. The reason may contain foreign text.
    pub(super) fn failed(self, verdict: Verdict, reason: &str) -> Answer {
        let reason = Some(self.cleaner().clean(reason, MAX_REASON));
        Answer { verdict, reason, ..self }
    }

    /// Sets the pause until the next attempt.
    pub(super) fn again_after(self, wait: Duration) -> Answer {
        Answer { limits: Limits { retry_after: Some(wait), ..self.limits }, ..self }
    }

    /// Adds a request that was sent.
    pub(super) fn exchanged(self, elapsed: Duration, rate_limit: Option<RateLimit>) -> Answer {
        let elapsed = self.requests.elapsed + elapsed;
        let rate_limit = rate_limit.or(self.limits.rate_limit);
        Answer {
            requests: Requests { asked: true, elapsed, ..self.requests },
            limits: Limits { rate_limit, ..self.limits },
            ..self
        }
    }

    /// Adds the head of a reply.
    pub(super) fn replied(self, reply: &Reply) -> Answer {
        let requests = Requests {
            status: Some(reply.status.as_u16()),
            size: self.requests.size + reply.size,
            ..self.requests
        };
        let validity = Validity {
            etag: reply.etag.clone(),
            lifetime: reply.lifetime,
            served_from: self.validity.served_from.max(reply.served_from),
        };
        Answer { requests, validity, ..self }
    }

    /// Ends the attempt, because the content that has this `ETag` has not changed.
    pub(super) fn not_modified(self, known: Option<&Arc<str>>) -> Answer {
        let etag = self.validity.etag.or_else(|| known.cloned());
        let validity = Validity { etag, ..self.validity };
        Answer { verdict: Verdict::NotModified, validity, ..self }
    }

    /// Adds a request without a reply, before its meaning is known.
    pub(super) fn unanswered(self, failure: &Failure) -> Answer {
        let requests = Requests {
            // Otherwise no request left this machine.
            asked: failure.error != ErrorType::Local,
            status: failure.status.map(|status| status.as_u16()),
            unreachable: failure.unreachable,
            ..self.requests
        };
        let limits = Limits { retry_after: failure.retry_after, ..self.limits };
        Answer { requests, limits, ..self }
    }

    /// Reads a body. Returns `None` if it cannot be read; the answer says why.
    pub(super) async fn decode<T>(
        mut self,
        reply: &Reply,
        top: Top,
        read: impl FnOnce(&mut Document<'_>) -> T,
    ) -> (Answer, Option<T>) {
        let cleaner = self.cleaner();
        let decode = || {
            let mut doc = Document::parse_with(&reply.body, top, cleaner)?;
            let read = read(&mut doc);
            Ok((read, doc.into_problems()))
        };
        match beside_the_workers(reply.body.len(), decode).await {
            Ok((read, problems)) => {
                self.problems.extend(problems);
                (self, Some(read))
            }
            Err(error) => (self.undecodable(&error), None),
        }
    }

    fn undecodable(self, error: &DocumentError) -> Answer {
        let verdict = match error {
            // Many servers answer unknown paths with a web page of their own.
            DocumentError::WebPage => Verdict::Missing(ErrorType::Decode),
            _ => Verdict::Failed(ErrorType::Decode),
        };
        self.failed(verdict, &error.to_string())
    }

    /// Adds the result of one of several requests. The worst verdict counts, in the
    /// order failure, not offered, read. Facts and `ETag` of the request are not added,
    /// because they are not those of the whole.
    pub(super) fn and(self, one: Answer, label: &str) -> Answer {
        let (rank, before) = (one.verdict.rank(), self.verdict.rank());
        let first = !self.requests.asked;
        let (verdict, reason) = if rank > before {
            (one.verdict, one.reason.map(|reason| format!("{label}: {reason}")))
        } else {
            (self.verdict, self.reason)
        };
        let mut problems = self.problems;
        problems.extend(one.problems.into_iter().map(|problem| format!("{label}: {problem}")));
        let requests = Requests {
            asked: self.requests.asked | one.requests.asked,
            elapsed: self.requests.elapsed + one.requests.elapsed,
            size: self.requests.size + one.requests.size,
            status: if first || rank >= before { one.requests.status } else { self.requests.status },
            with_token: one.requests.with_token,
            unreachable: self.requests.unreachable | one.requests.unreachable,
        };
        let (before, now) = (self.validity.lifetime, one.validity.lifetime);
        let validity = Validity {
            etag: self.validity.etag,
            lifetime: if first { now } else { now.min(before) },
            served_from: self.validity.served_from.max(one.validity.served_from),
        };
        let limits = Limits {
            // The longest pause applies to all of them.
            retry_after: self.limits.retry_after.max(one.limits.retry_after),
            rate_limit: one.limits.rate_limit.or(self.limits.rate_limit),
        };
        let (facts, token) = (self.facts, self.token);
        Answer { verdict, reason, facts, problems, requests, validity, limits, token }
    }

    /// Whether the remaining requests would fail in the same way.
    pub(super) fn is_stopped(&self) -> bool {
        let wall = [ErrorType::RateLimited, ErrorType::Timeout].map(Verdict::Failed);
        self.requests.unreachable || wall.contains(&self.verdict)
    }

    /// Returns the cleaner for the server's text.
    fn cleaner(&self) -> Cleaner {
        self.token.as_ref().map(Token::cleaner).unwrap_or_default()
    }
}

/// The maximum length of a reason in bytes.
const MAX_REASON: usize = 600;
/// The size from which reading a body takes milliseconds, in bytes.
const LONG_BODY: usize = 64 << 10;
/// The maximum number of long bodies that are read at the same time.
const MAX_LONG_READS: usize = 2;

/// Runs `read`, which reads a body of this size. A long read first waits for its turn,
/// and then for the runtime to move the worker's other tasks to another thread.
async fn beside_the_workers<T>(bytes: usize, read: impl FnOnce() -> T) -> T {
    static TURNS: Semaphore = Semaphore::const_new(MAX_LONG_READS);
    if bytes < LONG_BODY {
        return read();
    }
    // It is never closed.
    let _turn = TURNS.acquire().await;
    let has_others = |handle: Handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread;
    if Handle::try_current().is_ok_and(has_others) { tokio::task::block_in_place(read) } else { read() }
}

#[cfg(test)]
mod tests;
