//! What the bridge is configured with, and where targets are listed beside that: reported
//! once and not by target.

use crate::snapshot::SourceFacts;

use super::{Label, Read, Row, gauge};

const CONFIGURED: &str = "in `serve`";
const SOURCE: &[&str] = &["fedimeter.source.name"];
const SHARDED: &str = "where `total_shards` is more than 1";
const LISTED: &str = "for each `targets_file` and `targets_url`";

pub(super) const ROWS: &[Row] = &[
    gauge(
        "fedimeter.config.last_reload.successful",
        "",
        "1 if the configuration was taken when it was last loaded, 0 if it was wrong and the one before stays in effect.",
        "the configuration",
        Read::OwnInts(|b, emit| {
            if let Some(configured) = &b.configured {
                emit(configured.reload.successful.into(), &[]);
            }
        }),
    )
    .on(CONFIGURED),
    gauge(
        "fedimeter.config.last_reload.timestamp",
        "s",
        "When a configuration was last taken, Unix time.",
        "the bridge's clock",
        Read::OwnFloats(|b, emit| {
            if let Some(configured) = &b.configured {
                emit(configured.reload.unix, &[]);
            }
        }),
    )
    .on(CONFIGURED),
    gauge(
        "fedimeter.config.hash",
        "",
        "A number that differs when the configuration does, and is the same on every bridge that has the same one.",
        "the configuration",
        Read::OwnInts(|b, emit| {
            if let Some(configured) = &b.configured {
                emit(configured.reload.hash as i64, &[]);
            }
        }),
    )
    .on(CONFIGURED),
    gauge(
        "fedimeter.shard.index",
        "",
        "Which part of the targets this bridge polls, from 0.",
        "the configuration",
        Read::OwnInts(|b, emit| {
            if let Some((index, _)) = b.configured.as_ref().and_then(|configured| configured.shard) {
                emit(index as i64, &[]);
            }
        }),
    )
    .on(SHARDED),
    gauge(
        "fedimeter.shard.total",
        "{shard}",
        "How many bridges divide the targets.",
        "the configuration",
        Read::OwnInts(|b, emit| {
            if let Some((_, total)) = b.configured.as_ref().and_then(|configured| configured.shard) {
                emit(total as i64, &[]);
            }
        }),
    )
    .on(SHARDED),
    gauge(
        "fedimeter.source.targets",
        "{target}",
        "Servers that the bridge polls because a list outside its configuration has them.",
        "the lists",
        Read::OwnInts(|b, emit| {
            for source in b.configured.iter().flat_map(|configured| &configured.sources) {
                emit(source.targets as i64, &named(source));
            }
        }),
    )
    .by(SOURCE)
    .on(LISTED),
    gauge(
        "fedimeter.source.last_refresh.successful",
        "",
        "1 if a list of targets could be read when it was last looked at, 0 if not: then its last targets stay.",
        "the lists",
        Read::OwnInts(|b, emit| {
            for source in b.configured.iter().flat_map(|configured| &configured.sources) {
                emit(source.successful.into(), &named(source));
            }
        }),
    )
    .by(SOURCE)
    .on(LISTED),
    gauge(
        "fedimeter.source.last_refresh.timestamp",
        "s",
        "When a list of targets was last read, Unix time.",
        "the bridge's clock",
        Read::OwnFloats(|b, emit| {
            for source in b.configured.iter().flat_map(|configured| &configured.sources) {
                if let Some(unix) = source.unix {
                    emit(unix, &named(source));
                }
            }
        }),
    )
    .by(SOURCE)
    .on(LISTED),
];

fn named(source: &SourceFacts) -> [(&'static str, Label); 1] {
    [("fedimeter.source.name", Label::Text(source.name.clone()))]
}
