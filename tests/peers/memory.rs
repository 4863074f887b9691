//! A bridge in a container with little memory. `cargo test --test it hostile::` measures
//! the resident memory without a container.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use fedimeter::simulator::{Settings, Simulator};
use libtest_mimic::Trial;

use crate::support::hostile_json::hostile;
use crate::support::program::{PATIENCE, Serving, fedimeter};
use crate::support::{http, samples, trial};

/// The limit of a small container.
const LIMIT: usize = 128 << 20;
/// The maximum size of a body.
const CAP: usize = 1 << 20;
const HEALTHY: usize = 3;
/// How often a readable endpoint is requested.
const ROUNDS: usize = 5;

pub fn trials() -> Vec<Trial> {
    let name = "hostile_json_takes_no_number_of_others_in_a_cgroup_of_128_mib";
    vec![trial::trial(name, Cgroup::with_memory(LIMIT), |group| {
        hostile_json_takes_no_number_of_others(&group);
    })]
}

/// A control group with a memory limit, until it is dropped.
struct Cgroup(PathBuf);

impl Cgroup {
    fn with_memory(limit: usize) -> Result<Cgroup, String> {
        let root = Path::new("/sys/fs/cgroup");
        let name = format!("fedimeter-test-{}", std::process::id());
        let write = |path: &Path, text: &str| {
            std::fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))
        };
        let is_unified = root.join("cgroup.controllers").exists();
        let parent = if is_unified { root.to_owned() } else { root.join("memory") };
        if is_unified {
            write(&root.join("cgroup.subtree_control"), "+memory")?;
        }
        let group = Cgroup(parent.join(name));
        std::fs::create_dir(&group.0).map_err(|e| format!("{}: {e}", group.0.display()))?;
        let file = if is_unified { "memory.max" } else { "memory.limit_in_bytes" };
        write(&group.0.join(file), &limit.to_string())?;
        if is_unified {
            // Without swap this file does not exist.
            let _ = write(&group.0.join("memory.swap.max"), "0");
        }
        Ok(group)
    }

    /// The program in the control group.
    fn limited(&self, args: &[&str]) -> Command {
        let program = fedimeter().get_program().to_owned();
        let mut command = Command::new("/bin/sh");
        let enter = format!("echo $$ > '{}/cgroup.procs' && exec \"$0\" \"$@\"", self.0.display());
        command.env_clear().arg("-c").arg(enter).arg(program).args(args);
        command
    }

    /// The peak memory in MiB, including the page cache.
    fn peak(&self) -> Option<usize> {
        let read = |file| std::fs::read_to_string(self.0.join(file)).ok();
        let bytes = read("memory.peak").or_else(|| read("memory.max_usage_in_bytes"))?;
        Some(bytes.trim().parse::<usize>().ok()? >> 20)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Its processes may still be ending.
        let began = Instant::now();
        while std::fs::remove_dir(&self.0).is_err() && began.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn hostile_json_takes_no_number_of_others(group: &Cgroup) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(scrapes(group));
}

async fn scrapes(group: &Cgroup) {
    let bodies = hostile(CAP);
    let settings = Settings {
        instances: HEALTHY + bodies.len(),
        versions: vec!["4.6.4".to_owned()],
        // Each scrape a second later requests the endpoints again.
        cache_headers: false,
        ..Settings::default()
    };
    let simulator = Simulator::start(settings, ([127, 0, 0, 1], 0).into()).await.unwrap();
    let paths =
        ["/api/v2/instance", "/api/v1/instance", "/.well-known/nodeinfo", "/api/v1/instance/activity"];
    for (i, body) in bodies.iter().enumerate() {
        for path in paths {
            simulator.set_json(HEALTHY + i, path, body.clone());
        }
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut yaml = "listen: 127.0.0.1:0\ndefaults:\n  intervals: {".to_owned();
    yaml +=
        "instance_v2: 1s, instance_v1: 1s, nodeinfo_discovery: 1s, nodeinfo: 1s, activity: 1s}\ntargets:\n";
    for url in simulator.urls() {
        writeln!(yaml, "  - {url}").unwrap();
    }
    std::fs::write(file.path(), yaml).unwrap();
    let bridge = Serving::with(&mut group.limited(&["serve", "--config", file.path().to_str().unwrap()]));
    let url = format!("{}/metrics", bridge.url());
    let client = http::client();
    let healthy: Vec<String> = (0..HEALTHY).map(|i| label(&simulator, i)).collect();
    let began = Instant::now();
    let mut scrapes = 0;
    while simulator.requests(0, paths[0]) < ROUNDS {
        assert!(began.elapsed() < PATIENCE, "{scrapes} scrapes");
        scrapes += 1;
        let get = client.get(&url).header("X-Prometheus-Scrape-Timeout-Seconds", "30");
        let shown = samples::samples(&http::body(get).await);
        for name in ["mastodon_instance_users", "fedimeter_target_up"] {
            let of: Vec<f64> = samples::named(&shown, name)
                .into_iter()
                .filter(|sample| healthy.contains(&sample.labels["server_address"]))
                .map(|sample| sample.value)
                .collect();
            assert!(of.len() == HEALTHY && of.iter().all(|value| *value > 0.0), "{scrapes}: {name} {of:?}");
        }
    }
    assert_eq!(bridge.end("TERM").0, Some(0));
    println!("{scrapes} scrapes, at most {:?} of {} MiB", group.peak(), LIMIT >> 20);
}

fn label(simulator: &Simulator, i: usize) -> String {
    simulator.host(i).split_once(':').unwrap().0.to_owned()
}
