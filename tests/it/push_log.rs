//! Log lines about a failing receiver.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::meter::Meter;
use crate::support::otlp_sink::{Answer, HttpSink, PATIENCE};
use crate::support::program::Serving;
use fedimeter::export::otlp::{Endpoint, Exporter, OtlpSettings, Protocol};
use fedimeter::export::push::{self, Collection, PushSettings};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

struct TwoResources;

impl Collection for TwoResources {
    async fn collect(&self, _: Instant) -> Vec<ResourceMetrics> {
        (0..2).map(|_| Meter::new(2, Temporality::Cumulative).collect()).collect()
    }
}

/// One line at the beginning of an outage and one at its end, without secrets.
#[tokio::test]
async fn a_failing_receiver_is_said_once_and_its_end_once() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let writer = Arc::new(file.reopen().unwrap());
    let subscriber = tracing_subscriber::fmt().with_writer(writer).with_ansi(false).finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let sink = HttpSink::start().await;
    for _ in 0..6 {
        let headers = vec![("content-type", "text/plain".to_owned())];
        sink.answer_next(Answer::Http(401, headers, b"bad token: hush-hush".to_vec()));
    }
    sink.answer_next(Answer::Partial(4, "too old"));
    let endpoint = sink.endpoint().replace("http://", "http://me:hush-hush@");
    let endpoint = Endpoint::new(&endpoint, Protocol::HttpProtobuf).unwrap();
    let exporter = Exporter::build(&OtlpSettings::new(Protocol::HttpProtobuf, endpoint)).unwrap();
    let settings = PushSettings { interval: Duration::from_millis(50), timeout: PATIENCE };
    let stop = CancellationToken::new();
    let running = tokio::spawn(push::run(TwoResources, exporter, settings, stop.clone()));
    sink.wait_for(12).await;
    stop.cancel();
    running.await.unwrap();
    drop(guard);

    let log = std::fs::read_to_string(file.path()).unwrap();
    let count = |part: &str| log.lines().filter(|line| line.contains(part)).count();
    assert_eq!(count("pushing metrics to http://***@127.0.0.1:"), 2, "the start and the end:\n{log}");
    assert_eq!(count("HTTP status 401: bad token: ***; check the credentials"), 1, "{log}");
    assert_eq!(count("rejects 4 of 8 points: too old"), 1, "{log}");
    assert_eq!(count("works again, after 4 failed rounds and 28 lost points"), 1, "{log}");
    assert!(!log.contains("hush"), "{log}");
    let basic = sink.requests()[0].headers["authorization"].to_str().unwrap().to_owned();
    assert!(basic.starts_with("Basic "), "the URL's name and password are used");
}

/// Data that waits at the end of the bridge is lost, and the log reports it.
#[tokio::test]
async fn what_the_end_costs_is_said() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let writer = Arc::new(file.reopen().unwrap());
    let subscriber = tracing_subscriber::fmt().with_writer(writer).with_ansi(false).finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let sink = HttpSink::start().await;
    sink.answer_always(Answer::Http(503, Vec::new(), Vec::new()));
    let endpoint = Endpoint::new(&sink.endpoint(), Protocol::HttpProtobuf).unwrap();
    let exporter = Exporter::build(&OtlpSettings::new(Protocol::HttpProtobuf, endpoint)).unwrap();
    let stats = exporter.stats().clone();
    let settings = PushSettings { interval: Duration::from_secs(3600), timeout: PATIENCE };
    let stop = CancellationToken::new();
    let running = tokio::spawn(push::run(TwoResources, exporter, settings, stop.clone()));
    sink.wait_for(1).await;
    stop.cancel();
    running.await.unwrap();
    drop(guard);

    let log = std::fs::read_to_string(file.path()).unwrap();
    let lost = stats.outcomes()[&Some("shutdown")].points;
    let said = format!("{lost} points for {} (http/protobuf) waited in memory and are lost", sink.endpoint());
    assert_eq!(log.lines().filter(|line| line.contains(&said)).count(), 1, "{said}: {log}");
    assert!(log.contains("otlp_backlog_directory would keep them"), "{log}");
}

/// Does not return before the end of the round, for the first rounds.
struct Late(AtomicUsize);

impl Collection for Late {
    async fn collect(&self, _: Instant) -> Vec<ResourceMetrics> {
        if self.0.fetch_add(1, Ordering::Relaxed) < 3 {
            std::future::pending::<()>().await;
        }
        vec![Meter::new(2, Temporality::Cumulative).collect()]
    }
}

#[tokio::test]
async fn a_collection_that_is_late_is_said_once_and_its_end_once() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let writer = Arc::new(file.reopen().unwrap());
    let subscriber = tracing_subscriber::fmt().with_writer(writer).with_ansi(false).finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let sink = HttpSink::start().await;
    let endpoint = Endpoint::new(&sink.endpoint(), Protocol::HttpProtobuf).unwrap();
    let exporter = Exporter::build(&OtlpSettings::new(Protocol::HttpProtobuf, endpoint)).unwrap();
    let settings = PushSettings { interval: Duration::from_millis(50), timeout: Duration::from_millis(150) };
    let stop = CancellationToken::new();
    let running = tokio::spawn(push::run(Late(AtomicUsize::new(0)), exporter, settings, stop.clone()));
    sink.wait_for(1).await;
    stop.cancel();
    running.await.unwrap();
    drop(guard);

    let log = std::fs::read_to_string(file.path()).unwrap();
    let count = |part: &str| log.lines().filter(|line| line.contains(part)).count();
    assert_eq!(count("the collection did not finish within 150ms, and its points are lost"), 1, "{log}");
    assert_eq!(count("works again, after 3 failed rounds"), 1, "{log}");
}

/// The message names the proxy that does not answer, and not the receiver.
#[test]
fn a_proxy_is_named_without_its_credentials() {
    let proxy = "http://me:hush-hush@127.0.0.1:1";
    let args = ["serve", "--listen", "127.0.0.1:0", "http://127.0.0.1:1"];
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://receiver.example:4318");
    let line = |env: &[(&str, &str)], start: &str| {
        let bridge = Serving::start(&args, &[env, &[("OTEL_EXPORTER_OTLP_TIMEOUT", "500")]].concat());
        let line = bridge.line(|line| line.contains(start).then(|| line.to_owned()));
        let failed = bridge.line(|line| line.contains("cannot push metrics").then(|| line.to_owned()));
        assert!(!bridge.log().contains("hush"), "{}", bridge.log());
        (line, failed)
    };
    let (start, failed) = line(&[endpoint, ("HTTP_PROXY", proxy)], "pushing metrics to");
    assert!(start.contains("through the proxy http://127.0.0.1:1 every"), "{start}");
    assert!(failed.contains("no connection through the proxy http://127.0.0.1:1: "), "{failed}");
    assert!(failed.contains("check the proxy") && !failed.contains("nothing listens"), "{failed}");

    let receiver = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
    let env = [receiver, ("HTTP_PROXY", proxy), ("NO_PROXY", "127.0.0.1")];
    let (start, failed) = line(&env, "pushing metrics to");
    assert!(!start.contains("proxy") && failed.contains("nothing listens"), "{start}\n{failed}");
}
