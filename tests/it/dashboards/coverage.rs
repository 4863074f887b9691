//! Every metric is on a dashboard.

use std::collections::BTreeSet;

use super::expression::parts;
use crate::support::dashboard::{Dashboard, list, text};

/// The metrics of the table that are on no panel.
fn not_shown(dashboards: &[Dashboard]) -> Vec<String> {
    let targets = dashboards.iter().flat_map(Dashboard::panels).flat_map(|panel| list(&panel["targets"]));
    let read: BTreeSet<String> = targets
        .flat_map(|target| parts(text(&target["expr"])).unwrap().selectors)
        .map(|selector| selector["__name__"].clone())
        .collect();
    let catalogue = fedimeter::catalogue::json(&fedimeter::metrics::rows().collect::<Vec<_>>());
    let names = list(&catalogue["metrics"]).map(|metric| text(&metric["prometheus"]).to_owned());
    // Panels use the series of a histogram.
    names
        .filter(|name| !["", "_bucket", "_count"].iter().any(|end| read.contains(&format!("{name}{end}"))))
        .collect()
}

#[test]
fn every_metric_is_shown() {
    let mut dashboards = Dashboard::all();
    assert_eq!(not_shown(&dashboards), [""; 0]);
    dashboards.retain(|dashboard| dashboard.name != "bridge");
    let missing = not_shown(&dashboards);
    assert!(missing.contains(&"fedimeter_collection_duration_seconds".to_owned()), "{missing:?}");
}
