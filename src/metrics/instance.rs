//! What an instance says of itself over Mastodon's API.

use crate::endpoint::Endpoint;
use crate::outcome::Outcome;
use crate::snapshot::{ActivityWeek, Nodeinfo, Reading};
use crate::software::Software;

use super::uncounted::Figure;
use super::{Read, Row, ShownAs, gauge};

const DAY: i64 = 86_400;
const WEEK: i64 = 7 * DAY;
const EITHER: &[Endpoint] = &[Endpoint::InstanceV2, Endpoint::InstanceV1];

pub(super) const ROWS: &[Row] = &[
    gauge(
        "mastodon.instance.users",
        "{user}",
        "Confirmed local accounts.",
        "v1 `stats.user_count`; NodeInfo `usage.users.total` of a Mastodon without v1",
        Read::Int(|r| total(r, Figure::V1Users, Figure::Users)),
    )
    .shown(ShownAs::Users)
    .from(&[Endpoint::InstanceV1, Endpoint::Nodeinfo])
    .unless(no_users),
    gauge(
        "mastodon.instance.statuses",
        "{status}",
        "Posts of local accounts, boosts included.",
        "v1 `stats.status_count`; NodeInfo `usage.localPosts` of a Mastodon without v1",
        Read::Int(|r| total(r, Figure::V1Statuses, Figure::Posts)),
    )
    .shown(ShownAs::Posts)
    .from(&[Endpoint::InstanceV1, Endpoint::Nodeinfo])
    .unless(no_statuses),
    gauge(
        "mastodon.instance.domains",
        "{domain}",
        "Domains that the server knows, blocked ones included; not the ones that it talks to.",
        "v1 `stats.domain_count`",
        Read::Int(|r| Figure::V1Domains.counted(r)),
    )
    .from(&[Endpoint::InstanceV1])
    .unless(|r| Figure::V1Domains.withheld(r)),
    gauge(
        "mastodon.instance.active_users.month",
        "{user}",
        "Users seen in the 28 whole UTC days before today.",
        "v2 `usage.users.active_month`",
        Read::Int(|r| Figure::V2Month.counted(r)),
    )
    .shown(ShownAs::ActiveUsers)
    .from(&[Endpoint::InstanceV2])
    .unless(|r| Figure::V2Month.withheld(r)),
    gauge(
        "mastodon.instance.activity.six_day.statuses",
        "{status}",
        "Local posts created in the six days from 7 to 2 days before the day of the answer (Mastodon 3.5 \
         and later).",
        "activity, row 1 `statuses`",
        Read::Int(|r| six_days(r)?.statuses),
    )
    .from(&[Endpoint::Activity])
    .unless(no_six_days),
    gauge(
        "mastodon.instance.activity.six_day.logins",
        "{user}",
        "Users seen in the six days from 7 to 2 days before the day of the answer (Mastodon 3.5 and later).",
        "activity, row 1 `logins`",
        Read::Int(|r| six_days(r)?.logins),
    )
    .from(&[Endpoint::Activity])
    .unless(no_six_days),
    gauge(
        "mastodon.instance.activity.six_day.registrations",
        "{user}",
        "Users confirmed in the six days from 7 to 2 days before the day of the answer (Mastodon 3.5 and \
         later).",
        "activity, row 1 `registrations`",
        Read::Int(|r| six_days(r)?.registrations),
    )
    .from(&[Endpoint::Activity])
    .unless(no_six_days),
    gauge(
        "mastodon.instance.activity.day.statuses",
        "{status}",
        "Local posts created on the current UTC day when the server last counted, which it does once a day \
         (Mastodon 3.5 and later).",
        "activity, row 0 `statuses`",
        Read::Int(|r| today(r)?.statuses),
    )
    .from(&[Endpoint::Activity])
    .unless(no_day),
    gauge(
        "mastodon.instance.activity.day.logins",
        "{user}",
        "Users seen on the current UTC day when the server last counted, which it does once a day (Mastodon \
         3.5 and later).",
        "activity, row 0 `logins`",
        Read::Int(|r| today(r)?.logins),
    )
    .from(&[Endpoint::Activity])
    .unless(no_day),
    gauge(
        "mastodon.instance.activity.day.registrations",
        "{user}",
        "Users confirmed on the current UTC day when the server last counted, which it does once a day \
         (Mastodon 3.5 and later).",
        "activity, row 0 `registrations`",
        Read::Int(|r| today(r)?.registrations),
    )
    .from(&[Endpoint::Activity])
    .unless(no_day),
    gauge(
        "mastodon.instance.activity.week.statuses",
        "{status}",
        "Local posts created in the current ISO week, as far as the server has counted (Mastodon up to 3.4, \
         Takahe).",
        "activity, row 0 `statuses`",
        Read::Int(|r| this_week(r)?.statuses),
    )
    .from(&[Endpoint::Activity])
    .unless(no_week),
    gauge(
        "mastodon.instance.activity.week.logins",
        "{user}",
        "Users seen in the current ISO week, as far as the server has counted (Mastodon up to 3.4).",
        "activity, row 0 `logins`",
        Read::Int(|r| this_week(r).and_then(|_| Figure::Logins.counted(r))),
    )
    .from(&[Endpoint::Activity])
    .unless(no_week_of_logins),
    gauge(
        "mastodon.instance.activity.week.registrations",
        "{user}",
        "Users confirmed in the current ISO week, as far as the server has counted (Mastodon up to 3.4, \
         Takahe).",
        "activity, row 0 `registrations`",
        Read::Int(|r| this_week(r)?.registrations),
    )
    .from(&[Endpoint::Activity])
    .unless(no_week),
    gauge(
        "mastodon.instance.activity.last_week.statuses",
        "{status}",
        "Local posts created in the last whole ISO week (Mastodon up to 3.4, Takahe).",
        "activity, row 1 `statuses`",
        Read::Int(|r| last_week(r)?.statuses),
    )
    .from(&[Endpoint::Activity])
    .unless(no_last_week),
    gauge(
        "mastodon.instance.activity.last_week.logins",
        "{user}",
        "Users seen in the last whole ISO week (Mastodon up to 3.4).",
        "activity, row 1 `logins`",
        Read::Int(|r| last_week(r).and_then(|_| Figure::LoginsBefore.counted(r))),
    )
    .from(&[Endpoint::Activity])
    .unless(no_last_week_of_logins),
    gauge(
        "mastodon.instance.activity.last_week.registrations",
        "{user}",
        "Users confirmed in the last whole ISO week (Mastodon up to 3.4, Takahe).",
        "activity, row 1 `registrations`",
        Read::Int(|r| last_week(r)?.registrations),
    )
    .from(&[Endpoint::Activity])
    .unless(no_last_week),
    gauge(
        "mastodon.instance.activity.timestamp",
        "s",
        "Start of the newest week of activity; from Mastodon 3.5, when the server worked the figures out.",
        "activity, row 0 `week`",
        Read::Int(|r| weeks(r).map(|(_, rows)| rows.first())?.map(|row| row.week)),
    )
    .from(&[Endpoint::Activity])
    .unless(unknown_weeks),
    gauge(
        "mastodon.instance.registrations.open",
        "",
        "Whether new users can sign up, 1 or 0.",
        "v2 `registrations.enabled`, else v1 `registrations`",
        Read::Int(|r| either(r, |v2| v2.registrations_open, |v1| v1.registrations_open).map(i64::from)),
    )
    .from(EITHER),
    gauge(
        "mastodon.instance.registrations.approval_required",
        "",
        "Whether sign-ups wait for approval, 1 or 0.",
        "v2 `registrations.approval_required`, else v1 `approval_required`",
        Read::Int(|r| either(r, |v2| v2.approval_required, |v1| v1.approval_required).map(i64::from)),
    )
    .from(EITHER),
    gauge(
        "mastodon.instance.api_version",
        "",
        "Version of Mastodon's API that the server speaks (Mastodon 4.3 and later).",
        "v2 `api_versions.mastodon`",
        Read::Int(|r| r.v2()?.api_version),
    )
    .from(&[Endpoint::InstanceV2]),
    gauge(
        "mastodon.instance.rules",
        "{rule}",
        "Rules that the server shows to its users.",
        "length of `rules` in v2, else v1",
        Read::Int(|r| either(r, |v2| v2.rules, |v1| v1.rules)),
    )
    .from(EITHER),
    gauge(
        "mastodon.instance.limits.status_characters",
        "{character}",
        "Characters that a post may have.",
        "`configuration.statuses.max_characters` in v2, else v1",
        Read::Int(|r| either(r, |v2| v2.status_characters, |v1| v1.status_characters)),
    )
    .from(EITHER),
    gauge(
        "mastodon.instance.limits.media_attachments",
        "{attachment}",
        "Media files that a post may have.",
        "`configuration.statuses.max_media_attachments` in v2, else v1",
        Read::Int(|r| either(r, |v2| v2.media_attachments, |v1| v1.media_attachments)),
    )
    .from(EITHER),
];

