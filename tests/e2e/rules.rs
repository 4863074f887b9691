//! The alerts and recording rules in `dashboards/`, with the current Prometheus and its
//! promtool. (`cargo test --test peers rules::` uses the installed promtool.)

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use url::Url;

use crate::bench::{eventually, free_address, get_json};
use crate::programs::root;
use crate::prometheus::Prometheus;
use crate::support::program::{PATIENCE, Serving};

const FILES: [&str; 2] = ["rules.yaml", "alerts.yaml"];

/// promtool accepts the files, and their tests pass.
pub fn hold_by_promtool(promtool: &Path) {
    let dashboards = root().join("dashboards");
    let run = |what: &[&str], files: &[String]| {
        let output = Command::new(promtool).args(what).args(files).current_dir(&dashboards).output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{said}");
        said
    };
    run(&["check", "rules", "--lint=all", "--lint-fatal"], &FILES.map(str::to_owned));
    let tests: Vec<String> = fs::read_dir(dashboards.join("tests"))
        .unwrap()
        .map(|file| format!("tests/{}", file.unwrap().file_name().to_str().unwrap()))
        .collect();
    let said = run(&["test", "rules"], &tests);
    assert_eq!(said.matches("SUCCESS").count(), tests.len(), "{said}");
    assert!(!tests.is_empty());
}

/// Prometheus evaluates every rule of both files without errors, and finds the failing
/// endpoint of the demo.
pub fn are_evaluated(prometheus: &Path) {
    let address = free_address();
    let bridge = Serving::start(&["demo", "--listen", &address], &[]);
    bridge.url();
    let files = tempfile::tempdir().unwrap();
    for file in FILES {
        // Groups with long intervals start at any point of the interval.
        let text = fs::read_to_string(root().join("dashboards").join(file)).unwrap();
        fs::write(
            files.path().join(file),
            text.replace("interval: 2m", "interval: 2s").replace("interval: 1h", "interval: 2s"),
        )
        .unwrap();
    }
    let configuration = format!(
        "global: {{scrape_interval: 2s, scrape_timeout: 2s, evaluation_interval: 2s}}\n\
         rule_files: ['{}/*.yaml']\n\
         scrape_configs: [{{job_name: fedimeter, static_configs: [{{targets: ['{address}']}}]}}]\n",
        files.path().display()
    );
    let prometheus = Prometheus::start(prometheus, &configuration, &["--log.level=debug"]);

    let rules = eventually("the failing endpoint's alert", || {
        let rules = rules(&prometheus);
        assert!(rules.len() > 20, "{rules:?}");
        let evaluated = rules.iter().all(|rule| rule["health"] == "ok");
        let failing = rules.iter().find(|rule| rule["name"] == "FedimeterEndpointFailing").unwrap();
        if evaluated && failing["state"] == "pending" {
            Ok(rules)
        } else {
            Err(format!("{rules:#?}\n{}\n{}", bridge.log(), prometheus.log()))
        }
    });
    for rule in &rules {
        assert_eq!(rule["lastError"], Value::Null, "{rule}");
        let query = [("query", rule["query"].as_str().unwrap())];
        let url = format!("{}/api/v1/query", prometheus.url());
        let answer = get_json(Url::parse_with_params(&url, query).unwrap().as_str()).unwrap();
        assert_eq!(answer["status"], "success", "{answer}");
        // There are no warnings, such as about the rate of a gauge.
        assert_eq!((&answer["warnings"], &answer["infos"]), (&Value::Null, &Value::Null), "{rule}: {answer}");
    }
    let failing = rules.iter().find(|rule| rule["name"] == "FedimeterEndpointFailing").unwrap();
    // Alerts of the server that fails now and then may also fire.
    let activity = |alert: &Value| alert["labels"]["fedimeter_endpoint_name"] == "activity";
    assert!(failing["alerts"].as_array().unwrap().iter().any(activity), "{failing}");

    let log = prometheus.log();
    let complaints: Vec<&str> =
        log.lines().filter(|l| l.contains("level=WARN") || l.contains("level=ERROR")).collect();
    assert_eq!(complaints, [""; 0]);
    let (status, took) = bridge.end("TERM");
    assert!(status == Some(0) && took < PATIENCE, "{status:?}");
}

/// Every loaded rule.
fn rules(prometheus: &Prometheus) -> Vec<Value> {
    let mut data = prometheus.api("rules", &[]);
    let groups = data["groups"].as_array_mut().unwrap();
    groups.iter_mut().flat_map(|group| std::mem::take(group["rules"].as_array_mut().unwrap())).collect()
}
