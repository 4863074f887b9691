//! The log: a line for each request and each collection, with fields. Times are written
//! only if nothing else adds them.

use std::fs::File;
use std::os::unix::fs::MetadataExt;

use fedimeter::simulator::{Settings, Simulator};
use serde_json::Value;

use crate::support::http::client;
use crate::support::program::{Serving, fedimeter, run};

async fn simulator() -> Simulator {
    let settings = Settings { instances: 1, ..Settings::default() };
    Simulator::start(settings, ([127, 0, 0, 1], 0).into()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trace_has_a_line_a_request_with_fields() {
    let simulator = simulator().await;
    simulator.set_fault(0, "/api/v1/instance/activity", Some("status:503".parse().unwrap()));
    let url = simulator.url(0);
    let args = ["once", &url, "--log-format", "json", "--log-level", "fedimeter=trace"];
    let ran = run(&args, &[]);
    let lines: Vec<Value> = ran.err.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let requests: Vec<&Value> = lines.iter().filter(|line| line["message"] == "requested").collect();
    assert_eq!(requests.len(), simulator.requests(0, "*"), "{}", ran.err);
    for line in &requests {
        let asked = line["url"].as_str().unwrap();
        let is_refused = asked.ends_with("/api/v1/instance/activity");
        let (outcome, status) = if is_refused { ("http_5xx", 503) } else { ("ok", 200) };
        assert_eq!((&line["outcome"], &line["status"]), (&outcome.into(), &status.into()), "{line}");
        assert_eq!((&line["server"], &line["method"]), (&url.as_str().into(), &"GET".into()), "{line}");
        assert!(line["elapsed"].is_string() && line["bytes"].is_number(), "{line}");
        // The span names the endpoint.
        assert!(line["spans"][2]["fedimeter.endpoint.name"].is_string(), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn debug_has_a_line_a_collection() {
    let simulator = simulator().await;
    let args = ["serve", &simulator.url(0), "--listen", "127.0.0.1:0", "--log-level", "debug"];
    let bridge = Serving::start(&args, &[]);
    let page = client().get(format!("{}/metrics", bridge.url())).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("mastodon_instance_users"));
    let collected =
        bridge.line(|line| line.contains("collected exporter=prometheus").then(|| line.to_owned()));
    assert!(collected.contains(" targets=1 up=1 down=0 elapsed="), "{collected}");
}

#[test]
fn the_journal_gets_no_times() {
    let directory = tempfile::tempdir().unwrap();
    for (name, is_the_journal) in [("own", true), ("another", false)] {
        let path = directory.path().join(name);
        let log = File::create(&path).unwrap();
        let of_log = log.metadata().unwrap();
        let inode = if is_the_journal { of_log.ino() } else { of_log.ino() + 1 };
        let stream = format!("{}:{inode}", of_log.dev());
        let mut command = fedimeter();
        command.args(["once", "-q", "http://127.0.0.1:1"]).env("JOURNAL_STREAM", stream).stderr(log);
        command.output().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.trim_start().starts_with("WARN "), is_the_journal, "{name}: {text}");
    }
}
