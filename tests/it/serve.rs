//! The real program: `/metrics`, other paths, and the end of the bridge.

use crate::support::{http, pki};
use std::io::Read;
use std::time::{Duration, Instant};

use crate::support::otlp_sink::{Answer, GrpcSink, HttpSink, Options, SilentPort};
use crate::support::program::Serving;
use crate::support::samples::{Sample, named, only, samples};
use fedimeter::simulator::{ActivityRow, Fault, Settings, Simulator, Truth};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use reqwest::{Method, Response, StatusCode};

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores";
/// The client accepts UTF-8 in names, which include underscores.
const OPENMETRICS_UTF_8: &str =
    "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8";
/// The header of Prometheus 3.
const PROMETHEUS: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
    application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
    text/plain;version=0.0.4;q=0.3,*/*;q=0.2";

async fn simulator(change: impl FnOnce(&mut Settings)) -> Simulator {
    let mut settings = Settings { instances: 4, ..Settings::default() };
    change(&mut settings);
    Simulator::start(settings, ([127, 0, 0, 1], 0).into()).await.unwrap()
}

/// A bridge of these targets on a free port.
fn bridge(targets: &[&str], env: &[(&str, &str)]) -> Serving {
    Serving::start(&[&["serve", "--listen", "127.0.0.1:0"], targets].concat(), env)
}

async fn scrape(bridge: &Serving) -> Vec<Sample> {
    samples(&http::body(http::client().get(format!("{}/metrics", bridge.url()))).await)
}

fn header(response: &Response, name: reqwest::header::HeaderName) -> Option<&str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn formats_by_accept_and_accept_encoding() {
    let simulator = simulator(|_| {}).await;
    let bridge = bridge(&[&simulator.url(0)], &[]);
    let url = format!("{}/metrics", bridge.url());
    for (accept, content_type) in [
        (None, TEXT),
        (Some("*/*"), TEXT),
        (Some("text/plain"), TEXT),
        (Some("application/openmetrics-text"), OPENMETRICS),
        (Some("application/openmetrics-text;version=1.0.0,text/plain;q=0.5"), OPENMETRICS),
        (Some("application/openmetrics-text;q=0.1,text/plain;version=0.0.4"), TEXT),
        (Some(PROMETHEUS), OPENMETRICS_UTF_8),
        (Some("image/png"), TEXT),
    ] {
        for gzip in [false, true] {
            let mut get = http::client().get(&url);
            if let Some(accept) = accept {
                get = get.header(ACCEPT, accept);
            }
            if gzip {
                get = get.header(ACCEPT_ENCODING, "gzip");
            }
            let response = get.send().await.unwrap();
            assert_eq!(response.status(), StatusCode::OK, "{accept:?}");
            assert_eq!(header(&response, CONTENT_TYPE), Some(content_type), "{accept:?}");
            assert_eq!(header(&response, CONTENT_ENCODING), gzip.then_some("gzip"), "{accept:?}");
            assert_eq!(header(&response, VARY), Some("Accept, Accept-Encoding"));
            let body = response.bytes().await.unwrap();
            let mut text = String::new();
            if gzip {
                flate2::read::GzDecoder::new(&body[..]).read_to_string(&mut text).unwrap();
            } else {
                text = String::from_utf8(body.to_vec()).unwrap();
            }
            assert_eq!(text.ends_with("\n# EOF\n"), content_type != TEXT, "{accept:?}");
            assert!(only(&samples(&text), "mastodon_instance_users").is_some(), "{accept:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_and_methods() {
    let simulator = simulator(|_| {}).await;
    let (a, b) = (simulator.url(0), simulator.url(1));
    simulator.set_fault(1, "*", Some(Fault::Status(503)));
    let bridge = bridge(&[&a, &b], &[]);
    let url = bridge.url();
    let ask = |method: Method, path: &str| http::client().request(method, format!("{url}{path}")).send();
    let text = async |path: &str| ask(Method::GET, path).await.unwrap().text().await.unwrap();

    assert_eq!(text("/-/healthy").await, "fedimeter is healthy\n");
    while text("/-/ready").await != "fedimeter is ready\n" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The first collection sent requests.
    assert_eq!(simulator.requests(0, "/api/v2/instance"), 1, "health asks no server");
    let shown = samples(&text("/metrics").await);
    assert_eq!(named(&shown, "fedimeter_target_up").len(), 2);
    let asked = simulator.requests(0, "*");

    let page = text("/").await;
    for link in ["metrics", "-/healthy", "-/ready"] {
        assert!(page.contains(&format!("href=\"{link}\"")), "{link}: {page}");
    }
    for target in [&a, &b] {
        assert!(page.contains(target.as_str()), "{target}: {page}");
    }
    assert!(page.contains("server error") && page.contains("read"), "{page}");
    assert_eq!(simulator.requests(0, "*"), asked, "the page asks no server");

    for path in ["/", "/metrics", "/-/healthy", "/-/ready"] {
        let get = ask(Method::GET, path).await.unwrap();
        let head = ask(Method::HEAD, path).await.unwrap();
        assert_eq!(head.status(), StatusCode::OK, "{path}");
        assert_eq!(head.headers().get(CONTENT_TYPE), get.headers().get(CONTENT_TYPE), "{path}");
        assert_eq!(head.bytes().await.unwrap().len(), 0, "{path}");
        for method in [Method::POST, Method::PUT, Method::DELETE] {
            let refused = ask(method, path).await.unwrap();
            assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
            assert_eq!(refused.headers().get("allow").unwrap(), "GET,HEAD", "{path}");
            assert_eq!(
                refused.text().await.unwrap(),
                "only GET and HEAD, and POST for /-/reload\n",
                "{path}"
            );
        }
    }
    for path in ["/metrics/", "/nothing", "/-/", "/../etc/passwd"] {
        assert_eq!(ask(Method::GET, path).await.unwrap().status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scrape_answers_in_time_with_what_is_known() {
    let simulator = simulator(|_| {}).await;
    simulator.set_fault(1, "*", Some(Fault::Hang));
    let bridge = bridge(&[&simulator.url(0), &simulator.url(1)], &[]);
    let get = http::client().get(format!("{}/metrics", bridge.url()));
    let began = Instant::now();
    let text = http::body(get.header("X-Prometheus-Scrape-Timeout-Seconds", "1")).await;
    // Without the header it would take ten seconds.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let shown = samples(&text);
    let users = named(&shown, "mastodon_instance_users");
    assert_eq!(users.len(), 1);
    assert_eq!(users[0].labels["server_address"], "art.localhost");
    let up = named(&shown, "fedimeter_target_up");
    assert_eq!(up.len(), 1, "of the hanging one nothing is known yet: {up:?}");
    assert_eq!(only(&shown, "fedimeter_target_up"), Some(1.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scrapes_at_once_cause_one_request_an_endpoint() {
    let simulator = simulator(|_| {}).await;
    simulator.set_fault(0, "*", Some(Fault::Delay(Duration::from_millis(200))));
    let bridge = bridge(&[&simulator.url(0)], &[]);
    let all = futures_util::future::join_all((0..20).map(|_| scrape(&bridge))).await;
    for shown in &all {
        assert!(only(shown, "mastodon_instance_users").is_some());
        assert_eq!(only(shown, "fedimeter_target_up"), Some(1.0));
    }
    for path in [
        "/api/v2/instance",
        "/api/v1/instance",
        "/.well-known/nodeinfo",
        "/nodeinfo/2.0",
        "/api/v1/instance/activity",
    ] {
        assert_eq!(simulator.requests(0, path), 1, "{path}");
    }
    assert_eq!(simulator.requests(0, "*"), 5);
}

/// A name of an older exporter, and its value.
type Old = (&'static str, fn(&Truth) -> i64);

const DADA: [Old; 7] = [
    ("mastodon_user_count", |t| t.users),
    ("mastodon_status_count", |t| t.statuses),
    ("mastodon_domain_count", |t| t.domains),
    ("rmastodon_domain_count", |t| t.domains),
    ("mastodon_weekly_login", |t| t.activity[0].logins as i64),
    ("mastodon_weekly_statuses", |t| t.activity[0].statuses as i64),
    ("mastodon_weekly_registrations", |t| t.activity[0].registrations as i64),
];
const SYSTEMLI: [Old; 6] = [
    ("mastodon_users", |t| t.users),
    ("mastodon_statuses", |t| t.statuses),
    ("mastodon_domains", |t| t.domains),
    ("mastodon_weekly_logins", |t| t.activity[0].logins as i64),
    ("mastodon_weekly_statuses", |t| t.activity[0].statuses as i64),
    ("mastodon_weekly_registrations", |t| t.activity[0].registrations as i64),
];

/// Sets distinct numbers of an instance.
fn pin(simulator: &Simulator, i: usize) -> Truth {
    let mut truth = simulator.truth(i);
    (truth.users, truth.statuses, truth.domains) = (101, 202, 303);
    truth.activity[0] = ActivityRow { statuses: 404, logins: 505, registrations: 606, ..truth.activity[0] };
    simulator.set_truth(i, Some(truth.clone()));
    truth
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn older_names_have_the_older_values() {
    let simulator = simulator(|s| s.instances = 4).await;
    for i in 0..4 {
        let (truth, url) = (pin(&simulator, i), simulator.url(i));
        let dada = scrape(&bridge(&["--compat", "dada", &url], &[])).await;
        for (name, value) in DADA {
            let found = named(&dada, name);
            assert_eq!(found.len(), 1, "{name}");
            assert_eq!((found[0].value, found[0].labels.len()), (value(&truth) as f64, 0), "{name}");
        }
        let systemli =
            scrape(&bridge(&["--compat", "systemli", &url, &simulator.url((i + 1) % 4)], &[])).await;
        for (name, value) in SYSTEMLI {
            let host = simulator.host(i);
            let found = named(&systemli, name);
            assert_eq!(found.len(), 2, "{name}");
            let found = found.into_iter().find(|s| s.labels["host"] == host).unwrap();
            assert_eq!((found.value, found.labels.len()), (value(&truth) as f64, 1), "{name}");
        }
        assert!(
            only(&dada, "mastodon_users").is_none() && named(&systemli, "mastodon_user_count").is_empty()
        );
        assert_eq!(only(&dada, "mastodon_instance_users"), Some(101.0), "ours stand beside them");
    }
}

/// A number that is missing is absent, although an older exporter would report 0.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn older_names_without_the_older_zeros() {
    let simulator = simulator(|_| {}).await;
    pin(&simulator, 0);
    simulator.set_json(0, "/api/v1/instance/activity", r#"{"error":"no"}"#);
    simulator.set_json(
        0,
        "/api/v1/instance",
        r#"{"version":"4.6.0","stats":{"user_count":101,"domain_count":null}}"#,
    );
    for (compat, users, all) in
        [("dada", "mastodon_user_count", &DADA[..]), ("systemli", "mastodon_users", &SYSTEMLI)]
    {
        let shown = scrape(&bridge(&["--compat", compat, &simulator.url(0)], &[])).await;
        assert_eq!(only(&shown, users), Some(101.0));
        for (name, _) in all.iter().filter(|(name, _)| *name != users) {
            assert_eq!(only(&shown, name), None, "{name}");
        }
    }
}

/// Takahe has no logins, and Friendica reports 0 for hidden numbers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn older_names_without_zeros_that_mean_something_else() {
    let simulator = simulator(|_| {}).await;
    let week = simulator.now() - 86_400;
    let row = |week: i64| format!(r#"{{"week":"{week}","statuses":"4","logins":"0","registrations":"0"}}"#);
    let rows = format!("[{},{}]", row(week), row(week - 7 * 86_400));
    simulator.set_json(0, "/api/v1/instance/activity", rows);
    let nodeinfo = |software: &str, users: &str| {
        format!(r#"{{"software":{{"name":"{software}","version":"1"}},"usage":{{"users":{users}}}}}"#)
    };
    simulator.set_json(0, "/nodeinfo/2.0", nodeinfo("takahe", r#"{"total":3}"#));
    let shown = scrape(&bridge(&["--compat", "systemli", &simulator.url(0)], &[])).await;
    assert_eq!(only(&shown, "mastodon_weekly_statuses"), Some(4.0));
    assert_eq!(only(&shown, "mastodon_weekly_registrations"), Some(0.0), "a true zero");
    assert_eq!(only(&shown, "mastodon_weekly_logins"), None);

    simulator.set_json(0, "/nodeinfo/2.0", nodeinfo("friendica", "{}"));
    let stats = r#"{"version":"2.8.0 (compatible; Friendica 2024.12)","stats":{"user_count":0,"status_count":0,"domain_count":0}}"#;
    simulator.set_json(0, "/api/v1/instance", stats);
    let shown = scrape(&bridge(&["--compat", "dada", &simulator.url(0)], &[])).await;
    for name in
        ["mastodon_user_count", "mastodon_status_count", "mastodon_domain_count", "rmastodon_domain_count"]
    {
        assert_eq!(only(&shown, name), None, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_comes_within_seconds_whatever_hangs() {
    let simulator = simulator(|_| {}).await;
    simulator.set_fault(1, "*", Some(Fault::Hang));
    let (grpc, http_sink, silent) =
        (GrpcSink::start().await, HttpSink::start().await, SilentPort::start().await);
    grpc.answer_always(Answer::Hang);
    http_sink.answer_always(Answer::Hang);
    let silent = format!("http://{}", silent.address);
    let receivers = [
        (grpc.endpoint(), "grpc", Some(&*grpc)),
        (http_sink.endpoint(), "http/protobuf", Some(&*http_sink)),
        (silent.clone(), "grpc", None),
        (silent, "http/protobuf", None),
    ];
    let mut ends = Vec::new();
    for (i, (endpoint, protocol, sink)) in receivers.iter().enumerate() {
        let env = [("OTEL_EXPORTER_OTLP_ENDPOINT", &**endpoint), ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)];
        let bridge = bridge(&[&simulator.url(0)], &env);
        let url = bridge.url();
        // An export is running, and a scrape by a client that never disconnects.
        if let Some(sink) = sink {
            sink.wait_for(1).await;
        }
        scrape(&bridge).await;
        let client = http::client();
        let kept = client.get(format!("{url}/metrics")).send().await.unwrap();
        let signal = if i % 2 == 0 { "TERM" } else { "INT" };
        ends.push((
            protocol,
            tokio::task::spawn_blocking(move || {
                let ended = bridge.end(signal);
                drop(kept);
                ended
            }),
        ));
    }
    // A hanging target does not delay the end.
    let hanging = bridge(&[&simulator.url(1)], &[]);
    let url = format!("{}/metrics", hanging.url());
    let under_way = tokio::spawn(async move { http::client().get(url).send().await.is_ok() });
    while simulator.requests(1, "*") == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    ends.push((&"pull", tokio::task::spawn_blocking(move || hanging.end("TERM"))));
    for (which, end) in ends {
        let (status, took) = end.await.unwrap();
        assert_eq!(status, Some(0), "{which}");
        assert!(took < Duration::from_secs(6), "{which}: {took:?}");
    }
    under_way.await.unwrap();
}

/// This server is not trusted. The reason is reported, and so is the end of its
/// certificate.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_certificate_is_reported_even_when_it_is_refused() {
    let pki = pki::Pki::new();
    let server = HttpSink::start_with(Options { tls: Some(pki.server.clone()), ..Options::default() }).await;
    let end = certificate_end(&pki.server.0);
    let bridge = bridge(&[&server.endpoint()], &[]);
    let shown = scrape(&bridge).await;
    assert_eq!(only(&shown, "fedimeter_target_up"), Some(0.0));
    assert_eq!(only(&shown, "fedimeter_target_certificate_expiry_timestamp_seconds"), Some(end as f64));
    let failures = named(&shown, "fedimeter_endpoint_failures_total");
    assert_eq!(failures.len(), 5);
    for failure in failures {
        assert_eq!((failure.labels["error_type"].as_str(), failure.value), ("tls", 1.0), "{failure:?}");
    }
    assert!(server.requests().is_empty());
}

fn certificate_end(pem: &str) -> i64 {
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
    pem.parse_x509().unwrap().validity().not_after.timestamp()
}
