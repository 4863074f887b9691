//! Scrapers that find targets at `/sd` and probe them, as in the guide.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use fedimeter::simulator::{Fault, Settings as Simulated, Simulator};

use crate::bench::{RUNTIME, eventually, free_address, get, get_json};
use crate::programs::root;
use crate::prometheus::Prometheus;
use crate::support::program::Serving;

/// The job in docs/guides/probing.md, for this bridge.
fn job(bridge: &str) -> String {
    let guide = fs::read_to_string(root().join("docs/guides/probing.md")).unwrap();
    let (_, section) = guide.split_once("\n## Prometheus\n").unwrap();
    let (_, block) = section.split_once("```yaml\n").unwrap();
    let (job, _) = block.split_once("```").unwrap();
    assert!(job.contains("127.0.0.1:9464/sd") && job.contains("__param_target"), "{job}");
    job.replace("127.0.0.1:9464", bridge)
}

/// The same without the rules for shards.
fn undivided(job: &str) -> String {
    let (before, rest) =
        job.split_once("      - source_labels: [__param_target]\n        modulus: 4\n").unwrap();
    let (_, after) = rest.split_once("        action: keep\n").unwrap();
    format!("{before}{after}")
}

/// A bridge of simulated servers, which may also probe others.
fn bridge(simulator: &Simulator) -> (Serving, String, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("fedimeter.yaml");
    let mut yaml = "probe: {enabled: true, allow: []}\ndeadline: 50s\ntargets:\n".to_owned();
    for url in simulator.urls() {
        writeln!(yaml, "  - {url}").unwrap();
    }
    fs::write(&file, yaml).unwrap();
    let address = free_address();
    let bridge = Serving::start(&["--config", &file.display().to_string(), "--listen", &address], &[]);
    bridge.url();
    (bridge, address, directory)
}

fn simulator(instances: usize) -> Simulator {
    let settings = Simulated { instances, ..Simulated::default() };
    RUNTIME.block_on(Simulator::start(settings, ([127, 0, 0, 1], 0).into())).unwrap()
}

/// Two shards together have all servers, each once, with the right numbers.
pub fn by_prometheus(program: &Path) {
    const SERVERS: usize = 24;
    let simulator = simulator(SERVERS);
    simulator.set_fault(0, "*", Some(Fault::Status(503)));
    let (bridge, address, _files) = bridge(&simulator);
    let job = job(&address).replace("60s", "2s").replace("15s", "2s").replace("modulus: 4", "modulus: 2");
    let shards: Vec<Prometheus> = ["\"0\"", "\"1\""]
        .map(|number| Prometheus::start(program, &job.replace("\"0\"", number), &[]))
        .into_iter()
        .collect();
    let found = eventually("every server on a shard", || {
        let mut found = Vec::new();
        for (shard, prometheus) in shards.iter().enumerate() {
            let up = prometheus.query(r#"fedimeter_target_up{job="fediverse"}"#);
            found.extend(up.into_iter().map(|(labels, up)| (labels["instance"].clone(), (shard, up))));
        }
        if found.len() >= SERVERS { Ok(found) } else { Err(format!("{}\n{}", found.len(), bridge.log())) }
    });
    assert_eq!(found.len(), SERVERS, "a server is on two shards: {found:?}");
    let by_server: BTreeMap<String, (usize, f64)> = found.into_iter().collect();
    let urls: BTreeSet<String> = simulator.urls().into_iter().collect();
    assert_eq!(by_server.keys().cloned().collect::<BTreeSet<_>>(), urls);
    for shard in 0..2 {
        let has = by_server.values().filter(|(on, _)| *on == shard).count();
        assert!((4..=SERVERS - 4).contains(&has), "{has} of {SERVERS} on shard {shard}");
    }
    for i in 0..SERVERS {
        let url = simulator.url(i);
        let (shard, up) = by_server[&url];
        let users = shards[shard].query(&format!(r#"mastodon_instance_users{{instance="{url}"}}"#));
        if i == 0 {
            // The scrape of a server that is down succeeds.
            assert_eq!((up, users.len()), (0.0, 0));
            let scraped = shards[shard].query(&format!(r#"up{{instance="{url}"}}"#));
            assert_eq!(scraped[0].1 as i64, 1);
            continue;
        }
        let truth = simulator.truth(i).users as f64;
        assert_eq!((up, users.len()), (1.0, 1), "{url}");
        assert!((truth * 0.99..=truth).contains(&users[0].1), "{url}: {users:?}, {truth}");
        // The series have the server's own labels, too.
        let host = simulator.host(i);
        assert_eq!(users[0].0["server_address"], host.split(':').next().unwrap());
    }
    for prometheus in &shards {
        let log = prometheus.log();
        let complaints: Vec<&str> =
            log.lines().filter(|l| l.contains("level=WARN") || l.contains("level=ERROR")).collect();
        assert_eq!(complaints, [""; 0]);
    }
}

/// Four members of a cluster together have a thousand servers, each once.
pub fn by_vmagents(program: &Path) {
    const SERVERS: usize = 1_000;
    const MEMBERS: usize = 4;
    let simulator = simulator(SERVERS);
    let (bridge, address, files) = bridge(&simulator);
    let configuration = files.path().join("prometheus.yml");
    fs::write(&configuration, undivided(&job(&address)).replace("15s", "50s")).unwrap();
    // Their remote writes are not checked, and wait in a folder.
    let nowhere = format!("-remoteWrite.url=http://{}/", free_address());
    let members: Vec<(Serving, String)> = (0..MEMBERS)
        .map(|member| {
            let listen = free_address();
            let serving = Serving::with(Command::new(program).env_clear().args([
                format!("-promscrape.config={}", configuration.display()),
                format!("-promscrape.cluster.membersCount={MEMBERS}"),
                format!("-promscrape.cluster.memberNum={member}"),
                format!("-httpListenAddr={listen}"),
                format!(
                    "-remoteWrite.tmpDataPath={}",
                    files.path().join(format!("vmagent-{member}")).display()
                ),
                nowhere.clone(),
            ]));
            (serving, format!("http://{listen}"))
        })
        .collect();
    for (member, url) in &members {
        eventually("vmagent", || get(&format!("{url}/health")).map_err(|e| format!("{e}\n{}", member.log())));
    }
    let found = eventually("every server scraped", || {
        let mut found = Vec::new();
        let mut failed = None;
        for (member, (_, url)) in members.iter().enumerate() {
            let targets = get_json(&format!("{url}/api/v1/targets?state=active"))?;
            let active = targets["data"]["activeTargets"].as_array().ok_or("no list of targets")?;
            for target in active {
                if target["health"] != "up" {
                    failed = Some(target.to_string());
                }
                found.push((target["labels"]["instance"].as_str().unwrap_or_default().to_owned(), member));
            }
        }
        match failed {
            None if found.len() >= SERVERS => Ok(found),
            failed => Err(format!("{} targets, {failed:?}\n{}", found.len(), bridge.log())),
        }
    });
    assert_eq!(found.len(), SERVERS, "a server is on two members");
    let mut by_member = [0; MEMBERS];
    for (_, member) in &found {
        by_member[*member] += 1;
    }
    let servers: BTreeSet<String> = found.into_iter().map(|(server, _)| server).collect();
    assert_eq!(servers, simulator.urls().into_iter().collect());
    assert!(by_member.iter().all(|has| (175..=325).contains(has)), "{by_member:?}");
    eprintln!("vmagent: {by_member:?} of {SERVERS} servers on {MEMBERS} members");
}
