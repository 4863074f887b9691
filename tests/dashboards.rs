//! The dashboards in `dashboards/`: what each panel asks for is there.

#[path = "support/promql.rs"]
mod promql;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Every dashboard, by its file's name.
fn dashboards() -> BTreeMap<String, Value> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards");
    let files = std::fs::read_dir(directory).unwrap().map(|file| file.unwrap().path());
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap())
    };
    files.filter(|path| path.extension().is_some_and(|e| e == "json")).map(read).collect()
}

#[test]
fn panels_ask_for_what_there_is() {
    let dashboards = dashboards();
    assert!(dashboards.contains_key("instance.json"));
    for (file, dashboard) in dashboards {
        for panel in dashboard["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().unwrap() {
                let expression = target["expr"].as_str().unwrap();
                let complaints = promql::complaints(expression, &BTreeMap::new());
                assert_eq!(complaints, [""; 0], "{file}: {}", panel["title"]);
            }
        }
    }
}

#[test]
fn what_there_is_not_is_found_out() {
    let complaints = |expression: &str| promql::complaints(expression, &BTreeMap::new());
    for (expression, complaint) in [
        ("mastodon_instance_user", "there is no metric mastodon_instance_user"),
        ("sum by (server_address) (up{host=\"a\"})", "up has no label host"),
        ("rate(fedimeter_endpoint_failures_total[5m]) > bool 1 +", "invalid promql query"),
        ("{server_address=\"a\"}", "names no metric"),
        ("1 + 1", "reads no metric"),
    ] {
        let found = complaints(expression);
        assert!(found.len() == 1 && found[0].contains(complaint), "{found:?}");
    }
    assert_eq!(
        complaints("histogram_quantile(0.9, rate(fedimeter_request_duration_seconds_bucket{le=\"1\"}[5m]))"),
        [""; 0]
    );
}
