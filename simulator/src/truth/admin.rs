//! What an instance currently shows to its administrators.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::instance::Instance;
use super::reports::{Report, Reporting, reports};
use super::switches::Switches;
use crate::dates::{DAY, midnight};

/// Markers in all texts about people that administrators see: e-mail addresses, IP
/// addresses and confidential words contain one of them. None of them may leave the
/// bridge.
pub const PRIVATE: [&str; 3] = ["private.example", "203.0.113.", "between us"];

/// The data of a simulated instance for its administrators, at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AdminTruth {
    /// Reports, newest first, including resolved ones.
    pub reports: Vec<Report>,
    /// Number of accounts that wait for approval.
    pub pending: usize,
    /// Trending hashtags.
    pub trending_tags: Trending,
    /// Trending statuses.
    pub trending_statuses: Trending,
    /// Trending links.
    pub trending_links: Trending,
    /// Figures by UTC day, today first: 30 days unless a test sets others. A missing
    /// day has zeros.
    pub days: Vec<Day>,
    /// Bytes by kind (`postgresql`, `redis`, `media`, `search`), as `space_usage`.
    pub storage: Vec<(String, i64)>,
    /// Versions by component, as `software_versions`.
    pub software: Vec<(String, String)>,
    /// Users by the language of their interface, the largest first.
    pub languages: Vec<(String, i64)>,
    /// For the month that begins at this Unix time, the share of its new users who were
    /// seen again in the next month; newest month first.
    pub retention: Vec<(i64, f64)>,
    /// Number of domain blocks with the severity `noop`, which may still refuse
    /// media; the others are in [`Truth::domain_blocks`](crate::Truth).
    pub noop_domain_blocks: usize,
    /// Number of domains that federation is limited to.
    pub domain_allows: usize,
    /// Blocks of addresses.
    pub ip_blocks: IpBlocks,
    /// Number of blocked e-mail domains.
    pub email_domain_blocks: usize,
    /// Number of blocked e-mail addresses.
    pub canonical_email_blocks: usize,
}

/// A list of trends, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Trending {
    /// Number of all entries.
    pub listed: usize,
    /// Number of entries without a review.
    pub pending: usize,
}

/// A UTC day in the measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Day {
    /// Its midnight, Unix time in seconds.
    pub start: i64,
    /// Number of distinct users.
    pub active_users: i64,
    /// Number of sign-ups.
    pub new_users: i64,
    /// Number of favourites, boosts, replies and the like.
    pub interactions: i64,
    /// Number of reports that were created.
    pub opened_reports: i64,
    /// Number of reports that were resolved.
    pub resolved_reports: i64,
}

/// Numbers of IP address blocks by severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IpBlocks {
    /// Sign-ups wait for approval.
    pub sign_up_requires_approval: usize,
    /// No sign-ups.
    pub sign_up_block: usize,
    /// Nothing at all.
    pub no_access: usize,
}

impl AdminTruth {
    /// Returns the data of an instance at a Unix time in seconds.
    pub(crate) fn of(instance: &Instance, switches: Switches, now: i64) -> AdminTruth {
        let today = midnight(now);
        AdminTruth {
            reports: reports(instance, now),
            pending: pending(instance),
            trending_tags: trending(instance, 0),
            trending_statuses: trending(instance, 1),
            trending_links: trending(instance, 2),
            days: (0..30).map(|n| day(instance, today - n * DAY, now)).collect(),
            storage: storage(instance, now),
            software: software(instance),
            languages: languages(instance, now),
            retention: months(now).map(|start| (start, retention(instance, start))).collect(),
            noop_domain_blocks: noop_domain_blocks(instance),
            domain_allows: domain_allows(instance, switches.limited_federation),
            ip_blocks: ip_blocks(instance),
            email_domain_blocks: email_domain_blocks(instance),
            canonical_email_blocks: canonical_email_blocks(instance),
        }
    }

    /// Number of open reports of one category, or with `None` of all.
    #[must_use]
    pub fn open_reports(&self, category: Option<&str>) -> usize {
        self.open().filter(|report| category.is_none_or(|category| report.category == category)).count()
    }

    /// Number of open reports without an assigned moderator.
    #[must_use]
    pub fn unassigned_reports(&self) -> usize {
        self.open().filter(|report| !report.assigned).count()
    }

    /// When the oldest open report was created, Unix time in seconds.
    #[must_use]
    pub fn oldest_report(&self) -> Option<i64> {
        self.open().map(|report| report.created_at).min()
    }

    fn open(&self) -> impl Iterator<Item = &Report> {
        self.reports.iter().filter(|report| !report.resolved)
    }

    /// The figures of the UTC day that begins at this Unix time.
    #[must_use]
    pub fn day(&self, start: i64) -> Day {
        let day = self.days.iter().find(|day| day.start == start);
        day.copied().unwrap_or(Day { start, ..Day::default() })
    }

    /// The share of new users of the month that begins at this Unix time who were seen
    /// again in the next month, if it is known.
    #[must_use]
    pub fn retention_of(&self, start: i64) -> f64 {
        self.retention.iter().find(|(month, _)| *month == start).map_or(0.0, |(_, rate)| *rate)
    }
}

