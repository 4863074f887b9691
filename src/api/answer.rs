//! The result of an attempt to read an endpoint.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;

use crate::clean::Cleaner;
use crate::endpoint::On;
use crate::fetch::Reply;
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
}

/// The result of an attempt.
#[derive(Debug)]
pub struct Answer {
    /// How it ended.
    pub verdict: Verdict,
    /// The facts. After a partial failure, those that could be read.
    pub facts: Option<Facts>,
    /// The paths and types of fields of a wrong type.
    pub problems: Vec<String>,
    /// The last HTTP status.
    pub status: Option<u16>,
    /// Why the attempt failed or the endpoint is not offered, for people; cleaned and
    /// without our secrets.
    pub reason: Option<String>,
    /// The duration of all requests.
    pub elapsed: Duration,
    /// The size of the decoded bodies in bytes.
    pub size: u64,
    /// The `ETag` for the next conditional request.
    pub etag: Option<Arc<str>>,
    /// How long the facts stay fresh by the answer's own headers.
    pub lifetime: Duration,
    /// Where the answer came from. Of several answers, the least reliable source.
    pub served_from: ServedFrom,
    /// The pause that the server asked for.
    pub retry_after: Option<Duration>,
    /// The anonymous rate limit, if the answer contained it.
    pub rate_limit: Option<RateLimit>,
    /// Whether any request was made.
    pub asked: bool,
    /// Whether the token was needed.
    pub with_token: bool,
    /// The token, which the server may repeat.
    token: Option<Token>,
    /// Whether no connection was possible at all.
    pub unreachable: bool,
}

impl Answer {
    /// Reads a body, or records why it cannot be read.
    pub(super) async fn decode<T>(
        &mut self,
        reply: &Reply,
        top: Top,
        read: impl FnOnce(&mut Document<'_>) -> T,
    ) -> Option<T> {
        let cleaner = self.cleaner();
        let decode = || {
            let mut doc = Document::parse_with(&reply.body, top, cleaner)?;
            let read = read(&mut doc);
            Ok((read, doc.into_problems()))
        };
        match beside_the_workers(reply.body.len(), decode).await {
            Ok((read, problems)) => {
                self.problems.extend(problems);
                Some(read)
            }
            Err(e) => {
                self.undecodable(&e);
                None
            }
        }
    }

    pub(super) fn undecodable(&mut self, error: &DocumentError) {
        self.etag = None;
        let verdict = match error {
            // Many servers answer unknown paths with a web page of their own.
            DocumentError::WebPage => Verdict::Missing(ErrorType::Decode),
            _ => Verdict::Failed(ErrorType::Decode),
        };
        self.fail(verdict, &error.to_string());
    }

    /// Adds the result of one of several requests. The worst verdict counts, in the
    /// order failure, not offered, read, and the shortest lifetime.
    pub(super) fn merge(&mut self, one: Answer, label: &str) {
        let rank = |v: Verdict| match v {
            Verdict::Failed(_) => 3,
            // It still has to be decided, so it outranks a final `NotOffered`.
            Verdict::Missing(_) => 2,
            Verdict::NotOffered | Verdict::Gone => 1,
            Verdict::Ok | Verdict::NotModified => 0,
        };
        let first = !self.asked;
        self.asked |= one.asked;
        self.elapsed += one.elapsed;
        self.size += one.size;
        self.with_token = one.with_token;
        self.rate_limit = one.rate_limit.or(self.rate_limit);
        self.lifetime = if first { one.lifetime } else { self.lifetime.min(one.lifetime) };
        self.served_from = self.served_from.max(one.served_from);
        self.unreachable |= one.unreachable;
        self.problems.extend(one.problems.into_iter().map(|p| format!("{label}: {p}")));
        if first || rank(one.verdict) >= rank(self.verdict) {
            self.status = one.status;
        }
        if rank(one.verdict) > rank(self.verdict) {
            self.verdict = one.verdict;
            self.reason = one.reason.map(|r| format!("{label}: {r}"));
        }
        // The longest pause applies to all of them.
        self.retry_after = self.retry_after.max(one.retry_after);
    }

    /// Whether the remaining requests would fail in the same way.
    pub(super) fn is_stopped(&self) -> bool {
        let wall = [ErrorType::RateLimited, ErrorType::Timeout].map(Verdict::Failed);
        self.unreachable || wall.contains(&self.verdict)
    }

    pub(super) fn new(attempt: &Attempt<'_>) -> Answer {
        Answer {
            verdict: Verdict::Ok,
            facts: None,
            problems: Vec::new(),
            status: None,
            reason: None,
            elapsed: Duration::ZERO,
            size: 0,
            etag: None,
            lifetime: Duration::ZERO,
            served_from: ServedFrom::Origin,
            retry_after: None,
            rate_limit: None,
            asked: false,
            // Without a token these endpoints answer 403 to everybody.
            with_token: attempt.with_token || attempt.endpoint.on() == On::Token,
            token: attempt.target.token.clone(),
            unreachable: false,
        }
    }

    /// Keeps the facts of some of several requests. Then the endpoint is offered, even
    /// if others were not.
    pub(super) fn tell_in_part(&mut self, facts: Facts) {
        self.facts = Some(facts);
        if self.verdict.outcome() == Outcome::NotOffered {
            self.verdict = Verdict::Ok;
        }
    }

    /// Ends the attempt. The reason may contain foreign text.
    pub(super) fn fail(&mut self, verdict: Verdict, reason: &str) {
        self.verdict = verdict;
        self.reason = Some(self.cleaner().clean(reason, MAX_REASON));
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
