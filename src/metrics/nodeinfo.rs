//! Metrics of the NodeInfo document, which servers of any software can have.

use crate::endpoint::Endpoint;

use super::uncounted::Figure;
use super::{Read, Row, ShownAs, gauge};

const FROM: &[Endpoint] = &[Endpoint::Nodeinfo];

pub(super) const ROWS: &[Row] = &[
    gauge(
        "nodeinfo.users",
        "{user}",
        "Local users; what counts as one differs by software.",
        "`usage.users.total`",
        Read::Int(|r| Figure::Users.counted(r)),
    )
    .shown(ShownAs::Users)
    .from(FROM)
    .unless(|r| Figure::Users.withheld(r)),
    gauge(
        "nodeinfo.active_users.month",
        "{user}",
        "Users active in the last month: the last 30 days, on Mastodon the 28 whole UTC days before today.",
        "`usage.users.activeMonth`",
        Read::Int(|r| Figure::Month.counted(r)),
    )
    .shown(ShownAs::ActiveUsers)
    .from(FROM)
    .unless(|r| Figure::Month.withheld(r)),
    gauge(
        "nodeinfo.active_users.half_year",
        "{user}",
        "Users active in the last half year: the last 180 days, on Mastodon the 168 whole UTC days before \
         today.",
        "`usage.users.activeHalfyear`",
        Read::Int(|r| Figure::HalfYear.counted(r)),
    )
    .from(FROM)
    .unless(|r| Figure::HalfYear.withheld(r)),
    gauge(
        "nodeinfo.active_users.week",
        "{user}",
        "Users active in the last week.",
        "`usage.users.activeWeek` (NodeInfo 2.2)",
        Read::Int(|r| Figure::Week.counted(r)),
    )
    .from(FROM)
    .unless(|r| Figure::Week.withheld(r)),
    gauge(
        "nodeinfo.local_posts",
        "{post}",
        "Posts of local users; videos on PeerTube, posts and comments together on some software.",
        "`usage.localPosts`",
        Read::Int(|r| Figure::Posts.counted(r)),
    )
    .shown(ShownAs::Posts)
    .from(FROM)
    .unless(|r| Figure::Posts.withheld(r)),
    gauge(
        "nodeinfo.local_comments",
        "{comment}",
        "Comments of local users, on software that tells them from posts.",
        "`usage.localComments`",
        Read::Int(|r| Figure::Comments.counted(r)),
    )
    .from(FROM)
    .unless(|r| Figure::Comments.withheld(r)),
    gauge(
        "nodeinfo.registrations.open",
        "",
        "Whether new users can sign up, 1 or 0; also 1 where sign-ups wait for approval.",
        "`openRegistrations`",
        Read::Int(|r| r.nodeinfo()?.registrations_open.map(i64::from)),
    )
    .from(FROM),
];
