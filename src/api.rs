//! Requests to servers and the meaning of their answers: one file for each family of
//! endpoints. This file contains what they share: the request, the token, the verdict.

pub mod account;
pub mod admin;
mod answer;
pub mod health;
pub mod instance;
pub mod lists;
pub mod nodeinfo;
mod pacing;
mod pages;
mod robots;
pub mod tag;
pub mod timeline;

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use url::Url;

use crate::clock::{Clock, Moment};
use crate::endpoint::Endpoint;
use crate::fetch::{Client, Exchange, Failure, Reply, Request, Take};
use crate::outcome::ErrorType;
use crate::snapshot::{Facts, RateLimit, Reading, Snapshot};
use crate::software::Software;
use crate::target::Target;

use crate::document::{Document, Top};

pub use self::answer::{Answer, Verdict};
pub use self::pacing::Pacing;
pub use self::pages::Paging;

/// How long nothing below `/api` is requested after a 429 without a time.
const HOLD_WITHOUT_TIME: Duration = Duration::from_secs(60);
/// The longest pause that a server can impose, in seconds.
const MAX_HOLD: f64 = 3600.0;

/// The characters that are not escaped in a path segment.
pub(crate) const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One attempt to read an endpoint, with everything that it needs.
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
    /// The limits that this target's attempts share.
    pub pacing: &'a Pacing,
    /// The `ETag` of the known facts.
    pub etag: Option<Arc<str>>,
    /// Whether this endpoint is known to need the token.
    pub with_token: bool,
    /// The clock.
    pub clock: &'a Clock,
    /// When the attempt began.
    pub now: Moment,
    /// The same in Unix seconds.
    pub unix: f64,
}

