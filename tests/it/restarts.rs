//! The meanings of a 404: a server without a feature, or a gateway whose server restarts.

use std::collections::BTreeMap;
use std::sync::Arc;

use fedimeter::endpoint::Endpoint;
use fedimeter::simulator::{Simulator, TokenSpec};
use fedimeter::snapshot::View;
use fedimeter::target::{AccountRef, Target, Token};
use http::{HeaderMap, StatusCode};

use crate::support::poll::*;

const SECRET: &str = "a-token-of-the-test";

fn everything(simulator: &Simulator) -> Target {
    let mut target = target(simulator, V46);
    target.token = Some(Token::new(SECRET));
    target.accounts =
        simulator.truth(V46).accounts.iter().map(|a| AccountRef::Id(a.id.as_str().into())).collect();
    target.select_endpoints(&[
        Endpoint::Timelines,
        Endpoint::Peers,
        Endpoint::CustomEmojis,
        Endpoint::Health,
    ]);
    target
}

/// A simulator without rate limits, because its clock stands still, and all requests would
/// be in one window.
async fn unlimited() -> Simulator {
    simulator(|s| {
        s.tokens = vec![TokenSpec::everything(SECRET)];
        s.rate_limit = Some(1_000_000);
        s.paging_rate_limit = Some(1_000_000);
    })
    .await
}

fn outcomes(view: &Arc<View>) -> BTreeMap<&'static str, &'static str> {
    let slots = &reading(view, 0).snapshot.slots;
    slots.iter().map(|slot| (slot.endpoint.name(), outcome(view, 0, slot.endpoint))).collect()
}

/// The default answer of a gateway without a backend for a host.
fn gateway(simulator: &Simulator) {
    fault(simulator, "*", "status:404:plain");
}

fn fault(simulator: &Simulator, path: &str, fault: &str) {
    simulator.set_fault(V46, path, Some(fault.parse().unwrap()));
}

