//! What an instance shows when it is asked for it: lists, health, posts.

use crate::endpoint::Endpoint;

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
    .on("opt-in `peers`").from(&[Endpoint::Peers]),
    gauge(
        "mastodon.instance.domain_blocks",
        "{domain}",
        "Domain blocks that the server shows to the public, by severity (silence, suspend).",
        "`/api/v1/instance/domain_blocks`",
        Read::Ints(|r, emit| emit_tally(r.domain_blocks(), SEVERITY, emit), |_| 3),
    )
    .by(&[SEVERITY])
    .on("opt-in `domain_blocks`").from(&[Endpoint::DomainBlocks]),
    gauge(
        "mastodon.instance.custom_emojis",
        "{emoji}",
        "Custom emojis that the server lists.",
        "length of `/api/v1/custom_emojis`",
        Read::Int(|r| r.custom_emojis().map(|n| n.0)),
    )
    .on("opt-in `custom_emojis`").from(&[Endpoint::CustomEmojis]),
    gauge(
        "mastodon.instance.newest_status.local.timestamp",
        "s",
        "When the newest post of the local public timeline was made, which tells whether posting works.",
        "`created_at` of the first post of `/api/v1/timelines/public?local=true`",
        Read::Float(|r| r.timelines()?.local),
    )
    .on("opt-in `timelines`").from(&[Endpoint::Timelines]),
    gauge(
        "mastodon.instance.newest_status.federated.timestamp",
        "s",
        "When the newest post of the federated public timeline was made, which tells whether federation works.",
        "`created_at` of the first post of `/api/v1/timelines/public`",
        Read::Float(|r| r.timelines()?.federated),
    )
    .on("opt-in `timelines`").from(&[Endpoint::Timelines]),
    gauge(
        "mastodon.instance.web.up",
        "",
        "Whether the web server says that it is well, 1 or 0.",
        "`/health`, whose body has to be OK",
        Read::Int(|r| r.health()?.web.map(i64::from)),
    )
    .on("opt-in `health`").from(&[Endpoint::Health]),
    gauge(
        "mastodon.instance.streaming.up",
        "",
        "Whether the streaming server says that it is well, 1 or 0.",
        "`/api/v1/streaming/health` of the streaming host, whose body has to be OK",
        Read::Int(|r| r.health()?.streaming.map(i64::from)),
    )
    .on("opt-in `health`").from(&[Endpoint::Health]),
    gauge(
        "mastodon.instance.announcements",
        "{announcement}",
        "Published announcements.",
        "length of `/api/v1/announcements`",
        Read::Int(|r| r.announcements().map(|n| n.0)),
    )
    .on("token").from(&[Endpoint::Announcements]),
];
