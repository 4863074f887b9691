//! A Collector that is away for a while, and what is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use crate::bench::eventually;
use crate::collector::{Collector, Settings};
use crate::mock::Mock;
use crate::pipeline::pushing;
use crate::program::Serving;
use crate::written::Point;

/// How long it is away.
const OUTAGE: Duration = Duration::from_secs(60);
const EVERY_SECOND: (&str, &str) = ("OTEL_METRIC_EXPORT_INTERVAL", "1000");

/// The times at which `mastodon.instance.users` was collected, each once.
fn collected(points: &[Point]) -> BTreeSet<u64> {
    let users: Vec<u64> =
        points.iter().filter(|p| p.name == "mastodon.instance.users").map(|p| p.nanos).collect();
    let times: BTreeSet<u64> = users.iter().copied().collect();
    assert_eq!(times.len(), users.len(), "a collection arrived twice");
    times
}

/// The bridge's own count of points by `error.type` (empty for those that
/// arrived), as its last round has it, and how many points of the rounds before
/// are here. A round is two messages, the servers' points and the bridge's own,
/// and counts neither.
fn counted(points: &[Point]) -> (BTreeMap<String, f64>, usize) {
    let last = |name: &str| points.iter().filter(|p| p.name == name).max_by_key(|p| p.nanos);
    let exported = "otel.sdk.exporter.metric_data_point.exported";
    let (Some(own), Some(servers)) = (last(exported), last("mastodon.instance.users")) else {
        return Default::default();
    };
    let of_last = points.iter().filter(|p| p.name == exported && p.request == own.request).map(|p| {
        let error = p.attributes.get("error.type").and_then(|e| e.as_str()).unwrap_or_default();
        (error.to_owned(), p.value)
    });
    let before = points.iter().filter(|p| p.request != own.request && p.request != servers.request);
    (of_last.collect(), before.count())
}

fn wait_for_collections(collector: &Collector, more_than: usize) -> BTreeSet<u64> {
    eventually("collections", || {
        let times = collected(&collector.points());
        if times.len() > more_than { Ok(times) } else { Err(format!("{}\n{}", times.len(), collector.log())) }
    })
}

/// An agent with a persistent queue before a back end.
fn agent_before(program: &Path, backend: &Collector) -> Settings {
    Settings::new(program, "otel-collector/agent.yaml").set("OTLP_BACKEND", backend.http())
}

/// The back end is away for a minute, and the agent is started anew meanwhile:
/// what the agent had taken is all there in the end, and once.
pub fn of_the_back_end(program: &Path, mock: &Path) {
    let mock = Mock::start(mock);
    let backend = Settings::to_file(program).start();
    let agent = agent_before(program, &backend).start();
    let bridge = pushing(&mock.url, &agent.grpc(), "grpc", &[EVERY_SECOND]);
    wait_for_collections(&backend, 2);

    let before = collected(&backend.points()).len();
    let backend = backend.stop();
    std::thread::sleep(OUTAGE / 2);
    let agent = agent.stop().start();
    std::thread::sleep(OUTAGE / 2);
    let backend = backend.start();

    // At least half of the minute's collections were queued: a round that finds
    // the agent away, or the machine busy, takes longer than its second.
    let queued = OUTAGE.as_secs() as usize / 2;
    nothing_is_lost(bridge, agent, &backend, before + queued);
}

/// The Collector itself is away for a minute. A bridge whose time for a request
/// covers that delivers what it had collected; the rounds in between fall out.
pub fn of_the_collector(program: &Path, mock: &Path) {
    let mock = Mock::start(mock);
    let backend = Settings::to_file(program).start();
    let agent = agent_before(program, &backend).start();
    let patient =
        [EVERY_SECOND, ("OTEL_EXPORTER_OTLP_TIMEOUT", "110000"), ("OTEL_METRIC_EXPORT_TIMEOUT", "115000")];
    let bridge = pushing(&mock.url, &agent.grpc(), "grpc", &patient);
    let before = wait_for_collections(&backend, 2);

    let agent = agent.stop();
    std::thread::sleep(OUTAGE);
    let agent = agent.start();

    let times = wait_for_collections(&backend, before.len() + 3);
    let gap = times.iter().zip(times.iter().skip(1)).map(|(a, b)| b - a).max().unwrap();
    assert!(gap > OUTAGE.as_nanos() as u64 / 2, "it was never away: {gap} ns");
    nothing_is_lost(bridge, agent, &backend, before.len() + 3);
}

/// The bridge counts each point as delivered, and the back end has them.
fn nothing_is_lost(bridge: Serving, agent: Collector, backend: &Collector, collections: usize) {
    let log = bridge.log();
    assert_eq!(bridge.end("TERM").0, Some(0));
    // The agent tries again after up to 30 s.
    let delivered = eventually("the whole queue", || {
        let points = backend.points();
        let times = collected(&points).len();
        let (counted, arrived) = counted(&points);
        let counts =
            format!("{counted:?} by the bridge's count, {arrived} at the back end, {times} collections");
        let all = counted.get("") == Some(&(arrived as f64));
        if all && counted.len() == 1 && times >= collections {
            Ok(counts)
        } else {
            Err(format!("{counts}\n{log}\n{}", agent.log()))
        }
    });
    println!("points delivered: {delivered}");
    agent.stop();
}