const DOCUMENTS: [&str; 4] =
    ["/api/v2/instance", "/api/v1/instance", "/nodeinfo/2.0", "/.well-known/nodeinfo"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_answers_404_silences_nothing_for_long() {
    // The outage begins at any second of a minute, with fresh and stale documents.
    for (cache_headers, before) in
        [(false, 10), (false, 50), (false, 3600), (true, 10), (true, 3600), (true, 6 * 3600)]
    {
        let simulator = simulator(|s| {
            s.cache_headers = cache_headers;
            s.tokens = vec![TokenSpec::everything(SECRET)];
        })
        .await;
        let bench = Bench::of(vec![everything(&simulator)]);
        let healthy = outcomes(&bench.refresh().await);
        gateway(&simulator);
        bench.after(before).await;
        bench.after(30).await;
        let during = outcomes(&bench.after(30).await);
        for (endpoint, outcome) in &during {
            let was = healthy[endpoint];
            assert!(
                *outcome != "not_offered" || was == "not_offered",
                "{before}: {endpoint} is {outcome}: {during:?}"
            );
        }
        simulator.set_fault(V46, "*", None);
        for _ in 0..3 {
            bench.after(60).await;
        }
        assert_eq!(outcomes(&bench.after(60).await), healthy, "{cache_headers} {before}");
    }
}

/// Faults of half a minute, and the maximum number of minutes until everything is as
/// before. At least some documents can always be read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_that_are_read_meanwhile_silence_nothing_for_long() {
    for (case, faults) in [
        (
            "behind a cache that is stale",
            vec![("*", "status:404:plain"), ("documents", "header:x-cached=STALE")],
        ),
        ("behind a cache", vec![("*", "status:404:plain"), ("documents", "header:x-cached=HIT")]),
        ("with the API behind a gateway of its own", vec![("/api/*", "status:404:plain")]),
        ("with a challenge before the API", vec![("/api/*", "html-challenge")]),
    ] {
        for before in [60, 3600] {
            let simulator = unlimited().await;
            let bench = Bench::of(vec![everything(&simulator)]);
            let healthy = outcomes(&bench.refresh().await);
            for (path, kind) in &faults {
                let paths = if *path == "documents" { DOCUMENTS.to_vec() } else { vec![*path] };
                for path in paths {
                    fault(&simulator, path, kind);
                }
            }
            bench.after(before).await;
            bench.after(30).await;
            for path in ["*", "/api/*"].into_iter().chain(DOCUMENTS) {
                simulator.set_fault(V46, path, None);
            }
            bench.after(60).await;
            assert_eq!(outcomes(&bench.after(60).await), healthy, "{case}, {before}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_document_does_not_show_that_a_server_is_there() {
    let simulator = simulator(|_| {}).await;
    gateway(&simulator);
    for path in DOCUMENTS {
        fault(&simulator, path, "header:x-cached=STALE");
    }
    let mut target = target(&simulator, V46);
    target.select_endpoints(&[Endpoint::Peers]);
    let bench = Bench::of(vec![target]);
    let found = outcomes(&bench.refresh().await);
    assert_eq!((found["instance_v1"], found["peers"], found["activity"]), ("ok", "http_4xx", "http_4xx"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_back_after_hours_is_asked_for_everything_at_once() {
    for kind in ["status:502:html", "status:404:plain", "reset"] {
        let simulator = unlimited().await;
        let bench = Bench::of(vec![everything(&simulator)]);
        let healthy = outcomes(&bench.refresh().await);
        fault(&simulator, "*", kind);
        // Eight hours and 20 minutes, of which the first are seen more closely.
        for wait in [300; 20].into_iter().chain([1200; 20]) {
            bench.after(wait).await;
        }
        simulator.set_fault(V46, "*", None);
        bench.after(60).await;
        assert_eq!(outcomes(&bench.after(60).await), healthy, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_does_not_have_is_not_offered_at_once() {
    let simulator = simulator(|_| {}).await;
    for path in ["/api/v1/instance/activity", "/api/v1/instance/peers"] {
        simulator.set_answer(V46, path, StatusCode::NOT_FOUND, HeaderMap::new(), "");
    }
    let mut target = target(&simulator, V46);
    target.select_endpoints(&[Endpoint::Peers, Endpoint::CustomEmojis]);
    let bench = Bench::of(vec![target]);
    let view = bench.refresh().await;
    let found = outcomes(&view);
    assert_eq!(
        (found["activity"], found["peers"], found["custom_emojis"]),
        ("not_offered", "not_offered", "ok")
    );
    // Both endpoints share one request for a document.
    let documents: usize = ["/api/v2/instance", "/api/v1/instance", "/nodeinfo/2.0"]
        .iter()
        .map(|path| simulator.requests(V46, path))
        .sum();
    assert_eq!(documents, 4);
    let asked = simulator.requests(V46, "/api/v1/instance/activity");
    for _ in 0..60 {
        bench.after(60).await;
    }
    assert_eq!(simulator.requests(V46, "/api/v1/instance/activity"), asked, "not within six hours");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_back_is_asked_again_for_what_it_did_not_have() {
    let simulator = simulator(|_| {}).await;
    let activity = "/api/v1/instance/activity";
    simulator.set_answer(V46, activity, StatusCode::NOT_FOUND, HeaderMap::new(), "");
    let bench = Bench::of(vec![target(&simulator, V46)]);
    assert_eq!(outcome(&*bench.refresh().await, 0, Endpoint::Activity), "not_offered");
    // An upgrade of the server.
    simulator.set_fault(V46, "*", Some("status:503".parse().unwrap()));
    bench.after(60).await;
    simulator.set_fault(V46, "*", None);
    simulator.remove_answer(V46, activity);
    bench.after(120).await;
    assert_eq!(outcome(&*bench.after(60).await, 0, Endpoint::Activity), "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_in_place_of_json_is_not_offered_where_a_document_is_read() {
    let simulator = simulator(|_| {}).await;
    for path in ["/api/v2/instance", "/api/v1/instance/activity"] {
        simulator.set_fault(V46, path, Some("html-challenge".parse().unwrap()));
    }
    let bench = Bench::of(vec![target(&simulator, V46)]);
    let found = outcomes(&bench.refresh().await);
    assert_eq!(
        (found["instance_v2"], found["activity"], found["instance_v1"]),
        ("not_offered", "not_offered", "ok")
    );
    simulator.set_fault(V46, "*", Some("html-challenge".parse().unwrap()));
    let found = outcomes(&bench.after(60).await);
    assert_eq!((found["instance_v1"], found["nodeinfo"]), ("decode", "decode"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn activity_that_is_the_instance_document_is_not_offered() {
    let simulator = simulator(|_| {}).await;
    let document = r#"{"uri":"a.example","title":"A","version":"4.0","stats":{"user_count":4}}"#;
    simulator.set_json(V46, "/api/v1/instance/activity", document);
    let bench = Bench::of(vec![target(&simulator, V46)]);
    assert_eq!(outcome(&*bench.refresh().await, 0, Endpoint::Activity), "not_offered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn robots_that_forbid_everything_leave_nothing_to_say() {
    let simulator = simulator(|_| {}).await;
    for rules in [
        "User-agent: *\nDisallow: /\n",
        "User-agent: *\nDisallow: /api/\nDisallow: /.well-known/nodeinfo\nDisallow: /nodeinfo/\n",
    ] {
        simulator.set_robots(V46, rules);
        let mut target = target(&simulator, V46);
        target.obey_robots = true;
        target.select_endpoints(&[]);
        let bench = Bench::of(vec![target]);
        let before = simulator.requests(V46, "*") - simulator.requests(V46, "/robots.txt");
        let view = bench.refresh().await;
        assert_eq!(value(&view, 0, "fedimeter.target.up"), None, "{rules}");
        for (endpoint, outcome) in outcomes(&view) {
            assert_eq!(
                outcome,
                if endpoint == "robots" { "ok" } else { "not_offered" },
                "{endpoint}: {rules}"
            );
        }
        let after = simulator.requests(V46, "*") - simulator.requests(V46, "/robots.txt");
        assert_eq!(after, before, "nothing is asked: {rules}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn robots_that_cannot_be_read_leave_nothing_to_say_until_they_can() {
    let simulator = simulator(|_| {}).await;
    fault(&simulator, "/robots.txt", "status:503");
    let mut target = target(&simulator, V46);
    target.obey_robots = true;
    target.select_endpoints(&[]);
    let bench = Bench::of(vec![target]);
    let view = bench.refresh().await;
    assert_eq!(value(&view, 0, "fedimeter.target.up"), None);
    let mut found = outcomes(&view);
    assert_eq!(found.remove("robots"), Some("http_5xx"));
    assert!(found.values().all(|outcome| *outcome == "not_offered"), "{found:?}");
    assert_eq!(simulator.requests(V46, "*"), simulator.requests(V46, "/robots.txt"));
    simulator.set_fault(V46, "/robots.txt", None);
    let view = bench.after(60).await;
    assert_eq!(value(&view, 0, "fedimeter.target.up"), Some(1));
    assert!(outcomes(&view).values().all(|outcome| *outcome == "ok"), "{:?}", outcomes(&view));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_cannot_be_reached_is_down_whatever_its_robots_would_say() {
    let simulator = simulator(|_| {}).await;
    let mut target = target(&simulator, V46);
    target.obey_robots = true;
    target.select_endpoints(&[]);
    simulator.shutdown().await;
    let view = Bench::of(vec![target]).refresh().await;
    assert_eq!(value(&view, 0, "fedimeter.target.up"), Some(0));
}
