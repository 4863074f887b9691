//! Bridges that divide the same targets.

use crate::support::http;
use crate::support::program::{Serving, run};
use crate::support::samples::{named, only, samples};
use fedimeter::simulator::{Settings, Simulator};

const TARGETS: usize = 12;

/// Each target belongs to exactly one bridge, for any order of the list.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_target_is_with_one_of_them() {
    let settings = Settings { instances: TARGETS, ..Settings::default() };
    let simulator = Simulator::start(settings, ([127, 0, 0, 1], 0).into()).await.unwrap();
    let urls: Vec<String> = (0..TARGETS).map(|i| simulator.url(i)).collect();
    let mut polled = Vec::new();
    for (shard, name) in ["0", "fedimeter-1", "2"].into_iter().enumerate() {
        let mut targets: Vec<&str> = urls.iter().map(String::as_str).collect();
        targets.rotate_left(shard);
        let flags = ["serve", "--listen", "127.0.0.1:0", "--total-shards", "3"];
        let bridge = Serving::start(&[&flags[..], &targets].concat(), &[("FEDIMETER_SHARD", name)]);
        let page = samples(&http::body(http::client().get(format!("{}/metrics", bridge.url()))).await);
        assert_eq!(only(&page, "fedimeter_shard_index"), Some(shard as f64));
        assert_eq!(only(&page, "fedimeter_shards"), Some(3.0));
        let up = named(&page, "fedimeter_target_up");
        let mine: Vec<String> = up.iter().map(|s| format!("{:?}", s.labels)).collect();
        assert_eq!(only(&page, "fedimeter_targets"), Some(mine.len() as f64));
        assert!(!mine.is_empty() && mine.len() < TARGETS);
        polled.extend(mine);
    }
    polled.sort();
    polled.dedup();
    assert_eq!(polled.len(), TARGETS);
}

/// The two settings need each other, from any source.
#[test]
fn a_shard_is_said_in_the_file_by_flags_or_by_variables() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("f.yaml");
    std::fs::write(&file, "targets: [a.example]\nshard: 1\ntotal_shards: 4\n").unwrap();
    let file = ["--config", file.to_str().unwrap()];
    let variables = [("FEDIMETER_SHARD", "pod-1"), ("FEDIMETER_TOTAL_SHARDS", "4")];
    for (args, variables) in [
        (&file[..], &[][..]),
        (&["a.example", "--shard", "pod-1", "--total-shards", "4"], &[]),
        (&["a.example"], &variables),
    ] {
        let ran = run(&[&["check"], args].concat(), variables);
        assert!(
            ran.out.contains("\nshard: \"1\"") && ran.out.contains("\ntotal_shards: 4"),
            "{}{}",
            ran.out,
            ran.err
        );
    }
}

#[test]
fn a_shard_that_is_none_is_an_error() {
    for (flags, expected) in [
        (
            &["--shard", "3", "--total-shards", "3"][..],
            "--shard: there is no shard 3 of 3; they count from 0 to 2",
        ),
        (&["--shard", "1"], "--shard: shard 1 needs total_shards"),
        (&["--shard", "first"], "is neither a number nor a name that ends in one"),
        (&["--total-shards", "0"], "--total-shards=0: "),
    ] {
        let ran = run(&[&["check"], flags, &["a.example"]].concat(), &[]);
        assert_eq!(ran.status, Some(2), "{}", ran.err);
        assert!(ran.err.contains(expected), "{}", ran.err);
    }
}
