//! Metrics of an instance's public lists, health and posts.

use crate::endpoint::Endpoint;
use crate::outcome::Outcome;
use crate::snapshot::Reading;

use super::{Read, Row, emit_tally, gauge};

const SEVERITY: &str = "mastodon.block.severity";

pub(super) const ROWS: &[Row] = &[
    gauge(
        "mastodon.instance.peers",
        "{domain}",
        "Domains that the server has met and does not block.",
        "length of `/api/v1/instance/peers`",
        Read::Int(|r| r.peers().map(|n| n.0)),
    )
    .on("opt-in `peers`")
    .from(&[Endpoint::Peers]),
    gauge(
        "mastodon.instance.domain_blocks",
        "{domain}",
        "Domain blocks that the server shows to the public, by severity (silence, suspend).",
        "`/api/v1/instance/domain_blocks`",
        Read::Ints(|r, emit| emit_tally(r.domain_blocks(), SEVERITY, emit), |_| 3),
    )
    .by(&[SEVERITY])
    .on("opt-in `domain_blocks`")
    .from(&[Endpoint::DomainBlocks]),
    gauge(
        "mastodon.instance.custom_emojis",
        "{emoji}",
        "Custom emojis that the server lists.",
        "length of `/api/v1/custom_emojis`",
        Read::Int(|r| r.custom_emojis().map(|n| n.0)),
    )
    .on("opt-in `custom_emojis`")
    .from(&[Endpoint::CustomEmojis]),
    gauge(
        "mastodon.instance.newest_status.local.timestamp",
        "s",
        "When the newest post of the local public timeline was made, which shows whether posting works.",
        "latest `created_at` of `/api/v1/timelines/public?local=true` that is not in the future",
        Read::Float(|r| r.timelines()?.local),
    )
    .on("opt-in `timelines`")
    .from(&[Endpoint::Timelines])
    .unless(no_local_post),
    gauge(
        "mastodon.instance.newest_status.federated.timestamp",
        "s",
        "When the newest post of another server on the public timeline was made, which shows whether \
         federation works.",
        "latest `created_at` of a post of another server on `/api/v1/timelines/public` that is not in the \
         future",
        Read::Float(|r| r.timelines()?.federated),
    )
    .on("opt-in `timelines`")
    .from(&[Endpoint::Timelines])
    .unless(no_federated_post),
    gauge(
        "mastodon.instance.web.up",
        "",
        "Whether the web server reports that it is healthy, 1 or 0; absent if it has no health page.",
        "`/health`, whose body has to be OK",
        Read::Int(|r| r.health()?.web.map(i64::from)),
    )
    .on("opt-in `health`")
    .from(&[Endpoint::Health]),
    gauge(
        "mastodon.instance.streaming.up",
        "",
        "Whether the streaming server reports that it is healthy, 1 or 0; absent if it is on another site \
         and not asked.",
        "`/api/v1/streaming/health` of the streaming host, whose body has to be OK",
        Read::Int(|r| r.health()?.streaming.map(i64::from)),
    )
    .on("opt-in `health`")
    .from(&[Endpoint::Health]),
    gauge(
        "mastodon.instance.announcements",
        "{announcement}",
        "Published announcements.",
        "length of `/api/v1/announcements`",
        Read::Int(|r| r.announcements().map(|n| n.0)),
    )
    .on("token")
    .from(&[Endpoint::Announcements]),
];

fn no_local_post(r: &Reading<'_>) -> Option<&'static str> {
    posts_were_read(r).then_some("the local timeline shows no post with a date in the past")
}

fn no_federated_post(r: &Reading<'_>) -> Option<&'static str> {
    posts_were_read(r).then_some("the newest posts of the public timeline include none of another server")
}

fn posts_were_read(r: &Reading<'_>) -> bool {
    r.outcome(Endpoint::Timelines) == Some(Outcome::Ok) && r.timelines().is_some()
}
