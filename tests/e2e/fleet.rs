//! Many servers with a Collector with default settings.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use fedimeter::simulator::{Settings as Simulated, Simulator};

use crate::bench::{RUNTIME, eventually};
use crate::collector::Settings;
use crate::support::program::Serving;

const SERVERS: usize = 2_000;

/// Each server's points arrive once, and no message exceeds a receiver's limit of 4 MiB.
pub fn of_two_thousand(program: &Path) {
    let simulated = Simulated { instances: SERVERS, ..Simulated::default() };
    let simulator = RUNTIME.block_on(Simulator::start(simulated, ([127, 0, 0, 1], 0).into())).unwrap();
    let files = tempfile::tempdir().unwrap();
    let configuration = files.path().join("fedimeter.yaml");
    // Both sides are debug builds on few cores. Late points are in the next round.
    let mut yaml = "deadline: 100s\ntargets:\n".to_owned();
    for url in simulator.urls() {
        writeln!(yaml, "  - {url}").unwrap();
    }
    std::fs::write(&configuration, yaml).unwrap();

    let collector = Settings::to_file(program).start();
    let args = ["--config", &configuration.display().to_string(), "--listen", "none"];
    let env = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.grpc()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc".to_owned()),
        ("OTEL_METRIC_EXPORT_TIMEOUT", "110000".to_owned()),
    ];
    let env: Vec<_> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let bridge = Serving::start(&args, &env);

    let users = eventually("every server's users", || {
        let mut users = BTreeMap::new();
        let points = collector.points();
        for point in points.iter().filter(|p| p.name == "mastodon.instance.users") {
            let host = point.attributes["server.address"].as_str().unwrap().to_owned();
            users.entry(host).or_insert_with(Vec::new).push((point.nanos, point.value));
        }
        if users.len() == SERVERS { Ok(users) } else { Err(format!("{}\n{}", users.len(), bridge.log())) }
    });
    for i in 0..SERVERS {
        let host = simulator.host(i);
        let host = host.split(':').next().unwrap();
        let mut said = users[host].clone();
        let values: Vec<f64> = said.iter().map(|(_, value)| *value).collect();
        // Users grow during the test, so the first number is a lower bound.
        let truth = simulator.truth(i).users as f64;
        assert!(values.iter().all(|v| (truth * 0.99..=truth).contains(v)), "{host}: {values:?}, {truth}");
        let times = said.len();
        said.dedup_by_key(|(nanos, _)| *nanos);
        assert_eq!(said.len(), times, "{host} stands twice in a collection");
    }
    // Read before the end, which may close the connection within a round, about which the
    // Collector warns.
    let log = collector.log();
    assert!(!log.contains("\twarn\t") && !log.contains("\terror\t"), "{log}");
    assert_eq!(bridge.end("TERM").0, Some(0));
    let failed = collector.points().into_iter().find(|p| {
        p.name == "otel.sdk.exporter.metric_data_point.exported" && p.attributes.contains_key("error.type")
    });
    assert_eq!(failed, None);
}
