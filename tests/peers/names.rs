//! A hanging name server, in a separate network namespace, where it is the only one.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::{Command, Output};

use fedimeter::simulator::{Settings, Simulator};
use libtest_mimic::Trial;
use tokio::net::{TcpListener, UdpSocket};

use crate::support::program::Serving;
use crate::support::samples::{named, samples};
use crate::support::{http, trial};

/// Set when this program runs again in the namespace.
const INSIDE: &str = "FEDIMETER_TEST_NAMESPACE";
const HANGING: usize = 300;
const HEALTHY: [&str; 3] = ["one.up.example", "two.up.example", "three.up.example"];
const SCRAPES: usize = 3;

pub fn trials() -> Vec<Trial> {
    if std::env::var_os(INSIDE).is_some() {
        return vec![trial::always("inside", || {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            runtime.block_on(names_that_hang_hold_up_nobody());
        })];
    }
    let needs = in_namespace("true", &[]).map(drop);
    vec![trial::trial("names_that_hang_hold_up_nobody", needs, |()| {
        let program = std::env::current_exe().unwrap();
        let ran = in_namespace("exec \"$0\" \"$@\"", &[program.to_str().unwrap(), "names::inside"]);
        print!("{}", ran.unwrap());
    })]
}

/// Runs a shell command in a namespace with only the name server on loopback. Returns the
/// output or the error.
fn in_namespace(command: &str, args: &[&str]) -> Result<String, String> {
    let file = tempfile::NamedTempFile::new().map_err(|e| e.to_string())?;
    std::fs::write(file.path(), "nameserver 127.0.0.1\n").map_err(|e| e.to_string())?;
    let script = format!("ip link set lo up && mount --bind \"$RESOLV\" /etc/resolv.conf && {command}");
    let Output { status, stdout, stderr } = Command::new("unshare")
        .args(["--map-root-user", "--net", "--mount", "sh", "-c", &script])
        .args(args)
        .env("RESOLV", file.path())
        .env(INSIDE, "1")
        .output()
        .map_err(|e| format!("unshare: {e}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if status.success() {
        Ok(text(&stdout))
    } else {
        Err(format!("no namespace with a name server of ours: {}{}", text(&stdout), text(&stderr)))
    }
}

async fn names_that_hang_hold_up_nobody() {
    let udp = UdpSocket::bind("127.0.0.1:53").await.unwrap();
    let tcp = TcpListener::bind("127.0.0.1:53").await.unwrap();
    tokio::spawn(name_server(udp));
    let simulator = Simulator::start(Settings::default(), ([127, 0, 0, 1], 0).into()).await.unwrap();
    let port = simulator.url(0).rsplit_once(':').unwrap().1.trim_end_matches('/').to_owned();
    let mut yaml = "listen: 127.0.0.1:0\ntargets:\n".to_owned();
    for i in 0..HANGING {
        writeln!(yaml, "  - hang-{i}.example").unwrap();
    }
    for name in HEALTHY {
        writeln!(yaml, "  - http://{name}:{port}").unwrap();
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), yaml).unwrap();
    let bridge = Serving::start(&["serve", "--config", file.path().to_str().unwrap()], &[]);
    let url = format!("{}/metrics", bridge.url());
    let mut failed = BTreeSet::new();
    for scrape in 1..=SCRAPES {
        let get = http::client().get(&url).header("X-Prometheus-Scrape-Timeout-Seconds", "10");
        let shown = samples(&http::body(get).await);
        let up = named(&shown, "fedimeter_target_up");
        let up: BTreeSet<&str> =
            up.iter().filter(|s| s.value > 0.0).map(|s| &*s.labels["server_address"]).collect();
        assert_eq!(up, HEALTHY.into(), "scrape {scrape}");
        for sample in named(&shown, "fedimeter_endpoint_failures_total") {
            assert_eq!(sample.labels["error_type"], "dns", "{sample:?}");
            failed.insert(sample.labels["server_address"].clone());
        }
    }
    assert_eq!(failed.len(), HANGING, "the others are known to be away");
    drop(tcp);
}

/// Answers queries for healthy names, and no others. Over TCP it accepts connections, and
/// never answers.
async fn name_server(socket: UdpSocket) {
    let mut query = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut query).await {
        if let Some(answer) = answer(&query[..length]) {
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

/// The answer to a query with one question (RFC 1035, 4.1): loopback for A, nothing for
/// other types.
fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let question = query.get(12..)?;
    let end = question.iter().position(|byte| *byte == 0)? + 5;
    let question = question.get(..end)?;
    let has_label = |label: &[u8]| question.windows(label.len()).any(|window| window == label);
    if !has_label(b"\x02up\x07example") {
        return None;
    }
    let is_a = question[end - 4..end - 2] == [0, 1];
    // The id, flags of an authoritative response, one question, and at most one answer.
    let mut answer = [&query[..2], &[0x84, 0, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0], question].concat();
    if is_a {
        // The name of the question, A, IN, a minute, and four bytes.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
    }
    Some(answer)
}
