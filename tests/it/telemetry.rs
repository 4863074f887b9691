//! The bridge's own logs and traces over OTLP.

use std::collections::{BTreeMap, BTreeSet};

use fedimeter::simulator::{Settings, Simulator};

use crate::support::http::client;
use crate::support::otlp_sink::{Answer, GrpcSink, HttpSink, Record, Sink, Span};
use crate::support::program::Serving;

/// Kinds of spans, as numbers of the protocol.
const INTERNAL: i32 = 1;
const CLIENT: i32 = 3;

pub async fn simulator(instances: usize) -> Simulator {
    let settings = Settings { instances, ..Settings::default() };
    Simulator::start(settings, ([127, 0, 0, 1], 0).into()).await.unwrap()
}

/// A bridge of these targets that sends batches at once.
pub fn serve(targets: &[String], env: &[(&str, &str)]) -> Serving {
    let mut args = vec!["serve", "--listen", "127.0.0.1:0"];
    args.extend(targets.iter().map(String::as_str));
    let soon = [("OTEL_BLRP_SCHEDULE_DELAY", "10"), ("OTEL_BSP_SCHEDULE_DELAY", "10")];
    Serving::start(&args, &[&soon[..], env].concat())
}

pub async fn record(sink: &Sink, body: &str) -> Record {
    sink.wait_until(body, |sink| sink.records().into_iter().find(|record| record.body.contains(body))).await
}

