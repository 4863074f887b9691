//! Requests to servers and the meaning of their answers: one file for each family of
//! endpoints. This file makes an attempt; `ask` is a request of it, and `answer` its
//! result.

pub mod account;
pub mod admin;
mod answer;
mod ask;
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

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

use crate::clock::{Clock, Moment};
use crate::endpoint::Endpoint;
use crate::fetch::Client;
use crate::outcome::ErrorType;
use crate::snapshot::{Facts, Reading, Snapshot};
use crate::software::Software;
use crate::target::Target;

use crate::document::{Document, Top};

pub use self::answer::{Answer, Limits, Requests, Validity, Verdict};
pub use self::pacing::Pacing;
pub use self::pages::Paging;

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
        Answer::new(self).failed(Verdict::NotOffered, reason)
    }

    /// Returns the answer of an attempt that was not made, because it would fail like
    /// another attempt just did.
    #[must_use]
    pub fn fail(&self, error: ErrorType, reason: &str) -> Answer {
        let answer = Answer::new(self).failed(Verdict::Failed(error), reason);
        let is_down = self.endpoint == Endpoint::Health && error != ErrorType::Local;
        answer.with(is_down.then(health::unreachable))
    }

    /// Makes one request for one JSON document.
    async fn document(
        &self,
        path: &str,
        top: Top,
        read: impl FnOnce(&mut Document) -> Option<Facts>,
    ) -> Answer {
        self.ask(path).if_changed().send().await.facts(top, read).await
    }

    /// Reads the rows of activity. WordPress with Enable Mastodon Apps answers with the
    /// v1 instance document, and has no activity.
    async fn activity(&self) -> Answer {
        let asked = self.ask("/api/v1/instance/activity").if_changed().send().await;
        if asked.reply.as_ref().is_some_and(|reply| instance::is_instance(&reply.body)) {
            let why = "the server answers with its instance document, so it has no activity";
            return asked.answer.failed(Verdict::NotOffered, why);
        }
        let read = |doc: &mut Document| Some(Facts::Activity(instance::activity(doc).into()));
        asked.facts(Top::Array, read).await
    }

    /// Sends a POST request with JSON.
    async fn post(
        &self,
        path: &str,
        body: &serde_json::Value,
        read: impl FnOnce(&mut Document) -> Option<Facts>,
    ) -> Answer {
        let body = body.to_string();
        self.ask(path).post(body.as_bytes()).send().await.facts(Top::Array, read).await
    }
}
