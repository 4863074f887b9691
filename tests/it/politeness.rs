//! The limits of servers are respected: times in answers, exhausted rate limits, and
//! growing waits.

use std::collections::BTreeMap;

use fedimeter::endpoint::Endpoint;
use fedimeter::simulator::Simulator;
use fedimeter::snapshot::View;
use fedimeter::target::{AccountRef, Target};
use http::{HeaderMap, HeaderName, StatusCode};

use crate::support::poll::*;

/// A target with all endpoints that need no token.
fn public(simulator: &Simulator) -> Target {
    let mut target = target(simulator, V46);
    target.accounts =
        simulator.truth(V46).accounts.iter().map(|a| AccountRef::Id(a.id.as_str().into())).collect();
    target.select_endpoints(&[
        Endpoint::Timelines,
        Endpoint::Peers,
        Endpoint::DomainBlocks,
        Endpoint::CustomEmojis,
    ]);
    target
}

fn answer(simulator: &Simulator, path: &str, status: u16, headers: &[(&str, &str)]) {
    let headers: HeaderMap =
        headers.iter().map(|(k, v)| (k.parse::<HeaderName>().unwrap(), v.parse().unwrap())).collect();
    simulator.set_answer(V46, path, StatusCode::from_u16(status).unwrap(), headers, "");
}

