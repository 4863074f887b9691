//! Thousands of targets: `/metrics` and push report each of them once.

use crate::support::{http, samples};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::support::otlp_sink::{GrpcSink, Point, Value, points};
use crate::support::program::Serving;
use fedimeter::config::{Config, Flags, Sources};
use fedimeter::simulator::{Settings, Simulator};
use prost::Message;

/// The maximum number of scrapes until all targets are known.
const SCRAPES: usize = 5;
/// More than the 2,000 points for each metric to which the SDK limits itself by default,
/// and too many for one message.
const TARGETS: usize = 2_100;
/// The default maximum size of a gRPC message of a Collector.
const LARGEST: usize = 4 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_target_is_shown_once() {
    let settings = Settings {
        instances: TARGETS,
        // This version has every default endpoint.
        versions: vec!["4.2".to_owned()],
        request_log: 0,
        rate_limit: Some(1_000_000),
        ..Settings::default()
    };
    let simulator = Simulator::start(settings, ([127, 0, 0, 1], 0).into()).await.unwrap();
    let sink = GrpcSink::start().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("fleet.yaml");
    // A deadline for slow machines, and a third fewer points.
    let mut yaml =
        "listen: 127.0.0.1:0\ndeadline: 5m\ntimeout: 1m\nendpoint_details: false\ntargets:\n".to_owned();
    for url in simulator.urls() {
        writeln!(yaml, "  - {url}").unwrap();
    }
    std::fs::write(&file, yaml).unwrap();
    let endpoint = sink.endpoint();
    let env = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "3600000"),
        ("OTEL_METRIC_EXPORT_TIMEOUT", "600000"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "300000"),
    ];
    let bridge = Serving::start(&["serve", "--config", file.to_str().unwrap()], &env);

    // A slow machine needs several scrapes. Each continues where the one before ended.
    let url = format!("{}/metrics", bridge.url());
    let mut text = String::new();
    let mut scrapes = 0;
    while scrapes < SCRAPES {
        scrapes += 1;
        let get = http::client().get(&url).header("X-Prometheus-Scrape-Timeout-Seconds", "120");
        text = http::body(get).await;
        if text.lines().filter(|line| line.starts_with("nodeinfo_users{")).count() == TARGETS {
            break;
        }
    }
    let hosts: BTreeSet<String> =
        (0..TARGETS).map(|i| simulator.host(i).split_once(':').unwrap().0.to_owned()).collect();
    assert_eq!(hosts.len(), TARGETS);
    // The reader of the text rejects duplicate series.
    let shown = samples::samples(&text);
    for name in ["fedimeter_target_up", "mastodon_instance_users", "fedimeter_target_info", "nodeinfo_users"]
    {
        let found = samples::named(&shown, name);
        let labels: BTreeSet<_> = found.iter().map(|s| s.labels["server_address"].clone()).collect();
        assert_eq!((found.len(), &labels), (TARGETS, &hosts), "{name}");
    }
    assert_eq!(samples::named(&shown, "fedimeter_endpoint_up").len(), TARGETS * 5);
    let up = samples::named(&shown, "fedimeter_target_up");
    assert!(up.iter().all(|s| s.value > 0.0), "all are up");
    assert!(!text.contains("otel_metric_overflow") && !text.contains("otel.metric.overflow"));

    // One round of push, divided into several requests.
    let parts = parts(&sink).await;
    assert!(parts.len() > 1, "there is something to divide");
    for part in &parts {
        assert!(part.encoded < LARGEST, "{} bytes", part.encoded);
    }
    let mut seen: BTreeMap<(&str, &BTreeMap<String, String>), &Value> = BTreeMap::new();
    for point in parts.iter().flat_map(|part| &part.points) {
        assert!(!point.attributes.contains_key("otel.metric.overflow"), "{point:?}");
        let before = seen.insert((&point.name, &point.attributes), &point.value);
        assert_eq!(before, None, "it comes twice: {} {:?}", point.name, point.attributes);
    }
    for name in ["fedimeter.target.up", "mastodon.instance.users", "fedimeter.target.info", "nodeinfo.users"]
    {
        let found = seen.keys().filter(|(n, _)| *n == name).map(|(_, a)| a["server.address"].clone());
        assert_eq!(found.collect::<BTreeSet<_>>(), hosts, "{name}");
    }
    assert_eq!(seen.keys().filter(|(name, _)| *name == "fedimeter.endpoint.up").count(), TARGETS * 5);

    // At most one request for each endpoint and scrape was sent.
    for i in [0, TARGETS / 2, TARGETS - 1] {
        let asked = simulator.requests(i, "*");
        assert!((5..=5 * scrapes).contains(&asked), "{}: {asked} in {scrapes} scrapes", simulator.host(i));
    }
    assert_eq!(bridge.end("TERM").0, Some(0));
}

struct Part {
    encoded: usize,
    points: Vec<Point>,
}

/// The requests of the first round, when all have arrived.
async fn parts(sink: &GrpcSink) -> Vec<Part> {
    let mut parts = Vec::new();
    loop {
        let requests = sink.wait_for(parts.len() + 1).await;
        for request in &requests[parts.len()..] {
            assert!(request.taken);
            let encoded = request.message.encoded_len();
            parts.push(Part { encoded, points: points(&request.message) });
        }
        let up = parts.iter().flat_map(|p| &p.points).filter(|p| p.name == "fedimeter.target.up").count();
        if up >= TARGETS {
            return parts;
        }
    }
}

/// In a fleet one connection is kept for each host, so simultaneous requests would need
/// another.
#[test]
fn hosts_of_a_fleet_are_asked_for_one_thing_at_a_time() {
    let hosts = |n: usize| (0..n).map(|i| format!("i{i}.example")).collect::<Vec<_>>();
    let at_once = |targets: usize, set: Option<&str>| {
        let hosts = hosts(targets);
        let env = |name: &str| {
            (name == "FEDIMETER_MAX_REQUESTS_PER_HOST").then(|| set.map(str::to_owned)).flatten()
        };
        let sources =
            Sources { file: None, text: None, targets: &hosts, flags: Flags::of(u8::MAX), env: &env };
        Config::load(&sources).unwrap().http.max_requests_per_host
    };
    assert_eq!([at_once(100, None), at_once(101, None)], [2, 1]);
    assert_eq!(at_once(101, Some("3")), 3);
}
