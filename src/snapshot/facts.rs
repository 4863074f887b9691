//! The facts of each endpoint, as plain data.

use std::sync::Arc;

use url::Url;

/// The facts of one endpoint.
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
    /// `/robots.txt`
    Robots(Arc<str>),
    /// The health of the web server and the streaming server.
    Health(Arc<Health>),
    /// The newest posts of the public timelines.
    Timelines(Arc<Timelines>),
    /// `/api/v1/instance/peers`
    Peers(Arc<Count>),
    /// `/api/v1/instance/domain_blocks`
    DomainBlocks(Arc<Tally>),
    /// `/api/v1/custom_emojis`
    CustomEmojis(Arc<Count>),
    /// The listed hashtags, in the order of the target's list.
    Tags(Arc<[Option<TagUse>]>),
    /// `/api/v1/accounts/verify_credentials`
    Credentials(Arc<Credentials>),
    /// `/api/v1/announcements`
    Announcements(Arc<Count>),
    /// `/api/v1/admin/reports`
    Reports(Arc<Reports>),
    /// Accounts that wait for approval.
    PendingAccounts(Arc<Count>),
    /// `/api/v1/admin/trends/*`
    PendingTrends(Arc<Tally>),
    /// `/api/v1/admin/measures`
    Measures(Arc<Measures>),
    /// `space_usage` of `/api/v1/admin/dimensions`
    Storage(Arc<Tally>),
    /// `software_versions` of `/api/v1/admin/dimensions`
    Components(Arc<[(Arc<str>, Arc<str>)]>),
    /// `languages` of `/api/v1/admin/dimensions`
    Languages(Arc<Tally>),
    /// `/api/v1/admin/retention`
    Retention(Arc<Retention>),
    /// `/api/v1/admin/domain_blocks`
    AdminDomainBlocks(Arc<Tally>),
    /// `/api/v1/admin/domain_allows`
    DomainAllows(Arc<Count>),
    /// `/api/v1/admin/ip_blocks`
    IpBlocks(Arc<Tally>),
    /// `/api/v1/admin/email_domain_blocks`
    EmailDomainBlocks(Arc<Count>),
    /// `/api/v1/admin/canonical_email_blocks`
    CanonicalEmailBlocks(Arc<Count>),
}

/// A number of items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count(pub i64);

/// The number of items for each member of a closed set. Members without items are
/// included with 0 if the whole list was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally(pub Vec<(&'static str, i64)>);

impl Tally {
    /// Creates a tally of these members with 0 items each.
    #[must_use]
    pub fn of(members: &[&'static str]) -> Tally {
        Tally(members.iter().map(|member| (*member, 0)).collect())
    }

    /// Adds `n` to a member, or to [`OTHER`] if there is no such member.
    pub fn add(&mut self, member: &'static str, n: i64) {
        match self.0.iter_mut().find(|(m, _)| *m == member) {
            Some((_, count)) => *count = count.saturating_add(n),
            None => self.0.push((member, n)),
        }
    }
}

/// The member for everything outside a closed set.
pub const OTHER: &str = "_OTHER";

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
    /// `configuration.urls.streaming`.
    pub streaming: Option<Arc<str>>,
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
    /// `urls.streaming_api`.
    pub streaming: Option<Arc<str>>,
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
    /// Whether `usage` or `usage.users` exists and is empty: the administrator hides
    /// the counts.
    pub users_hidden: bool,
    /// Whether `metadata.usage` exists (Funkwhale).
    pub metadata_usage: bool,
    /// Whether the answer asks not to be indexed (`X-Robots-Tag`).
    pub noindex: bool,
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

/// An account, local or as this server knows it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Account {
    /// `id`, assigned by this server.
    pub id: Option<Arc<str>>,
    /// `followers_count`; absent where hidden.
    pub followers: Option<i64>,
    /// `following_count`.
    pub following: Option<i64>,
    /// `statuses_count`.
    pub statuses: Option<i64>,
    /// Midnight UTC of the day of `last_status_at`, Unix seconds.
    pub last_status: Option<i64>,
}

/// Whether the servers of an instance answer; `None` if the server is not offered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Health {
    /// The web server: `/health`.
    pub web: Option<bool>,
    /// The streaming server: `/api/v1/streaming/health`.
    pub streaming: Option<bool>,
}

/// The times of the newest posts, in Unix seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Timelines {
    /// The newest post of a local account.
    pub local: Option<f64>,
    /// The newest post of any server.
    pub federated: Option<f64>,
}

/// The use of a hashtag on the current UTC day, as this server knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TagUse {
    /// Midnight UTC of the day, Unix seconds.
    pub day: i64,
    /// Posts with the hashtag.
    pub uses: Option<i64>,
    /// Accounts that used the hashtag.
    pub accounts: Option<i64>,
}

/// The permissions of a token's user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Credentials {
    /// `role.permissions`, a bit mask (Mastodon 4.0 and later).
    pub permissions: Option<u64>,
}

/// Open reports.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reports {
    /// The number of open reports by category.
    pub open: Tally,
    /// Open reports that are not assigned to a moderator.
    pub unassigned: i64,
    /// When the oldest open report was made, in Unix seconds.
    pub oldest: Option<f64>,
}

/// The figures that Mastodon measures by day. The names are the `keys` of the request
/// and the last part of the metrics' names.
pub const MEASURES: [&str; 5] =
    ["active_users", "new_users", "interactions", "opened_reports", "resolved_reports"];

/// Figures of two UTC days.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Measures {
    /// The current day at the time of the request, in days since 1970.
    pub day: i64,
    /// The figures of that day, in the order of [`MEASURES`].
    pub today: [Option<i64>; 5],
    /// The figures of the day before.
    pub yesterday: [Option<i64>; 5],
}

/// The share of users who signed up in the month before last and were seen again in the
/// following month.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retention {
    /// From 0 to 1.
    pub rate: f64,
}
