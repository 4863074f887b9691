//! What an instance currently says, as plain data. It follows from a seed and the
//! clock, and does not depend on requests.
//!
//! In reading order: `instance` and `numbers` (the constants of an instance, and what
//! follows from the time), `switches` (the decisions of its administrator), then one
//! file for each family: `accounts`, `activity`, `community`, `domains`, `reports`,
//! `admin`. Each family is a function of an instance and the time, so that a request
//! for one does not compute the others.

pub(crate) mod accounts;
pub(crate) mod activity;
pub(crate) mod admin;
pub(crate) mod community;
pub(crate) mod domains;
pub(crate) mod instance;
pub(crate) mod numbers;
pub(crate) mod reports;
pub(crate) mod switches;

use accounts::Account;
use activity::ActivityRow;
use community::Tag;
use domains::DomainBlocks;
use instance::Instance;
use switches::Switches;

/// The public data of a simulated instance at one moment.
///
/// Numbers are signed, so that a test can set invalid ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth {
    /// The host and port by which the instance calls itself: `art.localhost:3000`.
    pub domain: String,
    /// Its display name.
    pub title: String,
    /// Its Mastodon version: `4.6.4`.
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
    /// Whether anyone can sign up, possibly with approval.
    pub registrations_open: bool,
    /// Whether sign-ups wait for approval.
    pub approval_required: bool,
    /// Number of rules, from 3.4.
    pub rules: usize,
    /// The rows of `/api/v1/instance/activity`, newest first.
    pub activity: Vec<ActivityRow>,
    /// The accounts, the administrator's first.
    pub accounts: Vec<Account>,
    /// Number of domains in `/api/v1/instance/peers`.
    pub peers: usize,
    /// The blocked domains that the instance shows, from 4.0.
    pub domain_blocks: DomainBlocks,
    /// Number of custom emojis.
    pub custom_emojis: usize,
    /// Number of published announcements, from 3.1.
    pub announcements: usize,
    /// When the newest status on the local timeline was written, in Unix milliseconds.
    pub newest_local_ms: Option<i64>,
    /// When the newest status of another server was written, in Unix milliseconds.
    pub newest_remote_ms: Option<i64>,
    /// Hashtags in use; any other has seven days of zeros.
    pub tags: Vec<Tag>,
}

impl Truth {
    /// Returns the data of an instance at a Unix time in seconds.
    pub(crate) fn of(instance: &Instance, switches: Switches, now: i64, domain: String) -> Truth {
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
            rules: instance.rules(),
            activity: activity::rows(instance, now),
            accounts: accounts::accounts(instance, now),
            peers: domains::peers(instance, now),
            domain_blocks: domains::blocks(instance),
            custom_emojis: community::custom_emojis(instance),
            announcements: community::announcements(instance),
            newest_local_ms: community::newest_local_ms(instance, now),
            newest_remote_ms: community::newest_remote_ms(instance, now),
            tags: community::tags(instance, now),
        }
    }
}
