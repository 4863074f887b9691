//! Outages of a Collector, and losses.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use crate::bench::eventually;
use crate::collector::{Collector, Settings};
use crate::mock::Mock;
use crate::pipeline::pushing;
use crate::prometheus::Prometheus;
use crate::support::program::Serving;
use crate::written::Point;

/// The duration of an outage. Some tests use a part of it.
const OUTAGE: Duration = Duration::from_secs(60);
const EVERY_SECOND: (&str, &str) = ("OTEL_METRIC_EXPORT_INTERVAL", "1000");

/// The distinct times of `mastodon.instance.users`.
fn collected(points: &[Point]) -> BTreeSet<u64> {
    let users: Vec<u64> =
        points.iter().filter(|p| p.name == "mastodon.instance.users").map(|p| p.nanos).collect();
    let times: BTreeSet<u64> = users.iter().copied().collect();
    assert_eq!(times.len(), users.len(), "a collection arrived twice");
    times
}

/// The bridge's own count of points by `error.type` (empty for delivered ones) in its last
/// round, and the number of received points of the rounds before. A round has two messages,
/// the servers' points and the bridge's own, and counts neither.
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

/// An agent with a persistent queue in front of a backend.
fn agent_before(program: &Path, backend: &Collector) -> Settings {
    Settings::new(program, "otel-collector/agent.yaml").set("OTLP_BACKEND", backend.http())
}

/// The backend is down for a minute, and the agent restarts meanwhile. All points that the
/// agent accepted arrive once.
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

    // At least half of the minute's collections were queued. A round takes longer than a
    // second if the agent is down or the machine is busy.
    let queued = OUTAGE.as_secs() as usize / 2;
    nothing_is_lost(bridge, &backend, Some(&agent), before + queued);
    agent.stop();
}

/// The Collector is down for many rounds. All collections of this time arrive once, and in
/// order.
pub fn of_the_collector(program: &Path, mock: &Path) {
    let mock = Mock::start(mock);
    let collector = Settings::to_file(program).start();
    let bridge = pushing(&mock.url, &collector.grpc(), "grpc", &[EVERY_SECOND]);
    let before = wait_for_collections(&collector, 2).len();

    let collector = collector.stop();
    std::thread::sleep(OUTAGE / 2);
    let collector = collector.start();

    // On a busy machine a round takes longer than a second.
    let waited = OUTAGE.as_secs() as usize / 4;
    wait_for_collections(&collector, before + waited);
    assert_in_order(&collector);
    nothing_is_lost(bridge, &collector, None, before + waited);
}

/// The Collector is down, and the bridge is killed. The next bridge delivers the requests
/// in its directory.
pub fn of_the_collector_and_a_killed_bridge(program: &Path, mock: &Path) {
    let mock = Mock::start(mock);
    let collector = Settings::to_file(program).start();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().display().to_string();
    let settings = [EVERY_SECOND, ("FEDIMETER_OTLP_BACKLOG_DIRECTORY", &path)];
    let bridge = pushing(&mock.url, &collector.grpc(), "grpc", &settings);
    let before = wait_for_collections(&collector, 2).len();

    let endpoint = collector.grpc();
    let collector = collector.stop();
    std::thread::sleep(OUTAGE / 4);
    let records = || std::fs::read_dir(directory.path().join("metrics")).unwrap().count();
    eventually("records", || if records() > 10 { Ok(()) } else { Err(format!("{}", records())) });
    bridge.end("KILL");
    let waiting = records();
    let bridge = pushing(&mock.url, &endpoint, "grpc", &settings);
    std::thread::sleep(OUTAGE / 4);
    let collector = collector.start();

    // Two requests for each round, the lock, and one request that may be incomplete.
    wait_for_collections(&collector, before + (waiting - 2) / 2);
    eventually("an empty directory", || if records() == 1 { Ok(()) } else { Err(format!("{}", records())) });
    assert_in_order(&collector);
    assert_eq!(bridge.end("TERM").0, Some(0));
    collector.stop();
}

/// Asserts that the times of each series increase.
fn assert_in_order(collector: &Collector) {
    let mut latest: BTreeMap<String, u64> = BTreeMap::new();
    for point in collector.points() {
        let series = format!("{} {:?} {:?}", point.name, point.attributes, point.resource);
        let before = latest.insert(series.clone(), point.nanos);
        assert!(before.is_none_or(|before| before < point.nanos), "{series}: {before:?}, {}", point.nanos);
    }
}

/// Prometheus is down for a while. With an out-of-order window its series have no gap.
pub fn of_prometheus(program: &Path, mock: &Path) {
    let mock = Mock::start(mock);
    let configuration = "storage: {tsdb: {out_of_order_time_window: 1h}}\n";
    let prometheus = Prometheus::start(program, configuration, &["--web.enable-otlp-receiver"]);
    let endpoint = format!("{}/api/v1/otlp", prometheus.url());
    let bridge = pushing(&mock.url, &endpoint, "http/protobuf", &[EVERY_SECOND]);
    let count = |prometheus: &Prometheus| {
        let counted = prometheus.query("count_over_time(mastodon_instance_users[10m])");
        counted.first().map_or(0.0, |(_, count)| *count)
    };
    eventually("samples", || if count(&prometheus) > 2.0 { Ok(()) } else { Err(prometheus.log()) });

    let before = count(&prometheus);
    let prometheus = prometheus.away(OUTAGE / 2);
    let waited = (OUTAGE.as_secs() / 4) as f64;
    eventually("the samples of its absence", || {
        let now = count(&prometheus);
        if now > before + waited {
            Ok(())
        } else {
            Err(format!("{now}\n{}\n{}", bridge.log(), prometheus.log()))
        }
    });
    // At each of the last 25 seconds, most of them within the outage, there is a sample
    // from the previous ten seconds.
    let covered = "count_over_time(count_over_time(mastodon_instance_users[10s])[25s:1s])";
    let covered: Vec<f64> = prometheus.query(covered).into_iter().map(|(_, seconds)| seconds).collect();
    assert!(covered.len() == 1 && covered[0] >= 25.0, "{covered:?}");
    let log = bridge.log();
    assert_eq!(bridge.end("TERM").0, Some(0));
    assert!(!log.contains("rejects"), "{log}");
}

/// The bridge counts each point as delivered, and the backend has it.
fn nothing_is_lost(bridge: Serving, backend: &Collector, agent: Option<&Collector>, collections: usize) {
    let log = bridge.log();
    assert_eq!(bridge.end("TERM").0, Some(0));
    // The agent retries after up to 30 s.
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
            let agent = agent.map(Collector::log).unwrap_or_default();
            Err(format!("{counts}\n{log}\n{agent}"))
        }
    });
    println!("points delivered: {delivered}");
}
