//! Statistics of probes, which are reported once and not for each target.

use super::{Label, Read, Row, gauge};

const PROBING: &str = "while `probe.enabled` is on";

pub(super) const ROWS: &[Row] = &[
    gauge(
        "fedimeter.probes",
        "{probe}",
        "Probes that `/probe` has answered since the bridge started.",
        "the bridge's listeners",
        Read::OwnCounts(|b, emit| {
            for (outcome, count) in b.probes.iter().flat_map(|probes| probes.outcomes) {
                emit(count, &[("fedimeter.probe.outcome", Label::Static(outcome.name()))]);
            }
        }),
    )
    .by(&["fedimeter.probe.outcome"])
    .on(PROBING),
    gauge(
        "fedimeter.probe.targets",
        "{target}",
        "Servers whose last answers are kept because they were probed. Configured targets are not among \
         them.",
        "the bridge's memory",
        Read::OwnInts(|b, emit| {
            if let Some(probes) = &b.probes {
                emit(probes.targets as i64, &[]);
            }
        }),
    )
    .on(PROBING),
];
