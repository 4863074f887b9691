//! What arrives: values, messages and their size.

use std::collections::BTreeMap;

use fedimeter::export::otlp::{Compression, Exporter, Protocol, Report};
use http::{HeaderName, HeaderValue};
use opentelemetry_sdk::metrics::Temporality;
use tokio::time::Instant;

use super::meter::Meter;
use super::otlp_sink::{GrpcSink, HttpSink, Options, PATIENCE, Value};
use super::{Sinks, export, export_with, settings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_arrive_over_every_protocol_with_headers_and_gzip() {
    for protocol in Protocol::ALL {
        for compression in [Compression::None, Compression::Gzip] {
            let sinks = Sinks::start(Options::default()).await;
            let (sink, mut settings) = sinks.of(protocol);
            settings.compression = compression;
            settings.headers.insert(HeaderName::from_static("x-key"), HeaderValue::from_static("hush"));
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

/// JSON as the protocol has it: names in camel case, 64-bit numbers as strings.
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

/// What leaves is what the SDK's own exporter sends for the same collection.
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

/// A receiver with a collector's limit of 4 MiB takes all of it, each point once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_collections_leave_in_requests_that_a_receiver_takes() {
    let sinks = Sinks::start(Options::default()).await;
    let metrics = Meter::new(40_000, Temporality::Cumulative).collect();
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        let (sink, settings) = sinks.of(protocol);
        let exporter = Exporter::build(&settings).unwrap();
        let report = exporter.export(&metrics, Instant::now() + PATIENCE).await;
        assert_eq!(report, Report { accepted: 80_000, ..Report::default() });
        assert!(sink.requests().len() > 1);
        for request in sink.requests() {
            assert!(prost::Message::encoded_len(&request.message) <= 3 << 20);
        }
        let mut seen: Vec<_> =
            sink.points().into_iter().map(|p| (p.name, p.attributes["server.address"].clone())).collect();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 80_000);
    }
}
