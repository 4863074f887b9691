//! Refreshes with simulated servers: the requests, their times, and the reported values.

use std::time::Duration;

use fedimeter::endpoint::Endpoint;
use fedimeter::metrics::{Number, rows};
use fedimeter::simulator::{Clock, Fault, Switches};
use fedimeter::target::{AccountRef, Token};

use crate::support::poll::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_version_says_what_it_has_and_nothing_else() {
    // Late on the day, when its activity has been computed.
    let simulator = simulator(|s| s.clock = Clock::Fixed(end_of_today())).await;
    let bench = Bench::of((0..4).map(|i| target(&simulator, i)).collect());
    let view = bench.refresh().await;
    for i in [V46, V42, V34, V24] {
        let truth = simulator.truth(i);
        let is = |name: &str, expected: Option<i64>| {
            assert_eq!(value(&view, i, name), expected, "{name} of {}", truth.version);
        };
        let from = |versions: &[usize], n: i64| versions.contains(&i).then_some(n);
        is("fedimeter.target.up", Some(1));
        is("mastodon.instance.users", Some(truth.users));
        is("mastodon.instance.statuses", Some(truth.statuses));
        is("mastodon.instance.domains", Some(truth.domains));
        is("mastodon.instance.active_users.month", from(&[V46, V42], truth.active_month));
        is("mastodon.instance.registrations.open", from(&[V46, V42, V34], truth.registrations_open.into()));
        is(
            "mastodon.instance.registrations.approval_required",
            from(&[V46, V42, V34], truth.approval_required.into()),
        );
        is("mastodon.instance.api_version", truth.api_version.map(i64::from));
        is("mastodon.instance.rules", from(&[V46, V42, V34], truth.rules as i64));
        is("mastodon.instance.limits.status_characters", from(&[V46, V42, V34], 500));
        is("nodeinfo.users", from(&[V46, V42, V34], truth.users));
        is("nodeinfo.local_posts", from(&[V46, V42, V34], truth.statuses));
        is("nodeinfo.active_users.month", from(&[V46, V42, V34], truth.active_month));
        is("nodeinfo.active_users.half_year", from(&[V46, V42, V34], truth.active_half_year));
        is("nodeinfo.local_comments", None);
        let rows = &truth.activity;
        let rolling = |n: u64| from(&[V46, V42], n as i64);
        let iso = |n: u64| from(&[V34, V24], n as i64);
        is("mastodon.instance.activity.day.statuses", rolling(rows[0].statuses));
        is("mastodon.instance.activity.day.logins", rolling(rows[0].logins));
        is("mastodon.instance.activity.day.registrations", rolling(rows[0].registrations));
        is("mastodon.instance.activity.six_day.statuses", rolling(rows[1].statuses));
        is("mastodon.instance.activity.six_day.logins", rolling(rows[1].logins));
        is("mastodon.instance.activity.six_day.registrations", rolling(rows[1].registrations));
        is("mastodon.instance.activity.week.statuses", iso(rows[0].statuses));
        is("mastodon.instance.activity.week.logins", iso(rows[0].logins));
        is("mastodon.instance.activity.last_week.registrations", iso(rows[1].registrations));
        is("mastodon.instance.activity.timestamp", Some(rows[0].week));
        is("mastodon.rate_limit.limit", Some(if i == V24 { 7500 } else { 300 }));
    }
    for (i, v2, nodeinfo) in [
        (V46, "ok", "ok"),
        (V42, "ok", "ok"),
        (V34, "not_offered", "ok"),
        (V24, "not_offered", "not_offered"),
    ] {
        assert_eq!(outcome(&view, i, Endpoint::InstanceV2), v2, "v2 of {i}");
        assert_eq!(outcome(&view, i, Endpoint::Nodeinfo), nodeinfo, "nodeinfo of {i}");
        assert_eq!(outcome(&view, i, Endpoint::InstanceV1), "ok", "v1 of {i}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn manners() {
    let simulator = simulator(|_| {}).await;
    let bench = Bench::of(vec![target(&simulator, V46)]);
    bench.refresh().await;
    for request in simulator.request_log() {
        let header = |name: &str| request.headers.get(name).map(|v| v.to_str().unwrap().to_owned());
        let agent = header("user-agent").unwrap();
        assert!(
            agent.starts_with(concat!("fedimeter/", env!("CARGO_PKG_VERSION"), " (+https://")),
            "{agent}"
        );
        assert_eq!(header("accept").as_deref(), Some("application/json"));
        assert!(header("accept-encoding").unwrap().contains("gzip"));
        assert_eq!(header("authorization"), None);
        assert_eq!(header("if-none-match"), None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_lives_for_its_lifetime_and_is_then_revalidated() {
    let simulator = simulator(|s| s.cache_headers = true).await;
    let bench = Bench::of(vec![target(&simulator, V46)]);
    let asked = |path: &str| simulator.requests(V46, path);
    bench.refresh().await;
    let view = bench.refresh().await;
    assert_eq!((asked("/api/v1/instance"), asked("/api/v2/instance"), asked("/nodeinfo/2.0")), (1, 1, 1));
    // max-age=300 is longer than a minute, so only the documents that show the server up
    // are requested again.
    let view_later = bench.after(70).await;
    assert_eq!((asked("/api/v1/instance"), asked("/api/v2/instance")), (1, 2));
    assert_eq!(value(&view, 0, "mastodon.instance.users"), value(&view_later, 0, "mastodon.instance.users"));
    let conditional =
        simulator.request_log().iter().filter(|r| r.headers.contains_key("if-none-match")).count();
    assert_eq!(conditional, 1, "the known ETag is sent");
    let view = bench.after(300).await;
    assert_eq!(asked("/api/v1/instance"), 2);
    assert_eq!(value(&view, 0, "mastodon.instance.users"), Some(simulator.truth(V46).users));
    assert_eq!(asked("/api/v1/instance/activity"), 1, "an hour is not over");
    bench.after(3600).await;
    assert_eq!(asked("/api/v1/instance/activity"), 2);
    assert_eq!(asked("/.well-known/nodeinfo"), 1, "a day is not over");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_makes_a_value_absent_at_once_and_alone() {
    let simulator = simulator(|_| {}).await;
    let bench = Bench::of(vec![target(&simulator, V46)]);
    bench.refresh().await;
    simulator.set_fault(V46, "/api/v1/instance", Some(Fault::Status(500)));
    let view = bench.after(60).await;
    assert_eq!(value(&view, 0, "mastodon.instance.users"), None);
    assert_eq!(outcome(&view, 0, Endpoint::InstanceV1), "http_5xx");
    assert_eq!(value(&view, 0, "fedimeter.target.up"), Some(1));
    assert_eq!(value(&view, 0, "nodeinfo.users"), Some(simulator.truth(V46).users));
    assert_eq!(
        value(&view, 0, "mastodon.instance.active_users.month"),
        Some(simulator.truth(V46).active_month)
    );
    simulator.set_fault(V46, "/api/v1/instance", None);
    let view = bench.after(60).await;
    assert_eq!(value(&view, 0, "mastodon.instance.users"), Some(simulator.truth(V46).users));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn collections_at_once_cause_one_request() {
    let simulator = simulator(|_| {}).await;
    simulator.set_fault(V46, "*", Some(Fault::Delay(Duration::from_millis(100))));
    let bench = Bench::of(vec![target(&simulator, V46)]);
    let all = futures_util::future::join_all((0..20).map(|_| bench.refresh())).await;
    for view in all {
        assert!(value(&view, 0, "mastodon.instance.users").is_some());
    }
    for path in [
        "/api/v1/instance",
        "/api/v2/instance",
        "/.well-known/nodeinfo",
        "/nodeinfo/2.0",
        "/api/v1/instance/activity",
    ] {
        assert_eq!(simulator.requests(V46, path), 1, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_target_delays_no_other_and_its_answers_come_later() {
    let simulator = simulator(|_| {}).await;
    simulator.set_fault(V42, "*", Some(Fault::Delay(Duration::from_millis(1500))));
    let bench = Bench::of(vec![target(&simulator, V42), target(&simulator, V46)]);
    let view = bench.refresher.refresh(Duration::from_millis(700)).await;
    assert_eq!(value(&view, 0, "mastodon.instance.users"), None, "not there at the deadline");
    assert_eq!(value(&view, 0, "fedimeter.target.up"), None, "and nothing is known yet");
    assert_eq!(value(&view, 1, "mastodon.instance.users"), Some(simulator.truth(V46).users));
    let view = bench.refresh().await;
    assert_eq!(value(&view, 0, "mastodon.instance.users"), Some(simulator.truth(V42).users));
    assert_eq!(simulator.requests(V42, "/api/v1/instance"), 1, "the late answer serves the next collection");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn up_is_never_older_than_a_minute() {
    let simulator = simulator(|s| s.cache_headers = true).await;
    let bench = Bench::of(vec![target(&simulator, V46)]);
    assert_eq!(value(&*bench.refresh().await, 0, "fedimeter.target.up"), Some(1));
    // By the headers, everything is still fresh, but the server is down.
    simulator.set_fault(V46, "*", Some(Fault::Reset));
    let view = bench.after(61).await;
    assert_eq!(value(&view, 0, "fedimeter.target.up"), Some(0));
    assert_eq!(value(&view, 0, "mastodon.instance.users"), None);
    simulator.set_fault(V46, "*", None);
    let view = bench.after(61).await;
    assert_eq!(value(&view, 0, "fedimeter.target.up"), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_that_is_no_server_any_more_is_down() {
    let simulator = simulator(|s| s.cache_headers = true).await;
    let bench = Bench::of(vec![target(&simulator, V46)]);
    bench.refresh().await;
    simulator.set_fault(V46, "*", Some(Fault::StatusHtml(404)));
    let view = bench.after(61).await;
    assert_eq!(value(&view, 0, "fedimeter.target.up"), Some(0));
    assert_eq!(outcome(&view, 0, Endpoint::InstanceV2), "http_4xx");
    assert_eq!(value(&view, 0, "nodeinfo.users"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_limited_server_is_left_alone() {
    let simulator = simulator(|_| {}).await;
    let bench = Bench::of(vec![target(&simulator, V46)]);
    bench.refresh().await;
    simulator.set_fault(V46, "/api/*", Some(Fault::RateLimited(Duration::from_secs(300))));
    let view = bench.after(60).await;
    assert_eq!(outcome(&view, 0, Endpoint::InstanceV2), "rate_limited");
    assert_eq!(value(&view, 0, "fedimeter.target.up"), Some(1), "NodeInfo has no limit");
    let asked = simulator.requests(V46, "/api/*");
    bench.after(60).await;
    bench.after(120).await;
    assert_eq!(simulator.requests(V46, "/api/*"), asked, "not asked before the time given");
    simulator.set_fault(V46, "/api/*", None);
    let view = bench.after(180).await;
    assert_eq!(outcome(&view, 0, Endpoint::InstanceV2), "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_offered_is_asked_for_again_after_hours() {
    let simulator = simulator(|_| {}).await;
    simulator.switch(V46, |s: &mut Switches| s.activity_api = false);
    let bench = Bench::of(vec![target(&simulator, V46)]);
    let view = bench.refresh().await;
    assert_eq!(outcome(&view, 0, Endpoint::Activity), "not_offered");
    bench.after(3600 * 5).await;
    assert_eq!(simulator.requests(V46, "/api/v1/instance/activity"), 1);
    simulator.switch(V46, |s: &mut Switches| s.activity_api = true);
    let view = bench.after(3600 * 2).await;
    assert_eq!(outcome(&view, 0, Endpoint::Activity), "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_token_is_shown_where_it_is_wanted_and_nowhere_else() {
    let simulator = simulator(|s| s.token = Some("the-secret".to_owned())).await;
    simulator.switch(V42, |s: &mut Switches| s.limited_federation = true);
    let mut with_token = target(&simulator, V42);
    with_token.token = Some(Token::new("the-secret"));
    let bench = Bench::of(vec![with_token, target(&simulator, V42)]);
    let view = bench.refresh().await;
    assert_eq!(outcome(&view, 0, Endpoint::InstanceV1), "ok");
    assert_eq!(outcome(&view, 1, Endpoint::InstanceV1), "unauthorized");
    assert_eq!(value(&view, 0, "mastodon.instance.users"), Some(simulator.truth(V42).users));
    assert_eq!(value(&view, 1, "mastodon.instance.users"), None);
    for request in simulator.request_log() {
        let shown = request.headers.contains_key("authorization");
        assert!(!shown || request.target.starts_with("/api/"), "{}", request.target);
    }
    let before = simulator.requests(V42, "/api/v1/instance");
    bench.after(60).await;
    assert_eq!(simulator.requests(V42, "/api/v1/instance") - before, 2, "remembered: one request each");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_lead_nowhere_else() {
    for (to, expected) in [
        ("http://169.254.169.254/latest/meta-data", "blocked_address"),
        ("http://10.0.0.1/", "blocked_address"),
        ("http://[::1]/", "blocked_address"),
        ("http://mastodon.example/api/v1/instance", "redirect"),
        ("ftp://art.localhost/", "redirect"),
        ("/api/v1/instance", "redirect"),
    ] {
        let simulator = simulator(|_| {}).await;
        let fault = Fault::Redirect { status: 302, to: to.to_owned() };
        simulator.set_fault(V46, "/api/v1/instance", Some(fault));
        let bench = Bench::of(vec![target(&simulator, V46)]);
        let view = bench.refresh().await;
        assert_eq!(outcome(&view, 0, Endpoint::InstanceV1), expected, "{to}");
        assert_eq!(value(&view, 0, "mastodon.instance.users"), None);
        assert_eq!(value(&view, 0, "fedimeter.target.up"), Some(1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_are_read_by_name_and_by_id() {
    let simulator = simulator(|_| {}).await;
    let known = simulator.truth(V46).accounts;
    let mut target = target(&simulator, V46);
    target.endpoints.push(Endpoint::Accounts);
    target.accounts = vec![
        AccountRef::Acct(known[0].username.as_str().into()),
        AccountRef::Id(known[1].id.as_str().into()),
        AccountRef::Acct("nobody".into()),
    ];
    let bench = Bench::of(vec![target]);
    let view = bench.refresh().await;
    let row = rows().find(|row| row.name == "mastodon.account.statuses").unwrap();
    let mut found = Vec::new();
    row.points(&reading(&view, 0), &mut |n, labels| found.push((n, format!("{:?}", labels[0].1))));
    let label = |text: &str| format!("Text({text:?})");
    assert_eq!(
        found,
        [
            (Number::Int(known[0].statuses), label(&known[0].username)),
            (Number::Int(known[1].statuses), label(&known[1].id)),
        ]
    );
    assert_eq!(outcome(&view, 0, Endpoint::Accounts), "ok");
}
