//! Retries: what is repeated, when, and for how long.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fedimeter::export::otlp::{Cause, Exporter, Limit, Protocol};
use http::{HeaderName, HeaderValue};
use opentelemetry_sdk::metrics::Temporality;
use tokio::time::Instant;
use tonic::Code;
use tonic_types::{ErrorDetails, StatusExt};

use super::{Sinks, export, export_with, settings};
use crate::support::meter::Meter;
use crate::support::otlp_sink::{Answer, FullPort, Options, PATIENCE};

/// The first answer, and the minimum pause after it. Then all requests succeed.
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
    // Dates have whole seconds, so this one is one to two seconds away.
    let date = httpdate::fmt_http_date(std::time::SystemTime::now() + Duration::from_secs(2));
    for (protocol, answer, pause) in [
        (Protocol::HttpJson, http(503, Some(&date)), 900),
        (Protocol::Grpc, Answer::Status(tonic::Status::unavailable("starting")), 0),
        (Protocol::Grpc, busy(700, Code::Unavailable), 700),
        (Protocol::Grpc, busy(700, Code::ResourceExhausted), 700),
        (Protocol::HttpProtobuf, http(429, Some("1")), 1000),
        (Protocol::HttpProtobuf, http(503, Some("1")), 1000),
        (Protocol::HttpJson, http(429, Some("1")), 1000),
        (Protocol::HttpJson, http(503, Some("1")), 1000),
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

/// A failure that a retry cannot change is not repeated. It is reported with the receiver's
/// words, without secrets.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_pass_is_told_at_once() {
    let status = |code| Answer::Status(tonic::Status::new(code, "no, said hush-hush"));
    let text = |code| {
        Answer::Http(code, vec![("content-type", "text/plain".to_owned())], b"no, said hush-hush".to_vec())
    };
    for (protocol, answer, cause, hint) in [
        (Protocol::Grpc, status(Code::ResourceExhausted), Cause::Grpc(Code::ResourceExhausted), "too large"),
        (Protocol::Grpc, status(Code::Unauthenticated), Cause::Grpc(Code::Unauthenticated), "_HEADERS"),
        (Protocol::Grpc, status(Code::InvalidArgument), Cause::Grpc(Code::InvalidArgument), "its own log"),
        (Protocol::Grpc, status(Code::Internal), Cause::Grpc(Code::Internal), "its own log"),
        (Protocol::Grpc, status(Code::Unimplemented), Cause::Grpc(Code::Unimplemented), "4318 speaks HTTP"),
        (Protocol::HttpProtobuf, text(401), Cause::Http(401), "_HEADERS"),
        (Protocol::HttpProtobuf, text(404), Cause::Http(404), "/v1/metrics"),
        (Protocol::HttpJson, text(400), Cause::Http(400), "its own log should say why"),
        (Protocol::HttpJson, text(500), Cause::Http(500), "the receiver failed"),
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

/// A pause longer than the export's time ends the export and delays the next ones. Their
/// points wait, and unsent requests are not measured.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_pause_is_kept_across_exports() {
    let date = httpdate::fmt_http_date(std::time::SystemTime::now() + Duration::from_secs(3600));
    let retry_info = ErrorDetails::with_retry_info(Some(Duration::from_secs(3600)));
    let busy = tonic::Status::with_error_details(Code::Unavailable, "busy", retry_info);
    let after = |value: &str| Answer::Http(429, vec![("retry-after", value.to_owned())], Vec::new());
    for (protocol, answer, error_type) in [
        (Protocol::HttpProtobuf, after("3600"), "429"),
        (Protocol::HttpJson, after("3600"), "429"),
        (Protocol::HttpJson, after(&date), "429"),
        (Protocol::Grpc, Answer::Status(busy), "UNAVAILABLE"),
    ] {
        let sinks = Sinks::start(Options::default()).await;
        let (sink, settings) = sinks.of(protocol);
        sink.answer_next(answer);
        let exporter = Exporter::build(&settings).unwrap();
        let operations = Arc::new(AtomicUsize::new(0));
        let count = operations.clone();
        exporter.stats().listen(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        for round in 1..=3 {
            let report = export(&exporter).await;
            let failure = report.failure.unwrap();
            let points = (report.lost, report.waiting);
            assert_eq!((points, failure.error_type()), ((0, 4 * round), error_type));
            let held = failure.held.unwrap();
            let most = Duration::from_secs(600);
            assert!(held <= most && held + PATIENCE > most, "ten minutes at most: {held:?}");
        }
        assert_eq!((sink.requests().len(), operations.load(Ordering::Relaxed)), (1, 1), "{protocol}");
        let outcome = exporter.stats().outcomes()[&Some(error_type)];
        assert_eq!((outcome.points, outcome.operations), (0, 1), "{protocol}");
    }
}

/// If the end of the round ends the waiting, the message says so. An unsent request is not
/// reported as one without an answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limit_that_ended_an_export_is_named() {
    for protocol in Protocol::ALL {
        let sinks = Sinks::start(Options::default()).await;
        let (sink, settings) = sinks.of(protocol);
        sink.answer_always(Answer::Hang);
        let exporter = Exporter::build(&settings).unwrap();
        let metrics = Meter::new(2, Temporality::Cumulative).collect();
        let deadline = Instant::now() + Duration::from_millis(500);
        let mut report = exporter.export(&metrics, deadline).await;
        report.merge(exporter.export(&metrics, deadline).await);
        assert_eq!((report.lost, report.waiting, sink.requests().len()), (0, 8, 1), "{protocol}");
        let failure = report.failure.unwrap();
        assert_eq!((failure.cause, failure.limit), (Cause::Timeout, Some(Limit::Round)));
        let text = failure.to_string();
        assert!(text.starts_with("no answer: within ") && text.contains("ms"), "{text}");
        assert!(text.contains("OTEL_METRIC_EXPORT_TIMEOUT") && !text.contains("OTLP_TIMEOUT"), "{text}");
        let outcome = exporter.stats().outcomes()[&Some("timeout")];
        assert_eq!((outcome.points, outcome.operations), (0, 1), "{protocol}");

        let unsent = exporter.export(&metrics, Instant::now()).await.failure.unwrap().to_string();
        assert!(unsent.starts_with("not sent: the round ended"), "{unsent}");
    }
}

/// After a request without an answer, the next export uses a new connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_never_comes_costs_its_own_export() {
    for protocol in Protocol::ALL {
        let sinks = Sinks::start(Options::default()).await;
        let (sink, mut settings) = sinks.of(protocol);
        settings.timeout = Duration::from_millis(500);
        sink.answer_next(Answer::Hang);
        let exporter = Exporter::build(&settings).unwrap();
        let report = export(&exporter).await;
        assert_eq!((report.waiting, report.failure.unwrap().cause), (4, Cause::Timeout));
        assert_eq!(export(&exporter).await.accepted, 8);
        assert_eq!(exporter.stats().in_flight(), 0);
    }
}

/// At an address that accepts no connections, the deadline holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unanswered_connect_ends_in_time() {
    let full = FullPort::start().await;
    let endpoint = format!("http://{}", full.address);
    let metrics = Meter::new(2, Temporality::Cumulative).collect();
    for protocol in Protocol::ALL {
        for (timeout, round) in [(800, 30_000), (30_000, 800)] {
            let mut settings = settings(protocol, &endpoint);
            settings.timeout = Duration::from_millis(timeout);
            let exporter = Exporter::build(&settings).unwrap();
            let began = Instant::now();
            let report = exporter.export(&metrics, began + Duration::from_millis(round)).await;
            let took = began.elapsed();
            assert!(took < Duration::from_secs(15), "{protocol}: {took:?}");
            let failure = report.failure.unwrap();
            assert_eq!((report.lost, report.waiting), (0, 4));
            assert!(matches!(failure.cause, Cause::Timeout | Cause::Connection), "{protocol}: {failure}");
            let text = failure.to_string();
            assert!(text.contains("firewall"), "{protocol}: {text}");
            assert_eq!(text.contains("OTEL_METRIC_EXPORT_TIMEOUT"), round == 800, "{protocol}: {text}");
        }
    }
}
