//! Metrics of `/metrics` about the bridge itself.

use crate::support::http;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fedimeter::bridge::{Bridge, Exporters};
use fedimeter::clock::Clock;
use fedimeter::config::Config;
use fedimeter::config::Limits;
use fedimeter::config::WebSettings;
use fedimeter::export::exposition::Format;
use fedimeter::export::prometheus::family_name;
use fedimeter::export::self_metrics::{Outputs, SelfMetrics};
use fedimeter::metrics::{Row, rows};
use fedimeter::server::clients::Clients;
use fedimeter::server::host::HostNames;
use fedimeter::server::listener::serve;
use fedimeter::server::socket::Socket;
use fedimeter::server::web::Door;
use fedimeter::simulator::{Settings, Simulator};
use fedimeter::target::{Target, parse_target};
use opentelemetry_sdk::Resource;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(30);

/// The lines of the second of two scrapes of a bridge with three targets. The duration of a
/// scrape is only in the next one.
async fn second_scrape(scope_labels: bool) -> Vec<String> {
    let settings = Settings { instances: 3, ..Settings::default() };
    let simulator = Simulator::start(settings, ([127, 0, 0, 1], 0).into()).await.unwrap();
    let target = |url: &String| Target::new(parse_target(url).unwrap(), None, None, &BTreeMap::new());
    let targets: Vec<Target> = simulator.urls().iter().map(target).collect();
    let config = Config { targets, scope_labels, ..Config::default() };
    let resource = Resource::builder_empty().with_service_name("fedimeter").build();
    let exporters = Exporters { pull: true, push: None };
    let bridge = Bridge::new(&config, &resource, exporters, Clock::default()).unwrap();
    let sides = Outputs { pull: Some(scope_labels), push: None, ..Outputs::default() };
    let own = SelfMetrics::new(&resource, config.targets.len(), sides).unwrap();
    let bridge = Arc::new(bridge.with_own(own));
    bridge.scrape(PATIENCE, Format::OpenMetrics100).await.unwrap();
    // Within a second, the bridge's own metrics do not change.
    bridge.refresher().clock().advance(Duration::from_secs(1));
    let body = bridge.scrape(PATIENCE, Format::OpenMetrics100).await.unwrap();
    simulator.shutdown().await;
    String::from_utf8(body.text().into_owned()).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bridge_itself_is_on_metrics_once() {
    let lines = second_scrape(true).await;
    let starting = |start: &str| lines.iter().filter(|line| line.starts_with(start)).count();
    let is_pushed = |row: &Row| {
        ["otel.sdk.exporter.", "otel.sdk.processor.", "fedimeter.push."]
            .iter()
            .any(|of| row.name.starts_with(of))
    };
    // This bridge has no configuration file, and probes are off.
    let of = ["fedimeter.config.", "fedimeter.probe", "fedimeter.shard", "fedimeter.source."];
    let is_configured = |row: &Row| of.iter().any(|of| row.name.starts_with(of));
    let expected = |row: &&Row| row.is_own() && !is_pushed(row) && !is_configured(row);
    for row in rows().filter(expected) {
        let family = family_name(row);
        let family = family.trim_end_matches("_total");
        assert_eq!(starting(&format!("# TYPE {family} ")), 1, "{family}");
        let unit = usize::from(matches!(row.unit, "s" | "By"));
        assert_eq!(starting(&format!("# UNIT {family} ")), unit, "{family}");
    }
    for (start, count) in [
        ("fedimeter_build_info{", 1),
        ("fedimeter_targets{otel_scope_name=\"fedimeter\"} 3", 1),
        ("fedimeter_collection_duration_seconds_count{fedimeter_exporter_name=\"prometheus\",", 1),
        ("process_cpu_time_seconds_total{cpu_mode=", 2),
        ("target_info{", 1),
        // Push is off.
        ("otel_sdk_exporter_", 0),
        ("otel_sdk_processor_", 0),
        ("fedimeter_push_", 0),
        ("otel_sdk_metric_reader_collection_duration_seconds_count{", 1),
        ("process_thread_count{", 1),
        ("process_unix_file_descriptor_count{", 1),
    ] {
        assert_eq!(starting(start), count, "{start}");
    }
    let version = concat!("version=\"", env!("CARGO_PKG_VERSION"), "\"");
    let build = lines.iter().find(|line| line.starts_with("fedimeter_build_info{")).unwrap();
    assert!(build.contains(version) && build.contains("revision=\"") && build.ends_with("} 1"), "{build}");
    let outcome = "fedimeter_endpoint_name=\"nodeinfo\",fedimeter_request_outcome=\"ok\"";
    let nodeinfo = format!("fedimeter_request_duration_seconds_count{{{outcome}");
    let line = lines.iter().find(|line| line.starts_with(&nodeinfo)).expect(&nodeinfo);
    assert!(line.ends_with(" 3"), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scope_labels_are_left_out_there_too() {
    let lines = second_scrape(false).await;
    assert!(lines.iter().all(|line| !line.contains("otel_scope_")));
    assert!(lines.contains(&"fedimeter_targets 3".to_owned()));
}

/// A bridge without the exporter represents one whose exporter has ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scrape_that_cannot_be_produced_is_an_error_with_its_reason() {
    let config = Config::default();
    let resource = Resource::builder_empty().build();
    let bridge = Bridge::new(&config, &resource, Exporters::default(), Clock::default()).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/metrics", listener.local_addr().unwrap());
    let clients = Clients::new(Limits::default(), |limit| panic!("{limit:?} is reached"));
    let routes = fedimeter::server::router(Arc::new(bridge), clients.clone(), None, None);
    let names = HostNames::of(listener.local_addr().unwrap(), &[]);
    let door = Arc::new(Door::new(WebSettings::default()).unwrap());
    tokio::spawn(serve(Socket::Tcp(listener), routes, names, door, clients, CancellationToken::new()));
    let answer = http::client().get(url).send().await.unwrap();
    assert_eq!(answer.status(), 500);
    assert_eq!(answer.headers()["content-type"], "text/plain; charset=utf-8");
    let body = answer.text().await.unwrap();
    assert!(body.starts_with("no metrics: the Prometheus exporter is off"), "{body}");
}