type FromV1<T> = fn(&crate::snapshot::InstanceV1) -> Option<T>;
type FromV2<T> = fn(&crate::snapshot::InstanceV2) -> Option<T>;

fn either<T>(r: &Reading<'_>, v2: FromV2<T>, v1: FromV1<T>) -> Option<T> {
    r.v2().and_then(v2).or_else(|| r.v1().and_then(v1))
}

/// Returns a total from v1 instance, or the same number from NodeInfo if a Mastodon has
/// no v1 instance.
fn total(r: &Reading<'_>, v1: Figure, nodeinfo: Figure) -> Option<i64> {
    if r.v1().is_some() {
        return v1.counted(r);
    }
    let gone = r.outcome(Endpoint::InstanceV1) == Some(Outcome::NotOffered);
    nodeinfo.counted(r).filter(|_| gone && r.nodeinfo().is_some_and(names_mastodon))
}

fn no_users(r: &Reading<'_>) -> Option<&'static str> {
    Figure::V1Users.withheld(r).or_else(|| other_nodeinfo(r))
}

fn no_statuses(r: &Reading<'_>) -> Option<&'static str> {
    Figure::V1Statuses.withheld(r).or_else(|| other_nodeinfo(r))
}

/// Why NodeInfo does not replace v1 instance: other software's NodeInfo has metrics of
/// its own.
fn other_nodeinfo(r: &Reading<'_>) -> Option<&'static str> {
    let other = r.outcome(Endpoint::InstanceV1) == Some(Outcome::NotOffered)
        && r.nodeinfo().is_some_and(|n| !names_mastodon(n));
    other.then_some(
        "there is no instance_v1, and the NodeInfo of other software may count otherwise: see nodeinfo.*",
    )
}

fn names_mastodon(nodeinfo: &Nodeinfo) -> bool {
    nodeinfo.software.as_deref().is_some_and(|name| name.trim().eq_ignore_ascii_case("mastodon"))
}

/// The meaning of the rows in the activity answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weeks {
    /// Row 0 is the current UTC day, and row n the six days that begin n weeks before
    /// it: Mastodon 3.5 and later.
    Rolling,
    /// Row 0 is the current ISO week: Mastodon up to 3.4, and Takahe.
    Iso,
}

/// Returns the rows and their meaning, or `None` for software whose rows have an
/// unknown meaning.
fn weeks<'a>(r: &Reading<'a>) -> Option<(Weeks, &'a [ActivityWeek])> {
    let rows = r.activity()?;
    let software = Software::of(r);
    match software.mastodon {
        Some(version) if version >= (3, 5) => Some((Weeks::Rolling, rows)),
        Some(_) => Some((Weeks::Iso, rows)),
        None if software.is("takahe") => Some((Weeks::Iso, rows)),
        None => None,
    }
}

/// Returns row 1 if it is about a week before row 0. Daylight saving can shift it by an
/// hour, and counting by some seconds.
fn before(rows: &[ActivityWeek]) -> Option<&ActivityWeek> {
    let [newest, before, ..] = rows else { return None };
    let apart = newest.week.checked_sub(before.week)?;
    (WEEK - DAY / 4..=WEEK + DAY / 4).contains(&apart).then_some(before)
}

fn six_days<'a>(r: &Reading<'a>) -> Option<&'a ActivityWeek> {
    let (Weeks::Rolling, rows) = weeks(r)? else { return None };
    before(rows)
}