/// The endpoints below `/api` that are not documents, with their outcomes.
fn rest(view: &View) -> BTreeMap<&'static str, &'static str> {
    let slots = &reading(view, 0).snapshot.slots;
    let rest = slots.iter().filter(|s| s.endpoint.is_under_api() && !s.endpoint.shows_up());
    rest.map(|s| (s.endpoint.name(), outcome(view, 0, s.endpoint))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_429_nothing_more_of_the_api_is_asked_for_in_this_run() {
    let simulator = simulator(|_| {}).await;
    for path in ["/api/v1/instance", "/api/v2/instance"] {
        answer(&simulator, path, 429, &[("retry-after", "300")]);
    }
    let bench = Bench::of(vec![public(&simulator)]);
    let view = bench.refresh().await;
    assert!(simulator.requests(V46, "/api/*") <= 2, "what was under way already");
    assert_eq!(outcome(&view, 0, Endpoint::Nodeinfo), "ok", "it is not below /api");
    for (endpoint, outcome) in rest(&view) {
        assert_eq!(outcome, "rate_limited", "{endpoint}");
    }
    let reason = reading(&view, 0).slot(Endpoint::Peers).unwrap().reason().unwrap().to_owned();
    assert!(reason.starts_with("not requested: the rate limit of /api is used up"), "{reason}");
    for path in ["/api/v1/instance", "/api/v2/instance"] {
        simulator.remove_answer(V46, path);
    }
    let asked = simulator.requests(V46, "/api/*");
    bench.after(290).await;
    assert_eq!(simulator.requests(V46, "/api/*"), asked);
    let view = bench.after(15).await;
    for (endpoint, outcome) in rest(&view) {
        assert!(["ok", "not_offered"].contains(&outcome), "{endpoint}: {outcome}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_request_of_a_window_is_the_last() {
    let simulator = simulator(|s| s.rate_limit = Some(4)).await;
    let bench = Bench::of(vec![public(&simulator)]);
    let view = bench.refresh().await;
    // Two requests run simultaneously, so the order of the last two answers may change.
    assert!(simulator.requests(V46, "/api/*") <= 5, "{}", simulator.requests(V46, "/api/*"));
    let limited = rest(&view).into_values().filter(|outcome| *outcome == "rate_limited").count();
    assert!(limited >= 3, "{:?}", rest(&view));
    assert_eq!(value(&view, 0, "fedimeter.target.up"), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_endpoint_is_asked_before_the_time_that_it_gave() {
    for path in [
        "/.well-known/nodeinfo",
        "/nodeinfo/2.0",
        "/api/v1/instance",
        "/api/v2/instance",
        "/api/v1/instance/activity",
        "/api/v1/instance/peers",
        "/health",
    ] {
        for status in [429, 503, 500, 403, 404] {
            let simulator = simulator(|_| {}).await;
            answer(&simulator, path, status, &[("retry-after", "1000")]);
            let mut target = public(&simulator);
            target.endpoints.push(Endpoint::Health);
            let bench = Bench::of(vec![target]);
            bench.refresh().await;
            let asked = simulator.requests(V46, path);
            assert!(asked > 0, "{path} {status}");
            // An endpoint that is due stays due until the next collection.
            for seconds in [60, 240, 660] {
                bench.after(seconds).await;
            }
            assert_eq!(simulator.requests(V46, path), asked, "{path} {status}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_discovery_that_fails_backs_off_beside_documents_that_are_read() {
    let simulator = simulator(|_| {}).await;
    answer(&simulator, "/.well-known/nodeinfo", 500, &[]);
    let bench = Bench::of(vec![target(&simulator, V46)]);
    let mut asked_after = Vec::new();
    for minute in 0..130 {
        let before = simulator.requests(V46, "/.well-known/nodeinfo");
        if minute == 0 {
            bench.refresh().await
        } else {
            bench.after(60).await
        };
        if simulator.requests(V46, "/.well-known/nodeinfo") > before {
            asked_after.push(minute);
        }
    }
    assert_eq!(asked_after, [0, 1, 3, 7, 15, 30, 59, 117]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_stays_where_it_was_found_while_discovery_fails() {
    let simulator = simulator(|_| {}).await;
    let bench = Bench::of(vec![target(&simulator, V46)]);
    bench.refresh().await;
    answer(&simulator, "/.well-known/nodeinfo", 500, &[]);
    let view = bench.after(86_400).await;
    assert_eq!(outcome(&view, 0, Endpoint::NodeinfoDiscovery), "http_5xx");
    assert_eq!(outcome(&view, 0, Endpoint::Nodeinfo), "ok");
    assert!(value(&view, 0, "nodeinfo.users").is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_that_has_moved_is_looked_for_ever_more_seldom() {
    let simulator = simulator(|_| {}).await;
    let bench = Bench::of(vec![target(&simulator, V46)]);
    bench.refresh().await;
    // The document fails, and the discovery still names it.
    answer(&simulator, "/nodeinfo/2.0", 500, &[]);
    for _ in 0..120 {
        bench.after(60).await;
    }
    let searches = simulator.requests(V46, "/.well-known/nodeinfo") - 1;
    assert!((6..=8).contains(&searches), "{searches} in two hours");
    // The document moves.
    let links = format!(
        r#"{{"links":[{{"rel":"http://nodeinfo.diaspora.software/ns/schema/2.1","href":"{}/nodeinfo/2.1"}}]}}"#,
        simulator.url(V46)
    );
    simulator.set_json(V46, "/.well-known/nodeinfo", links);
    simulator.set_json(
        V46,
        "/nodeinfo/2.1",
        r#"{"version":"2.1","software":{"name":"mastodon","version":"4.6.4"},"usage":{"users":{"total":5}}}"#,
    );
    let view = bench.after(2 * 3600).await;
    assert_eq!(value(&view, 0, "nodeinfo.users"), Some(5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_nodeinfo_alone_is_found_up_within_a_minute() {
    let simulator = simulator(|_| {}).await;
    for path in ["/api/v1/instance", "/api/v2/instance"] {
        answer(&simulator, path, 404, &[]);
    }
    answer(&simulator, "/.well-known/nodeinfo", 502, &[]);
    let bench = Bench::of(vec![target(&simulator, V46)]);
    for _ in 0..300 {
        bench.after(60).await;
    }
    simulator.remove_answer(V46, "/.well-known/nodeinfo");
    let view = bench.after(60).await;
    assert_eq!(value(&view, 0, "fedimeter.target.up"), Some(1));
}

/// Epicyon handles one request at a time, and answers the second with 503.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_handles_one_request_at_a_time_is_asked_again_alone() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    let busy = Arc::new(AtomicUsize::new(0));
    let handler = move |uri: http::Uri| {
        let busy = busy.clone();
        async move {
            if busy.fetch_add(1, Ordering::SeqCst) > 0 {
                busy.fetch_sub(1, Ordering::SeqCst);
                return (StatusCode::SERVICE_UNAVAILABLE, String::new());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            busy.fetch_sub(1, Ordering::SeqCst);
            match uri.path() {
                "/api/v1/instance" => {
                    (StatusCode::OK, r#"{"version":"4.6.4","stats":{"user_count":3}}"#.to_owned())
                }
                "/api/v2/instance" => {
                    (StatusCode::OK, r#"{"version":"4.6.4","usage":{"users":{"active_month":2}}}"#.to_owned())
                }
                _ => (StatusCode::NOT_FOUND, String::new()),
            }
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(handler)).await });
    let bench = Bench::of(vec![Target::new(url, None, None, &BTreeMap::new())]);
    let view = bench.refresh().await;
    assert_eq!(value(&view, 0, "mastodon.instance.users"), Some(3));
    assert_eq!(value(&view, 0, "mastodon.instance.active_users.month"), Some(2));
}
