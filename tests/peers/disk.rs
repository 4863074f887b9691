//! The backlog on a full disk.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use fedimeter::export::otlp::{DeliverySettings, Endpoint, Exporter, OtlpSettings, Protocol};
use libtest_mimic::Trial;
use opentelemetry_sdk::metrics::Temporality;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::support::meter::Meter;
use crate::support::otlp_sink::{Answer, HttpSink, PATIENCE};
use crate::support::trial::trial;

pub fn trials() -> Vec<Trial> {
    vec![trial("a_full_disk_costs_the_oldest", SmallDisk::mount(), |disk| costs_the_oldest(&disk))]
}

/// A file system of 64 KiB, in memory.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount() -> Result<SmallDisk, String> {
        let directory = tempfile::tempdir().map_err(|e| e.to_string())?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64k", "fedimeter-test"]).arg(directory.path());
        match mount.stderr(Stdio::null()).status() {
            Ok(status) if status.success() => Ok(SmallDisk(directory)),
            _ => Err("a file system can be mounted by root only".to_owned()),
        }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).status();
    }
}

fn costs_the_oldest(disk: &SmallDisk) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let sink = HttpSink::start().await;
        sink.answer_always(Answer::Http(503, Vec::new(), Vec::new()));
        let endpoint = format!("{}/v1/metrics", sink.endpoint());
        let endpoint = Endpoint::new(&endpoint, Protocol::HttpProtobuf).unwrap();
        let settings = OtlpSettings {
            delivery: DeliverySettings {
                directory: Some(disk.path().join("backlog")),
                ..DeliverySettings::default()
            },
            ..OtlpSettings::new(Protocol::HttpProtobuf, endpoint)
        };
        let mut exporter = Exporter::build(&settings).unwrap();
        exporter.open_backlog().unwrap();
        let mut collected = 0;
        for _ in 0..40 {
            let metrics = Meter::new(2, Temporality::Cumulative).collect();
            let report = exporter.export(&metrics, Instant::now() + Duration::from_millis(20)).await;
            collected += 4;
            let dropped: u64 = exporter.stats().outcomes().values().map(|outcome| outcome.points).sum();
            assert_eq!(report.waiting + dropped, collected, "{report:?}");
        }
        let outcomes = exporter.stats().outcomes();
        let dropped = outcomes[&Some("disk_full")].points;
        assert!(dropped >= 4 * 20, "{outcomes:?}");
        // The process is killed, so only the data on the disk remains.
        drop(exporter);
        sink.answer_always(Answer::Ok);
        let mut exporter = Exporter::build(&settings).unwrap();
        exporter.open_backlog().unwrap();
        let waiting = exporter.stats().waiting().points;
        assert!(waiting > 0 && waiting <= collected - dropped, "{waiting} of {collected}, {dropped} dropped");
        let metrics = Meter::new(2, Temporality::Cumulative).collect();
        let report = exporter.export(&metrics, Instant::now() + PATIENCE).await;
        assert_eq!((report.accepted, report.lost, report.waiting), (waiting + 4, 0, 0), "{report:?}");
    });
}
