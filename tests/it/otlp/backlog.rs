//! Undelivered requests wait, and arrive when the receiver is back: the oldest first, with
//! their own times, each point once.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use fedimeter::export::otlp::{
    Cause, Compression, DeliverySettings, Exporter, Level, OtlpError, OtlpSettings, Protocol,
};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use tokio::time::Instant;

use super::{Sinks, export, settings};
use crate::support::meter::Meter;
use crate::support::otlp_sink::{Answer, GrpcSink, HttpSink, Options, PATIENCE, Sink};

/// An answer that asks for a retry.
fn busy(protocol: Protocol) -> Answer {
    match protocol {
        Protocol::Grpc => Answer::Status(tonic::Status::unavailable("starting")),
        _ => Answer::Http(503, Vec::new(), Vec::new()),
    }
}

/// Two requests with four points, from consecutive collections.
fn batches() -> Vec<ResourceMetrics> {
    (0..2).map(|_| Meter::new(2, Temporality::Cumulative).collect()).collect()
}

/// The times of each series' points, in the order of acceptance. Asserts that they
/// increase.
fn times(sink: &Sink) -> Vec<Vec<u64>> {
    let mut series: BTreeMap<_, Vec<u64>> = BTreeMap::new();
    for point in sink.points() {
        series.entry((point.name, point.attributes)).or_default().push(point.time_unix_nano);
    }
    for times in series.values() {
        assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
    }
    series.into_values().collect()
}

fn with(settings: &OtlpSettings, delivery: DeliverySettings) -> OtlpSettings {
    OtlpSettings { delivery, ..settings.clone() }
}

