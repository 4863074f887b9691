//! The health of the web and the streaming server: 0 if the server was asked and is
//! unhealthy, absent if it was not asked or has no health page.

use fedimeter::endpoint::Endpoint;
use fedimeter::simulator::Simulator;
use fedimeter::target::Target;
use serde_json::json;

use crate::support::poll::{Bench, V46, outcome, simulator, target, value};

fn with_health(simulator: &Simulator) -> Target {
    let mut target = target(simulator, V46);
    target.select_endpoints(&[Endpoint::Health]);
    target
}

async fn seen(target: Target) -> (Option<i64>, Option<i64>, &'static str) {
    let bench = Bench::of(vec![target]);
    // The second server has an instance document, which names the streaming server.
    bench.refresh().await;
    let view = bench.after(60).await;
    let up = |server: &str| value(&view, 0, &format!("mastodon.instance.{server}.up"));
    (up("web"), up("streaming"), outcome(&view, 0, Endpoint::Health))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_streaming_server_that_is_not_asked_is_absent() {
    let simulator = simulator(|_| {}).await;
    for streaming in ["wss://streaming.other.example", "wss://127.0.0.2", "ws://169.254.169.254:4000"] {
        let v2 = json!({"version": "4.6.4", "configuration": {"urls": {"streaming": streaming}}});
        simulator.set_json(V46, "/api/v2/instance", v2.to_string());
        assert_eq!(seen(with_health(&simulator)).await, (Some(1), None, "ok"), "{streaming}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_web_page_in_place_of_the_health_page_is_no_answer() {
    let simulator = simulator(|_| {}).await;
    simulator.set_fault(V46, "/health", Some("html-challenge".parse().unwrap()));
    assert_eq!(seen(with_health(&simulator)).await, (None, Some(1), "ok"));
    simulator.set_fault(V46, "/api/v1/streaming/health", Some("status:502:html".parse().unwrap()));
    assert_eq!(seen(with_health(&simulator)).await, (None, Some(0), "http_5xx"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_web_server_that_cannot_be_reached_is_not_up() {
    let simulator = simulator(|_| {}).await;
    for fault in ["status:502:html", "status:500"] {
        simulator.set_fault(V46, "/health", Some(fault.parse().unwrap()));
        assert_eq!(seen(with_health(&simulator)).await.0, Some(0), "{fault}");
    }
    // Nothing listens at the first address, and the second one does not support TLS.
    let tls = simulator.url(V46).replace("http://", "https://");
    for url in ["http://127.0.0.1:9", &tls] {
        let mut target = Target::new(url.parse().unwrap(), None, None, &[].into());
        target.select_endpoints(&[Endpoint::Health]);
        let (web, streaming, ended) = seen(target).await;
        assert_eq!((web, streaming), (Some(0), None), "{url}: {ended}");
        assert!(["connect", "tls"].contains(&ended), "{url}: {ended}");
    }
}
