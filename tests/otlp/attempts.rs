//! What is tried again, when, and until when.

use std::time::Duration;

use fedimeter::export::otlp::{Cause, Exporter, Protocol};
use http::{HeaderName, HeaderValue};
use tonic::Code;
use tonic_types::{ErrorDetails, StatusExt};

use super::otlp_sink::{Answer, HttpSink, Options};
use super::{Sinks, export, export_with, settings};

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
