//! Logs and traces with a slow, missing or refusing receiver, and at the end of the bridge.

use crate::support::http::client;
use crate::support::otlp_sink::{Answer, GrpcSink, HttpSink, Sink};
use crate::telemetry::{record, serve, simulator, trace};

/// Losses of a full queue are counted, and root spans are kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_full_queue_loses_is_counted() {
    let targets: Vec<String> = (1..=60).map(|i| format!("http://127.0.0.{i}:1")).collect();
    let sink = HttpSink::start().await;
    sink.answer_always(Answer::Hang);
    let env = [
        ("OTEL_METRICS_EXPORTER", "prometheus"),
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_TRACES_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "500"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "32"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*sink.endpoint()),
    ];
    let bridge = serve(&targets, &env);
    let value = |page: &str, metric: &str, labels: &[&str]| -> Option<f64> {
        let is_it = |line: &&str| line.starts_with(metric) && labels.iter().all(|label| line.contains(label));
        page.lines().find(is_it)?.rsplit_once(' ')?.1.parse().ok()
    };
    let page = || async {
        client().get(format!("{}/metrics", bridge.url())).send().await.unwrap().text().await.unwrap()
    };
    let lost = |page: &str| {
        let labels = ["error_type=\"queue_full\"", "batching_span_processor/0"];
        value(page, "otel_sdk_processor_span_processed_total{", &labels)
    };
    // The bridge's own metrics may be a second old.
    let told = loop {
        let told = page().await;
        if lost(&told) > Some(0.0) {
            break told;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    assert_eq!(
        value(&told, "otel_sdk_processor_log_processed_total{", &["error_type=\"queue_full\""]),
        Some(0.0),
        "{told}"
    );
    sink.answer_always(Answer::Ok);
    trace(&sink, "collection").await;
    let labels = ["otlp_http_span_exporter/0"];
    let exported = |page: &str| value(page, "otel_sdk_exporter_span_exported_total{", &labels);
    while exported(&page().await).is_none_or(|exported| exported == 0.0) {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

/// Records wait for a missing receiver, and arrive once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_records_wait_for_a_receiver_that_is_away() {
    let simulator = simulator(1).await;
    for protocol in ["grpc", "http/json"] {
        let (grpc, http) = (GrpcSink::start().await, HttpSink::start().await);
        let (sink, endpoint, away): (&Sink, String, Answer) = match protocol {
            "grpc" => (&grpc, grpc.endpoint(), Answer::Status(tonic::Status::unavailable("starting"))),
            _ => (&http, http.endpoint(), Answer::Http(503, Vec::new(), Vec::new())),
        };
        sink.answer_always(away);
        let env = [
            ("OTEL_METRICS_EXPORTER", "prometheus"),
            ("OTEL_LOGS_EXPORTER", "otlp"),
            ("OTEL_BLRP_EXPORT_TIMEOUT", "200"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ];
        let bridge = serve(&[simulator.url(0)], &env);
        let told = bridge.line(|line| line.contains("do not arrive at").then(|| line.to_owned()));
        assert!(told.contains("lost=0") && !told.contains("waiting=0"), "{protocol}: {told}");
        sink.answer_always(Answer::Ok);
        // No later line triggers their delivery.
        record(sink, "1 target on http://").await;
        let told = sink.records().iter().filter(|record| record.body.contains("1 target on http://")).count();
        assert_eq!(told, 1, "{protocol}: {:?}", sink.records());
    }
}

/// Lines of the end arrive, and a hanging receiver does not delay the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_sends_what_waits_and_waits_for_nobody() {
    let simulator = simulator(1).await;
    for hangs in [false, true] {
        let sink = HttpSink::start().await;
        if hangs {
            sink.answer_always(Answer::Hang);
        }
        let late = "3600000";
        let env = [
            ("OTEL_METRICS_EXPORTER", "prometheus"),
            ("OTEL_LOGS_EXPORTER", "otlp"),
            ("OTEL_TRACES_EXPORTER", "otlp"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &*sink.endpoint()),
            ("OTEL_BLRP_SCHEDULE_DELAY", late),
            ("OTEL_BSP_SCHEDULE_DELAY", late),
        ];
        let bridge = serve(&[simulator.url(0)], &env);
        bridge.url();
        assert_eq!(sink.telemetry_requests(), 0);
        bridge.signal("TERM");
        if hangs {
            // The line is written before the ten seconds of a request are over.
            bridge.line(|line| line.contains("the last log records or spans are lost").then_some(()));
        } else {
            record(&sink, "ending").await;
        }
        let log = bridge.log();
        assert!(!log.contains("Processor") && !log.contains("do not arrive"), "{log}");
        assert_eq!(bridge.end("TERM").0, Some(0));
    }
}

/// A missing receiver is reported once on standard error, with advice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_refuses_is_told_of_once() {
    let simulator = simulator(1).await;
    let sink = HttpSink::start().await;
    sink.answer_always(Answer::Http(
        401,
        vec![("content-type", "text/plain".to_owned())],
        b"no hush".to_vec(),
    ));
    let env = [
        ("OTEL_METRICS_EXPORTER", "prometheus"),
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*sink.endpoint()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=hush"),
        ("FEDIMETER_LOG_LEVEL", "debug"),
    ];
    let bridge = serve(&[simulator.url(0)], &env);
    bridge.line(|line| line.contains("log records do not arrive at http://").then_some(()));
    let scrape = async || client().get(format!("{}/metrics", bridge.url())).send().await.unwrap();
    let refused = sink.telemetry_requests();
    scrape().await;
    sink.wait_until("another batch", |sink| (sink.telemetry_requests() > refused).then_some(())).await;
    sink.answer_always(Answer::Ok);
    // Within a second, a scrape gets the kept page, and logs nothing.
    while !bridge.log().contains("log records arrive at http://") {
        scrape().await;
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let log = bridge.log();
    assert_eq!(log.matches("do not arrive").count(), 1, "{log}");
    assert!(
        log.contains("HTTP status 401: no ***; check the credentials in OTEL_EXPORTER_OTLP_HEADERS"),
        "{log}"
    );
    assert!(!log.contains("hush") && !log.contains("BatchLogProcessor"), "{log}");
}

/// A partial success is not a failure, and a later failure is still reported.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_takes_and_warns_is_not_said_to_fail() {
    let simulator = simulator(1).await;
    let sink = HttpSink::start().await;
    let plain = |status, body: &[u8]| {
        Answer::Http(status, vec![("content-type", "text/plain".to_owned())], body.to_vec())
    };
    sink.answer_always(plain(200, b"OK"));
    let env = [
        ("OTEL_METRICS_EXPORTER", "prometheus"),
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*sink.endpoint()),
        ("FEDIMETER_LOG_LEVEL", "debug"),
    ];
    let bridge = serve(&[simulator.url(0)], &env);
    bridge.line(|line| line.contains("all log records are accepted, with a warning: ").then_some(()));
    assert!(!bridge.log().contains("do not arrive"), "{}", bridge.log());
    sink.answer_always(plain(401, b"no"));
    let page = client().get(format!("{}/metrics", bridge.url())).send().await.unwrap();
    assert!(page.status().is_success());
    bridge.line(|line| line.contains("log records do not arrive at http://").then_some(()));
}
