//! What servers are asked, and what their answers mean: one file an endpoint
//! family, and here what they share: the request, the token, the verdict.

pub mod account;
pub mod document;
pub mod instance;
pub mod nodeinfo;
pub mod repair;

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use crate::endpoint::Endpoint;
use crate::fetch::{Client, Failure, Reply, Request};
use crate::outcome::ErrorType;
use crate::snapshot::{Account, Facts, RateLimit};
use crate::target::{AccountRef, Target};

use self::document::{Document, Top};

/// What stays as it is in a path segment.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One attempt to read an endpoint: what is needed for it, and what comes of it.
#[derive(Debug)]
pub struct Attempt<'a> {
    /// The HTTP client.
    pub client: &'a Client,
    /// The target.
    pub target: &'a Target,
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Where the NodeInfo document is, if that is known.
    pub discovered: Option<Arc<Url>>,
    /// The `ETag` of what is known.
    pub etag: Option<Arc<str>>,
    /// Whether this endpoint is known to answer only with the token.
    pub with_token: bool,
    /// The present, Unix seconds.
    pub unix: f64,
}

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
    fn new(attempt: &Attempt<'_>) -> Answer {
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
            with_token: attempt.with_token,
            unreachable: false,
        }
    }

    fn fail(&mut self, verdict: Verdict, reason: String) {
        self.verdict = verdict;
        self.reason = Some(reason);
    }
}

impl Attempt<'_> {
    /// Makes the attempt.
    pub async fn make(&self) -> Answer {
        match self.endpoint {
            Endpoint::InstanceV2 => {
                self.document("/api/v2/instance", Top::Object, |doc| {
                    Facts::InstanceV2(instance::v2(doc).into())
                })
                .await
            }
            Endpoint::InstanceV1 => {
                self.document("/api/v1/instance", Top::Object, |doc| {
                    Facts::InstanceV1(instance::v1(doc).into())
                })
                .await
            }
            Endpoint::Activity => {
                self.document("/api/v1/instance/activity", Top::Array, |doc| {
                    Facts::Activity(instance::activity(doc).into())
                })
                .await
            }
            Endpoint::NodeinfoDiscovery => self.discovery().await,
            Endpoint::Nodeinfo => self.nodeinfo().await,
            Endpoint::Accounts => self.accounts().await,
        }
    }

    /// The answer of an attempt that was not made, because it would meet the
    /// same wall as another just did.
    #[must_use]
    pub fn fail(&self, error: ErrorType, reason: String) -> Answer {
        let mut answer = Answer::new(self);
        answer.fail(Verdict::Failed(error), reason);
        answer
    }

    /// One request, one JSON document.
    async fn document(&self, path: &str, top: Top, read: impl FnOnce(&mut Document) -> Facts) -> Answer {
        let mut answer = Answer::new(self);
        if let Some(reply) = self.ask(&mut answer, self.url(path), self.etag.as_deref()).await {
            decode(&mut answer, &reply, top, |doc| Some(read(doc)));
        }
        answer
    }

    async fn discovery(&self) -> Answer {
        let mut answer = Answer::new(self);
        let etag = self.etag.as_deref();
        if let Some(reply) = self.ask(&mut answer, self.url("/.well-known/nodeinfo"), etag).await {
            // Relative links are relative to the public place.
            let base = crate::fetch::public_url(self.target).join("/.well-known/nodeinfo");
            let base = base.unwrap_or_else(|_| reply.url.clone());
            let base = if reply.url.host() == self.target.url.host() { base } else { reply.url.clone() };
            let mut refused = None;
            decode(&mut answer, &reply, Top::Object, |doc| {
                let href = nodeinfo::href(doc, &base)?;
                match crate::fetch::follow(self.target, &base, &href) {
                    Ok(url) => Some(Facts::Discovery(url.into())),
                    Err(why) => {
                        refused = Some(why);
                        None
                    }
                }
            });
            if let Some((error, why)) = refused {
                answer.fail(Verdict::Failed(error), format!("the link to the document: {why}"));
            } else if answer.verdict == Verdict::Ok && answer.facts.is_none() {
                answer
                    .fail(Verdict::NotOffered, "it names no document of a schema from 1.0 to 2.2".to_owned());
            }
        }
        answer
    }

    async fn nodeinfo(&self) -> Answer {
        let mut answer = Answer::new(self);
        let Some(url) = &self.discovered else {
            answer.fail(Verdict::Missing, "no document was discovered".to_owned());
            return answer;
        };
        if let Some(reply) = self.ask(&mut answer, (**url).clone(), self.etag.as_deref()).await {
            decode(&mut answer, &reply, Top::Object, |doc| {
                Some(Facts::Nodeinfo(nodeinfo::document(doc).into()))
            });
        }
        answer
    }

    /// The listed accounts, one request each. Those that could be read are
    /// reported even where others could not.
    async fn accounts(&self) -> Answer {
        let mut whole = Answer::new(self);
        whole.lifetime = Duration::MAX;
        let mut read: Vec<Option<Account>> = Vec::with_capacity(self.target.accounts.len());
        for account in &self.target.accounts {
            let mut one = Answer::new(self);
            one.with_token = whole.with_token;
            let mut found = None;
            if let Some(reply) = self.ask(&mut one, self.url(&account_path(account)), None).await {
                decode(&mut one, &reply, Top::Object, |doc| {
                    found = Some(account::account(doc));
                    None
                });
            }
            read.push(found);
            merge(&mut whole, one, account.label());
            // The others would meet the same wall.
            if whole.unreachable || whole.verdict == Verdict::Failed(ErrorType::RateLimited) {
                break;
            }
        }
        read.resize(self.target.accounts.len(), None);
        if whole.lifetime == Duration::MAX {
            whole.lifetime = Duration::ZERO;
        }
        if read.iter().any(Option::is_some) {
            whole.facts = Some(Facts::Accounts(read.into()));
            // One account that is gone does not make the endpoint unoffered.
            if whole.verdict == Verdict::NotOffered {
                whole.verdict = Verdict::Ok;
            }
        }
        whole
    }

    /// Asks, without the token first; with it where the server wants one.
    /// Notes in `answer` what is to be known of the exchange; returns an
    /// answer whose body is to be read.
    async fn ask(&self, answer: &mut Answer, url: Url, etag: Option<&str>) -> Option<Reply> {
        let token = self.target.token.as_ref();
        let mut request =
            Request { target: self.target, url, etag, token: token.filter(|_| answer.with_token) };
        let mut exchange = self.client.get(request.clone(), self.unix).await;
        let wants_token = |f: &Failure| {
            matches!(f.status, Some(StatusCode::UNAUTHORIZED | StatusCode::UNPROCESSABLE_ENTITY))
        };
        if request.token.is_none() && token.is_some() && exchange.result.as_ref().is_err_and(wants_token) {
            answer.elapsed += exchange.elapsed;
            request.token = token;
            answer.with_token = true;
            exchange = self.client.get(request.clone(), self.unix).await;
        }
        answer.elapsed += exchange.elapsed;
        answer.rate_limit = exchange.rate_limit.or(answer.rate_limit);
        match exchange.result {
            Ok(reply) => {
                answer.status = Some(reply.status.as_u16());
                answer.size += reply.body.len() as u64;
                answer.etag.clone_from(&reply.etag);
                answer.lifetime = reply.lifetime;
                if reply.status == StatusCode::NOT_MODIFIED {
                    answer.verdict = Verdict::NotModified;
                    answer.etag = answer.etag.take().or_else(|| self.etag.clone());
                    return None;
                }
                Some(reply)
            }
            Err(failure) => {
                answer.status = failure.status.map(|s| s.as_u16());
                answer.retry_after = failure.retry_after;
                answer.unreachable = failure.unreachable;
                answer.verdict = verdict(self.endpoint, &failure, request.token.is_some());
                answer.reason = Some(failure.reason);
                None
            }
        }
    }

    fn url(&self, path: &str) -> Url {
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
}

