//! A bridge with few file descriptors: its lack never counts as a failure of servers.

use std::net::TcpStream;
use std::process::Command;

use fedimeter::simulator::{Settings, Simulator};
use serde_json::Value;

use crate::support::program::{Ran, Serving, fedimeter, finish};
use crate::support::{http, samples};

const SERVERS: usize = 6;

async fn simulator() -> Simulator {
    let settings = Settings { instances: SERVERS, versions: vec!["4.6.4".to_owned()], ..Settings::default() };
    Simulator::start(settings, ([127, 0, 0, 1], 0).into()).await.unwrap()
}

/// The program with this limit on descriptors.
fn limited(descriptors: usize, args: &[&str]) -> Command {
    let program = fedimeter().get_program().to_owned();
    let mut command = Command::new("/bin/sh");
    command.env_clear().arg("-c").arg(format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"")).arg(program);
    command.args(args);
    command
}

/// The targets of `once --format json`; `None` if the program could not start.
fn targets(ran: &Ran) -> Option<Vec<Value>> {
    let printed: Value = serde_json::from_str(&ran.out).ok()?;
    Some(printed.as_array().or_else(|| printed["targets"].as_array()).unwrap().clone())
}

fn outcomes(target: &Value) -> Vec<String> {
    let endpoints = target["endpoints"].as_array().unwrap();
    endpoints.iter().map(|endpoint| endpoint["outcome"].as_str().unwrap_or("none").to_owned()).collect()
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_bridge_lacks_is_its_own_failure_at_every_limit() {
    let simulator = simulator().await;
    let urls = simulator.urls();
    let args: Vec<&str> =
        ["once", "--format", "json"].into_iter().chain(urls.iter().map(String::as_str)).collect();
    let (mut lacking, mut sufficing) = (0, 0);
    for descriptors in 4..40 {
        let ran = finish(limited(descriptors, &args));
        let Some(targets) = targets(&ran) else { continue };
        for target in &targets {
            let outcomes = outcomes(target);
            assert_ne!(target["up"], Value::Bool(false), "{descriptors}: {target:#}\n{}", ran.err);
            assert!(outcomes.iter().all(|o| ["ok", "local"].contains(&&**o)), "{descriptors}: {target:#}");
            lacking += usize::from(outcomes.iter().any(|outcome| outcome == "local"));
            sufficing += usize::from(outcomes.iter().all(|outcome| outcome == "ok"));
        }
        let told = ran.err.lines().filter(|line| line.contains("servers cannot be asked")).count();
        assert!(told <= 1, "{descriptors}: {}", ran.err);
    }
    assert!(lacking > 0 && sufficing > 0, "{lacking} lacked, {sufficing} sufficed");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_clients_make_no_server_look_down() {
    let simulator = simulator().await;
    let urls = simulator.urls();
    let args: Vec<&str> =
        ["serve", "--listen", "127.0.0.1:0"].into_iter().chain(urls.iter().map(String::as_str)).collect();
    let bridge = Serving::with(&mut limited(64, &args));
    let (client, url) = (http::client(), bridge.url());
    // A connection from before the others.
    http::body(client.get(format!("{url}/-/healthy"))).await;
    let address = url.trim_start_matches("http://").to_owned();
    let _idle: Vec<TcpStream> = (0..80).filter_map(|_| TcpStream::connect(&address).ok()).collect();
    let shown = samples::samples(&http::body(client.get(format!("{url}/metrics"))).await);
    for name in ["fedimeter_target_up", "fedimeter_endpoint_up"] {
        assert!(samples::named(&shown, name).iter().all(|sample| sample.value > 0.0), "{shown:#?}");
    }
    let failures = samples::named(&shown, "fedimeter_endpoint_failures_total");
    assert!(failures.iter().all(|sample| sample.labels["error_type"] == "local"), "{failures:#?}");
    let lines = bridge.log().lines().filter(|line| line.contains("servers cannot be asked")).count();
    assert!(lines <= 1, "{}", bridge.log());
}

/// Connections are kept as far as there is room for them, and for the requests.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_with_more_servers_than_descriptors_is_read() {
    const FLEET: usize = 400;
    let settings = Settings { instances: FLEET, versions: vec!["4.6.4".to_owned()], ..Settings::default() };
    let simulator = Simulator::start(settings, ([127, 0, 0, 1], 0).into()).await.unwrap();
    let urls = simulator.urls();
    let args: Vec<&str> =
        ["serve", "--listen", "127.0.0.1:0"].into_iter().chain(urls.iter().map(String::as_str)).collect();
    let bridge = Serving::with(&mut limited(160, &args));
    let url = bridge.url();
    let metrics = || http::client().get(format!("{url}/metrics"));
    for _ in 0..2 {
        let page = http::body(metrics().header("x-prometheus-scrape-timeout-seconds", "60")).await;
        let shown = samples::samples(&page);
        let up = samples::named(&shown, "fedimeter_target_up");
        assert!(up.len() == FLEET && up.iter().all(|sample| sample.value > 0.0), "{} are shown", up.len());
        assert_eq!(samples::named(&shown, "fedimeter_endpoint_failures_total").len(), 0);
    }
    assert!(!bridge.log().contains("servers cannot be asked"), "{}", bridge.log());
    drop(bridge);

    let mut once = vec!["once", "--format", "json", "--deadline", "60s"];
    once.extend(urls.iter().map(String::as_str));
    let ran = finish(limited(160, &once));
    let targets = targets(&ran).unwrap();
    let is_read = |target: &Value| outcomes(target).iter().all(|outcome| outcome == "ok");
    assert_eq!(targets.iter().filter(|target| is_read(target)).count(), FLEET, "{}", ran.err);
}

/// If all descriptors are in use, the connections that have waited longest are closed.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_idle_clients_keeps_nobody_out() {
    let simulator = simulator().await;
    let urls = simulator.urls();
    let args: Vec<&str> =
        ["serve", "--listen", "127.0.0.1:0"].into_iter().chain(urls.iter().map(String::as_str)).collect();
    let bridge = Serving::with(&mut limited(64, &args));
    let url = bridge.url();
    let address = url.trim_start_matches("http://").to_owned();
    let _idle: Vec<TcpStream> = (0..200).filter_map(|_| TcpStream::connect(&address).ok()).collect();
    for _ in 0..3 {
        let shown = samples::samples(&http::body(http::client().get(format!("{url}/metrics"))).await);
        let up = samples::named(&shown, "fedimeter_target_up");
        assert!(up.len() == SERVERS && up.iter().all(|sample| sample.value > 0.0), "{up:#?}");
        assert_eq!(samples::named(&shown, "fedimeter_endpoint_failures_total").len(), 0);
        let reached = samples::named(&shown, "fedimeter_client_limits_reached_total");
        let connections = reached.iter().find(|s| s.labels["fedimeter_limit_name"] == "connections").unwrap();
        assert!(connections.value > 100.0, "{reached:#?}");
    }
    assert!(!bridge.log().contains("cannot accept connections"), "{}", bridge.log());
}
