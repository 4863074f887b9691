//! One exporter and one receiver: what arrives, what is tried again, and what
//! the user is told.

#[path = "support/meter.rs"]
mod meter;
#[path = "support/otlp_sink.rs"]
mod otlp_sink;
#[path = "support/pki.rs"]
mod pki;

use std::collections::BTreeMap;
use std::time::Duration;

use fedimeter::export::otlp::{Cause, Compression, Endpoint, Exporter, OtlpSettings, Protocol, Report};
use http::{HeaderName, HeaderValue};
use meter::Meter;
use opentelemetry_sdk::metrics::Temporality;
use otlp_sink::{Answer, GrpcSink, HttpSink, Options, PATIENCE, SilentPort, Sink, Value};
use tokio::time::Instant;
use tonic::Code;
use tonic_types::{ErrorDetails, StatusExt};

fn settings(protocol: Protocol, endpoint: &str) -> OtlpSettings {
    let endpoint = match protocol {
        Protocol::Grpc => endpoint.to_owned(),
        _ => format!("{endpoint}/v1/metrics"),
    };
    OtlpSettings::new(protocol, Endpoint::new(&endpoint, protocol).unwrap())
}

async fn export(exporter: &Exporter) -> Report {
    exporter.export(&Meter::new(2, Temporality::Cumulative).collect(), Instant::now() + PATIENCE).await
}

async fn export_with(settings: &OtlpSettings) -> Report {
    export(&Exporter::build(settings).unwrap()).await
}

/// A receiver for each protocol.
struct Sinks {
    grpc: GrpcSink,
    http: HttpSink,
}

impl Sinks {
    async fn start(options: Options) -> Sinks {
        Sinks { grpc: GrpcSink::start_with(options.clone()).await, http: HttpSink::start_with(options).await }
    }

    fn of(&self, protocol: Protocol) -> (&Sink, OtlpSettings) {
        match protocol {
            Protocol::Grpc => (&self.grpc, settings(protocol, &self.grpc.endpoint())),
            _ => (&self.http, settings(protocol, &self.http.endpoint())),
        }
    }
}

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

/// What is answered first, and the pause that at least follows; then all is well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_pass_is_tried_again_after_the_pause_that_was_asked_for() {
    let busy = |ms: u64, code| {
        let details = ErrorDetails::with_retry_info(Some(Duration::from_millis(ms)));
        Answer::Status(tonic::Status::with_error_details(code, "busy", details))
    };
    let http = |status, retry_after: Option<&str>| {
        let headers = retry_after.map(|v| ("retry-after", v.to_owned())).into_iter().collect();
        Answer::Http(status, headers, Vec::new())
    };
    for (protocol, answer, pause) in [
        (Protocol::Grpc, Answer::Status(tonic::Status::unavailable("starting")), 0),
        (Protocol::Grpc, busy(700, Code::Unavailable), 700),
        (Protocol::Grpc, busy(700, Code::ResourceExhausted), 700),
        (Protocol::HttpProtobuf, http(429, Some("1")), 1000),
        (Protocol::HttpProtobuf, http(503, Some("1")), 1000),
        (Protocol::HttpJson, http(429, None), 0),
        (Protocol::HttpJson, http(502, None), 0),
    ] {
        let sinks = Sinks::start(Options::default()).await;
        let (sink, settings) = sinks.of(protocol);
        sink.answer_next(answer.clone());
        let report = export_with(&settings).await;
        assert_eq!(report.accepted, 4, "{answer:?}: {report:?}");
        let requests = sink.requests();
        assert_eq!(requests.len(), 2);
        let waited = requests[1].at - requests[0].at;
        assert!(waited >= Duration::from_millis(pause), "{answer:?}: only {waited:?}");
    }
}