impl Attempt<'_> {
    /// Makes the attempt.
    pub async fn make(&self) -> Answer {
        if let Some(reason) = self.lacks_permission() {
            return self.not_offered(&reason);
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
            Endpoint::Activity => self.activity().await,
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

    /// Returns what is known of the target, in the form that the metric table reads.
    fn reading(&self) -> Reading<'_> {
        Reading::new(self.target, self.known, self.now, self.unix)
    }

    /// Returns the server's software, as far as it is known.
    fn software(&self) -> Software {
        Software::of(&self.reading())
    }

    /// Returns the Mastodon version of the server, or that from which it was forked.
    fn mastodon(&self) -> Option<(u32, u32)> {
        self.software().mastodon
    }

    /// Returns why the token's user may not use this endpoint, if that is known.
    fn lacks_permission(&self) -> Option<String> {
        let needs = self.endpoint.needs()?;
        let permissions = self.reading().credentials()?.permissions?;
        // Bit 0, the administrator, includes every permission.
        let may = permissions & (1 | needs.bit) != 0;
        (!may).then(|| format!("the role of the token's user lacks the permission {}", needs.permission))
    }

    fn not_offered(&self, reason: &str) -> Answer {
        let mut answer = Answer::new(self);
        answer.fail(Verdict::NotOffered, reason);
        answer
    }

    /// Returns the answer of an attempt that was not made, because it would fail like
    /// another attempt just did.
    #[must_use]
    pub fn fail(&self, error: ErrorType, reason: &str) -> Answer {
        let mut answer = Answer::new(self);
        answer.fail(Verdict::Failed(error), reason);
        if self.endpoint == Endpoint::Health && error != ErrorType::Local {
            answer.facts = Some(health::unreachable());
        }
        answer
    }

    /// Makes one request for one JSON document.
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
            answer.facts = answer.decode(&reply, top, read).await.flatten();
        }
        answer
    }

    /// Reads the rows of activity. WordPress with Enable Mastodon Apps answers with the
    /// v1 instance document, and has no activity.
    async fn activity(&self) -> Answer {
        let mut answer = Answer::new(self);
        let ask = Ask::get(self.url("/api/v1/instance/activity")).known_as(self.etag.as_deref());
        if let Some(reply) = self.ask(&mut answer, ask).await {
            if instance::is_instance(&reply.body) {
                let why = "the server answers with its instance document, so it has no activity";
                answer.fail(Verdict::NotOffered, why);
                return answer;
            }
            let read = |doc: &mut Document<'_>| Facts::Activity(instance::activity(doc).into());
            answer.facts = answer.decode(&reply, Top::Array, read).await;
        }
        answer
    }

    /// Sends a POST request with JSON.
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
            answer.facts = answer.decode(&reply, Top::Array, read).await.flatten();
        }
        answer
    }

    /// Makes a request without the token, and repeats it with the token if the server
    /// wants one. Records the exchange in `answer`. Returns an answer if its body is to
    /// be read.
    async fn ask(&self, answer: &mut Answer, ask: Ask<'_>) -> Option<Reply> {
        if let Some((verdict, reason)) = self.robots_forbid(&ask.url) {
            answer.fail(verdict, &reason);
            return None;
        }
        if let Some(left) = self.held() {
            answer.retry_after = Some(left);
            let why = format!(
                "not requested: the rate limit of /api is used up for another {} s",
                left.as_secs().max(1)
            );
            answer.fail(Verdict::Failed(ErrorType::RateLimited), &why);
            return None;
        }
        answer.asked = true;
        let token = self.target.token.as_ref();
        let mut request = Request {
            target: self.target,
            url: ask.url,
            etag: ask.etag,
            token: token.filter(|_| answer.with_token),
            post: ask.post,
            take: ask.take,
        };
        let mut exchange = self.exchange(request.clone()).await;
        let wants_token = |f: &Failure| {
            matches!(f.status, Some(StatusCode::UNAUTHORIZED | StatusCode::UNPROCESSABLE_ENTITY))
        };
        let wants_token = exchange.result.as_ref().is_err_and(wants_token);
        if request.token.is_none() && token.is_some() && wants_token && self.held().is_none() {
            answer.elapsed += exchange.elapsed;
            answer.rate_limit = self.rate_limit(&exchange);
            request.token = token;
            answer.with_token = true;
            exchange = self.exchange(request.clone()).await;
        }
        answer.elapsed += exchange.elapsed;
        answer.rate_limit = self.rate_limit(&exchange).or(answer.rate_limit);
        match exchange.result {
            Ok(reply) => {
                answer.status = Some(reply.status.as_u16());
                answer.size += reply.size;
                answer.etag.clone_from(&reply.etag);
                answer.lifetime = reply.lifetime;
                answer.served_from = reply.served_from;
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
                // No request left this machine.
                answer.asked &= failure.error != ErrorType::Local;
                let mut verdict = verdict(self.endpoint, &failure, request.token.is_some());
                if self.hides_peers(&failure) {
                    verdict = Verdict::NotOffered;
                }
                answer.fail(verdict, &reason(self.endpoint, failure, verdict));
                None
            }
        }
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

    /// Returns the remaining pause because the rate limit is used up.
    fn held(&self) -> Option<Duration> {
        self.pacing.hold.left(self.clock.now()).filter(|_| self.endpoint.is_under_api())
    }

    /// Returns the rate limit of `/api` in an answer. Software that also limits other
    /// paths counts them separately (GoToSocial).
    fn rate_limit(&self, exchange: &Exchange) -> Option<RateLimit> {
        exchange.rate_limit.filter(|_| self.endpoint.is_under_api())
    }

    /// GoToSocial shows its peers only to its own users, unless its administrator
    /// allows it.
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

/// Describes a failure. If the token's permissions are insufficient, adds what is
/// needed.
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

/// Returns what a failure means for this endpoint.
fn verdict(endpoint: Endpoint, failure: &Failure, with_token: bool) -> Verdict {
    match failure.status.map(|s| s.as_u16()) {
        Some(404 | 410) => Verdict::Missing(ErrorType::Http4xx),
        Some(501) if !endpoint.shows_up() => Verdict::Missing(ErrorType::Http5xx),
        _ if failure.web_page => Verdict::Missing(ErrorType::Decode),
        // The token's scopes or its user's role are insufficient.
        Some(403) if with_token && failure.explained => Verdict::NotOffered,
        // The server shows its blocks to nobody, or only to its users.
        Some(403) if endpoint == Endpoint::DomainBlocks => Verdict::NotOffered,
        _ => Verdict::Failed(failure.error),
    }
}
