//! Answers of receivers, and of servers that are none.

use std::time::Duration;

use fedimeter::export::otlp::{Cause, Endpoint, Exporter, OtlpSettings, Protocol};
use tonic::Code;

use super::{Sinks, export, export_with, settings};
use crate::support::otlp_sink::{Answer, Options, SilentPort};

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

/// An answer at which a decoder panics affects only this export.
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

/// By the specification, a 2xx means that the points were accepted. An unreadable answer is
/// reported. An answer of another protocol is a failure.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_success_that_nobody_understands_is_told() {
    let answer = |status, kind: &str, body: &[u8]| {
        let headers = Some(kind).filter(|kind| !kind.is_empty());
        let headers = headers.map(|kind| ("content-type", kind.to_owned())).into_iter().collect();
        Answer::Http(status, headers, body.to_vec())
    };
    let (json, binary) = ("application/json", "application/x-protobuf");
    for (answer, accepted, said) in [
        (answer(200, "", b""), 4, ""),
        (answer(204, "", b""), 4, ""),
        (answer(202, json, b"{}"), 4, ""),
        (answer(200, json, br#"{"partialSuccess":{"rejectedDataPoints":"1"}}"#), 3, ""),
        (answer(200, json, b"[]"), 4, "cannot be decoded"),
        (answer(200, binary, b"\xff\xff"), 4, "cannot be decoded"),
        (answer(200, "text/plain", b"OK"), 4, "cannot be decoded"),
        (answer(200, "text/plain", b"<p>hello"), 0, "<p>hello; that is not an OTLP receiver"),
        (answer(200, "text/css", b"p {}"), 0, "is a web page; that is not an OTLP receiver"),
    ] {
        for protocol in [Protocol::HttpProtobuf, Protocol::HttpJson] {
            let sinks = Sinks::start(Options::default()).await;
            let (sink, settings) = sinks.of(protocol);
            sink.answer_always(answer.clone());
            let exporter = Exporter::build(&settings).unwrap();
            let report = export(&exporter).await;
            assert_eq!((report.accepted, sink.requests().len()), (accepted, 1), "{answer:?}: {report:?}");
            let failure = report.failure.map(|failure| failure.to_string());
            assert_eq!(failure.is_some(), accepted == 0, "{answer:?}: {failure:?}");
            let told = failure.unwrap_or(report.words);
            assert!(told.contains(said) && told.is_empty() == said.is_empty(), "{answer:?}: {told}");
            let Answer::Http(status, ..) = answer else { unreachable!() };
            assert_eq!(exporter.stats().last().unwrap().http_status, Some(status));
        }
    }
}

/// The target of a redirect is reported, without possible secrets.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redirects_are_told_without_secrets() {
    for (location, told) in [
        ("https://me:hush@x.example/v1?k=hush", "it redirects to https://***@x.example:443/v1?***;"),
        ("/other", "/other;"),
        ("https://", "it redirects, but not to a URL;"),
    ] {
        let sinks = Sinks::start(Options::default()).await;
        let (sink, settings) = sinks.of(Protocol::HttpProtobuf);
        sink.answer_always(Answer::Http(307, vec![("location", location.to_owned())], Vec::new()));
        let text = export_with(&settings).await.failure.unwrap().to_string();
        assert!(text.contains(told) && !text.contains("hush"), "{text}");
    }
}

/// Secrets that a receiver repeats are masked, over any protocol.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_that_a_receiver_repeats_do_not_show() {
    let words = "invalid key hushkey for hushtoken, password hush pw, Basic aHVzaHRva2VuOmh1c2ggcHc=";
    let sinks = Sinks::start(Options::default()).await;
    let url = sinks.http.endpoint().replace("http://", "http://hushtoken:hush%20pw@");
    let endpoint = Endpoint::new(&format!("{url}/?api-key=hushkey"), Protocol::HttpProtobuf).unwrap();
    let exporter = Exporter::build(&OtlpSettings::new(Protocol::HttpProtobuf, endpoint)).unwrap();
    let answer = Answer::Http(401, vec![("content-type", "text/plain".to_owned())], words.into());
    sinks.http.answer_next(answer);
    let report = export(&exporter).await;
    let sent = sinks.http.requests()[0].headers["authorization"].to_str().unwrap().to_owned();
    assert_eq!(sent, "Basic aHVzaHRva2VuOmh1c2ggcHc=", "the test knows what is sent");
    let shown = format!("{report:?} {}", report.failure.as_ref().unwrap());
    assert!(shown.contains("invalid key *** for ***"), "{shown}");
    assert!(!shown.contains("hush") && !shown.contains("aHVz"), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receivers_that_are_none_are_named_with_the_way_out() {
    // A port at which nothing listens any more.
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
        (Protocol::HttpProtobuf, &sinks.http.endpoint(), Cause::Http(200), "not an OTLP receiver"),
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

/// The answer of a Go server to HTTP/2 on a plain port.
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
