//! What is known of a target: plain data, every field optional, and how each
//! endpoint fared. No I/O, no clock of its own, nothing that fails.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::clock::Moment;
use crate::endpoint::Endpoint;
use crate::outcome::{ErrorType, Outcome};
use crate::target::Target;

/// What one collection reads: every target as it was when the refresh ended.
#[derive(Debug)]
pub struct View {
    /// When the collection began: what was alive then is reported.
    pub started: Moment,
    /// When the collection began, as a Unix time in seconds.
    pub unix: f64,
    /// The targets, in the order of the configuration.
    pub targets: Vec<(Arc<Target>, Arc<Snapshot>)>,
}

impl View {
    /// The targets, ready to be read.
    pub fn readings(&self) -> impl Iterator<Item = Reading<'_>> {
        self.targets.iter().map(|(target, snapshot)| Reading {
            target,
            snapshot,
            started: self.started,
            unix: self.unix,
        })
    }
}

/// All that is known of one target.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// One slot an endpoint, in the order of [`Target::endpoints`].
    pub slots: Vec<Slot>,
    /// From the last uncached anonymous answer.
    pub rate_limit: Option<RateLimit>,
    /// When the earliest certificate of the served chain ends, Unix seconds.
    pub certificate_expiry: Option<i64>,
}

/// How one endpoint fared, and what it said.
#[derive(Debug, Clone)]
pub struct Slot {
    /// Which endpoint.
    pub endpoint: Endpoint,
    /// How the last attempt ended; `None` before the first did.
    pub outcome: Option<Outcome>,
    /// The HTTP status of the last attempt, if there was an answer.
    pub status: Option<u16>,
    /// When the last attempt began.
    pub attempted: Moment,
    /// When it ended.
    pub finished: Moment,
    /// How long it took.
    pub duration: Duration,
    /// Decoded bytes of its body.
    pub size: u64,
    /// When the last successful attempt ended, Unix seconds.
    pub last_success: Option<f64>,
    /// Until when `facts` may be reported without asking again.
    pub fresh_until: Moment,
    /// How often attempts failed, by reason, since the start.
    pub failures: Vec<(ErrorType, u64)>,
    /// Why the last attempt failed, in words, for people.
    pub reason: Option<Arc<str>>,
    /// What the endpoint said; `None` after a failure.
    pub facts: Option<Facts>,
}

impl Slot {
    /// A slot of which nothing is known yet.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Slot {
        Slot {
            endpoint,
            outcome: None,
            status: None,
            attempted: Duration::ZERO,
            finished: Duration::ZERO,
            duration: Duration::ZERO,
            size: 0,
            last_success: None,
            fresh_until: Duration::ZERO,
            failures: Vec::new(),
            reason: None,
            facts: None,
        }
    }

    /// Adds `n` failures of this type to the tally.
    pub fn count(&mut self, error: ErrorType, n: u64) {
        match self.failures.iter_mut().find(|(e, _)| *e == error) {
            Some((_, count)) => *count += n,
            None => self.failures.push((error, n)),
        }
    }
}

/// What one endpoint said.
#[derive(Debug, Clone)]
pub enum Facts {
    /// `/api/v2/instance`
    InstanceV2(Arc<InstanceV2>),
    /// `/api/v1/instance`
    InstanceV1(Arc<InstanceV1>),
    /// `/.well-known/nodeinfo`
    Discovery(Arc<Url>),
    /// The NodeInfo document.
    Nodeinfo(Arc<Nodeinfo>),
    /// `/api/v1/instance/activity`
    Activity(Arc<[ActivityWeek]>),
    /// The listed accounts, in the order of the target's list.
    Accounts(Arc<[Option<Account>]>),
}

/// `GET /api/v2/instance` (Mastodon 4.0 and later).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InstanceV2 {
    /// `domain`, the account domain.
    pub domain: Option<Arc<str>>,
    /// `version`, as the server spells it.
    pub version: Option<Arc<str>>,
    /// `source_url`, which names the software.
    pub source_url: Option<Arc<str>>,
    /// `usage.users.active_month`: users seen in the 28 UTC days before today.
    pub active_month: Option<i64>,
    /// `registrations.enabled`.
    pub registrations_open: Option<bool>,
    /// `registrations.approval_required`.
    pub approval_required: Option<bool>,
    /// `api_versions.mastodon` (4.3 and later).
    pub api_version: Option<i64>,
    /// Length of `rules`.
    pub rules: Option<i64>,
    /// `configuration.statuses.max_characters`.
    pub status_characters: Option<i64>,
    /// `configuration.statuses.max_media_attachments`.
    pub media_attachments: Option<i64>,
    /// `configuration.limited_federation` (4.4 and later).
    pub limited_federation: Option<bool>,
}

