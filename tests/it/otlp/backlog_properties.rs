//! For any answers of a receiver and any kill of the bridge: no point is lost, and
//! duplicates arrive only after a lost answer.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use fedimeter::export::otlp::{DeliverySettings, Exporter, OtlpSettings, Protocol};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use proptest::prelude::*;
use tokio::time::Instant;

use super::settings;
use crate::support::meter::Meter;
use crate::support::otlp_sink::{Answer, HttpSink, PATIENCE, Received, points};

#[derive(Debug, Clone, Copy)]
enum Step {
    Accept,
    /// It rejects this number of points of each request.
    AcceptInPart(i64),
    /// It asks for a retry.
    Busy,
    Refuse,
    /// It does not answer, and does not accept the points.
    Hang,
    /// It does not answer, but accepts the points.
    Mute,
    /// The bridge ends and starts again.
    Restart,
    /// The bridge is killed at this time after the start of a round, and starts again.
    Kill(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Accept),
        1 => (1i64..4).prop_map(Step::AcceptInPart),
        3 => Just(Step::Busy),
        1 => Just(Step::Refuse),
        1 => Just(Step::Hang),
        1 => Just(Step::Mute),
        1 => Just(Step::Restart),
        1 => (0u64..8).prop_map(Step::Kill),
    ]
}

/// The answer of a receiver, and its time for it.
fn answer(step: Step) -> (Answer, Duration) {
    let http = |status| Answer::Http(status, Vec::new(), Vec::new());
    // Successful answers are not cut off, because the points would arrive twice.
    let briefly = Duration::from_millis(80);
    match step {
        Step::Accept | Step::Restart | Step::Kill(_) => (Answer::Ok, PATIENCE),
        Step::AcceptInPart(rejected) => (Answer::Partial(rejected, "too old"), PATIENCE),
        Step::Refuse => (http(400), PATIENCE),
        Step::Busy => (http(503), briefly),
        Step::Hang => (Answer::Hang, briefly),
        Step::Mute => (Answer::Mute, briefly),
    }
}

/// A point's name, attributes and time.
type Id = (String, Vec<(String, String)>, u64);

fn ids(request: &Received) -> Vec<Id> {
    let points = points(&request.message).into_iter();
    points.map(|p| (p.name, p.attributes.into_iter().collect(), p.time_unix_nano)).collect()
}

/// The exporter, as soon as the previous one has released the directory.
async fn start(settings: &OtlpSettings) -> Exporter {
    let start = Instant::now();
    loop {
        let mut exporter = Exporter::build(settings).unwrap();
        match exporter.open_backlog() {
            Ok(()) => return exporter,
            Err(error) => assert!(start.elapsed() < PATIENCE, "{error}"),
        }
        tokio::task::yield_now().await;
    }
}

/// Lets the receiver read everything that was sent, so that a cut-off request does not
/// arrive in a later step. Sent bytes are in its socket at once, and there is one thread,
/// so it only needs turns.
async fn arrive() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
}

async fn run(steps: &[Step], directory: Option<&Path>) {
    let sink = HttpSink::start().await;
    let mut settings = settings(Protocol::HttpProtobuf, &sink.endpoint());
    settings.delivery = DeliverySettings { directory: directory.map(Path::to_owned), ..Default::default() };
    let meter = Meter::new(2, Temporality::Cumulative);
    let batches = || -> Vec<ResourceMetrics> { (0..2).map(|_| meter.collect()).collect() };
    let mut exporter = start(&settings).await;
    let (mut collected, mut ended, mut waiting) = (0, 0, 0);
    let (mut was_killed, mut maybe_twice) = (false, BTreeSet::new());
    for &step in steps {
        let (answer, time) = answer(step);
        sink.answer_always(answer);
        let before = sink.requests().len();
        if let Step::Kill(millis) = step {
            was_killed = true;
            let batches = batches();
            let round = exporter.export_all(&batches, Instant::now() + PATIENCE);
            let _ = tokio::time::timeout(Duration::from_millis(millis), round).await;
        } else if !matches!(step, Step::Restart) {
            let report = exporter.export_all(&batches(), Instant::now() + time).await;
            collected += 8;
            ended += report.accepted + report.rejected + report.lost;
            waiting = report.waiting;
        }
        if matches!(step, Step::Kill(_) | Step::Restart) {
            if matches!(step, Step::Restart) {
                let (lost, kept) = exporter.end().await;
                assert!(directory.is_some() || kept == 0);
                ended += lost;
                waiting = kept;
            }
            drop(exporter);
            exporter = start(&settings).await;
            waiting = if was_killed { exporter.stats().waiting().points } else { waiting };
        }
        arrive().await;
        if matches!(step, Step::Kill(_) | Step::Mute) {
            maybe_twice.extend(sink.requests()[before..].iter().flat_map(ids));
        }
        assert_eq!(exporter.stats().waiting().points, waiting, "{step:?}");
        assert!(was_killed || ended + waiting == collected, "{step:?}: {ended} + {waiting} of {collected}");
    }
    sink.is_back().await;
    let last = exporter.export_all(&batches(), Instant::now() + PATIENCE).await;
    assert_eq!((last.accepted, last.waiting, last.failure), (waiting + 8, 0, None));

    let mut series: BTreeMap<_, Vec<u64>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for id in sink.requests().iter().filter(|request| request.taken).flat_map(ids) {
        assert!(seen.insert(id.clone()) || maybe_twice.contains(&id), "{id:?} arrived twice");
        series.entry((id.0, id.1)).or_default().push(id.2);
    }
    for times in series.values() {
        assert!(times.is_sorted(), "{times:?}");
    }
}

fn in_a_runtime(steps: &[Step], on_disk: bool) {
    let directory = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(run(steps, on_disk.then_some(directory.path())));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn accepted_refused_dropped_and_waiting_are_what_was_collected(
        steps in prop::collection::vec(step(), 1..12),
        on_disk: bool,
    ) {
        in_a_runtime(&steps, on_disk);
    }
}
