//! What an instance would say right now, as plain numbers, for tests to
//! compare with.

use super::state::{Instance, Switches};
use super::{accounts, activity, blocks, community, instance, peers, timelines};

/// Everything that a simulated instance would answer at one moment.
///
/// Numbers are signed so that a test can make an instance say what none should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth {
    /// The host and port that it calls itself.
    pub domain: String,
    /// Its name for people.
    pub title: String,
    /// Its Mastodon version.
    pub version: String,
    /// `api_versions.mastodon`, from 4.3.
    pub api_version: Option<u32>,
    /// Confirmed local users.
    pub users: i64,
    /// Statuses of local accounts.
    pub statuses: i64,
    /// Known remote domains.
    pub domains: i64,
    /// Users active in the last 28 whole UTC days.
    pub active_month: i64,
    /// Users active in the last 168 whole UTC days.
    pub active_half_year: i64,
    /// Whether anyone can sign up, be it after approval.
    pub registrations_open: bool,
    /// Whether sign-ups wait for approval.
    pub approval_required: bool,
    /// Number of rules, from 3.4.
    pub rules: usize,
    /// The rows of `/api/v1/instance/activity`, newest first.
    pub activity: Vec<ActivityRow>,
    /// Its accounts, the admin's first.
    pub accounts: Vec<Account>,
    /// Number of domains in `/api/v1/instance/peers`.
    pub peers: usize,
    /// Domains that it blocks and shows, from 4.0.
    pub domain_blocks: DomainBlocks,
    /// Number of custom emojis.
    pub custom_emojis: usize,
    /// Number of published announcements, from 3.1.
    pub announcements: usize,
    /// When the newest status on the local timeline was written, Unix time in
    /// milliseconds.
    pub newest_local_ms: Option<i64>,
    /// The same of the federated timeline.
    pub newest_federated_ms: Option<i64>,
    /// Hashtags in use; any other has seven days of zeros.
    pub tags: Vec<Tag>,
}

impl Truth {
    /// What an instance's own numbers say.
    pub(super) fn of(instance: &Instance, switches: Switches, now: i64, domain: String) -> Truth {
        let numbers = &instance.numbers;
        Truth {
            domain,
            title: instance.title(),
            version: instance.version.text.to_string(),
            api_version: instance.version.api_version(),
            users: numbers.users(now) as i64,
            statuses: numbers.statuses(now) as i64,
            domains: numbers.domains(now) as i64,
            active_month: numbers.active_month(now) as i64,
            active_half_year: numbers.active_half_year(now) as i64,
            registrations_open: switches.registrations_open,
            approval_required: switches.approval_required,
            rules: instance::rules_of(instance),
            activity: activity::rows(instance, now),
            accounts: accounts::accounts(instance, now),
            peers: peers::count(instance, now),
            domain_blocks: blocks::blocked(instance),
            custom_emojis: community::emojis_of(instance),
            announcements: community::announcements_of(instance),
            newest_local_ms: timelines::newest_local_ms(instance, now),
            newest_federated_ms: timelines::newest_federated_ms(instance, now),
            tags: community::tags(instance, now),
        }
    }
}

/// A row of `/api/v1/instance/activity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActivityRow {
    /// Unix time in seconds: a Monday 00:00 in the server's time zone up to
    /// Mastodon 3.4, the second in which the figures were worked out from 3.5.
    pub week: i64,
    /// Local statuses.
    pub statuses: u64,
    /// Distinct users seen.
    pub logins: u64,
    /// New users.
    pub registrations: u64,
}

/// Domains by the severity of their block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DomainBlocks {
    /// Heard only by those who follow.
    pub silence: usize,
    /// Not heard at all.
    pub suspend: usize,
}

/// A hashtag with its last seven UTC days, the running one first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Without `#`.
    pub name: String,
    /// Statuses with it.
    pub uses: [i64; 7],
    /// Accounts that wrote them.
    pub accounts: [i64; 7],
}

/// An account of a simulated instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The server's id.
    pub id: String,
    /// The local part of its address.
    pub username: String,
    /// Accounts that follow it; -1 where it hides them (glitch-soc).
    pub followers: i64,
    /// Accounts that it follows.
    pub following: i64,
    /// Its statuses.
    pub statuses: i64,
    /// The UTC day of its newest status, `2026-08-01`.
    pub last_status_at: Option<String>,
    /// When it was made, Unix time in seconds.
    pub created_at: i64,
}
