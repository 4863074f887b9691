//! Numbers that some software reports without counting: constants, zeros in place of
//! hidden counts, invented numbers, and totals of something else. They are omitted, and
//! the table gives the reason. `docs/servers.md` shows the table.

mod table;

use std::fmt::{self, Write};

use crate::endpoint::Endpoint;
use crate::outcome::Outcome;
use crate::snapshot::Reading;
use crate::software::Software;

pub use table::UNCOUNTED;

/// A server's number that the table can omit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    /// v1 `stats.user_count`
    V1Users,
    /// v1 `stats.status_count`
    V1Statuses,
    /// v1 `stats.domain_count`
    V1Domains,
    /// v2 `usage.users.active_month`
    V2Month,
    /// `logins` of the newest activity row
    Logins,
    /// `logins` of the second activity row
    LoginsBefore,
    /// NodeInfo `usage.users.total`
    Users,
    /// NodeInfo `usage.users.activeMonth`
    Month,
    /// NodeInfo `usage.users.activeHalfyear`
    HalfYear,
    /// NodeInfo `usage.users.activeWeek`
    Week,
    /// NodeInfo `usage.localPosts`
    Posts,
    /// NodeInfo `usage.localComments`
    Comments,
}

use Figure::{
    Comments, HalfYear, Logins, LoginsBefore, Month, Posts, Users, V1Domains, V1Statuses, V1Users, V2Month,
    Week,
};

impl Figure {
    /// Every figure.
    pub const ALL: [Figure; 12] = [
        V1Users,
        V1Statuses,
        V1Domains,
        V2Month,
        Logins,
        LoginsBefore,
        Users,
        Month,
        HalfYear,
        Week,
        Posts,
        Comments,
    ];

    /// Returns the figure as the server reports it, while the answer is fresh.
    #[must_use]
    pub fn reported(self, r: &Reading<'_>) -> Option<i64> {
        match self {
            V1Users => r.v1()?.users,
            V1Statuses => r.v1()?.statuses,
            V1Domains => r.v1()?.domains,
            V2Month => r.v2()?.active_month,
            Logins => r.activity()?.first()?.logins,
            LoginsBefore => r.activity()?.get(1)?.logins,
            Users => r.nodeinfo()?.users,
            Month => r.nodeinfo()?.active_month,
            HalfYear => r.nodeinfo()?.active_half_year,
            Week => r.nodeinfo()?.active_week,
            Posts => r.nodeinfo()?.local_posts,
            Comments => r.nodeinfo()?.local_comments,
        }
    }

    /// Returns the figure if the server is known to count it.
    #[must_use]
    pub fn counted(self, r: &Reading<'_>) -> Option<i64> {
        self.reported(r).filter(|_| self.withheld(r).is_none())
    }

    /// Returns why the figure is omitted although the server reports one.
    #[must_use]
    pub fn withheld(self, r: &Reading<'_>) -> Option<&'static str> {
        let value = self.reported(r)?;
        let mut software = None;
        let row = UNCOUNTED.iter().find(|row| {
            row.figures.contains(&self)
                && row.when.holds(r, row.figures, value)
                && row.who.is(software.get_or_insert_with(|| Software::of(r)))
        })?;
        Some(row.why)
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            V1Users => "v1 `user_count`",
            V1Statuses => "v1 `status_count`",
            V1Domains => "v1 `domain_count`",
            V2Month => "v2 `active_month`",
            Logins => "activity `logins`",
            LoginsBefore => "activity `logins` of the row before",
            Users => "NodeInfo `total`",
            Month => "NodeInfo `activeMonth`",
            HalfYear => "NodeInfo `activeHalfyear`",
            Week => "NodeInfo `activeWeek`",
            Posts => "NodeInfo `localPosts`",
            Comments => "NodeInfo `localComments`",
        })
    }
}

/// The software that a row is about.
#[derive(Debug, Clone, Copy)]
pub enum Who {
    /// Any software.
    Any,
    /// Software of one of these names.
    Named(&'static [&'static str]),
    /// Misskey and its forks.
    Misskey,
    /// Forks of Misskey that have Mastodon's API, except Iceshrimp.NET and Magnetar,
    /// which are rewritten.
    Calckey,
}

impl Who {
    fn is(self, software: &Software) -> bool {
        match self {
            Who::Any => true,
            Who::Named(names) => names.iter().any(|name| software.is(name)),
            Who::Misskey => software.is_misskey_family(),
            Who::Calckey => {
                software.is_misskey_family() && !software.is("iceshrimp.net") && !software.is("magnetar")
            }
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::Any => f.write_str("any"),
            Who::Named(names) => f.write_str(&names.join(", ")),
            Who::Misskey => f.write_str("Misskey and its forks"),
            Who::Calckey => f.write_str("forks of Misskey (Sharkey, Calckey, Firefish, Iceshrimp, …)"),
        }
    }
}

