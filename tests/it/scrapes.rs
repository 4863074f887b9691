//! Simultaneous scrapes, scrapes with little time, and cancelled scrapes.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::http;
use crate::support::program::Serving;
use crate::support::samples::{Sample, named, only, samples};
use fedimeter::simulator::{Fault, Settings, Simulator};

async fn simulator(instances: usize) -> Simulator {
    let settings = Settings { instances, ..Settings::default() };
    Simulator::start(settings, ([127, 0, 0, 1], 0).into()).await.unwrap()
}

fn bridge(simulator: &Simulator) -> Serving {
    let urls = simulator.urls();
    let targets: Vec<&str> = urls.iter().map(String::as_str).collect();
    Serving::start(&[&["serve", "--listen", "127.0.0.1:0"], &targets[..]].concat(), &[])
}

async fn scrape(bridge: &Serving, seconds: &str) -> Vec<Sample> {
    scrape_by(&http::client(), bridge, seconds).await
}

async fn scrape_by(client: &reqwest::Client, bridge: &Serving, seconds: &str) -> Vec<Sample> {
    let get = client.get(format!("{}/metrics", bridge.url()));
    samples(&http::body(get.header("X-Prometheus-Scrape-Timeout-Seconds", seconds)).await)
}

/// Earlier collections for Prometheus.
fn collections(shown: &[Sample]) -> u64 {
    let counts = named(shown, "fedimeter_collection_duration_seconds_count");
    counts.iter().find(|s| s.labels["fedimeter_exporter_name"] == "prometheus").map_or(0, |s| s.value as u64)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scrapes_that_come_together_share_a_collection() {
    let simulator = simulator(1).await;
    simulator.set_fault(0, "*", Some(Fault::Delay(Duration::from_secs(1))));
    let bridge = bridge(&simulator);
    let client = http::client();
    let all = futures_util::future::join_all((0..50).map(|_| scrape_by(&client, &bridge, "30"))).await;
    for shown in &all {
        assert_eq!(only(shown, "fedimeter_target_up"), Some(1.0));
    }
    // On a busy machine, some may come after the end of the first collection.
    let collections = collections(&scrape(&bridge, "30").await);
    assert!((1..=5).contains(&collections), "{collections} for 50 scrapes");
}

/// The short timeout of one client does not affect others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_scrape_has_its_own_deadline() {
    let simulator = simulator(2).await;
    simulator.set_fault(1, "*", Some(Fault::Delay(Duration::from_secs(1))));
    let bridge = bridge(&simulator);
    let began = Instant::now();
    let patient = async { (scrape(&bridge, "60").await, began.elapsed()) };
    let hasty = async { (scrape(&bridge, "0.6").await, began.elapsed()) };
    let ((all, long), (some, short)) = tokio::join!(patient, hasty);
    assert_eq!(named(&all, "mastodon_instance_users").len(), 2, "after {long:?}");
    assert_eq!(named(&all, "fedimeter_target_up").len(), 2);
    assert_eq!(named(&some, "fedimeter_target_up").len(), 1, "the slow one is not known yet");
    assert!(short < long, "{short:?} {long:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_is_made_for_clients_that_have_left() {
    let simulator = simulator(1).await;
    simulator.set_fault(0, "*", Some(Fault::Hang));
    let bridge = bridge(&simulator);
    let address = bridge.url().trim_start_matches("http://").to_owned();
    let leaving: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut client = TcpStream::connect(&address).unwrap();
            let timeout = "X-Prometheus-Scrape-Timeout-Seconds: 2";
            write!(client, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n{timeout}\r\n\r\n").unwrap();
            client
        })
        .collect();
    while simulator.requests(0, "*") == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(leaving);
    // Their time ends earlier.
    let shown = scrape(&bridge, "5").await;
    assert_eq!(collections(&shown), 0);
    assert_eq!(collections(&scrape(&bridge, "0.2").await), 1);
}
