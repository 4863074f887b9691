//! One request of an attempt: with the token if the server wants one, and within the
//! limits of robots.txt and of the rate limit.

use std::time::Duration;

use http::StatusCode;
use url::Url;

use crate::document::{Document, Top};
use crate::endpoint::Endpoint;
use crate::fetch::{Exchange, Failure, Reply, Request, Take};
use crate::outcome::ErrorType;
use crate::snapshot::{Facts, RateLimit};

use super::{Answer, Attempt, Verdict};

/// How long nothing below `/api` is requested after a 429 without a time.
const HOLD_WITHOUT_TIME: Duration = Duration::from_secs(60);
/// The longest pause that a server can impose, in seconds.
const MAX_HOLD: f64 = 3600.0;

/// A request of an attempt.
#[derive(Debug)]
pub(super) struct Ask<'a> {
    attempt: &'a Attempt<'a>,
    url: Url,
    etag: Option<&'a str>,
    post: Option<&'a [u8]>,
    take: Take,
    /// The answer so far. The result of this request is added to it.
    answer: Answer,
}

impl Attempt<'_> {
    /// Returns a GET request for a path of the target, maybe with a query.
    pub(super) fn ask(&self, path: &str) -> Ask<'_> {
        self.ask_url(self.url(path))
    }

    /// Returns a GET request for a URL.
    pub(super) fn ask_url(&self, url: Url) -> Ask<'_> {
        Ask { attempt: self, url, etag: None, post: None, take: Take::Whole, answer: Answer::new(self) }
    }

    /// Returns the URL of a path of the target.
    pub(super) fn url(&self, path: &str) -> Url {
        let mut url = self.target.url.clone();
        match path.split_once('?') {
            Some((path, query)) => {
                url.set_path(path);
                url.set_query(Some(query));
            }
            None => url.set_path(path),
        }
        url
    }

    /// Makes one request. Its rate limit applies at once, also to the rest of this run.
    async fn exchange(&self, request: Request<'_>) -> Exchange {
        let exchange = self.client.get(request, self.unix).await;
        if self.endpoint.is_under_api() {
            let now = self.clock.now();
            if let Err(failure) = &exchange.result
                && failure.error == ErrorType::RateLimited
            {
                self.pacing.hold.extend(now + failure.retry_after.unwrap_or(HOLD_WITHOUT_TIME));
            }
            if let Some(limit) = exchange.rate_limit.filter(|limit| limit.remaining == Some(0)) {
                let left = (limit.reset - self.clock.unix()).clamp(0.0, MAX_HOLD);
                self.pacing.hold.extend(now + Duration::from_secs_f64(left));
            }
        }
        exchange
    }

    /// Returns how long the used-up rate limit still forbids requests, if it does.
    fn held(&self) -> Option<Duration> {
        self.pacing.hold.left(self.clock.now()).filter(|_| self.endpoint.is_under_api())
    }

    /// Returns the rate limit of `/api` in an answer. Software that also limits other
    /// paths counts them separately (GoToSocial).
    fn rate_limit(&self, exchange: &Exchange) -> Option<RateLimit> {
        exchange.rate_limit.filter(|_| self.endpoint.is_under_api())
    }

    /// Returns what a failure means for this endpoint.
    fn verdict(&self, failure: &Failure, with_token: bool) -> Verdict {
        match failure.status.map(|s| s.as_u16()) {
            // GoToSocial shows its peers only to its own users, unless its administrator
            // allows it.
            Some(401) if self.endpoint == Endpoint::Peers && self.software().is("gotosocial") => {
                Verdict::NotOffered
            }
            Some(404 | 410) => Verdict::Missing(ErrorType::Http4xx),
            Some(501) if !self.endpoint.shows_up() => Verdict::Missing(ErrorType::Http5xx),
            _ if failure.web_page => Verdict::Missing(ErrorType::Decode),
            // The token's scopes or its user's role are insufficient.
            Some(403) if with_token && failure.explained => Verdict::NotOffered,
            // The server shows its blocks to nobody, or only to its users.
            Some(403) if self.endpoint == Endpoint::DomainBlocks => Verdict::NotOffered,
            _ => Verdict::Failed(failure.error),
        }
    }

    /// Describes a failure. If the token's permissions are insufficient, adds what is
    /// needed.
    fn reason(&self, failure: Failure, verdict: Verdict) -> String {
        match self.endpoint.needs() {
            Some(needs)
                if verdict == Verdict::NotOffered && failure.status == Some(StatusCode::FORBIDDEN) =>
            {
                format!(
                    "{}; the token needs the scope {}, and its user's role the permission {}",
                    failure.reason, needs.scope, needs.permission
                )
            }
            _ => failure.reason,
        }
    }
}