/// `GET /api/v1/instance` (Mastodon 1.1 and later, and all that speak its API).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InstanceV1 {
    /// `uri`: the account domain, or a URL of it on other software.
    pub uri: Option<Arc<str>>,
    /// `version`, as the server spells it.
    pub version: Option<Arc<str>>,
    /// `stats.user_count`: confirmed local accounts.
    pub users: Option<i64>,
    /// `stats.status_count`: posts of local accounts, boosts included.
    pub statuses: Option<i64>,
    /// `stats.domain_count`: known domains.
    pub domains: Option<i64>,
    /// `registrations` (2.7.2 and later).
    pub registrations_open: Option<bool>,
    /// `approval_required` (2.9.2 and later).
    pub approval_required: Option<bool>,
    /// Length of `rules` (3.4 and later).
    pub rules: Option<i64>,
    /// `configuration.statuses.max_characters`.
    pub status_characters: Option<i64>,
    /// `configuration.statuses.max_media_attachments`.
    pub media_attachments: Option<i64>,
}

/// A NodeInfo document, 1.0 to 2.2.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Nodeinfo {
    /// `software.name`, as the server spells it.
    pub software: Option<Arc<str>>,
    /// `software.version`.
    pub version: Option<Arc<str>>,
    /// `usage.users.total`.
    pub users: Option<i64>,
    /// `usage.users.activeMonth`.
    pub active_month: Option<i64>,
    /// `usage.users.activeHalfyear`.
    pub active_half_year: Option<i64>,
    /// `usage.users.activeWeek` (2.2).
    pub active_week: Option<i64>,
    /// `usage.localPosts`.
    pub local_posts: Option<i64>,
    /// `usage.localComments`.
    pub local_comments: Option<i64>,
    /// `openRegistrations`.
    pub registrations_open: Option<bool>,
    /// Whether `usage.users` is there and empty: the admin hides the counts.
    pub users_hidden: bool,
}

/// A row of `GET /api/v1/instance/activity`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ActivityWeek {
    /// `week`, Unix seconds.
    pub week: i64,
    /// `statuses`.
    pub statuses: Option<i64>,
    /// `logins`.
    pub logins: Option<i64>,
    /// `registrations`.
    pub registrations: Option<i64>,
}

/// An account, local or as far as this server knows it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Account {
    /// `followers_count`; absent where hidden.
    pub followers: Option<i64>,
    /// `following_count`.
    pub following: Option<i64>,
    /// `statuses_count`.
    pub statuses: Option<i64>,
    /// Midnight UTC of the day of `last_status_at`, Unix seconds.
    pub last_status: Option<i64>,
}

/// `X-RateLimit-*` of an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateLimit {
    /// Requests in a window.
    pub limit: Option<i64>,
    /// Requests left in it.
    pub remaining: Option<i64>,
    /// When it ends, Unix seconds.
    pub reset: f64,
}

/// One target at the time of a collection: what the metric table reads.
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    /// The target.
    pub target: &'a Target,
    /// What is known of it.
    pub snapshot: &'a Snapshot,
    /// When the collection began.
    pub started: Moment,
    /// The same as a Unix time in seconds.
    pub unix: f64,
}

macro_rules! facts {
    ($( $(#[$doc:meta])* $method:ident $variant:ident -> $type:ty; )*) => {
        impl<'a> Reading<'a> { $(
            $(#[$doc])*
            #[must_use]
            pub fn $method(&self) -> Option<&'a $type> {
                self.snapshot.slots.iter().find_map(|slot| match &slot.facts {
                    Some(Facts::$variant(facts)) if self.alive(slot) => Some(&**facts),
                    _ => None,
                })
            }
        )* }
    };
}

facts! {
    /// What v2 instance said, while it lives.
    v2 InstanceV2 -> InstanceV2;
    /// What v1 instance said, while it lives.
    v1 InstanceV1 -> InstanceV1;
    /// What NodeInfo said, while it lives.
    nodeinfo Nodeinfo -> Nodeinfo;
    /// The activity rows, newest first, while they live.
    activity Activity -> [ActivityWeek];
    /// The listed accounts, while they live.
    accounts Accounts -> [Option<Account>];
}

impl<'a> Reading<'a> {
    /// A value lives until its lifetime ends. What was alive when the
    /// collection began, or came in since, is reported.
    fn alive(&self, slot: &Slot) -> bool {
        slot.fresh_until > self.started || slot.finished >= self.started
    }

    /// The slot of an endpoint, if the target is asked for it.
    #[must_use]
    pub fn slot(&self, endpoint: Endpoint) -> Option<&'a Slot> {
        self.snapshot.slots.iter().find(|s| s.endpoint == endpoint)
    }

    /// How the last attempt at an endpoint ended.
    #[must_use]
    pub fn outcome(&self, endpoint: Endpoint) -> Option<Outcome> {
        self.slot(endpoint)?.outcome
    }

    /// Whether the target is there: true when any of v2 instance, v1 instance
    /// and NodeInfo was read in its last attempt, false when every one that
    /// was attempted failed, `None` before the first attempt ended.
    #[must_use]
    pub fn up(&self) -> Option<bool> {
        let mut up = None;
        for slot in self.snapshot.slots.iter().filter(|s| s.endpoint.shows_up()) {
            match slot.outcome {
                Some(Outcome::Ok) => return Some(true),
                Some(Outcome::Failed(_)) => up = Some(false),
                Some(Outcome::NotOffered) | None => {}
            }
        }
        up
    }
}
