//! Received values and messages, and their size.

use std::collections::BTreeMap;
use std::time::Duration;

use fedimeter::config::otel::HistogramAggregation;
use fedimeter::export::otlp::{Compression, Exporter, OtlpSettings, Protocol, Report};
use fedimeter::export::self_metrics::{Outputs, SelfMetrics};
use http::{HeaderName, HeaderValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::Temporality;
use tokio::time::Instant;

use super::{Sinks, export, export_with, settings};
use crate::support::meter::Meter;
use crate::support::otlp_sink::{GrpcSink, HttpSink, Options, PATIENCE, Value};
use crate::support::program::Serving;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_arrive_over_every_protocol_with_headers_and_gzip() {
    for protocol in Protocol::ALL {
        for compression in [Compression::None, Compression::Gzip] {
            let sinks = Sinks::start(Options::default()).await;
            let (sink, mut settings) = sinks.of(protocol);
            settings.compression = compression;
            // Headers that HTTP sets by itself are not duplicated.
            for name in ["x-key", "content-type", "content-encoding", "transfer-encoding", "connection"] {
                settings.headers.insert(HeaderName::from_static(name), HeaderValue::from_static("hush"));
            }
            let exporter = Exporter::build(&settings).unwrap();
            let report = export(&exporter).await;
            assert_eq!(report, Report { accepted: 4, ..Report::default() }, "{protocol}");

            let points = sink.points();
            let users: BTreeMap<_, _> = points
                .iter()
                .filter(|p| p.name == "test.users")
                .map(|p| (p.attributes["server.address"].clone(), p.value.clone()))
                .collect();
            assert_eq!(
                users,
                [("a0.example".to_owned(), Value::Int(5)), ("a1.example".to_owned(), Value::Int(6))].into()
            );
            let age = points.iter().find(|p| p.name == "test.age").unwrap();
            assert_eq!((age.kind, &*age.unit, &*age.description), ("gauge", "s", "Age."));
            assert_eq!((&*age.scope, &*age.resource["service.name"]), ("fedimeter", "test"));

            let request = &sink.requests()[0];
            assert_eq!(request.headers.get_all("x-key").iter().count(), 1);
            assert_eq!(request.headers["x-key"], "hush");
            let hushed = request.headers.values().filter(|value| *value == "hush").count();
            assert_eq!(hushed, 1, "{:?}", request.headers);
            for name in ["content-type", "content-encoding"] {
                assert!(request.headers.get_all(name).iter().count() <= 1, "{:?}", request.headers);
            }
            assert!(request.headers["user-agent"].to_str().unwrap().starts_with("fedimeter/"));
            let encoding = match protocol {
                Protocol::Grpc => request.headers.get("grpc-encoding"),
                _ => request.headers.get("content-encoding"),
            };
            assert_eq!(encoding.is_some(), compression == Compression::Gzip, "{protocol}: {encoding:?}");

            let stats = exporter.stats();
            assert_eq!((stats.exported(), stats.in_flight()), (4, 0));
            assert_eq!(stats.last().unwrap().error_type, None);
        }
    }
}

/// JSON of the protocol: names in camel case, and 64-bit numbers as strings.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_is_that_of_otlp() {
    let sink = HttpSink::start().await;
    export_with(&settings(Protocol::HttpJson, &sink.endpoint())).await;
    let request = &sink.requests()[0];
    assert_eq!(request.path, "/v1/metrics");
    let json: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    let metrics = &json["resourceMetrics"][0]["scopeMetrics"][0]["metrics"];
    let point = &metrics[1]["sum"]["dataPoints"][0];
    assert_eq!(metrics[1]["name"], "test.users", "{json}");
    assert!(point["asInt"].is_string() && point["timeUnixNano"].is_string(), "{point}");
    assert_eq!(point["attributes"][0]["key"], "server.address");
    assert!(point["attributes"][0]["value"]["stringValue"].is_string());
}

/// The encoding crate reads headers and compression from the environment, even unknown
/// ones. They do not affect requests.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_environment_says_is_applied_once() {
    for (compression, expected) in [("gzip", Some("gzip")), ("zstd", None), ("none", None)] {
        let sink = HttpSink::start().await;
        let env = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &*sink.endpoint()),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", compression),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=hush"),
        ];
        let bridge = Serving::start(&["serve", "--listen", "127.0.0.1:0", "http://127.0.0.1:9"], &env);
        // The request of the targets, then that of the bridge itself.
        let request = &sink.wait_for(2).await[1];
        let encoding = request.headers.get("content-encoding").map(|value| value.to_str().unwrap());
        assert_eq!(encoding, expected, "{compression}");
        assert_eq!(request.headers.get_all("x-key").iter().count(), 1);
        assert!(sink.points().iter().any(|point| point.name == "fedimeter.build.info"));
        drop(bridge);
    }
}

