//! What a server of any software says in its NodeInfo document.

use crate::endpoint::Endpoint;
use crate::snapshot::{Nodeinfo, Reading};
use crate::software::Software;

use super::{Read, Row, gauge};

const FROM: &[Endpoint] = &[Endpoint::Nodeinfo];

pub(super) const ROWS: &[Row] = &[
    gauge(
        "nodeinfo.users",
        "{user}",
        "Local users; what counts as one differs by software.",
        "`usage.users.total`",
        Read::Int(|r| r.nodeinfo()?.users),
    )
    .from(FROM),
    gauge(
        "nodeinfo.active_users.month",
        "{user}",
        "Users active in the last month: the last 30 days, on Mastodon the 28 whole UTC days before today.",
        "`usage.users.activeMonth`",
        Read::Int(|r| active(r, |n| n.active_month)),
    )
    .from(FROM)
    .unless(no_statistics),
    gauge(
        "nodeinfo.active_users.half_year",
        "{user}",
        "Users active in the last half year: the last 180 days, on Mastodon the 168 whole UTC days before today.",
        "`usage.users.activeHalfyear`",
        Read::Int(|r| active(r, |n| n.active_half_year)),
    )
    .from(FROM)
    .unless(no_statistics),
    gauge(
        "nodeinfo.active_users.week",
        "{user}",
        "Users active in the last week.",
        "`usage.users.activeWeek` (NodeInfo 2.2)",
        Read::Int(|r| active(r, |n| n.active_week)),
    )
    .from(FROM)
    .unless(no_statistics),
    gauge(
        "nodeinfo.local_posts",
        "{post}",
        "Posts of local users; videos on PeerTube, posts and comments together on some software.",
        "`usage.localPosts`",
        Read::Int(|r| r.nodeinfo()?.local_posts),
    )
    .from(FROM),
    gauge(
        "nodeinfo.local_comments",
        "{comment}",
        "Comments of local users, on software that tells them from posts.",
        "`usage.localComments`",
        Read::Int(|r| r.nodeinfo()?.local_comments.filter(|n| *n != 0 || tells_comments_from_posts(r))),
    )
    .from(FROM)
    .unless(no_comments),
    gauge(
        "nodeinfo.registrations.open",
        "",
        "Whether new users can sign up, 1 or 0; also 1 where sign-ups wait for approval.",
        "`openRegistrations`",
        Read::Int(|r| r.nodeinfo()?.registrations_open.map(i64::from)),
    )
    .from(FROM),
];

/// Misskey and its kin, and Pixelfed, have no comments of their own and always
/// say 0.
fn tells_comments_from_posts(r: &Reading<'_>) -> bool {
    let software = Software::of(r);
    !software.is_misskey_family() && !software.is("pixelfed")
}

fn no_comments(r: &Reading<'_>) -> Option<&'static str> {
    let zero = r.nodeinfo()?.local_comments == Some(0) && !tells_comments_from_posts(r);
    zero.then_some("this software has no comments beside its posts and says 0")
}

fn active(r: &Reading<'_>, of: fn(&Nodeinfo) -> Option<i64>) -> Option<i64> {
    of(r.nodeinfo()?).filter(|_| no_statistics(r).is_none())
}

/// WriteFreely without public statistics says 0 for every active count.
fn no_statistics(r: &Reading<'_>) -> Option<&'static str> {
    let n = r.nodeinfo()?;
    let hidden = Software::of(r).is("writefreely")
        && n.users.is_some_and(|total| total > 0)
        && [n.active_week, n.active_month, n.active_half_year]
            .iter()
            .all(|count| count.is_none_or(|c| c == 0));
    hidden.then_some("WriteFreely says 0 for active users where its admin does not show statistics")
}