/// Exports within the time of a round while the receiver is away. The retries end with the
/// round.
async fn export_briefly(exporter: &Exporter) -> fedimeter::export::otlp::Report {
    exporter.export_all(&batches(), Instant::now() + Duration::from_millis(150)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waited_arrives_first_and_once() {
    let directory = tempfile::tempdir().unwrap();
    for protocol in Protocol::ALL {
        for compression in [Compression::None, Compression::Gzip] {
            for directory in [None, Some(directory.path().join(format!("{protocol}{compression:?}")))] {
                let sinks = Sinks::start(Options::default()).await;
                let (sink, settings) = sinks.of(protocol);
                let settings = OtlpSettings {
                    compression,
                    delivery: DeliverySettings { directory, ..DeliverySettings::default() },
                    ..settings
                };
                let mut exporter = Exporter::build(&settings).unwrap();
                exporter.open_backlog().unwrap();
                sink.answer_always(busy(protocol));
                for round in 1..=3 {
                    let report = export_briefly(&exporter).await;
                    assert_eq!(
                        (report.accepted, report.lost, report.waiting),
                        (0, 0, 8 * round),
                        "{report:?}"
                    );
                    assert!(report.failure.is_some());
                    assert_eq!(exporter.stats().waiting().points, 8 * round);
                }
                let oldest = exporter.stats().waiting().oldest.unwrap();
                assert!(oldest <= std::time::SystemTime::now());
                sink.is_back().await;
                let report = exporter.export_all(&batches(), Instant::now() + PATIENCE).await;
                assert_eq!((report.accepted, report.lost, report.waiting), (32, 0, 0), "{report:?}");
                assert_eq!(report.failure, None);
                let times = times(sink);
                assert!(times.len() == 4 && times.iter().all(|times| times.len() == 8), "{times:?}");
                assert_eq!(exporter.stats().waiting(), Level::default());
                assert_eq!(exporter.stats().exported(), 32);
                let lost = exporter
                    .stats()
                    .outcomes()
                    .iter()
                    .filter(|(why, _)| why.is_some())
                    .map(|(_, o)| o.points)
                    .sum::<u64>();
                assert_eq!(lost, 0);
            }
        }
    }
}

/// While the receiver is away, each round tries one request, so that it ends soon.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_younger_is_sent_after_one_that_has_to_wait() {
    let sinks = Sinks::start(Options::default()).await;
    let (sink, mut settings) = sinks.of(Protocol::HttpProtobuf);
    settings.timeout = Duration::from_secs(1);
    sink.answer_always(Answer::Hang);
    let exporter = Exporter::build(&settings).unwrap();
    let report = exporter.export_all(&batches(), Instant::now() + PATIENCE).await;
    assert_eq!((report.waiting, report.failure.unwrap().cause), (8, Cause::Timeout));
    // On a busy machine, even the first request may not have arrived in time.
    assert!(sink.requests().len() <= 1, "{}", sink.requests().len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_for_good_does_not_wait() {
    for protocol in Protocol::ALL {
        let sinks = Sinks::start(Options::default()).await;
        let (sink, settings) = sinks.of(protocol);
        let exporter = Exporter::build(&settings).unwrap();
        sink.answer_always(busy(protocol));
        assert_eq!(export_briefly(&exporter).await.waiting, 8);
        let refusal = match protocol {
            Protocol::Grpc => Answer::Status(tonic::Status::invalid_argument("too old")),
            _ => Answer::Http(400, Vec::new(), Vec::new()),
        };
        sink.is_back().await;
        sink.answer_next(refusal);
        sink.answer_next(Answer::Partial(1, "too old"));
        let report = export(&exporter).await;
        assert_eq!(
            (report.accepted, report.rejected, report.lost, report.waiting),
            (7, 1, 4, 0),
            "{report:?}"
        );
        let outcomes = exporter.stats().outcomes();
        let refused = if protocol == Protocol::Grpc { "INVALID_ARGUMENT" } else { "400" };
        assert_eq!((outcomes[&Some(refused)].points, outcomes[&Some("rejected")].points), (4, 1));
    }
}

/// Without a backlog, requests are independent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_backlog_can_be_switched_off() {
    let sinks = Sinks::start(Options::default()).await;
    let (sink, settings) = sinks.of(Protocol::HttpProtobuf);
    let settings = with(&settings, DeliverySettings { backlog: 0, ..DeliverySettings::default() });
    let exporter = Exporter::build(&settings).unwrap();
    sink.answer_next(Answer::Http(503, vec![("retry-after", "3600".to_owned())], Vec::new()));
    let report = exporter.export_all(&batches(), Instant::now() + PATIENCE).await;
    assert_eq!((report.lost, report.waiting, sink.requests().len()), (8, 0, 1));
    assert_eq!(exporter.stats().outcomes()[&Some("503")].points, 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_oldest_go_when_the_backlog_is_full() {
    for protocol in Protocol::ALL {
        let sinks = Sinks::start(Options::default()).await;
        let (sink, settings) = sinks.of(protocol);
        let settings = with(&settings, DeliverySettings { backlog: 3000, ..DeliverySettings::default() });
        let exporter = Exporter::build(&settings).unwrap();
        sink.answer_always(busy(protocol));
        let (mut lost, mut collected) = (0, 0);
        for _ in 0..6 {
            let report = export_briefly(&exporter).await;
            collected += 8;
            lost += report.lost;
            assert_eq!(report.waiting + lost, collected);
            assert!(exporter.stats().waiting().bytes <= 3000);
        }
        assert!(lost > 0 && lost < collected, "{lost} of {collected}");
        assert_eq!(exporter.stats().outcomes()[&Some("backlog_full")].points, lost);
        sink.is_back().await;
        let report = export(&exporter).await;
        assert_eq!((report.accepted, report.waiting), (collected - lost + 4, 0));
        times(sink);
    }
}

/// A request over the receiver's limit is divided, and later ones are smaller.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_shrink_to_what_the_receiver_takes() {
    let meter = Meter::new(2000, Temporality::Cumulative);
    let too_large = |protocol| match protocol {
        Protocol::Grpc => Answer::Status(tonic::Status::resource_exhausted("larger than max")),
        _ => Answer::Http(413, Vec::new(), Vec::new()),
    };
    for protocol in Protocol::ALL {
        for first in [None, Some(busy(protocol))] {
            let sinks = Sinks::start(Options::default()).await;
            let (sink, settings) = sinks.of(protocol);
            let exporter = Exporter::build(&settings).unwrap();
            let mut accepted = 0;
            if let Some(busy) = first {
                sink.answer_always(busy);
                export_briefly(&exporter).await;
                sink.is_back().await;
                accepted = 8;
            }
            // The waiting requests are small. The large request and its first half are too
            // large.
            for _ in 0..accepted / 4 {
                sink.answer_next(Answer::Ok);
            }
            sink.answer_next(too_large(protocol));
            sink.answer_next(too_large(protocol));
            let before = sink.requests().len();
            let report = exporter.export(&meter.collect(), Instant::now() + 4 * PATIENCE).await;
            assert_eq!((report.accepted, report.lost, report.failure), (accepted + 4000, 0, None));
            let sizes: Vec<usize> =
                sink.requests()[before..].iter().map(|r| prost::Message::encoded_len(&r.message)).collect();
            let large: Vec<usize> = sizes.into_iter().filter(|size| *size > 10_000).collect();
            assert!(large[2..].iter().all(|size| *size <= large[0] / 4 + 1000), "{protocol}: {large:?}");
            times(sink);
            let before = sink.requests().len();
            assert_eq!(exporter.export(&meter.collect(), Instant::now() + 4 * PATIENCE).await.accepted, 4000);
            let next = &sink.requests()[before..];
            assert!(next.len() >= 4 && next.iter().all(|request| request.taken), "{}", next.len());
        }
    }
}

/// A server with tonic has its own message for a request over its limit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_that_a_grpc_server_enforces_is_kept_to() {
    let sink = GrpcSink::start_with(Options { max_message: 100 << 10, ..Options::default() }).await;
    let exporter = Exporter::build(&settings(Protocol::Grpc, &sink.endpoint())).unwrap();
    let metrics = Meter::new(4000, Temporality::Cumulative).collect();
    let report = exporter.export(&metrics, Instant::now() + PATIENCE).await;
    assert_eq!((report.accepted, report.failure), (8000, None));
    assert_eq!(sink.points().len(), 8000);
}

/// A request that is always too large is lost after a few attempts, and counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_takes_nothing_at_all_is_not_asked_for_ever() {
    let sinks = Sinks::start(Options::default()).await;
    let (sink, settings) = sinks.of(Protocol::HttpProtobuf);
    sink.answer_always(Answer::Http(413, Vec::new(), Vec::new()));
    let exporter = Exporter::build(&settings).unwrap();
    let metrics = Meter::new(4000, Temporality::Cumulative).collect();
    let report = exporter.export(&metrics, Instant::now() + PATIENCE).await;
    assert_eq!((report.accepted, report.lost, report.waiting), (0, 8000, 0));
    assert_eq!(exporter.stats().outcomes()[&Some("413")].points, 8000);
    assert!(sink.requests().len() < 30, "{} requests", sink.requests().len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_size_of_requests_can_be_set() {
    let metrics = Meter::new(4000, Temporality::Cumulative).collect();
    for protocol in Protocol::ALL {
        let sinks = Sinks::start(Options::default()).await;
        let (sink, settings) = sinks.of(protocol);
        let delivery = DeliverySettings { max_request: 64 << 10, ..DeliverySettings::default() };
        let exporter = Exporter::build(&with(&settings, delivery)).unwrap();
        assert_eq!(exporter.export(&metrics, Instant::now() + PATIENCE).await.accepted, 8000);
        let requests = sink.requests();
        assert!(requests.len() > 4);
        for request in requests {
            assert!(request.body.len().max(prost::Message::encoded_len(&request.message)) <= 64 << 10);
        }
    }
}

fn in_directory(settings: &OtlpSettings, path: &Path) -> Result<Exporter, OtlpError> {
    let delivery = DeliverySettings { directory: Some(path.to_owned()), ..DeliverySettings::default() };
    let mut exporter = Exporter::build(&with(settings, delivery))?;
    exporter.open_backlog().map(|()| exporter)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_outlives_the_bridge_and_belongs_to_one() {
    for protocol in Protocol::ALL {
        let directory = tempfile::tempdir().unwrap();
        let sinks = Sinks::start(Options::default()).await;
        let (sink, settings) = sinks.of(protocol);
        sink.answer_always(busy(protocol));
        let exporter = in_directory(&settings, directory.path()).unwrap();
        assert_eq!(export_briefly(&exporter).await.waiting, 8);
        let held = in_directory(&settings, directory.path()).unwrap_err().to_string();
        assert!(held.contains("in use by another fedimeter"), "{held}");
        assert_eq!(exporter.end().await, (0, 8));
        drop(exporter);

        let exporter = in_directory(&settings, directory.path()).unwrap();
        assert_eq!(exporter.stats().waiting().points, 8);
        assert_eq!(export_briefly(&exporter).await.waiting, 16);
        drop(exporter);

        // Requests for one receiver are not sent to another.
        let other = Sinks::start(Options::default()).await;
        let (other_sink, other_settings) = other.of(protocol);
        let exporter = in_directory(&other_settings, directory.path()).unwrap();
        assert_eq!(export(&exporter).await.accepted, 4);
        assert_eq!(other_sink.points().len(), 4);
        drop(exporter);

        sink.is_back().await;
        let exporter = in_directory(&settings, directory.path()).unwrap();
        assert_eq!(export(&exporter).await.accepted, 20);
        assert!(times(sink).iter().all(|times| times.len() == 5));
        assert_eq!(exporter.end().await, (0, 0));
    }
}

/// The directory contains no header, password or query of the endpoint.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let sink = HttpSink::start().await;
    sink.answer_always(busy(Protocol::HttpProtobuf));
    let url = sink.endpoint().replace("http://", "http://me:hush-hush@") + "/v1/metrics?key=hush-key";
    let endpoint = fedimeter::export::otlp::Endpoint::new(&url, Protocol::HttpProtobuf).unwrap();
    let mut settings = OtlpSettings::new(Protocol::HttpProtobuf, endpoint);
    settings
        .headers
        .insert(http::HeaderName::from_static("x-key"), http::HeaderValue::from_static("hush-head"));
    let exporter = in_directory(&settings, directory.path()).unwrap();
    assert_eq!(export_briefly(&exporter).await.waiting, 8);
    let mut files = 0;
    for entry in std::fs::read_dir(directory.path().join("metrics")).unwrap() {
        let text = String::from_utf8_lossy(&std::fs::read(entry.unwrap().path()).unwrap()).into_owned();
        assert!(!text.contains("hush"), "{text}");
        files += usize::from(text.contains("http/protobuf http://***@127.0.0.1:"));
    }
    assert_eq!(files, 2);
}