/// Returns row 0 while its UTC day is today.
fn today<'a>(r: &Reading<'a>) -> Option<&'a ActivityWeek> {
    let (Weeks::Rolling, rows) = weeks(r)? else { return None };
    let newest = rows.first()?;
    r.is_day_of(newest.week).then_some(newest)
}

/// Returns row 0 while its week is the current one. Weeks begin at midnight in the
/// server's own time zone.
fn this_week<'a>(r: &Reading<'a>) -> Option<&'a ActivityWeek> {
    let (Weeks::Iso, rows) = weeks(r)? else { return None };
    let newest = rows.first()?;
    let (begin, end) = (newest.week.saturating_sub(DAY / 2), newest.week.saturating_add(WEEK + DAY / 24));
    r.is_between(begin as f64, end as f64).then_some(newest)
}

fn last_week<'a>(r: &Reading<'a>) -> Option<&'a ActivityWeek> {
    let (Weeks::Iso, rows) = weeks(r)? else { return None };
    this_week(r)?;
    before(rows)
}

const UNKNOWN_WEEKS: &str = "the days of the activity rows are known only for Mastodon, its forks and Takahe";
const ROLLING: &str = "from 3.5 on Mastodon counts no ISO weeks, but the day and the six days before: see \
                       mastodon.instance.activity.day and .six_day";
