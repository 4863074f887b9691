//! Panels that look back, asked by promtool over series in which bridges move,
//! values are missing and definitions change.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use crate::support::dashboard::{Dashboard, filled, list, text};
use crate::support::trial::{program, trial};

pub fn trials() -> Vec<Trial> {
    let promtool = program("promtool");
    vec![trial("instance_looks_back", promtool, |()| instance_looks_back())]
}

/// The first expression of a panel of Instance, for the server `a` over four hours.
fn expression(title: &str) -> String {
    let dashboard = Dashboard::all().into_iter().find(|dashboard| dashboard.name == "instance").unwrap();
    let panel = dashboard.panels().find(|panel| panel["title"] == title).unwrap();
    let values = BTreeMap::from([("server_address", "a".to_owned()), ("__range", "4h".to_owned())]);
    filled(text(&list(&panel["targets"]).next().unwrap()["expr"]), &values).unwrap()
}

fn series(metric: &str, bridge: &str, values: &str) -> Value {
    json!({"series": format!("{metric}{{server_address=\"a\",instance=\"{bridge}\"}}"), "values": values})
}

fn case(interval: &str, input: &[Value], expression: &str, expected: &[(&str, f64)]) -> Value {
    let expected = expected.iter().map(|(time, value)| {
        let sample = json!({"labels": "{server_address=\"a\"}", "value": value});
        json!({"expr": expression, "eval_time": time, "exp_samples": [sample]})
    });
    let expected: Vec<Value> = expected.collect();
    json!({"interval": interval, "input_series": input, "promql_expr_test": expected})
}

fn instance_looks_back() -> Result<(), Failed> {
    let (users, nodeinfo) = ("mastodon_instance_users", "nodeinfo_users");
    let growth = expression("New users, 7 days");
    let cases = [
        // 100 more after two days, 150 more after five. The bridge moves after three,
        // and there was no value for ten minutes just a week before the end.
        case(
            "1m",
            &[
                series(users, "old", "1000x1434 _x10 1000x1434 1100x1439 stale"),
                series(users, "new", "_x4320 1100x2879 1250x4320"),
            ],
            &growth,
            &[("5m", 0.0), ("60h", 100.0), ("8d", 250.0)],
        ),
        // The API fails; NodeInfo counts otherwise, and stays.
        case(
            "2m",
            &[series(users, "b", "5000x5035 stale"), series(nodeinfo, "b", "5300x5100")],
            &growth,
            &[("10150m", 0.0)],
        ),
        // Down for two hours; then the bridge is another one, and the server is up.
        case(
            "1m",
            &[
                series("fedimeter_target_up", "old", "0x119 stale"),
                series("fedimeter_target_up", "new", "_x120 1x121"),
            ],
            &format!("round({}, 0.01)", expression("Availability")),
            &[("240m", 0.5)],
        ),
    ];
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("panels.yaml");
    // JSON is YAML.
    fs::write(&file, json!({"evaluation_interval": "1m", "tests": cases}).to_string())?;
    let output = Command::new("promtool").args(["test", "rules"]).arg(&file).output()?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if output.status.success() { Ok(()) } else { Err(said.into()) }
}
