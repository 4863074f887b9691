//! What servers are asked, and what their answers mean: one file an endpoint
//! family, and here what they share: the request, the token, the verdict.

pub mod account;
pub mod admin;
mod answer;
pub mod document;
pub mod health;
pub mod instance;
pub mod length;
pub mod lists;
pub mod nodeinfo;
mod pages;
pub mod repair;
mod robots;
pub mod tag;
pub mod timeline;

use std::sync::Arc;

use http::StatusCode;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use url::Url;

use crate::clock::Moment;
use crate::endpoint::Endpoint;
use crate::fetch::{Client, Failure, Reply, Request, Take};
use crate::outcome::ErrorType;
use crate::snapshot::{Facts, Reading, Snapshot};
use crate::software::Software;
use crate::target::Target;

use self::document::{Document, Top};

pub use self::answer::{Answer, Verdict};
pub use self::pages::Paging;

/// What stays as it is in a path segment.
pub(crate) const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One attempt to read an endpoint: what is needed for it, and what comes of it.
#[derive(Debug)]
pub struct Attempt<'a> {
    /// The HTTP client.
    pub client: &'a Client,
    /// The target.
    pub target: &'a Target,
    /// The endpoint.
    pub endpoint: Endpoint,
    /// What is known of the target so far.
    pub known: &'a Snapshot,
    /// What of the paging budget is left.
    pub paging: &'a Paging,
    /// The `ETag` of what is known.
    pub etag: Option<Arc<str>>,
    /// Whether this endpoint is known to answer only with the token.
    pub with_token: bool,
    /// The present.
    pub now: Moment,
    /// The same, Unix seconds.
    pub unix: f64,
}