/// Returns the share of a period's new users who were seen again in the next period.
pub(crate) fn retention(instance: &Instance, start: i64) -> f64 {
    0.2 + 0.6 * instance.numbers.unit(5000 + start.unsigned_abs())
}

/// The beginnings of this month and the thirteen before it.
fn months(now: i64) -> impl Iterator<Item = i64> {
    let at = Timestamp::from_second(now).unwrap_or_default().to_zoned(TimeZone::UTC);
    let first = at.date().first_of_month();
    let month = move |n: i64| first.checked_sub(n.months()).and_then(|date| date.to_zoned(TimeZone::UTC));
    (0..14).filter_map(move |n| month(n).ok()).map(|at| at.timestamp().as_second())
}

/// Returns the figures of a UTC day until now.
pub(crate) fn day(instance: &Instance, start: i64, now: i64) -> Day {
    let numbers = &instance.numbers;
    let end = (start + DAY).min(now);
    if end <= start {
        return Day { start, ..Day::default() };
    }
    let passed = (end - start) as f64 / DAY as f64;
    let interactions = |at| numbers.count(1.7 * numbers.statuses_per_second, at);
    let process = Reporting::of(instance);
    Day {
        start,
        active_users: (numbers.active_month(start) as f64 * (passed / 28.0).powf(0.45)).round() as i64,
        new_users: (numbers.users(end) - numbers.users(start)) as i64,
        interactions: (interactions(end) - interactions(start)) as i64,
        opened_reports: process.opened_in(start, end),
        resolved_reports: process.resolved_in(start, end),
    }
}

pub(crate) fn pending(instance: &Instance) -> usize {
    instance.numbers.up_to(72, 40.0)
}

pub(crate) fn trending(instance: &Instance, kind: u64) -> Trending {
    let listed = instance.numbers.up_to(90 + kind, 45.0);
    Trending { listed, pending: (listed as f64 * instance.numbers.unit(95 + kind)) as usize }
}

pub(crate) fn storage(instance: &Instance, now: i64) -> Vec<(String, i64)> {
    let statuses = instance.numbers.statuses(now) as f64;
    let mut storage = vec![
        ("postgresql".to_owned(), (2e8 + 9_000.0 * statuses) as i64),
        ("redis".to_owned(), (2e6 + 60.0 * statuses) as i64),
        ("media".to_owned(), (1e6 + 110_000.0 * statuses) as i64),
    ];
    if has_search(instance) {
        storage.push(("search".to_owned(), (1e5 + 900.0 * statuses) as i64));
    }
    storage
}

/// From 4.3 on, half of the servers report their search.
fn has_search(instance: &Instance) -> bool {
    instance.version.since(4, 3) && instance.numbers.unit(78) < 0.5
}

pub(crate) fn software(instance: &Instance) -> Vec<(String, String)> {
    let version = &instance.version;
    let ruby = "ruby 3.4.5 (2025-07-16 revision 0000000000) +PRISM [x86_64-linux]";
    let mut software =
        vec![("mastodon", &*version.text), ("ruby", ruby), ("postgresql", "17.5"), ("redis", "8.0.3")];
    if version.since(4, 2) && has_search(instance) {
        software.push(("elasticsearch", "7.17.29"));
    }
    if version.since(4, 3) {
        software.extend([("libvips", "8.17.1"), ("ffmpeg", "7.1.1")]);
    }
    software.into_iter().map(|(component, version)| (component.to_owned(), version.to_owned())).collect()
}

pub(crate) fn languages(instance: &Instance, now: i64) -> Vec<(String, i64)> {
    const CODES: [&str; 14] =
        ["en", "de", "fr", "ja", "es", "nl", "pt-BR", "zh-TW", "it", "pl", "fi", "eo", "kab", "sv"];
    let users = instance.numbers.active_month(now) as f64;
    let share = |n: usize| (users * 0.4 * 0.6_f64.powi(n as i32)).round() as i64;
    let languages = CODES.iter().enumerate().map(|(n, code)| ((*code).to_owned(), share(n)));
    languages.filter(|(_, users)| *users > 0).collect()
}

pub(crate) fn ip_blocks(instance: &Instance) -> IpBlocks {
    IpBlocks {
        sign_up_requires_approval: instance.numbers.up_to(73, 9.0),
        sign_up_block: instance.numbers.up_to(74, 6.0),
        no_access: instance.numbers.up_to(79, 30.0),
    }
}

pub(crate) fn noop_domain_blocks(instance: &Instance) -> usize {
    instance.numbers.up_to(70, 12.0)
}

pub(crate) fn domain_allows(instance: &Instance, limited_federation: bool) -> usize {
    if limited_federation { instance.numbers.up_to(71, 60.0) } else { 0 }
}

pub(crate) fn email_domain_blocks(instance: &Instance) -> usize {
    instance.numbers.up_to(75, 150.0)
}

pub(crate) fn canonical_email_blocks(instance: &Instance) -> usize {
    instance.numbers.up_to(76, 30.0)
}
