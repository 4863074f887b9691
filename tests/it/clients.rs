//! Hostile clients, and the responses of a good client meanwhile.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::http;
use crate::support::program::{PATIENCE, Serving};
use crate::support::samples::{named, only, samples};
use fedimeter::simulator::{Settings, Simulator};

/// More than the limit of `fedimeter::config::Limits`.
const MANY: usize = 300;

async fn simulator() -> Simulator {
    Simulator::start(Settings::default(), ([127, 0, 0, 1], 0).into()).await.unwrap()
}

fn bridge(simulator: &Simulator, flags: &[&str]) -> Serving {
    let url = simulator.url(0);
    Serving::start(&[&["serve", "--listen", "127.0.0.1:0"], flags, &[&url]].concat(), &[])
}

/// Sends these bytes. Returns the answer until the bridge closes the connection.
fn raw(bridge: &Serving, request: &str) -> String {
    let mut stream = connect(bridge);
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn connect(bridge: &Serving) -> TcpStream {
    TcpStream::connect(bridge.url().strip_prefix("http://").unwrap().trim_end_matches('/')).unwrap()
}

fn asking(hosts: &[&str]) -> String {
    let hosts: Vec<String> = hosts.iter().map(|host| format!("Host: {host}\r\n")).collect();
    format!("GET /metrics HTTP/1.1\r\n{}Connection: close\r\n\r\n", hosts.concat())
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loopback_listener_answers_to_the_names_that_it_is_given() {
    let simulator = simulator().await;
    let (usual, given) = (bridge(&simulator, &[]), bridge(&simulator, &["--listen-host", "*.example.org"]));
    tokio::task::spawn_blocking(move || {
        for (host, of_usual, of_given) in [
            ("localhost", "200", "200"),
            ("127.0.0.1:9464", "200", "200"),
            ("metrics.example.org", "421", "200"),
            ("evil.example", "421", "421"),
        ] {
            assert_eq!(status(&raw(&usual, &asking(&[host]))), of_usual, "{host}");
            assert_eq!(status(&raw(&given, &asking(&[host]))), of_given, "{host}");
        }
        let refused = raw(&usual, &asking(&["evil.example"]));
        assert!(refused.contains("host name evil.example") && refused.contains("listen_hosts"), "{refused}");
        usual.line(|line| line.contains("metrics.example.org was refused").then_some(()));
        assert_eq!(status(&raw(&usual, &asking(&[]))), "400");
        assert_eq!(status(&raw(&usual, &asking(&["localhost", "localhost"]))), "400");
        let metrics = raw(&usual, &asking(&["localhost"]));
        assert!(metrics.to_ascii_lowercase().contains("x-content-type-options: nosniff"));
    })
    .await
    .unwrap();
}

/// Each client holds a connection indefinitely.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_sent_requests_keep_no_one_out() {
    let simulator = simulator().await;
    let bridge = bridge(&simulator, &[]);
    let url = format!("{}/metrics", bridge.url());
    let client = http::client();
    assert_eq!(only(&samples(&http::body(client.get(&url)).await), "fedimeter_target_up"), Some(1.0));
    let mut held = Vec::new();
    for _ in 0..MANY {
        let mut stream = connect(&bridge);
        // The bridge may have closed the connection already.
        let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: local");
        held.push(stream);
    }
    let shown = samples(&http::body(http::client().get(&url)).await);
    assert_eq!(only(&shown, "fedimeter_target_up"), Some(1.0));
    has_reached(&bridge, "connections").await;
}

/// Waits until the bridge reports that clients reached a limit. Its own metrics may be a
/// second old.
async fn has_reached(bridge: &Serving, limit: &str) {
    for _ in 0..300 {
        let shown = samples(&http::body(http::client().get(format!("{}/metrics", bridge.url()))).await);
        let reached = named(&shown, "fedimeter_client_limits_reached_total");
        if reached.iter().any(|s| s.labels["fedimeter_limit_name"] == limit && s.value >= 1.0) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the limit {limit} was not reached");
}

/// The clients request a page, and never read it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_read_nothing_keep_no_one_out() {
    let simulator = simulator().await;
    let bridge = bridge(&simulator, &[]);
    let mut held = Vec::new();
    for _ in 0..MANY {
        let mut stream = connect(&bridge);
        let _ = stream.write_all(asking(&["localhost"]).replace("Connection: close\r\n", "").as_bytes());
        held.push(stream);
    }
    let shown = samples(&http::body(http::client().get(format!("{}/metrics", bridge.url()))).await);
    assert_eq!(only(&shown, "fedimeter_target_up"), Some(1.0));
}

/// With the default limits, all clients would wait longer than the test.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_are_those_of_the_configuration() {
    const LIMITS: &str = "listen_max_connections: 4\nlisten_idle_timeout: 1s\n";
    let simulator = simulator().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("f.yaml");
    std::fs::write(&file, format!("listen: 127.0.0.1:0\n{LIMITS}targets: ['{}']\n", simulator.url(0)))
        .unwrap();
    let bridge = Serving::start(&["serve", "--config", file.to_str().unwrap()], &[]);
    let mut idle = connect(&bridge);
    idle.set_read_timeout(Some(PATIENCE)).unwrap();
    let closed = tokio::task::spawn_blocking(move || {
        let request =
            asking(&["localhost"]).replace("Connection: close\r\n", "").replace("/metrics", "/-/healthy");
        idle.write_all(request.as_bytes()).unwrap();
        idle.read_to_end(&mut Vec::new())
    });
    assert!(closed.await.unwrap().is_ok(), "a connection that nobody uses is closed");
    let held: Vec<TcpStream> = (0..8).map(|_| connect(&bridge)).collect();
    for limit in ["idle_timeout", "connections"] {
        has_reached(&bridge, limit).await;
    }
    drop(held);
}
