//! The push loop: its rhythm, its failures, and its end.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::meter::Meter;
use crate::support::otlp_sink::{Answer, GrpcSink, HttpSink, PATIENCE, SilentPort};
use fedimeter::export::otlp::{Endpoint, Exporter, OtlpSettings, Protocol, PushStats};
use fedimeter::export::push::{self, Collection, PushSettings};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Longer than a test, so that no second round begins.
const NEVER: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(50);

/// Calls `first(n)` in the n-th collection, from 0, and then returns two resources with
/// four points each.
struct Source<F> {
    count: Arc<AtomicUsize>,
    first: F,
}

impl<F, W> Collection for Source<F>
where
    F: Fn(usize, Instant) -> W + Send + Sync + 'static,
    W: Future<Output = ()> + Send,
{
    async fn collect(&self, deadline: Instant) -> Vec<ResourceMetrics> {
        (self.first)(self.count.fetch_add(1, Ordering::Relaxed), deadline).await;
        (0..2).map(|_| Meter::new(2, Temporality::Cumulative).collect()).collect()
    }
}

struct Running {
    task: JoinHandle<()>,
    stop: CancellationToken,
    stats: Arc<PushStats>,
    collections: Arc<AtomicUsize>,
}

fn start<F, W>(protocol: Protocol, endpoint: &str, settings: PushSettings, first: F) -> Running
where
    F: Fn(usize, Instant) -> W + Send + Sync + 'static,
    W: Future<Output = ()> + Send + 'static,
{
    let endpoint = Endpoint::new(endpoint, protocol).unwrap();
    let exporter = Exporter::build(&OtlpSettings::new(protocol, endpoint)).unwrap();
    let stats = exporter.stats().clone();
    let stop = CancellationToken::new();
    let collections = Arc::new(AtomicUsize::new(0));
    let source = Source { count: collections.clone(), first };
    let task = tokio::spawn(push::run(source, exporter, settings, stop.clone()));
    Running { task, stop, stats, collections }
}

impl Running {
    /// Ends the loop. Returns how long that took.
    async fn stop(self) -> Duration {
        let started = Instant::now();
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.expect("it ends").expect("without a panic");
        started.elapsed()
    }
}

async fn at_once(_: usize, _: Instant) {}

