//! Metrics of the configuration and of the target lists beside it, which are reported
//! once and not for each target.

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
        "1 if the last loaded configuration was accepted, 0 if it has errors and the previous one stays in \
         effect.",
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
        "When a configuration was last accepted, Unix time.",
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
        "A hash of the configuration, the same on every bridge with the same configuration.",
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
        "fedimeter.shards",
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
        "Servers that the bridge polls because a target list contains them.",
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
        "1 if the last attempt to read a target list succeeded, 0 if not; its previous targets then stay.",
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
        "When a target list was last read, Unix time.",
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
