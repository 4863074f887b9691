//! What comes of an attempt to read an endpoint.

use std::sync::Arc;
use std::time::Duration;

use crate::endpoint::On;
use crate::fetch::Reply;
use crate::outcome::{ErrorType, Outcome};
use crate::snapshot::{Facts, RateLimit};

use super::Attempt;
use super::document::{Document, DocumentError, Top};

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was read.
    Ok,
    /// It has not changed since it was read last.
    NotModified,
    /// The server does not have it, or not for us.
    NotOffered,
    /// 404 or 410 where one of v2, v1 and NodeInfo is: not offered while
    /// another of the three is there, else a failure.
    Missing,
    /// It could not be read.
    Failed(ErrorType),
}

impl Verdict {
    /// What it counts as.
    #[must_use]
    pub fn outcome(self) -> Outcome {
        match self {
            Verdict::Ok | Verdict::NotModified => Outcome::Ok,
            Verdict::NotOffered | Verdict::Missing => Outcome::NotOffered,
            Verdict::Failed(error) => Outcome::Failed(error),
        }
    }
}

/// What came of an attempt.
#[derive(Debug)]
pub struct Answer {
    /// How it ended.
    pub verdict: Verdict,
    /// What was read; after a partial failure, what could be.
    pub facts: Option<Facts>,
    /// Fields of a wrong type: paths and kinds.
    pub problems: Vec<String>,
    /// The last HTTP status.
    pub status: Option<u16>,
    /// Why it failed or is not offered, for people.
    pub reason: Option<String>,
    /// Time under way.
    pub elapsed: Duration,
    /// Decoded bytes.
    pub size: u64,
    /// For the next conditional request.
    pub etag: Option<Arc<str>>,
    /// How long it lives by its own headers.
    pub lifetime: Duration,
    /// How long the server wants to be left alone.
    pub retry_after: Option<Duration>,
    /// The anonymous rate limit, where the answer told it.
    pub rate_limit: Option<RateLimit>,
    /// Whether it took the token.
    pub with_token: bool,
    /// Whether no connection could be made at all.
    pub unreachable: bool,
}

impl Answer {
    /// Reads a body, or notes why it cannot be read.
    pub(super) fn decode<T>(
        &mut self,
        reply: &Reply,
        top: Top,
        read: impl FnOnce(&mut Document) -> T,
    ) -> Option<T> {
        match Document::parse(&reply.body, top) {
            Ok(mut doc) => {
                let read = read(&mut doc);
                self.problems.extend(doc.into_problems());
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
        self.fail(Verdict::Failed(ErrorType::Decode), error.to_string());
    }

    /// Adds one of several requests: the worst verdict stands, in the order
    /// failure, not offered, read; the shortest lifetime.
    pub(super) fn merge(&mut self, one: Answer, label: &str) {
        let rank = |v: Verdict| match v {
            Verdict::Failed(_) => 2,
            Verdict::NotOffered | Verdict::Missing => 1,
            Verdict::Ok | Verdict::NotModified => 0,
        };
        let first = self.status.is_none() && self.elapsed.is_zero();
        self.elapsed += one.elapsed;
        self.size += one.size;
        self.with_token = one.with_token;
        self.rate_limit = one.rate_limit.or(self.rate_limit);
        self.lifetime = if first { one.lifetime } else { self.lifetime.min(one.lifetime) };
        self.unreachable |= one.unreachable;
        self.problems.extend(one.problems.into_iter().map(|p| format!("{label}: {p}")));
        if first || rank(one.verdict) >= rank(self.verdict) {
            self.status = one.status;
        }
        if rank(one.verdict) > rank(self.verdict) {
            self.verdict = one.verdict;
            self.reason = one.reason.map(|r| format!("{label}: {r}"));
            self.retry_after = one.retry_after;
        }
    }

    /// Whether the rest of several requests would meet the same wall.
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
            retry_after: None,
            rate_limit: None,
            // Without a token these are 403 for everybody.
            with_token: attempt.with_token || attempt.endpoint.on() == On::Token,
            unreachable: false,
        }
    }

    pub(super) fn fail(&mut self, verdict: Verdict, reason: String) {
        self.verdict = verdict;
        self.reason = Some(reason);
    }
}