/// The condition under which a row applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Always.
    Always,
    /// The figure has this value.
    Is(i64),
    /// All figures of the row that are present have this value.
    AllAre(i64),
    /// The figure is 0, and Mastodon's federation is limited.
    LimitedFederation,
    /// The totals of v1 are all 0, and NodeInfo does not confirm it: it hides the
    /// counts, reports others, or cannot be read. For a Mastodon without NodeInfo the
    /// zeros count.
    ZerosAlone,
    /// The figure is 0, and NodeInfo hides the counts.
    ZeroWhileHidden,
    /// All figures of the row are 0, but there is a number of users.
    ZeroBesideUsers,
    /// All figures of the row are 0, and `metadata.usage` is missing.
    ZeroWithoutMetadata,
    /// The figure is 0, and NodeInfo asks not to be indexed.
    ZeroNotIndexed,
    /// The software never counts active users, but reports some.
    ActiveInvented,
    /// NodeInfo reports another number.
    OtherThanNodeinfo,
}

impl When {
    fn holds(self, r: &Reading<'_>, figures: &[Figure], value: i64) -> bool {
        let all = |value: i64| figures.iter().all(|figure| figure.reported(r).is_none_or(|n| n == value));
        let hidden = || r.nodeinfo().map(|nodeinfo| nodeinfo.users_hidden);
        match self {
            When::Always => true,
            When::Is(expected) => value == expected,
            When::AllAre(value) => all(value),
            When::LimitedFederation => {
                value == 0 && r.v2().is_some_and(|v2| v2.limited_federation == Some(true))
            }
            When::ZerosAlone => {
                let offered = || r.outcome(Endpoint::Nodeinfo) != Some(Outcome::NotOffered);
                all(0)
                    && match r.nodeinfo() {
                        Some(nodeinfo) => nodeinfo.users_hidden || nodeinfo.users.is_some_and(|n| n > 0),
                        None => offered() || Software::of(r).mastodon.is_none(),
                    }
            }
            When::ZeroWhileHidden => value == 0 && hidden() == Some(true),
            When::ZeroBesideUsers => all(0) && Users.reported(r).is_some_and(|users| users > 0),
            When::ZeroWithoutMetadata => {
                all(0) && r.nodeinfo().is_some_and(|nodeinfo| !nodeinfo.metadata_usage)
            }
            When::ZeroNotIndexed => value == 0 && r.nodeinfo().is_some_and(|nodeinfo| nodeinfo.noindex),
            When::ActiveInvented => [V2Month, Month].iter().any(|f| f.reported(r).is_some_and(|n| n != 0)),
            When::OtherThanNodeinfo => {
                V1Users.reported(r) != Users.reported(r) || V1Statuses.reported(r) != Posts.reported(r)
            }
        }
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            When::Always => f.write_str("always"),
            When::Is(value) => write!(f, "{value}"),
            When::AllAre(value) => write!(f, "all {value}"),
            When::LimitedFederation => f.write_str("0, and `limited_federation` is true"),
            When::ZerosAlone => f.write_str("all 0, and NodeInfo does not confirm it"),
            When::ZeroWhileHidden => f.write_str("0, and NodeInfo's `users` is empty"),
            When::ZeroBesideUsers => f.write_str("all 0 beside a `total`"),
            When::ZeroWithoutMetadata => f.write_str("all 0 without `metadata.usage`"),
            When::ZeroNotIndexed => f.write_str("0, and NodeInfo has `X-Robots-Tag: noindex`"),
            When::ActiveInvented => f.write_str("`active_month` or `activeMonth` is not 0"),
            When::OtherThanNodeinfo => f.write_str("users or posts differ from NodeInfo's"),
        }
    }
}

/// Numbers that are not reported.
#[derive(Debug, Clone, Copy)]
pub struct Uncounted {
    /// The software.
    pub who: Who,
    /// The numbers.
    pub figures: &'static [Figure],
    /// The condition.
    pub when: When,
    /// The reason, for people.
    pub why: &'static str,
    /// The source of this knowledge.
    pub source: &'static str,
}

/// Returns the table as rows of Markdown.
#[must_use]
pub fn markdown() -> String {
    let mut page = "| software | numbers | omitted when | why | source |\n|---|---|---|---|---|\n".to_owned();
    for row in UNCOUNTED {
        let figures: Vec<String> = row.figures.iter().map(ToString::to_string).collect();
        let cells = [
            row.who.to_string(),
            figures.join(", "),
            row.when.to_string(),
            row.why.to_owned(),
            row.source.to_owned(),
        ];
        // Writing into memory cannot fail.
        let _ = writeln!(page, "| {} |", cells.join(" | "));
    }
    page
}