impl Attempt<'_> {
    /// Makes the attempt.
    pub async fn make(&self) -> Answer {
        let mut answer = self.asked().await;
        if let (Some(reason), Some(token)) = (&mut answer.reason, &self.target.token) {
            *reason = token.hidden_in(reason);
        }
        answer
    }

    async fn asked(&self) -> Answer {
        if let Some(reason) = self.lacks_permission() {
            return self.not_offered(reason);
        }
        match self.endpoint {
            Endpoint::Robots => self.robots().await,
            Endpoint::InstanceV2 => {
                let read = |doc: &mut Document| Some(Facts::InstanceV2(instance::v2(doc).into()));
                self.document("/api/v2/instance", Top::Object, read).await
            }
            Endpoint::InstanceV1 => {
                let read = |doc: &mut Document| Some(Facts::InstanceV1(instance::v1(doc).into()));
                self.document("/api/v1/instance", Top::Object, read).await
            }
            Endpoint::Activity => {
                let read = |doc: &mut Document| Some(Facts::Activity(instance::activity(doc).into()));
                self.document("/api/v1/instance/activity", Top::Array, read).await
            }
            Endpoint::NodeinfoDiscovery => self.discovery().await,
            Endpoint::Nodeinfo => self.nodeinfo().await,
            Endpoint::Health => self.health().await,
            Endpoint::Timelines => self.timelines().await,
            Endpoint::Peers => self.length("/api/v1/instance/peers", Facts::Peers).await,
            Endpoint::CustomEmojis => self.length("/api/v1/custom_emojis", Facts::CustomEmojis).await,
            Endpoint::Announcements => self.length("/api/v1/announcements", Facts::Announcements).await,
            Endpoint::DomainBlocks => self.domain_blocks().await,
            Endpoint::Accounts => self.accounts().await,
            Endpoint::Tags => self.tags().await,
            Endpoint::Credentials => self.credentials().await,
            Endpoint::AdminReports => self.reports().await,
            Endpoint::AdminAccounts => self.pending_accounts().await,
            Endpoint::AdminTrends => self.pending_trends().await,
            Endpoint::AdminMeasures => self.measures().await,
            Endpoint::AdminStorage => self.storage().await,
            Endpoint::AdminSoftware => self.components().await,
            Endpoint::AdminLanguages => self.languages().await,
            Endpoint::AdminRetention => self.retention().await,
            Endpoint::AdminDomainBlocks => self.admin_domain_blocks().await,
            Endpoint::AdminDomainAllows => self.pages_of("domain_allows", 500, Facts::DomainAllows).await,
            Endpoint::AdminIpBlocks => self.ip_blocks().await,
            Endpoint::AdminEmailDomainBlocks => {
                self.pages_of("email_domain_blocks", 200, Facts::EmailDomainBlocks).await
            }
            Endpoint::AdminCanonicalEmailBlocks => {
                self.pages_of("canonical_email_blocks", 200, Facts::CanonicalEmailBlocks).await
            }
        }
    }

    /// What is known of the target, as the metric table reads it.
    fn reading(&self) -> Reading<'_> {
        Reading { target: self.target, snapshot: self.known, started: self.now, unix: self.unix }
    }

    /// The Mastodon version that the server is, or was forked from.
    fn mastodon(&self) -> Option<(u32, u32)> {
        Software::of(&self.reading()).mastodon
    }

    /// Why the token's user may not ask for this, where that is known.
    fn lacks_permission(&self) -> Option<String> {
        let needs = self.endpoint.needs()?;
        let permissions = self.reading().credentials()?.permissions?;
        // Administrator, bit 0, may everything.
        let may = permissions & (1 | needs.bit) != 0;
        (!may).then(|| format!("the role of the token's user lacks the permission {}", needs.permission))
    }

    fn not_offered(&self, reason: String) -> Answer {
        let mut answer = Answer::new(self);
        answer.fail(Verdict::NotOffered, reason);
        answer
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
    async fn document(
        &self,
        path: &str,
        top: Top,
        read: impl FnOnce(&mut Document) -> Option<Facts>,
    ) -> Answer {
        let mut answer = Answer::new(self);
        if let Some(reply) =
            self.ask(&mut answer, Ask::get(self.url(path)).known_as(self.etag.as_deref())).await
        {
            answer.facts = answer.decode(&reply, top, read).flatten();
        }
        answer
    }

    /// The answer to a POST of JSON.
    async fn post(
        &self,
        path: &str,
        body: &serde_json::Value,
        read: impl FnOnce(&mut Document) -> Option<Facts>,
    ) -> Answer {
        let mut answer = Answer::new(self);
        let body = body.to_string();
        let ask = Ask { post: Some(body.as_bytes()), ..Ask::get(self.url(path)) };
        if let Some(reply) = self.ask(&mut answer, ask).await {
            answer.facts = answer.decode(&reply, Top::Array, read).flatten();
        }
        answer
    }

    /// Asks, without the token first; with it where the server wants one.
    /// Notes in `answer` what is to be known of the exchange; returns an
    /// answer whose body is to be read.
    async fn ask(&self, answer: &mut Answer, ask: Ask<'_>) -> Option<Reply> {
        if let Some((verdict, reason)) = self.robots_forbid(&ask.url) {
            answer.fail(verdict, reason);
            return None;
        }
        let token = self.target.token.as_ref();
        let mut request = Request {
            target: self.target,
            url: ask.url,
            etag: ask.etag,
            token: token.filter(|_| answer.with_token),
            post: ask.post,
            take: ask.take,
        };
        let mut exchange = self.client.get(request.clone(), self.unix).await;
        let wants_token = |f: &Failure| {
            matches!(f.status, Some(StatusCode::UNAUTHORIZED | StatusCode::UNPROCESSABLE_ENTITY))
        };
        if request.token.is_none() && token.is_some() && exchange.result.as_ref().is_err_and(wants_token) {
            answer.elapsed += exchange.elapsed;
            answer.rate_limit = exchange.rate_limit;
            request.token = token;
            answer.with_token = true;
            exchange = self.client.get(request.clone(), self.unix).await;
        }
        answer.elapsed += exchange.elapsed;
        answer.rate_limit = exchange.rate_limit.or(answer.rate_limit);
        match exchange.result {
            Ok(reply) => {
                answer.status = Some(reply.status.as_u16());
                answer.size += reply.size;
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
                if self.hides_peers(&failure) {
                    answer.verdict = Verdict::NotOffered;
                }
                answer.reason = Some(reason(self.endpoint, failure, answer.verdict));
                None
            }
        }
    }

    /// GoToSocial shows its peers to its own users only, unless its admin opens them.
    fn hides_peers(&self, failure: &Failure) -> bool {
        self.endpoint == Endpoint::Peers
            && failure.status == Some(StatusCode::UNAUTHORIZED)
            && Software::of(&self.reading()).is("gotosocial")
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

/// A request of an attempt.
#[derive(Debug, Clone)]
struct Ask<'a> {
    url: Url,
    etag: Option<&'a str>,
    post: Option<&'a [u8]>,
    take: Take,
}

impl<'a> Ask<'a> {
    fn get(url: Url) -> Ask<'a> {
        Ask { url, etag: None, post: None, take: Take::Whole }
    }

    fn known_as(self, etag: Option<&'a str>) -> Ask<'a> {
        Ask { etag, ..self }
    }

    fn take(self, take: Take) -> Ask<'a> {
        Ask { take, ..self }
    }
}

/// The words for a failure, with what a token would need where it may not.
fn reason(endpoint: Endpoint, failure: Failure, verdict: Verdict) -> String {
    match endpoint.needs() {
        Some(needs) if verdict == Verdict::NotOffered && failure.status == Some(StatusCode::FORBIDDEN) => {
            format!(
                "{}; the token needs the scope {}, and its user's role the permission {}",
                failure.reason, needs.scope, needs.permission
            )
        }
        _ => failure.reason,
    }
}

/// What a failure counts as on this endpoint.
fn verdict(endpoint: Endpoint, failure: &Failure, with_token: bool) -> Verdict {
    match failure.status.map(|s| s.as_u16()) {
        Some(404 | 410) if endpoint.shows_up() => Verdict::Missing,
        Some(404 | 410 | 501) if !endpoint.shows_up() => Verdict::NotOffered,
        // The token's scopes, or its user's role, do not reach that far.
        Some(403) if with_token && failure.explained => Verdict::NotOffered,
        // Shown to nobody, or to users only.
        Some(403) if endpoint == Endpoint::DomainBlocks => Verdict::NotOffered,
        _ => Verdict::Failed(failure.error),
    }
}