/// A finished trace with this name of its root, with all spans.
pub async fn trace(sink: &Sink, root: &str) -> Vec<Span> {
    sink.wait_until(root, |sink| {
        let spans = sink.spans();
        let root = spans.iter().find(|span| span.name == root && span.parent.is_empty())?;
        Some(spans.iter().filter(|span| span.trace == root.trace).cloned().collect())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collection_arrives_as_a_trace_over_every_protocol_beside_the_log() {
    let simulator = simulator(1).await;
    simulator.set_fault(0, "/api/v1/instance/activity", Some("status:503".parse().unwrap()));
    let (grpc, http) = (GrpcSink::start().await, HttpSink::start().await);
    for protocol in ["grpc", "http/protobuf", "http/json"] {
        let (sink, endpoint): (&Sink, String) = match protocol {
            "grpc" => (&grpc, grpc.endpoint()),
            _ => (&http, http.endpoint()),
        };
        let bridge = serve(
            &[simulator.url(0)],
            &[
                ("OTEL_METRICS_EXPORTER", "prometheus"),
                ("OTEL_LOGS_EXPORTER", "otlp"),
                ("OTEL_TRACES_EXPORTER", "otlp"),
                ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
                ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=hush"),
                ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
                ("OTEL_SERVICE_NAME", protocol),
            ],
        );
        let spans = sink
            .wait_until("a trace", |sink| {
                let of_bridge = |span: &Span| span.resource["service.name"] == protocol;
                let spans: Vec<Span> = sink.spans().into_iter().filter(of_bridge).collect();
                let root = spans.iter().find(|span| span.name == "collection")?;
                Some(spans.iter().filter(|span| span.trace == root.trace).cloned().collect::<Vec<Span>>())
            })
            .await;
        assert_readable(&spans, &simulator);
        let line = sink
            .wait_until("the line about the server", |sink| {
                let mut records = sink.records().into_iter();
                records.find(|r| r.resource["service.name"] == protocol && r.body.contains("activity"))
            })
            .await;
        let of = |key: &str| line.attributes.get(key).map(String::as_str).unwrap_or_default();
        assert_eq!((line.severity.as_str(), line.scope.as_str()), ("WARN", "fedimeter::refresh::log"));
        assert_eq!((of("server"), of("endpoint")), (&*simulator.url(0), "activity"), "{line:?}");
        assert_eq!((of("outcome"), of("status"), &*line.event), ("http_5xx", "503", ""), "{line:?}");
        assert_eq!(line.headers["x-key"], "hush");
        assert_eq!(spans[0].headers["x-key"], "hush");
        assert_eq!(line.trace, spans[0].trace, "the line names the trace that it belongs to");
        bridge.end("TERM");
    }
    // Requests to servers contain no trace context.
    let requests = simulator.request_log();
    let is_traced = |name: &str| ["traceparent", "tracestate", "baggage"].contains(&name);
    assert!(requests.iter().all(|request| !request.headers.keys().any(|name| is_traced(name.as_str()))));
    assert!(!requests.is_empty());
}

/// One collection of a target with failing activity.
fn assert_readable(spans: &[Span], simulator: &Simulator) {
    let by_id: BTreeMap<&[u8], &Span> = spans.iter().map(|span| (&*span.id, span)).collect();
    let parent = |span: &Span| by_id.get(&*span.parent).map(|parent| parent.name.as_str());
    let named = |name: &str| spans.iter().filter(|span| span.name == name).collect::<Vec<_>>();
    let url: url::Url = simulator.url(0).parse().unwrap();
    let (host, port) = (url.host_str().unwrap(), url.port().unwrap().to_string());
    let [target] = named("target")[..] else { panic!("{spans:#?}") };
    assert_eq!((parent(target), target.kind, &*target.scope), (Some("collection"), INTERNAL, "fedimeter"));
    assert_eq!((&*target.attributes["server.address"], &target.attributes["server.port"]), (host, &port));
    let endpoints = named("endpoint");
    let asked: BTreeSet<&str> =
        endpoints.iter().map(|span| &*span.attributes["fedimeter.endpoint.name"]).collect();
    assert!(asked.len() == endpoints.len() && asked.contains("instance_v2"), "{asked:?}");
    for span in &endpoints {
        assert_eq!((parent(span), span.kind, span.events), (Some("target"), INTERNAL, 0));
        let is_activity = span.attributes["fedimeter.endpoint.name"] == "activity";
        let error = span.attributes.get("error.type").map(String::as_str);
        assert_eq!(error, is_activity.then_some("http_5xx"), "{span:?}");
        assert_eq!(span.error.as_deref().is_some_and(|why| why.contains("503")), is_activity, "{span:?}");
        let outcome = if is_activity { "failed" } else { "ok" };
        assert_eq!(span.attributes["fedimeter.request.outcome"], outcome, "{span:?}");
    }
    let requests = named("GET");
    assert!(requests.len() >= endpoints.len());
    for span in requests {
        let of = |key: &str| span.attributes.get(key).map(String::as_str);
        assert_eq!((parent(span), span.kind), (Some("endpoint"), CLIENT));
        assert_eq!((of("http.request.method"), of("server.port")), (Some("GET"), Some(&*port)));
        assert_eq!(of("server.address"), Some(host));
        let numbers = ["http.response.status_code", "server.port"].map(str::to_owned);
        assert_eq!(span.numbers, numbers.into());
        let full = of("url.full").unwrap();
        let is_activity = full == url.join("/api/v1/instance/activity").unwrap().as_str();
        let status = if is_activity { "503" } else { "200" };
        assert_eq!(of("http.response.status_code"), Some(status), "{span:?}");
        assert_eq!((of("error.type"), span.error.is_some()), (is_activity.then_some("503"), is_activity));
    }
}

/// Different targets at which nothing listens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_traces_a_hundred_targets_a_collection() {
    let targets = (0..400).map(|i| format!("http://127.0.{}.{}:1", i / 200, i % 200 + 1));
    a_hundred_of_four_hundred_are_traced(&targets.collect::<Vec<_>>()).await;
}

/// A hoster reaches all servers through the address of one proxy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_behind_one_proxy_are_told_apart_in_traces() {
    let target = |i| format!("  - {{url: http://127.0.0.1:1, host: s{i}.example, forwarded_proto: https}}\n");
    let targets: String = (0..400).map(target).collect();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("fedimeter.yaml");
    std::fs::write(&file, format!("targets:\n{targets}")).unwrap();
    let config = ["--config".to_owned(), file.display().to_string()];
    let traced = a_hundred_of_four_hundred_are_traced(&config).await;
    assert!(
        traced.iter().all(|(address, port)| address.ends_with(".example") && port == "443"),
        "{traced:?}"
    );
}

/// A trace of a fleet has all spans of some of its targets. Returns their addresses and
/// ports.
async fn a_hundred_of_four_hundred_are_traced(targets: &[String]) -> BTreeSet<(String, String)> {
    let sink = HttpSink::start().await;
    let env = [
        ("OTEL_METRICS_EXPORTER", "prometheus"),
        ("OTEL_TRACES_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*sink.endpoint()),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "65536"),
    ];
    let _bridge = serve(targets, &env);
    let spans = trace(&sink, "collection").await;
    let of = |name: &str| spans.iter().filter(|span| span.name == name).collect::<Vec<_>>();
    let traced = of("target");
    // Six standard deviations around a hundred.
    assert!((48..153).contains(&traced.len()), "{}", traced.len());
    let below: BTreeSet<&[u8]> = of("endpoint").iter().map(|span| &*span.parent).collect();
    assert_eq!(below, traced.iter().map(|span| &*span.id).collect());
    let told =
        |span: &&Span| ["server.address", "server.port"].map(|key| span.attributes[key].clone()).into();
    let told: BTreeSet<(String, String)> = traced.iter().map(told).collect();
    assert_eq!(told.len(), traced.len(), "each is told apart: {told:?}");
    told
}

/// At the most detailed level and with push, no exported line or span is about exports.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exporting_makes_no_telemetry_of_itself() {
    let simulator = simulator(1).await;
    for grpc in [true, false] {
        let (grpc_sink, http_sink) = (GrpcSink::start().await, HttpSink::start().await);
        let (sink, endpoint): (&Sink, String) =
            if grpc { (&grpc_sink, grpc_sink.endpoint()) } else { (&http_sink, http_sink.endpoint()) };
        let bridge = serve(
            &[simulator.url(0)],
            &[
                ("OTEL_LOGS_EXPORTER", "otlp"),
                ("OTEL_TRACES_EXPORTER", "otlp"),
                ("OTEL_METRIC_EXPORT_INTERVAL", "3600000"),
                ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", if grpc { "grpc" } else { "http/protobuf" }),
                ("FEDIMETER_LOG_LEVEL", "trace,h2=trace,hyper=trace,tonic=trace,reqwest=trace"),
            ],
        );
        trace(sink, "push").await;
        record(sink, "pushed").await;
        // The lines of a later scrape are the last.
        let page = client().get(format!("{}/metrics", bridge.url())).send().await.unwrap();
        assert!(page.status().is_success());
        record(sink, "collected").await;
        assert_eq!(bridge.end("TERM").0, Some(0));
        for record in sink.records() {
            let is_ours = record.scope.starts_with("fedimeter") && !record.scope.contains("export::otlp");
            assert!(is_ours, "{record:?}");
        }
        let names: BTreeSet<String> = sink.spans().into_iter().map(|span| span.name).collect();
        assert_eq!(names, ["GET", "collection", "endpoint", "push", "target"].map(str::to_owned).into());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_is_a_trace_with_what_became_of_its_points() {
    let simulator = simulator(1).await;
    let sink = HttpSink::start().await;
    let env = [
        ("OTEL_TRACES_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*sink.endpoint()),
        ("OTEL_METRIC_EXPORT_INTERVAL", "3600000"),
    ];
    sink.answer_next(Answer::Partial(2, "too old"));
    let _bridge = serve(&[simulator.url(0)], &env);
    let spans = trace(&sink, "push").await;
    let [push] = &spans[..] else { panic!("{spans:#?}") };
    let of = |key: &str| push.attributes.get(key).map(String::as_str);
    assert_eq!(
        (of("fedimeter.push.points.lost"), of("error.type")),
        (Some("2"), Some("rejected")),
        "{push:?}"
    );
    assert!(of("fedimeter.push.points.accepted").unwrap().parse::<u64>().unwrap() > 2, "{push:?}");
    assert!(push.error.as_deref().unwrap().contains("too old"), "{push:?}");
    assert_eq!(of("server.address"), Some("127.0.0.1"));
    assert!(push.numbers.contains("server.port") && push.numbers.len() == 4, "{push:?}");
}

/// A server repeats the token in its error. No record or span contains it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_masked_in_records_and_spans() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = || async {
        let error = "{\"error\":\"the token hush-hush is revoked\"}";
        (axum::http::StatusCode::INTERNAL_SERVER_ERROR, error)
    };
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });
    let sink = HttpSink::start().await;
    let env = [
        ("MASTODON_TOKEN", "hush-hush"),
        ("OTEL_METRICS_EXPORTER", "prometheus"),
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_TRACES_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*sink.endpoint()),
    ];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fedimeter.yaml");
    let text = format!("targets:\n  - url: {url}\n    token_env: MASTODON_TOKEN\n");
    std::fs::write(&file, text).unwrap();
    let _bridge = serve(&["--config".to_owned(), file.display().to_string()], &env);
    let spans = trace(&sink, "collection").await;
    let line = record(&sink, "is down").await;
    let told = format!("{spans:?} {line:?}");
    assert!(told.contains("the token *** is revoked") && !told.contains("hush-hush"), "{told}");
    assert!(spans.iter().any(|span| span.error.as_deref().is_some_and(|why| why.contains("***"))));
}

/// Each signal goes to the receiver of its variables, and only named signals are exported.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signals_have_variables_of_their_own() {
    let simulator = simulator(1).await;
    let (general, logs) = (HttpSink::start().await, GrpcSink::start().await);
    let env = [
        ("OTEL_METRICS_EXPORTER", "none,prometheus"),
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*general.endpoint()),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", &*logs.endpoint()),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "x-key=logs"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=general"),
    ];
    let bridge = serve(&[simulator.url(0)], &env);
    let line = record(&logs, "1 target on http://").await;
    assert_eq!((&line.headers["x-key"], &*line.severity), (&http::HeaderValue::from_static("logs"), "INFO"));
    assert_eq!(bridge.end("TERM").0, Some(0));
    assert_eq!((general.telemetry_requests(), logs.spans().len()), (0, 0));
}
