//! The dashboards with a Prometheus that scrapes the demo: every panel has data.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::bench::{eventually, free_address};
use crate::prometheus::Prometheus;
use crate::support::dashboard::{Dashboard, filled, label_values, list, text};
use crate::support::program::Serving;

/// With steps of a minute, Grafana queries whole minutes. The last of them has at least
/// this number of seconds of data, which is enough for a rate.
const HISTORY: &str = "75s";
const STEP: u64 = 60;
const RANGE: u64 = 15 * 60;

/// Grafana's own variables at this step and range.
const OWN: [(&str, &str); 2] = [("__rate_interval", "4m"), ("__range", "15m")];

/// Series that the demo cannot have within minutes: https, a week of history, and those of
/// rules and alerts.
const NOT_IN_THE_DEMO: [(&str, &str); 7] = [
    ("Alerts firing", "A"),
    ("Certificate", "A"),
    ("New users in an hour", "usual"),
    ("New users, last hour", "usual"),
    ("Servers with alerts", "A"),
    ("Storage", "forecast"),
    ("Which alerts fire", "A"),
];

/// One Prometheus scrapes the demo, and another receives its pushes. Both have the data of
/// every panel.
pub fn show_the_demo(prometheus: &Path) {
    let pushed = Prometheus::start(prometheus, "", &["--web.enable-otlp-receiver"]);
    let address = free_address();
    let push = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("{}/api/v1/otlp", pushed.url())),
        ("OTEL_METRIC_EXPORT_INTERVAL", "2000".to_owned()),
        // Prometheus rejects both, and the rejections are counted.
        ("OTEL_LOGS_EXPORTER", "otlp".to_owned()),
        ("OTEL_TRACES_EXPORTER", "otlp".to_owned()),
    ];
    let push = push.each_ref().map(|(name, value)| (*name, value.as_str()));
    let _demo = Serving::start(&["demo", "--listen", &address], &push);
    let scraped = Prometheus::start(
        prometheus,
        &format!(
            "global: {{scrape_interval: 2s, scrape_timeout: 2s}}\n\
             scrape_configs: [{{job_name: fedimeter, static_configs: [{{targets: ['{address}']}}]}}]\n"
        ),
        &[],
    );
    for prometheus in [&scraped, &pushed] {
        eventually("a minute of the demo", || {
            let then = prometheus.query(&format!("fedimeter_targets offset {HISTORY}"));
            if then.is_empty() { Err(prometheus.log()) } else { Ok(()) }
        });
        eventually("a whole minute that ends after it", || {
            let end = now() / STEP * STEP;
            let then = prometheus.query(&format!("fedimeter_targets @ {end} offset {HISTORY}"));
            if then.is_empty() { Err(prometheus.log()) } else { Ok(()) }
        });
    }

    // Missing data is noticed: the demo has no https.
    let missing = "fedimeter_target_certificate_expiry_timestamp_seconds";
    assert_eq!(points(&scraped, missing, true), Ok(0));

    // Repeated, because data may be absent for a moment: a rate limit is, from the end of
    // its window to the next answer.
    eventually("something in every panel", || {
        let mut empty = Vec::new();
        for (way, prometheus) in [("scraped", &scraped), ("pushed", &pushed)] {
            for dashboard in Dashboard::all() {
                let (asked, nothing) = look_at(prometheus, &dashboard);
                println!("{}, {way}: {asked} expressions", dashboard.name);
                assert!(asked > 20, "a dashboard has more panels than that");
                empty.extend(nothing.into_iter().map(|what| format!("{}, {way}: {what}", dashboard.name)));
            }
        }
        if empty.is_empty() { Ok(()) } else { Err(empty.join("\n")) }
    });
}

/// Runs all queries of a dashboard. Returns the number of expressions, and those without a
/// result.
fn look_at(prometheus: &Prometheus, dashboard: &Dashboard) -> (usize, Vec<String>) {
    let mut values: BTreeMap<&str, String> =
        OWN.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    let mut nothing = Vec::new();
    for variable in dashboard.variables() {
        let name = text(&variable["name"]);
        match first_choice(prometheus, variable, &values) {
            Ok(value) => drop(values.insert(name, value)),
            Err(e) => return (0, vec![format!("variable {name}: {e}")]),
        }
    }
    let mut asked = 0;
    for panel in dashboard.panels() {
        for target in list(&panel["targets"]) {
            if NOT_IN_THE_DEMO.contains(&(text(&panel["title"]), text(&target["refId"]))) {
                continue;
            }
            asked += 1;
            let found = filled(text(&target["expr"]), &values)
                .and_then(|expression| points(prometheus, &expression, target["instant"] == true));
            let complaint = match found {
                Ok(0) => "returned nothing".to_owned(),
                Ok(_) => continue,
                Err(e) => e,
            };
            nothing.push(format!("{} {}: {complaint}", text(&panel["title"]), text(&target["refId"])));
        }
    }
    (asked, nothing)
}

