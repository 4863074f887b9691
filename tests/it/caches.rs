//! Servers behind caches: which values of a cached answer count.

use fedimeter::endpoint::Endpoint;
use fedimeter::simulator::Simulator;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::support::poll::*;

/// A cached answer of an instance, with these headers and the exhausted rate limit of
/// another client.
fn cached(simulator: &Simulator, path: &str, body: &str, header: (&str, &str)) {
    let reset = jiff::Timestamp::from_second(simulator.now() + 240).unwrap().to_string();
    let lines = [
        ("content-type", "application/json"),
        ("x-ratelimit-limit", "300"),
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", &reset),
        header,
    ];
    let headers: HeaderMap = lines
        .iter()
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap()))
        .collect();
    simulator.set_answer(V46, path, StatusCode::OK, headers, body.to_owned());
}

const V2: &str = r#"{"domain":"a.example","version":"4.6.4","usage":{"users":{"active_month":7}}}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spent_rate_limit_of_a_cached_answer_is_another_clients() {
    for header in [
        ("x-cached", "HIT"),
        ("x-cached", "STALE"),
        ("x-cached", "UPDATING"),
        ("x-cached", "REVALIDATED"),
        ("cf-cache-status", "STALE"),
        ("cache-status", "\"Edge\"; hit"),
        ("x-cache-status", "HIT"),
        ("cdn-cache", "HIT"),
        ("age", "4"),
    ] {
        let simulator = simulator(|s| s.rate_limit = Some(1000)).await;
        cached(&simulator, "/api/v2/instance", V2, header);
        let mut target = target(&simulator, V46);
        target.endpoints = vec![Endpoint::InstanceV2, Endpoint::InstanceV1];
        let bench = Bench::of(vec![target]);
        let view = bench.refresh().await;
        assert_eq!(value(&view, 0, "mastodon.instance.active_users.month"), Some(7), "{header:?}");
        // The other document is not cached.
        assert_eq!(value(&view, 0, "mastodon.rate_limit.limit"), Some(1000), "{header:?}");
        let asked = simulator.requests(V46, "/api/*");
        bench.after(60).await;
        assert_eq!(simulator.requests(V46, "/api/*"), asked + 2, "{header:?}: the server is still asked");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spent_rate_limit_of_our_own_holds_until_it_is_reset() {
    let simulator = simulator(|_| {}).await;
    cached(&simulator, "/api/v2/instance", V2, ("x-cached", "MISS"));
    let mut target = target(&simulator, V46);
    target.endpoints = vec![Endpoint::InstanceV2];
    let bench = Bench::of(vec![target]);
    bench.refresh().await;
    bench.after(120).await;
    assert_eq!(simulator.requests(V46, "/api/*"), 1);
    bench.after(130).await;
    assert_eq!(simulator.requests(V46, "/api/*"), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rate_limit_is_that_of_the_api() {
    let simulator = simulator(|_| {}).await;
    let nodeinfo = r#"{"version":"2.0","software":{"name":"gotosocial","version":"0.20.0"},"usage":{"users":{"total":1}}}"#;
    cached(&simulator, "/nodeinfo/2.0", nodeinfo, ("server", "a limiter of its own"));
    let bench = Bench::of(vec![target(&simulator, V46)]);
    let view = bench.refresh().await;
    assert_eq!(outcome(&view, 0, Endpoint::Nodeinfo), "ok");
    let remaining = value(&view, 0, "mastodon.rate_limit.remaining");
    assert!(remaining.is_some_and(|left| left > 0), "{remaining:?}");
}
