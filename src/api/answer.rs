//! What comes of an attempt to read an endpoint.

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
    /// It was read.
    Ok,
    /// It has not changed since it was read last.
    NotModified,
    /// The server does not have it, or not for us.
    NotOffered,
    /// The server does not have it now, and may have it again in a moment.
    Gone,
    /// 404, 410 or 501, or a web page: not offered if a document that shows the
    /// server up is read after it, else a failure of this type. A gateway
    /// answers so for a server that restarts.
    Missing(ErrorType),
    /// It could not be read.
    Failed(ErrorType),
}

impl Verdict {
    /// What it counts as.
    #[must_use]
    pub fn outcome(self) -> Outcome {
        match self {
            Verdict::Ok | Verdict::NotModified => Outcome::Ok,
            Verdict::NotOffered | Verdict::Gone | Verdict::Missing(_) => Outcome::NotOffered,
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
    /// Why it failed or is not offered, for people; clean and without secrets of ours.
    pub reason: Option<String>,
    /// Time under way.
    pub elapsed: Duration,
    /// Decoded bytes.
    pub size: u64,
    /// For the next conditional request.
    pub etag: Option<Arc<str>>,
    /// How long it lives by its own headers.
    pub lifetime: Duration,
    /// Where it came from; of several, what tells least of the server.
    pub served_from: ServedFrom,
    /// How long the server wants to be left alone.
    pub retry_after: Option<Duration>,
    /// The anonymous rate limit, where the answer told it.
    pub rate_limit: Option<RateLimit>,
    /// Whether any request was made.
    pub asked: bool,
    /// Whether it took the token.
    pub with_token: bool,
    /// What the server may repeat.
    token: Option<Token>,
    /// Whether no connection could be made at all.
    pub unreachable: bool,
}

impl Answer {
    /// Reads a body, or notes why it cannot be read.
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
            // Many servers answer paths that they do not have with their own page.
            DocumentError::WebPage => Verdict::Missing(ErrorType::Decode),
            _ => Verdict::Failed(ErrorType::Decode),
        };
        self.fail(verdict, &error.to_string());
    }

    /// Adds one of several requests: the worst verdict stands, in the order
    /// failure, not offered, read; the shortest lifetime.
    pub(super) fn merge(&mut self, one: Answer, label: &str) {
        let rank = |v: Verdict| match v {
            Verdict::Failed(_) => 3,
            // It remains to be seen, so that it is looked at.
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
        // Whatever each of them wants holds for all.
        self.retry_after = self.retry_after.max(one.retry_after);
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
            served_from: ServedFrom::Origin,
            retry_after: None,
            rate_limit: None,
            asked: false,
            // Without a token these are 403 for everybody.
            with_token: attempt.with_token || attempt.endpoint.on() == On::Token,
            token: attempt.target.token.clone(),
            unreachable: false,
        }
    }

    /// Keeps what some of several requests told: that another is not offered does
    /// not make the endpoint so.
    pub(super) fn tell_in_part(&mut self, facts: Facts) {
        self.facts = Some(facts);
        if self.verdict.outcome() == Outcome::NotOffered {
            self.verdict = Verdict::Ok;
        }
    }

    /// Ends the attempt. The reason may hold words of others.
    pub(super) fn fail(&mut self, verdict: Verdict, reason: &str) {
        self.verdict = verdict;
        self.reason = Some(self.cleaner().clean(reason, MAX_REASON));
    }

    /// What the server has said passes through it.
    fn cleaner(&self) -> Cleaner {
        self.token.as_ref().map(Token::cleaner).unwrap_or_default()
    }
}

/// Bytes of a reason that are kept.
const MAX_REASON: usize = 600;
/// A body of so many bytes takes milliseconds to read.
const LONG_BODY: usize = 64 << 10;
/// Long bodies that are read at the same time.
const MAX_LONG_READS: usize = 2;

/// Runs `read`, which reads so many bytes. A long read waits for its turn, and then
/// for the runtime to move what this worker has to do to another thread.
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
