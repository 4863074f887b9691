//! A target at the time of a collection, and how long what is read of it holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Moment;
use crate::endpoint::Endpoint;
use crate::outcome::Outcome;
use crate::target::Target;

use super::facts::{
    Account, ActivityWeek, Count, Credentials, Facts, Health, InstanceV1, InstanceV2, Measures, Nodeinfo,
    Reports, Retention, TagUse, Tally, Timelines,
};
use super::{Slot, Snapshot};

/// One target at the time of a collection: what the metric table reads.
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    /// The target.
    pub target: &'a Target,
    /// What is known of it.
    pub snapshot: &'a Snapshot,
    /// When the collection began.
    started: Moment,
    /// The same as a Unix time in seconds.
    unix: f64,
    /// Is told between which times what is read holds.
    holds: Option<&'a Holds>,
}

/// Between which times what was read holds: from the last time at which something of it
/// was read otherwise before, until the first at which it could be. Whatever depends on
/// the time of a collection has to compare that time here.
#[derive(Debug)]
pub(super) struct Holds {
    /// Nanoseconds after the clock's origin.
    moment: Bounds,
    /// The bits of Unix seconds, which order as the numbers do: none is negative.
    unix: Bounds,
}

/// The last number up to the present one, and the first after it.
#[derive(Debug)]
struct Bounds {
    from: AtomicU64,
    until: AtomicU64,
}

impl Bounds {
    fn new(until: u64) -> Bounds {
        Bounds { from: AtomicU64::new(0), until: AtomicU64::new(until) }
    }

    fn note(&self, at: u64, is_past: bool) {
        if is_past {
            self.from.fetch_max(at, Ordering::Relaxed);
        } else {
            self.until.fetch_min(at, Ordering::Relaxed);
        }
    }
}

impl Default for Holds {
    fn default() -> Holds {
        Holds { moment: Bounds::new(u64::MAX), unix: Bounds::new(f64::MAX.to_bits()) }
    }
}

impl Holds {
    /// Notes a moment at which something changes, before a collection at `now` or after.
    fn changes_at(&self, moment: Moment, now: Moment) {
        let nanos = moment.since(Moment::ORIGIN).as_nanos();
        self.moment.note(u64::try_from(nanos).unwrap_or(u64::MAX), moment <= now);
    }

    fn changes_at_unix(&self, unix: f64, now: f64) {
        self.unix.note(unix.max(0.0).to_bits(), unix <= now);
    }

    /// Returns from when and until when what was read holds.
    pub(super) fn between(&self) -> [(Moment, f64); 2] {
        let at = |moment: &AtomicU64, unix: &AtomicU64| {
            let moment = Moment::at(Duration::from_nanos(moment.load(Ordering::Relaxed)));
            (moment, f64::from_bits(unix.load(Ordering::Relaxed)))
        };
        [at(&self.moment.from, &self.unix.from), at(&self.moment.until, &self.unix.until)]
    }
}

/// Seconds.
const DAY: i64 = 86_400;

macro_rules! facts {
    ($( $(#[$doc:meta])* $method:ident $variant:ident -> $type:ty; )*) => {
        impl<'a> Reading<'a> { $(
            $(#[$doc])*
            #[must_use]
            pub fn $method(&self) -> Option<&'a $type> {
                self.snapshot.slots.iter().find_map(|slot| match slot.facts() {
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
    /// robots.txt, while it lives.
    robots Robots -> str;
    /// Which servers answer, while that is known.
    health Health -> Health;
    /// The newest posts, while they live.
    timelines Timelines -> Timelines;
    /// The number of peers, while it lives.
    peers Peers -> Count;
    /// The public domain blocks, while they live.
    domain_blocks DomainBlocks -> Tally;
    /// The number of custom emojis, while it lives.
    custom_emojis CustomEmojis -> Count;
    /// The listed hashtags, while they live.
    tags Tags -> [Option<TagUse>];
    /// What the token may do, while that is known.
    credentials Credentials -> Credentials;
    /// The number of announcements, while it lives.
    announcements Announcements -> Count;
    /// The open reports, while they live.
    reports Reports -> Reports;
    /// The number of accounts that wait for approval, while it lives.
    pending_accounts PendingAccounts -> Count;
    /// Trends that wait for review, by kind, while they live.
    pending_trends PendingTrends -> Tally;
    /// Figures by day, while they live.
    measures Measures -> Measures;
    /// Bytes by kind of storage, while they live.
    storage Storage -> Tally;
    /// Versions by component, while they live.
    components Components -> [(Arc<str>, Arc<str>)];
    /// Users by language, while they live.
    languages Languages -> Tally;
    /// The share of users that came back, while it lives.
    retention Retention -> Retention;
    /// Domain blocks as the admin sees them, while they live.
    admin_domain_blocks AdminDomainBlocks -> Tally;
    /// The number of allowed domains, while it lives.
    domain_allows DomainAllows -> Count;
    /// IP blocks by severity, while they live.
    ip_blocks IpBlocks -> Tally;
    /// The number of blocked e-mail domains, while it lives.
    email_domain_blocks EmailDomainBlocks -> Count;
    /// The number of blocked e-mail addresses, while it lives.
    canonical_email_blocks CanonicalEmailBlocks -> Count;
}

impl<'a> Reading<'a> {
    /// A target at the time of a collection that began then.
    #[must_use]
    pub fn new(target: &'a Target, snapshot: &'a Snapshot, started: Moment, unix: f64) -> Reading<'a> {
        Reading { target, snapshot, started, unix, holds: None }
    }

    /// Tells `holds` between which times what is read holds.
    pub(super) fn telling(self, holds: &'a Holds) -> Reading<'a> {
        Reading { holds: Some(holds), ..self }
    }

    /// The same target at the same time, if this were known of it.
    #[must_use]
    pub fn of<'b>(&self, snapshot: &'b Snapshot) -> Reading<'b>
    where
        'a: 'b,
    {
        Reading { snapshot, ..*self }
    }

    /// A value lives until its lifetime ends. What was alive when the
    /// collection began, or came in since, is reported.
    pub(crate) fn alive(&self, slot: &Slot) -> bool {
        let Some(last) = slot.last() else { return false };
        let ends = last.fresh_until.max(last.ended + Duration::from_nanos(1));
        if let Some(holds) = self.holds {
            holds.changes_at(ends, self.started);
        }
        ends > self.started
    }

    /// Whether the collection began between these Unix times in seconds, or at the first.
    #[must_use]
    pub fn is_between(&self, start: f64, end: f64) -> bool {
        if let Some(holds) = self.holds {
            holds.changes_at_unix(start, self.unix);
            holds.changes_at_unix(end, self.unix);
        }
        (start..end).contains(&self.unix)
    }

    /// Whether the collection began on the UTC day of this Unix time in seconds.
    #[must_use]
    pub fn is_day_of(&self, unix: i64) -> bool {
        let day = unix.div_euclid(DAY) as f64 * DAY as f64;
        self.is_between(day, day + DAY as f64)
    }

    /// The slot of an endpoint, if the target is asked for it.
    #[must_use]
    pub fn slot(&self, endpoint: Endpoint) -> Option<&'a Slot> {
        self.snapshot.slots.iter().find(|s| s.endpoint == endpoint)
    }

    /// How the last attempt at an endpoint ended.
    #[must_use]
    pub fn outcome(&self, endpoint: Endpoint) -> Option<Outcome> {
        self.slot(endpoint)?.outcome()
    }

    /// As [`Snapshot::up`].
    #[must_use]
    pub fn up(&self) -> Option<bool> {
        self.snapshot.up()
    }
}