fn every(interval: Duration) -> PushSettings {
    PushSettings { interval, timeout: Duration::from_secs(10) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_export_leaves_at_once_and_the_last_at_the_end() {
    for protocol in Protocol::ALL {
        let (grpc, http) = (GrpcSink::start().await, HttpSink::start().await);
        let (sink, endpoint) = match protocol {
            Protocol::Grpc => (&*grpc, grpc.endpoint()),
            _ => (&*http, http.endpoint()),
        };
        let running = start(protocol, &endpoint, every(NEVER), at_once);
        // Two resources are two requests.
        assert_eq!(sink.wait_for(2).await.len(), 2);
        assert_eq!(sink.points().len(), 8);
        let stats = running.stats.clone();
        running.stop().await;
        assert_eq!(sink.requests().len(), 4, "one last collection");
        assert_eq!((stats.exported(), stats.in_flight()), (16, 0));
    }
}

/// After a collection of many intervals, missed ones are not repeated, and the next ones
/// keep the rhythm of the first.
#[tokio::test(start_paused = true)]
async fn missed_rounds_fall_out_and_the_rhythm_stays() {
    let (send, mut receive) = tokio::sync::mpsc::unbounded_channel();
    // Each collection hangs, so that a round takes exactly its timeout. Real sockets do not
    // work with a paused clock.
    let first = move |_, _| {
        send.send(Instant::now()).unwrap();
        std::future::pending::<()>()
    };
    for (timeout, expected) in [(5, [0, 10, 20, 30]), (35, [0, 40, 80, 120])] {
        let settings =
            PushSettings { interval: Duration::from_secs(10), timeout: Duration::from_secs(timeout) };
        let started = Instant::now();
        let running = start(Protocol::HttpProtobuf, "http://127.0.0.1:1", settings, first.clone());
        for at in expected {
            let began = receive.recv().await.unwrap() - started;
            // Timers are exact to a millisecond or two. A drift would add up.
            assert!(
                began.abs_diff(Duration::from_secs(at)) <= Duration::from_millis(3),
                "{began:?}, not {at} s"
            );
        }
        let rounds = running.stats.rounds();
        let last = rounds.last.unwrap();
        assert_eq!((last.accepted, last.lost), (0, 0));
        assert!(last.trouble.unwrap().contains("did not finish within") && last.failing_since.is_some());
        // The current round began at the last note.
        assert!(rounds.next.unwrap() <= Instant::now());
        running.task.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collection_that_panics_or_hangs_costs_its_own_points() {
    let sink = GrpcSink::start().await;
    let settings = PushSettings { interval: SHORT, timeout: Duration::from_millis(300) };
    let first = |n, _| async move {
        match n {
            0 => panic!("in a callback"),
            1 => std::future::pending().await,
            _ => {}
        }
    };
    let running = start(Protocol::Grpc, &sink.endpoint(), settings, first);
    sink.wait_for(4).await;
    assert!(running.collections.load(Ordering::Relaxed) >= 3);
    running.stop().await;
}

/// A callback that never returns occupies a blocking thread, as in the bridge. It costs
/// only its own round: others continue, and the end does not wait for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collection_that_blocks_its_thread_costs_its_own_points() {
    let sink = GrpcSink::start().await;
    let settings = PushSettings { interval: SHORT, timeout: Duration::from_millis(300) };
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let blocked = Arc::new(std::sync::Mutex::new(blocked));
    let first = move |n, _| {
        let blocked = blocked.clone();
        async move {
            if n == 0 {
                let callback = move || blocked.lock().unwrap().recv();
                let _ = tokio::task::spawn_blocking(callback).await;
            }
        }
    };
    let running = start(Protocol::Grpc, &sink.endpoint(), settings, first);
    // All points of two rounds with two resources.
    sink.wait_for(4).await;
    assert_eq!(sink.points().len() % 8, 0);
    assert!(running.stop().await < Duration::from_secs(20));
    // Until here the thread was occupied.
    drop(release);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn collections_are_told_to_leave_time_for_the_export() {
    let sink = GrpcSink::start().await;
    let settings = PushSettings { interval: NEVER, timeout: Duration::from_secs(30) };
    let (send, mut receive) = tokio::sync::mpsc::unbounded_channel();
    let first = move |_, deadline: Instant| {
        send.send(deadline - Instant::now()).unwrap();
        async {}
    };
    let running = start(Protocol::Grpc, &sink.endpoint(), settings, first);
    let left = receive.recv().await.unwrap();
    // 30 s, without the 10 s of one export.
    assert!(left <= Duration::from_secs(20) && left > Duration::from_secs(15), "{left:?}");
    running.stop().await;
}

/// A receiver that is back gets current points, and no old ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_receiver_refuses_is_lost_and_nothing_else_is() {
    let sink = GrpcSink::start().await;
    for _ in 0..4 {
        sink.answer_next(Answer::Status(tonic::Status::internal("broken")));
    }
    let running = start(Protocol::Grpc, &sink.endpoint(), every(SHORT), at_once);
    sink.wait_for(6).await;
    let stats = running.stats.clone();
    running.stop().await;
    let requests = sink.requests();
    assert_eq!(requests.iter().filter(|r| !r.taken).count(), 4);
    let outcomes = stats.outcomes();
    assert_eq!((outcomes[&Some("INTERNAL")].points, outcomes[&Some("INTERNAL")].operations), (16, 4));
    assert_eq!(stats.exported() as usize, sink.points().len());
    let mut times: Vec<u64> =
        sink.points().iter().filter(|p| p.name == "test.age").map(|p| p.time_unix_nano).collect();
    assert!(times.is_sorted());
    times.dedup();
    assert!(times.len() >= 2);
}

/// While the receiver is away, each round tries once, and does not delay the next one.
/// All collections of that time arrive later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn collections_go_on_while_the_receiver_is_away() {
    let sink = HttpSink::start().await;
    sink.answer_always(Answer::Http(503, Vec::new(), Vec::new()));
    let running = start(Protocol::HttpProtobuf, &sink.endpoint(), every(SHORT), at_once);
    sink.wait_for(6).await;
    let (stats, collections) = (running.stats.clone(), running.collections.clone());
    assert!(collections.load(Ordering::Relaxed) >= 6, "{collections:?}");
    sink.answer_always(Answer::Ok);
    running.stop().await;
    assert_eq!((stats.waiting().points, stats.in_flight()), (0, 0));
    assert_eq!(sink.points().len(), 8 * collections.load(Ordering::Relaxed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_ends_within_five_seconds_whatever_the_receiver_does() {
    let silent = SilentPort::start().await;
    let hanging = GrpcSink::start().await;
    hanging.answer_always(Answer::Hang);
    let closed = "http://127.0.0.1:1".to_owned();
    let mut ends = Vec::new();
    for (protocol, endpoint) in [
        (Protocol::Grpc, format!("http://{}", silent.address)),
        (Protocol::HttpProtobuf, format!("http://{}", silent.address)),
        (Protocol::Grpc, hanging.endpoint()),
        (Protocol::Grpc, closed.clone()),
        (Protocol::HttpProtobuf, closed),
    ] {
        let running = start(protocol, &endpoint, every(NEVER), at_once);
        let stats = running.stats.clone();
        ends.push(tokio::spawn(async move {
            // The first round is being sent at the end.
            while stats.in_flight() == 0 && stats.last().is_none() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            (protocol, running.stop().await, stats)
        }));
    }
    for end in ends {
        let (protocol, took, stats) = end.await.unwrap();
        assert!(took < Duration::from_secs(5), "{protocol}: {took:?}");
        assert_eq!((stats.in_flight(), stats.exported()), (0, 0));
        assert!(stats.outcomes().values().map(|o| o.points).sum::<u64>() > 0, "what was lost is counted");
    }
}

/// A hanging source does not delay the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_does_not_wait_for_a_source_that_hangs() {
    let running =
        start(Protocol::Grpc, "http://127.0.0.1:1", every(NEVER), |_, _| std::future::pending::<()>());
    while running.collections.load(Ordering::Relaxed) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(running.stop().await < Duration::from_secs(20));
}