impl<'a> Ask<'a> {
    /// Requests only content that has changed since the endpoint was last read.
    pub(super) fn if_changed(self) -> Ask<'a> {
        Ask { etag: self.attempt.etag.as_deref(), ..self }
    }

    /// Sends JSON by POST.
    pub(super) fn post(self, body: &'a [u8]) -> Ask<'a> {
        Ask { post: Some(body), ..self }
    }

    /// Sets how much of the body is read.
    pub(super) fn take(self, take: Take) -> Ask<'a> {
        Ask { take, ..self }
    }

    /// Sets whether the token is sent at once, because an earlier request of the
    /// attempt needed it.
    pub(super) fn with_token(mut self, with_token: bool) -> Ask<'a> {
        self.answer.requests.with_token = with_token;
        self
    }

    /// Continues the answer of earlier pages of the same list.
    pub(super) fn after(self, pages: Answer) -> Ask<'a> {
        Ask { answer: pages, ..self }
    }

    /// Makes the request, unless robots.txt or a used-up rate limit forbids it. Without
    /// `with_token`, the token is sent only after the server answers 401 or 422.
    pub(super) async fn send(self) -> Asked {
        let Ask { attempt, url, etag, post, take, mut answer } = self;
        if let Some((verdict, reason)) = attempt.robots_forbid(&url) {
            return Asked::ended(answer.failed(verdict, &reason));
        }
        if let Some(left) = attempt.held() {
            let why = format!(
                "not requested: the rate limit of /api is used up for another {} s",
                left.as_secs().max(1)
            );
            let held = answer.failed(Verdict::Failed(ErrorType::RateLimited), &why);
            return Asked::ended(held.again_after(left));
        }
        let token = attempt.target.token.as_ref();
        let first = token.filter(|_| answer.requests.with_token);
        let mut request = Request { target: attempt.target, url, etag, token: first, post, take };
        let mut exchange = attempt.exchange(request.clone()).await;
        if request.token.is_none() && token.is_some() && wants_token(&exchange) && attempt.held().is_none() {
            answer = answer.exchanged(exchange.elapsed, attempt.rate_limit(&exchange));
            answer.requests.with_token = true;
            request.token = token;
            exchange = attempt.exchange(request.clone()).await;
        }
        answer = answer.exchanged(exchange.elapsed, attempt.rate_limit(&exchange));
        match exchange.result {
            Ok(reply) if reply.status == StatusCode::NOT_MODIFIED => {
                Asked::ended(answer.replied(&reply).not_modified(attempt.etag.as_ref()))
            }
            Ok(reply) => Asked { answer: answer.replied(&reply), reply: Some(reply) },
            Err(failure) => {
                let answer = answer.unanswered(&failure);
                let verdict = attempt.verdict(&failure, request.token.is_some());
                Asked::ended(answer.failed(verdict, &attempt.reason(failure, verdict)))
            }
        }
    }
}

fn wants_token(exchange: &Exchange) -> bool {
    let status = exchange.result.as_ref().err().and_then(|failure| failure.status);
    matches!(status, Some(StatusCode::UNAUTHORIZED | StatusCode::UNPROCESSABLE_ENTITY))
}

/// The result of a request.
#[derive(Debug)]
pub(super) struct Asked {
    /// The answer to the attempt, as far as it is known without the body.
    pub(super) answer: Answer,
    /// The reply, if its body is to be read.
    pub(super) reply: Option<Reply>,
}

impl Asked {
    /// Creates a result that leaves nothing to be read.
    fn ended(answer: Answer) -> Asked {
        Asked { answer, reply: None }
    }

    /// Reads the body. Returns `None` if there is none, or if it cannot be read.
    pub(super) async fn read<T>(
        self,
        top: Top,
        read: impl FnOnce(&mut Document<'_>) -> T,
    ) -> (Answer, Option<T>) {
        match self.reply {
            Some(reply) => self.answer.decode(&reply, top, read).await,
            None => (self.answer, None),
        }
    }

    /// Reads the body as the facts of the endpoint.
    pub(super) async fn facts(
        self,
        top: Top,
        read: impl FnOnce(&mut Document<'_>) -> Option<Facts>,
    ) -> Answer {
        let (answer, facts) = self.read(top, read).await;
        answer.with(facts.flatten())
    }
}