const ISO: &str = "this software counts ISO weeks: see mastodon.instance.activity.week and .last_week";
const APART: &str = "the newest two rows are not about a week apart";

fn unknown_weeks(r: &Reading<'_>) -> Option<&'static str> {
    (r.activity().is_some() && weeks(r).is_none()).then_some(UNKNOWN_WEEKS)
}

/// Returns why there is no row of this meaning. `row` is the wanted row.
fn no_row(
    r: &Reading<'_>,
    wanted: Weeks,
    row: Option<&ActivityWeek>,
    missing: &'static str,
) -> Option<&'static str> {
    match weeks(r) {
        None => unknown_weeks(r),
        Some((is, _)) if is != wanted => Some(if is == Weeks::Iso { ISO } else { ROLLING }),
        Some(_) if row.is_none() => Some(missing),
        Some(_) => None,
    }
}

fn no_six_days(r: &Reading<'_>) -> Option<&'static str> {
    no_row(r, Weeks::Rolling, six_days(r), APART)
}

fn no_day(r: &Reading<'_>) -> Option<&'static str> {
    no_row(r, Weeks::Rolling, today(r), "the server counts once a day, and has not counted today yet")
}

fn no_week(r: &Reading<'_>) -> Option<&'static str> {
    no_row(r, Weeks::Iso, this_week(r), "the newest row is not about the current week")
}

fn no_last_week(r: &Reading<'_>) -> Option<&'static str> {
    no_row(r, Weeks::Iso, last_week(r), APART)
}

fn no_week_of_logins(r: &Reading<'_>) -> Option<&'static str> {
    no_week(r).or_else(|| Figure::Logins.withheld(r))
}

fn no_last_week_of_logins(r: &Reading<'_>) -> Option<&'static str> {
    no_last_week(r).or_else(|| Figure::LoginsBefore.withheld(r))
}