/// What a second attempt cannot change is not tried again, and is told in the
/// receiver's words without our secrets.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_pass_is_told_at_once() {
    let status = |code| Answer::Status(tonic::Status::new(code, "no, said hush-hush"));
    let text = |code| {
        Answer::Http(code, vec![("content-type", "text/plain".to_owned())], b"no, said hush-hush".to_vec())
    };
    for (protocol, answer, cause, hint) in [
        (Protocol::Grpc, status(Code::ResourceExhausted), Cause::Grpc(Code::ResourceExhausted), "too large"),
        (Protocol::Grpc, status(Code::Unauthenticated), Cause::Grpc(Code::Unauthenticated), "_HEADERS"),
        (Protocol::Grpc, status(Code::Unimplemented), Cause::Grpc(Code::Unimplemented), "4318 speaks HTTP"),
        (Protocol::HttpProtobuf, text(401), Cause::Http(401), "_HEADERS"),
        (Protocol::HttpProtobuf, text(404), Cause::Http(404), "/v1/metrics"),
        (Protocol::HttpJson, text(400), Cause::Http(400), ""),
        (Protocol::HttpJson, text(500), Cause::Http(500), ""),
    ] {
        let sinks = Sinks::start(Options::default()).await;
        let (sink, mut settings) = sinks.of(protocol);
        settings
            .headers
            .insert(HeaderName::from_static("authorization"), HeaderValue::from_static("Bearer hush-hush"));
        sink.answer_always(answer.clone());
        let exporter = Exporter::build(&settings).unwrap();
        let report = export(&exporter).await;
        assert_eq!((report.accepted, report.lost, sink.requests().len()), (0, 4, 1), "{answer:?}");
        let failure = report.failure.unwrap();
        assert_eq!(failure.cause, cause);
        let text = failure.to_string();
        assert!(text.contains("no, said ***") && text.contains(hint), "{text}");
        let outcomes = exporter.stats().outcomes();
        assert_eq!(outcomes[&Some(failure.error_type())].points, 4);
    }
}