/// What a failure counts as on this endpoint.
fn verdict(endpoint: Endpoint, failure: &Failure, with_token: bool) -> Verdict {
    match failure.status.map(|s| s.as_u16()) {
        Some(404 | 410) if endpoint.shows_up() => Verdict::Missing,
        Some(404 | 410 | 501) if !endpoint.shows_up() => Verdict::NotOffered,
        // The token's scopes, or its user's role, do not reach that far.
        Some(403) if with_token => Verdict::NotOffered,
        _ => Verdict::Failed(failure.error),
    }
}

fn decode(answer: &mut Answer, reply: &Reply, top: Top, read: impl FnOnce(&mut Document) -> Option<Facts>) {
    match Document::parse(&reply.body, top) {
        Ok(mut doc) => {
            answer.facts = read(&mut doc);
            answer.problems = doc.into_problems();
        }
        Err(e) => {
            answer.etag = None;
            answer.fail(Verdict::Failed(ErrorType::Decode), e.to_string());
        }
    }
}

/// Adds one of several requests to the endpoint's whole: the worst verdict
/// stands, in the order failure, not offered, read.
fn merge(whole: &mut Answer, one: Answer, label: &str) {
    let rank = |v: Verdict| match v {
        Verdict::Failed(_) => 2,
        Verdict::NotOffered | Verdict::Missing => 1,
        Verdict::Ok | Verdict::NotModified => 0,
    };
    whole.elapsed += one.elapsed;
    whole.size += one.size;
    whole.with_token = one.with_token;
    whole.rate_limit = one.rate_limit.or(whole.rate_limit);
    whole.lifetime = whole.lifetime.min(one.lifetime);
    whole.unreachable |= one.unreachable;
    whole.problems.extend(one.problems.into_iter().map(|p| format!("{label}: {p}")));
    if whole.status.is_none() || rank(one.verdict) >= rank(whole.verdict) {
        whole.status = one.status;
    }
    if rank(one.verdict) > rank(whole.verdict) {
        whole.verdict = one.verdict;
        whole.reason = one.reason.map(|r| format!("{label}: {r}"));
        whole.retry_after = one.retry_after;
    }
}

fn account_path(account: &AccountRef) -> String {
    match account {
        AccountRef::Id(id) => format!("/api/v1/accounts/{}", utf8_percent_encode(id, SEGMENT)),
        AccountRef::Acct(acct) => {
            format!("/api/v1/accounts/lookup?acct={}", utf8_percent_encode(acct, SEGMENT))
        }
    }
}
