//! Abuse of `/probe`: it reaches no private address, and its cost is limited.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fedimeter::simulator::Fault;
use futures_util::StreamExt;
use reqwest::StatusCode;
use tokio::net::TcpListener;

use crate::probe::{Bridge, HERE, simulator};
use crate::support::http;
use crate::support::samples::{named, only, samples};

/// A port that must not be reached, and the number of connections to it.
async fn private() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let reached = Arc::<AtomicUsize>::default();
    let count = reached.clone();
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    (port, reached)
}

/// An allowed name does not allow its private address.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_name_leads_to_a_private_address() {
    let (port, reached) = private().await;
    // The second setting allows the name, but not its address.
    for allow in ["'*'", "[.localhost, a.localhost, localhost, 10.0.0.0/8]"] {
        let bridge = Bridge::start(&format!("probe: {{enabled: true, allow: {allow}}}\n"));
        for target in ["localhost", "a.localhost", "deep.a.localhost", "LOCALHOST."] {
            let shown = bridge.probe(&format!("target=http://{target}:{port}")).await;
            assert_eq!(only(&shown, "fedimeter_target_up"), Some(0.0), "{target}");
            let report = bridge.ask(&format!("target=http://{target}:{port}&debug=true")).await.1;
            assert!(report.contains("blocked_address"), "{report}");
        }
        let addresses = [
            "127.0.0.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::127.0.0.1]",
            "0.0.0.0",
            "169.254.169.254",
            "192.168.0.1",
            "[64:ff9b::7f00:1]",
        ];
        for address in addresses {
            let (status, text) = bridge.ask(&format!("target=http://{address}:{port}")).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{address}: {text}");
        }
        // Other spellings of an address are invalid, or mean that address.
        for address in ["2130706433", "0x7f000001", "127.1", "0177.0.0.1", "127.0.0.1%2500"] {
            let (status, text) = bridge.ask(&format!("target=http://{address}:{port}")).await;
            assert!([StatusCode::FORBIDDEN, StatusCode::BAD_REQUEST].contains(&status), "{address}: {text}");
        }
    }
    assert_eq!(reached.load(Ordering::Relaxed), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_leads_elsewhere() {
    let simulator = simulator(3).await;
    let (port, reached) = private().await;
    for (i, to) in ["http://127.0.0.1", "http://other.localhost"].iter().enumerate() {
        let to = format!("{to}:{port}/");
        simulator.set_fault(i, "*", Some(Fault::Redirect { status: 302, to }));
    }
    let href = format!(
        r#"{{"links":[{{"rel":"http://nodeinfo.diaspora.software/ns/schema/2.0","href":"http://127.0.0.1:{port}/nodeinfo/2.0"}}]}}"#
    );
    simulator.set_json(2, "/.well-known/nodeinfo", href);
    // Even if the address itself may be probed.
    let bridge = Bridge::start(&format!("probe: {{enabled: true, allow: {HERE}}}\n"));
    for (i, up) in [(0, 0.0), (1, 0.0), (2, 1.0)] {
        let shown = bridge.probe(&format!("target={}", simulator.url(i))).await;
        assert_eq!(only(&shown, "fedimeter_target_up"), Some(up), "{i}");
        assert!(named(&shown, "nodeinfo_users").is_empty(), "{i}");
    }
    assert_eq!(reached.load(Ordering::Relaxed), 0);
}

/// Ten thousand names in a burst: each gets a response, and few targets are kept.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_names_is_bounded() {
    const NAMES: usize = 10_000;
    let bridge = Bridge::start(
        "probe: {enabled: true, max_targets: 100, max_concurrent: 32, max_waiting: 64}\nlisten_max_requests: 200\n",
    );
    let url = bridge.serving.url();
    let client = http::client();
    let ask = |i: usize| {
        let get = client.get(format!("{url}/probe?target=http://n{i}.localhost:1"));
        async move {
            let response = get.send().await.unwrap();
            let status = response.status();
            (status, response.text().await.unwrap())
        }
    };
    let answers: Vec<(StatusCode, String)> =
        futures_util::stream::iter(0..NAMES).map(ask).buffer_unordered(192).collect().await;
    let count = |status| answers.iter().filter(|(got, _)| *got == status).count();
    let (answered, busy) = (count(StatusCode::OK), count(StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(answered + busy, NAMES);
    assert!(answered > 500, "{answered} of {NAMES}");
    for (status, text) in &answers {
        match *status {
            StatusCode::OK => assert_eq!(only(&samples(text), "fedimeter_target_up"), Some(0.0)),
            _ => assert!(text.contains("at once and not this one"), "{text}"),
        }
    }
    bridge.keeps(100).await;
    let peak = bridge.serving.peak_memory();
    assert!(peak < 150 << 20, "{} MiB", peak >> 20);
    // Clients choose the names, so the log must not contain them.
    assert!(!bridge.serving.log().contains(".localhost"), "{:.2000}", bridge.serving.log());
}

/// Servers that never answer occupy a limited number of probes, and only for a limited
/// time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_servers_are_bounded() {
    const SLOW: usize = 40;
    let simulator = simulator(SLOW + 1).await;
    for i in 0..SLOW {
        simulator.set_fault(i, "*", Some(Fault::Hang));
    }
    let bridge = Bridge::start(&format!(
        "probe: {{enabled: true, allow: {HERE}, max_concurrent: 8, max_waiting: 4}}\ntimeout: 2s\n"
    ));
    let url = bridge.serving.url();
    let client = http::client();
    let ask = |i: usize| {
        let get = client.get(format!("{url}/probe?target={}", simulator.url(i)));
        let get = get.header("X-Prometheus-Scrape-Timeout-Seconds", "1");
        async move {
            let response = get.send().await.unwrap();
            let (status, retry) = (response.status(), response.headers().get("retry-after").cloned());
            (status, retry, response.text().await.unwrap())
        }
    };
    let began = Instant::now();
    let answers = futures_util::future::join_all((0..SLOW).map(ask)).await;
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let asked = (0..SLOW).filter(|i| simulator.requests(*i, "*") > 0).count();
    assert!((1..=8).contains(&asked), "{asked} were asked at once");
    let busy = answers.iter().filter(|(status, ..)| *status == StatusCode::SERVICE_UNAVAILABLE);
    let busy: Vec<_> = busy.collect();
    assert!(busy.len() >= SLOW - 8, "{}", busy.len());
    assert!(busy.iter().all(|(_, retry, _)| retry.is_some()));
    for (_, _, text) in answers.iter().filter(|(status, ..)| *status == StatusCode::OK) {
        assert_eq!(only(&samples(text), "fedimeter_target_up"), Some(0.0));
    }
    bridge.ended("busy", busy.len()).await;
    // After they have timed out, other servers get a turn.
    loop {
        let (status, _, text) = ask(SLOW).await;
        if status == StatusCode::OK && only(&samples(&text), "fedimeter_target_up") == Some(1.0) {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(90), "{status} {text}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