/// A pause longer than the export may take ends it, and holds back the next ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_pause_is_kept_across_exports() {
    let sink = HttpSink::start().await;
    sink.answer_next(Answer::Http(429, vec![("retry-after", "3600".to_owned())], Vec::new()));
    let exporter = Exporter::build(&settings(Protocol::HttpProtobuf, &sink.endpoint())).unwrap();
    for _ in 0..3 {
        let report = export(&exporter).await;
        assert_eq!((report.lost, report.failure.unwrap().cause), (4, Cause::Http(429)));
    }
    assert_eq!(sink.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partial_success_is_counted_and_told() {
    let sinks = Sinks::start(Options::default()).await;
    for protocol in Protocol::ALL {
        let (sink, settings) = sinks.of(protocol);
        sink.answer_next(Answer::Partial(3, "too old"));
        let exporter = Exporter::build(&settings).unwrap();
        let report = export(&exporter).await;
        assert_eq!((report.accepted, report.rejected, &*report.words), (1, 3, "too old"), "{protocol}");
        assert_eq!(report.failure, None);
        let outcomes = exporter.stats().outcomes();
        assert_eq!((outcomes[&None].points, outcomes[&Some("rejected")].points), (1, 3));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receivers_that_are_none_are_named_with_the_way_out() {
    // A port that nothing listens on any more.
    let closed = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let http1 = http1_only().await;
    let silent = SilentPort::start().await;
    let silent = format!("http://{}", silent.address);
    let sinks = Sinks::start(Options::default()).await;
    sinks.http.answer_always(Answer::Http(
        200,
        vec![("content-type", "text/html".to_owned())],
        b"<p>".to_vec(),
    ));
    for (protocol, endpoint, cause, hint) in [
        (Protocol::Grpc, &closed, Cause::Connection, "nothing listens"),
        (Protocol::HttpProtobuf, &closed, Cause::Connection, "nothing listens"),
        (Protocol::HttpProtobuf, &silent, Cause::Timeout, "OTEL_EXPORTER_OTLP_TIMEOUT"),
        (Protocol::HttpProtobuf, &sinks.grpc.endpoint(), Cause::Connection, "4317 gRPC"),
        (Protocol::HttpProtobuf, &sinks.http.endpoint(), Cause::Http(200), "no OTLP receiver"),
        (Protocol::Grpc, &sinks.http.endpoint(), Cause::Grpc(Code::Unknown), "that port speaks HTTP"),
        (Protocol::Grpc, &http1, Cause::Connection, "4318 HTTP"),
        (Protocol::Grpc, &closed.replace("http", "https"), Cause::Connection, "nothing listens"),
        (
            Protocol::HttpProtobuf,
            &sinks.http.endpoint().replace("http", "https"),
            Cause::Tls,
            "http:// in place",
        ),
        (Protocol::Grpc, &sinks.http.endpoint().replace("http", "https"), Cause::Tls, "http:// in place"),
    ] {
        let mut settings = settings(protocol, endpoint);
        settings.timeout = Duration::from_millis(600);
        let report = export_with(&settings).await;
        let failure = report.failure.unwrap();
        assert_eq!(failure.cause, cause, "{protocol} {endpoint}: {failure}");
        assert!(failure.to_string().contains(hint), "{protocol} {endpoint}: {failure}");
    }
    let mut settings = settings(Protocol::Grpc, &silent);
    settings.timeout = Duration::from_millis(600);
    let report = export_with(&settings).await;
    assert!(matches!(report.failure.unwrap().cause, Cause::Timeout | Cause::Connection));
}

/// After a time without an answer the next export does not wait on the same connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_never_comes_costs_its_own_export() {
    for protocol in Protocol::ALL {
        let sinks = Sinks::start(Options::default()).await;
        let (sink, mut settings) = sinks.of(protocol);
        settings.timeout = Duration::from_millis(500);
        sink.answer_next(Answer::Hang);
        let exporter = Exporter::build(&settings).unwrap();
        let report = export(&exporter).await;
        assert_eq!((report.lost, report.failure.unwrap().cause), (4, Cause::Timeout));
        assert_eq!(export(&exporter).await.accepted, 4);
        assert_eq!(exporter.stats().in_flight(), 0);
    }
}

/// An answer over which a decoder panics costs this export alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_breaks_a_decoder_costs_its_own_export() {
    let broken = || async {
        let headers =
            [("content-type", "application/grpc"), ("grpc-status", "8"), ("grpc-status-details-bin", "!!!")];
        (headers, "")
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(broken)).await });
    let exporter = Exporter::build(&settings(Protocol::Grpc, &endpoint)).unwrap();
    for _ in 0..2 {
        let report = export(&exporter).await;
        assert_eq!((report.lost, report.failure.unwrap().cause), (4, Cause::Internal));
    }
    assert_eq!(exporter.stats().in_flight(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_trusts_the_given_authority_and_shows_the_client_certificate() {
    let pki = pki::Pki::new();
    let with_tls = Options { tls: Some(pki.server.clone()), ..Options::default() };
    let with_clients = Options { client_ca: Some(pki.ca_pem.clone()), ..with_tls.clone() };
    let (plain, mutual) = (Sinks::start(with_tls).await, Sinks::start(with_clients).await);
    for protocol in Protocol::ALL {
        let (_, stranger) = plain.of(protocol);
        let failure = export_with(&stranger).await.failure.unwrap();
        assert_eq!((failure.cause, failure.attempts), (Cause::Tls, 1), "{failure}");
        assert!(failure.to_string().contains("OTEL_EXPORTER_OTLP_CERTIFICATE"), "{failure}");

        let trusting = OtlpSettings { certificate: Some(pki.ca.clone()), ..stranger };
        assert_eq!(export_with(&trusting).await.accepted, 4, "{protocol}");

        let (_, nobody) = mutual.of(protocol);
        let nobody =
            OtlpSettings { certificate: Some(pki.ca.clone()), timeout: Duration::from_secs(1), ..nobody };
        let failure = export_with(&nobody).await.failure.unwrap();
        assert!(failure.to_string().contains("client certificate"), "{protocol}: {failure:?} {failure}");

        let known = OtlpSettings {
            client_certificate: Some(pki.client_certificate.clone()),
            client_key: Some(pki.client_key.clone()),
            ..nobody
        };
        let report = export_with(&known).await;
        assert_eq!(report.accepted, 4, "{protocol}: {report:?}");

        let half = OtlpSettings { client_key: None, ..known };
        let error = Exporter::build(&half).unwrap_err().to_string();
        assert!(error.contains("needs both"), "{error}");
    }
}

/// What a server in Go says to HTTP/2 on a plain port.
async fn http1_only() -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await;
        }
    });
    endpoint
}