/// The default of a variable: all values, or the first.
fn first_choice(
    prometheus: &Prometheus,
    variable: &Value,
    values: &BTreeMap<&str, String>,
) -> Result<String, String> {
    let query = text(&variable["query"]["query"]);
    if let Some(all) = variable["allValue"].as_str().filter(|_| variable["includeAll"] == true) {
        return Ok(all.to_owned());
    }
    let (metric, label) = label_values(query).ok_or_else(|| format!("{query} lists no label"))?;
    let metric = filled(metric, values)?;
    let found = prometheus.ask(&format!("label/{label}/values"), &[("match[]", &metric)])?;
    let first = list(&found).map(text).next().ok_or_else(|| format!("{query} returned nothing"))?;
    Ok(first.to_owned())
}

/// Unix seconds.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The number of points of an expression, now or over the range.
fn points(prometheus: &Prometheus, expression: &str, instant: bool) -> Result<usize, String> {
    let data = if instant {
        prometheus.ask("query", &[("query", expression)])?
    } else {
        let end = now() / STEP * STEP;
        let (start, end, step) = ((end - RANGE).to_string(), end.to_string(), STEP.to_string());
        let range = [("query", expression), ("start", &start), ("end", &end), ("step", &step)];
        prometheus.ask("query_range", &range)?
    };
    let values = list(&data["result"]).flat_map(|series| match &series["values"] {
        Value::Null => std::slice::from_ref(&series["value"]),
        values => values.as_array().map_or(&[][..], Vec::as_slice),
    });
    Ok(values.filter(|value| value[1] != "NaN").count())
}

/// The growth within seven days is right after seven days, even if the bridge has moved.
/// Before that, it is the growth since the first data.
pub fn know_a_week(promtool: &Path) {
    let series = |bridge: &str, values: &str| {
        let name = format!("mastodon_instance_users{{server_address=\"a\",instance=\"{bridge}\"}}");
        json!({"series": name, "values": values})
    };
    // A value each minute, except for ten minutes exactly a week before the end. 100 more
    // after two days, 150 more after five.
    let input = [
        series("old", "1000x1434 _x10 1000x1434 1100x1439 stale"),
        series("new", "_x4320 1100x2879 1250x4320"),
    ];
    let expected = [("5m", 0), ("60h", 100), ("8d", 250)];
    let any = ["server_port", "customer", "region", "team", "fediverse_software_name", "instance"];
    let mut values: BTreeMap<&str, String> = any.map(|name| (name, ".*".to_owned())).into();
    values.insert("server_address", "a".to_owned());
    let mut tests = Vec::new();
    for dashboard in Dashboard::all() {
        let targets = dashboard.panels().flat_map(|panel| list(&panel["targets"]));
        // For one server, and not as a graph.
        let growth = targets.filter(|target| target["instant"] == true).map(|target| text(&target["expr"]));
        for growth in growth.filter(|e| {
            let of_server = e.trim_start_matches(['(', '\n']).starts_with("max by");
            of_server && e.contains("users{") && e.contains("offset 7d")
        }) {
            let expression = filled(growth, &values).unwrap();
            tests.extend(expected.map(|(time, value)| {
                let sample = json!({"labels": "{server_address=\"a\"}", "value": value});
                json!({"expr": expression, "eval_time": time, "exp_samples": [sample]})
            }));
        }
    }
    assert_eq!(tests.len(), 2 * expected.len(), "of Instance and of Fleet");
    let test = json!({"interval": "1m", "input_series": input, "promql_expr_test": tests});
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("week.yaml");
    // JSON is YAML.
    std::fs::write(&file, json!({"evaluation_interval": "1m", "tests": [test]}).to_string()).unwrap();
    let output = Command::new(promtool).args(["test", "rules"]).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
}