/// Requests equal those of the SDK's exporter for the same collection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_those_of_the_reference_exporter() {
    use opentelemetry_otlp::WithExportConfig;
    use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
    let sink = GrpcSink::start().await;
    let meter = Meter::new(3, Temporality::Cumulative);
    meter.record();
    let metrics = meter.collect();
    let ours = Exporter::build(&settings(Protocol::Grpc, &sink.endpoint())).unwrap();
    ours.export(&metrics, Instant::now() + PATIENCE).await;
    let reference =
        opentelemetry_otlp::MetricExporter::builder().with_tonic().with_endpoint(sink.endpoint()).build();
    reference.unwrap().export(&metrics).await.unwrap();
    let requests = sink.requests();
    assert_eq!(requests[0].message, requests[1].message);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn temporality_reaches_counters_and_leaves_non_monotonic_sums_alone() {
    for (temporality, counter, up_down) in [
        (Temporality::Cumulative, "cumulative", "cumulative"),
        (Temporality::Delta, "delta", "cumulative"),
        (Temporality::LowMemory, "delta", "cumulative"),
    ] {
        let sink = GrpcSink::start().await;
        let mut settings = settings(Protocol::Grpc, &sink.endpoint());
        settings.temporality = temporality;
        let exporter = Exporter::build(&settings).unwrap();
        let meter = Meter::new(1, exporter.temporality());
        meter.record();
        exporter.export(&meter.collect(), Instant::now() + PATIENCE).await;
        let of = |name: &str| sink.points().into_iter().find(|p| p.name == name).unwrap().temporality;
        assert_eq!((of("test.requests"), of("test.users")), (counter, up_down), "{temporality:?}");
        assert_eq!(of("test.duration"), counter);
    }
}

/// Each round reports the difference to the one before, for counters and observed totals.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deltas_are_differences() {
    let sink = GrpcSink::start().await;
    let mut settings = settings(Protocol::Grpc, &sink.endpoint());
    settings.temporality = Temporality::Delta;
    let exporter = Exporter::build(&settings).unwrap();
    let meter = Meter::new(1, exporter.temporality());
    let resource = Resource::builder_empty().build();
    let sides =
        Outputs { pull: None, push: Some((&exporter, HistogramAggregation::Explicit)), ..Outputs::default() };
    let own = SelfMetrics::new(&resource, 1, sides).unwrap();
    let mut sent = Vec::new();
    for round in 0..3 {
        (0..=round).for_each(|_| meter.record());
        let before = exporter.stats().exported();
        exporter.export(&own.collect().unwrap(), Instant::now() + PATIENCE).await;
        exporter.export(&meter.collect(), Instant::now() + PATIENCE).await;
        sent.push(exporter.stats().exported() - before);
    }
    let values = |name: &str| -> Vec<Value> {
        sink.points().into_iter().filter(|p| p.name == name).map(|p| p.value).collect()
    };
    assert_eq!(values("test.requests"), [Value::Int(1), Value::Int(2), Value::Int(3)]);
    assert_eq!(
        values("test.duration"),
        [Value::Distribution(1, 0.5), Value::Distribution(2, 1.0), Value::Distribution(3, 1.5)]
    );
    // The first round has no exported points before it, and the last one's points are not
    // reported any more.
    let told: Vec<Value> = values("otel.sdk.exporter.metric_data_point.exported");
    let expected: Vec<Value> = sent[..2].iter().map(|&points| Value::Int(points as i64)).collect();
    assert_eq!(told[told.len() - 2..], expected, "{sent:?}: {told:?}");
}

/// A receiver with a Collector's limit of 4 MiB accepts all points, each once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_collections_leave_in_requests_that_a_receiver_takes() {
    // Seconds of work in a debug build, so the limit is one that no busy machine exceeds.
    const LIMIT: Duration = Duration::from_secs(600);
    let metrics = Meter::new(40_000, Temporality::Cumulative).collect();
    for protocol in Protocol::ALL {
        let sinks = Sinks::start(Options::default()).await;
        let (sink, settings) = sinks.of(protocol);
        let exporter = Exporter::build(&OtlpSettings { timeout: LIMIT, ..settings }).unwrap();
        let report = exporter.export(&metrics, Instant::now() + LIMIT).await;
        assert_eq!(report, Report { accepted: 80_000, ..Report::default() });
        assert!(sink.requests().len() > 1);
        for request in sink.requests() {
            assert!(prost::Message::encoded_len(&request.message) <= 3 << 20);
            assert!(request.body.len() <= 3 << 20, "{protocol}: {} bytes", request.body.len());
        }
        let mut seen: Vec<_> =
            sink.points().into_iter().map(|p| (p.name, p.attributes["server.address"].clone())).collect();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 80_000);
    }
}
