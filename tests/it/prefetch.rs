//! Servers that are polled ahead of collections.

use std::time::Duration;

use fedimeter::fetch::Http;
use fedimeter::refresh::Prefetch;
use fedimeter::simulator::Simulator;

use crate::support::poll::*;

const MINUTE: Duration = Duration::from_secs(60);

fn requests(simulator: &Simulator) -> usize {
    (0..4).map(|i| simulator.requests(i, "*")).sum()
}

/// Waits until servers were requested, and the requests have ended. Returns the number of
/// requests.
async fn asked(bench: &Bench, simulator: &Simulator, before: usize) -> usize {
    while requests(simulator) == before {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    loop {
        let seen = requests(simulator);
        tokio::time::sleep(Duration::from_millis(500)).await;
        if requests(simulator) == seen {
            // Running requests are awaited.
            drop(bench.refresher.known());
            return seen - before;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collection_finds_everything_fresh_until_nobody_collects() {
    let simulator = simulator(|_| {}).await;
    let bench = Bench::of((0..4).map(|i| target(&simulator, i)).collect());
    tokio::select! {
        () = bench.refresher.prefetch(Prefetch::Always) => {}
        () = find_everything_fresh(&bench, &simulator) => {}
    }
}

async fn find_everything_fresh(bench: &Bench, simulator: &Simulator) {
    bench.refresh().await;
    bench.clock.advance(MINUTE);
    bench.refresh().await;

    let before = requests(simulator);
    bench.clock.advance(Duration::from_secs(58));
    let ahead_of_it = asked(bench, simulator, before).await;
    assert!(ahead_of_it >= 4, "{ahead_of_it}");
    bench.clock.advance(Duration::from_secs(2));
    let view = bench.refresh().await;
    assert_eq!(requests(simulator), before + ahead_of_it, "the collection asked");
    for i in 0..4 {
        assert_eq!(value(&view, i, "fedimeter.target.up"), Some(1));
    }

    // Servers are polled ahead of two more collections. If these do not come, polling ends.
    for _ in 0..2 {
        let before = requests(simulator);
        bench.clock.advance(MINUTE);
        asked(bench, simulator, before).await;
    }
    bench.clock.advance(MINUTE);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = requests(simulator);
    for _ in 0..3 {
        bench.clock.advance(10 * MINUTE);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(requests(simulator), before, "nobody collects any more");
    // The next collection polls the servers itself.
    bench.refresh().await;
    assert!(requests(simulator) > before);
}

/// What is due in one collection, and then lives for the same time, is due again in the
/// same order. So the slices of a page, which are in this order, are written one after the
/// other.
#[tokio::test]
async fn a_collection_asks_in_the_order_of_turns() {
    let simulator = simulator(|_| {}).await;
    let targets: Vec<_> = by_turn(&simulator, 4).into_iter().rev().map(|i| target(&simulator, i)).collect();
    let bench = Bench::with(targets, Http { max_requests: 1, ..http() });
    let view = bench.refresh().await;
    let first = |i| reading(&view, i).snapshot.slots.iter().filter_map(|slot| Some(slot.last()?.ended)).min();
    let asked: Vec<_> = (0..4).map(first).collect();
    assert!(asked.iter().rev().is_sorted_by(|a, b| a < b), "{asked:?}");
}

/// A few servers are not polled ahead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handful_is_asked_when_somebody_collects() {
    let simulator = simulator(|_| {}).await;
    let bench = Bench::of((0..4).map(|i| target(&simulator, i)).collect());
    tokio::select! {
        () = bench.refresher.prefetch(Prefetch::Auto) => {}
        () = are_asked_when_somebody_collects(&bench, &simulator) => {}
    }
}

async fn are_asked_when_somebody_collects(bench: &Bench, simulator: &Simulator) {
    bench.refresh().await;
    bench.clock.advance(MINUTE);
    bench.refresh().await;
    let before = requests(simulator);
    bench.clock.advance(Duration::from_secs(58));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(requests(simulator), before);
}
