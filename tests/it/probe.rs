//! `/probe`: the metrics of one server that a client names.

use std::collections::BTreeSet;
use std::io::Read;
use std::time::{Duration, Instant};

use fedimeter::simulator::{Fault, Settings, Simulator, TokenSpec};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE};
use reqwest::{Response, StatusCode};

use crate::support::http;
use crate::support::program::Serving;
use crate::support::samples::{Sample, named, only, samples};

/// The address of the simulated instances, to which names below localhost resolve.
pub const HERE: &str = "[.localhost, 127.0.0.0/8, '::1']";

pub async fn simulator(instances: usize) -> Simulator {
    let settings = Settings { instances, request_log: 4096, ..Settings::default() };
    Simulator::start(settings, ([127, 0, 0, 1], 0).into()).await.unwrap()
}

/// A bridge with a configuration file.
pub struct Bridge {
    pub serving: Serving,
    pub directory: tempfile::TempDir,
}

impl Bridge {
    pub fn start(configuration: &str) -> Bridge {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("token"), "hunter2-of-the-admin\n").unwrap();
        let file = directory.path().join("fedimeter.yaml");
        std::fs::write(&file, configuration).unwrap();
        let args = ["serve", "--config", &file.display().to_string(), "--listen", "127.0.0.1:0"];
        Bridge { serving: Serving::start(&args, &[]), directory }
    }

    pub async fn get(&self, path: &str) -> Response {
        http::client().get(format!("{}{path}", self.serving.url())).send().await.unwrap()
    }

    /// The status and the text of a probe.
    pub async fn ask(&self, query: &str) -> (StatusCode, String) {
        let response = self.get(&format!("/probe?{query}")).await;
        (response.status(), response.text().await.unwrap())
    }

    /// The metrics of a probe.
    pub async fn probe(&self, query: &str) -> Vec<Sample> {
        let (status, text) = self.ask(query).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        samples(&text)
    }

    /// Waits until this number of probes has ended with this result. The bridge's own
    /// metrics may be a second old.
    pub async fn ended(&self, outcome: &str, expected: usize) {
        let is_it =
            |sample: &Sample| sample.labels.get("fedimeter_probe_outcome").is_some_and(|o| o == outcome);
        self.shows("fedimeter_probes_total", is_it, expected).await;
    }

    /// Waits until this number of targets is kept.
    pub async fn keeps(&self, expected: usize) {
        self.shows("fedimeter_probe_targets", |_| true, expected).await;
    }

    async fn shows(&self, name: &str, is_it: impl Fn(&Sample) -> bool, expected: usize) {
        let began = Instant::now();
        loop {
            let shown = samples(&self.get("/metrics").await.text().await.unwrap());
            let found =
                named(&shown, name).into_iter().find(|sample| is_it(sample)).map(|s| s.value as usize);
            if found == Some(expected) {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "{name} is {found:?}, not {expected}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn address(url: &str) -> &str {
    let (_, host) = url.split_once("://").unwrap();
    host.split_once(':').unwrap().0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probing_is_off_unless_it_is_switched_on() {
    let bridge = Bridge::start("targets: ['http://127.0.0.1:9']\n");
    let (status, text) = bridge.ask("target=mastodon.social").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(text.starts_with("probing is off: write `probe: {enabled: true}`"), "{text}");
    let metrics = bridge.get("/metrics").await.text().await.unwrap();
    assert!(!metrics.contains("fedimeter_probe"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_has_one_servers_series_and_keeps_them_for_their_lifetimes() {
    let simulator = simulator(3).await;
    let (probed, configured) = (simulator.url(0), simulator.url(1));
    let bridge = Bridge::start(&format!(
        "probe: {{enabled: true, allow: {HERE}}}\ndefaults: {{attributes: {{team: social}}}}\ntargets: ['{configured}']\n"
    ));
    // The metrics of the fleet are not on this page.
    bridge.get("/metrics").await;
    let shown = bridge.probe(&format!("target={probed}")).await;
    assert_eq!(only(&shown, "fedimeter_target_up"), Some(1.0));
    assert_eq!(only(&shown, "mastodon_instance_users"), Some(simulator.truth(0).users as f64));
    for sample in &shown {
        assert_eq!(
            sample.labels.get("server_address").map(String::as_str),
            Some(address(&probed)),
            "{sample:?}"
        );
        assert_eq!(sample.labels["team"], "social", "{sample:?}");
    }
    let asked = simulator.requests(0, "*");
    assert!(asked > 0);
    let again = bridge.probe(&format!("target={probed}/")).await;
    assert_eq!(simulator.requests(0, "*"), asked, "it is asked again before its time");
    let names = |shown: &[Sample]| shown.iter().map(|s| s.name.clone()).collect::<BTreeSet<_>>();
    assert_eq!(names(&again), names(&shown));

    let metrics = bridge.get("/metrics").await.text().await.unwrap();
    assert!(!metrics.contains(address(&probed)), "the page of the fleet has a probed server");
    let metrics = samples(&metrics);
    assert_eq!(only(&metrics, "fedimeter_targets"), Some(1.0));
    bridge.keeps(1).await;
    bridge.ended("up", 2).await;
    assert!(!bridge.get("/api/v1/targets").await.text().await.unwrap().contains(address(&probed)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_is_down_and_what_is_wrong_is_told() {
    let simulator = simulator(2).await;
    simulator.set_fault(0, "*", Some(Fault::Status(503)));
    simulator.set_fault(1, "*", Some(Fault::Reset));
    let (first, second) = (simulator.url(0), simulator.url(1));
    let bridge = Bridge::start(&format!(
        "probe: {{enabled: true, allow: {HERE}, modules: {{light: {{metrics: {{include: 'mastodon.instance.*'}}}}}}}}\n"
    ));
    for target in [&first, &second, "http://127.0.0.1:1", "http://nowhere.localhost:1"] {
        let shown = bridge.probe(&format!("target={target}")).await;
        assert_eq!(only(&shown, "fedimeter_target_up"), Some(0.0), "{target}");
        assert_eq!(only(&shown, "mastodon_instance_users"), None, "{target}");
    }
    for (query, status, says) in [
        ("", StatusCode::BAD_REQUEST, "the target is missing: ask for /probe?target=HOST"),
        ("target=ftp://a.example", StatusCode::BAD_REQUEST, "the target has a scheme"),
        (
            "target=a.localhost&module=dark",
            StatusCode::BAD_REQUEST,
            "there is no module `dark`; known are default, light",
        ),
        ("target=a.example", StatusCode::FORBIDDEN, "a.example may not be probed: probe.allow"),
        ("target=10.0.0.1", StatusCode::FORBIDDEN, "10.0.0.1 may not be probed"),
        ("target=a.example&debug=true", StatusCode::FORBIDDEN, "a.example may not be probed"),
    ] {
        let (got, text) = bridge.ask(query).await;
        assert_eq!(got, status, "{query}: {text}");
        assert!(
            text.starts_with(says) && text.ends_with('\n') && text.lines().count() == 1,
            "{query}: {text}"
        );
    }
    for (outcome, expected) in [("down", 4), ("invalid", 3), ("forbidden", 3), ("up", 0)] {
        bridge.ended(outcome, expected).await;
    }
    let posted =
        http::client().post(format!("{}/probe?target=a", bridge.serving.url())).send().await.unwrap();
    assert_eq!(posted.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_ends_before_its_client_gives_up() {
    let simulator = simulator(2).await;
    simulator.set_fault(0, "*", Some(Fault::Hang));
    simulator.set_fault(1, "/api/v1/instance/activity", Some(Fault::Hang));
    let (hangs, partly) = (simulator.url(0), simulator.url(1));
    let bridge = Bridge::start(&format!(
        "probe: {{enabled: true, allow: {HERE}, modules: {{hasty: {{deadline: 300ms}}}}}}\ntimeout: 30s\n"
    ));
    let patient = |target: &str, module: &str, seconds: &str| {
        let url = format!("{}/probe?target={target}&module={module}", bridge.serving.url());
        http::client().get(url).header("X-Prometheus-Scrape-Timeout-Seconds", seconds)
    };
    for (module, seconds) in [("default", "1.5"), ("hasty", "60")] {
        let began = Instant::now();
        let shown = samples(&http::body(patient(&hangs, module, seconds)).await);
        assert!(began.elapsed() < Duration::from_secs(10), "{module}: {:?}", began.elapsed());
        assert_eq!(only(&shown, "fedimeter_target_up"), Some(0.0), "{module}");
    }
    // Endpoints that have answered by then are reported.
    let shown = samples(&http::body(patient(&partly, "default", "3")).await);
    assert_eq!(only(&shown, "fedimeter_target_up"), Some(1.0));
    assert!(only(&shown, "mastodon_instance_users").is_some());
    assert_eq!(only(&shown, "mastodon_instance_activity_timestamp_seconds"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configured_target_brings_its_own_token_attributes_and_answers() {
    let simulator = simulator(2).await;
    let secret = "hunter2-of-the-admin";
    simulator.set_tokens(vec![TokenSpec::everything(secret)]);
    let (own, other) = (simulator.url(0), simulator.url(1));
    // No other target may be probed.
    let bridge = Bridge::start(&format!(
        "probe: {{enabled: true, allow: []}}\n\
         targets: [{{url: '{own}', token_file: token, attributes: {{customer: acme}}}}]\n"
    ));
    let shown = bridge.probe(&format!("target={own}")).await;
    assert!(shown.iter().any(|s| s.name.starts_with("mastodon_admin_")), "its token is used");
    assert!(shown.iter().all(|s| s.labels["customer"] == "acme"));
    assert_eq!(bridge.ask(&format!("target={other}")).await.0, StatusCode::FORBIDDEN);
    assert_eq!(bridge.ask("target=mastodon.social").await.0, StatusCode::FORBIDDEN);
    // Neither repeats the requests of the other.
    let asked = simulator.requests(0, "*");
    bridge.get("/metrics").await;
    bridge.probe(&format!("target={own}")).await;
    assert_eq!(simulator.requests(0, "*"), asked);
    let tokens = simulator.request_log();
    let had_token =
        |i: usize| tokens.iter().filter(|r| r.instance == i).any(|r| r.headers.contains_key("authorization"));
    assert!(had_token(0) && !had_token(1));
    // A query cannot name a token, and the report shows none.
    let (status, report) = bridge.ask(&format!("target={own}&debug=true&token=x&token_file=token")).await;
    assert_eq!(status, StatusCode::OK);
    assert!(report.contains("Token     its own") && !report.contains("hunter2"), "{report}");
    bridge.keeps(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_module_says_what_is_collected() {
    let simulator = simulator(2).await;
    let (probed, configured) = (simulator.url(0), simulator.url(1));
    let bridge = Bridge::start(&format!(
        "probe:\n  enabled: true\n  allow: {HERE}\n  modules:\n\
         \x20   light: {{metrics: {{include: [mastodon.instance.users, fedimeter.endpoint.*]}}, endpoint_details: false}}\n\
         \x20   wide: {{collect: [peers]}}\n\
         targets: [{{url: '{configured}', collect: [custom_emojis]}}]\n"
    ));
    let asked = |i: usize, path: &str| simulator.requests(i, path);
    let names = |shown: &[Sample]| shown.iter().map(|s| s.name.clone()).collect::<BTreeSet<String>>();
    for (i, target) in [(0, &probed), (1, &configured)] {
        let before = asked(i, "/api/v1/instance/activity");
        let light = names(&bridge.probe(&format!("target={target}&module=light")).await);
        assert!(
            light.contains("mastodon_instance_users") && light.contains("fedimeter_target_up"),
            "{light:?}"
        );
        let is_chosen = |n: &String| {
            ["mastodon_instance_users", "fedimeter_target_up"].contains(&n.as_str())
                || n.starts_with("fedimeter_endpoint_")
                    && !n.ends_with("duration_seconds")
                    && !n.ends_with("size_bytes")
        };
        assert!(light.iter().all(is_chosen), "{light:?}");
        if i == 0 {
            assert_eq!(asked(i, "/api/v1/instance/activity"), before, "nothing of it is wanted");
        }
        assert_eq!(asked(i, "/api/v1/instance/peers"), 0);
    }
    let instance = asked(0, "/api/v1/instance");
    let full = names(&bridge.probe(&format!("target={probed}")).await);
    assert!(full.contains("mastodon_instance_activity_timestamp_seconds"), "{full:?}");
    assert!(!full.contains("mastodon_instance_peers"), "{full:?}");
    let wide = names(&bridge.probe(&format!("target={probed}&module=wide")).await);
    assert!(wide.contains("mastodon_instance_peers"), "{wide:?}");
    assert_eq!(asked(0, "/api/v1/instance"), instance, "modules share what is known");
    // A configured target is polled by its own settings.
    let own = names(&bridge.probe(&format!("target={configured}&module=wide")).await);
    assert!(
        own.contains("mastodon_instance_custom_emojis") && !own.contains("mastodon_instance_peers"),
        "{own:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_report_says_what_was_asked_and_why_a_number_is_absent() {
    let simulator = simulator(1).await;
    simulator.set_fault(0, "/api/v1/instance/activity", Some(Fault::Status(500)));
    let target = simulator.url(0);
    let bridge = Bridge::start(&format!("probe: {{enabled: true, allow: {HERE}}}\n"));
    let response = bridge.get(&format!("/probe?target={target}&debug=true")).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[CONTENT_TYPE], "text/plain; charset=utf-8");
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    let report = response.text().await.unwrap();
    for part in [
        &*format!("Target    {target}\n"),
        "Module    default\n",
        "State     up\n",
        "Settings  not configured\n",
        "Token     none\n",
        "instance_v1                ok                    200",
        "activity                   http_5xx              500",
        "by this one",
        "mastodon.instance.activity.timestamp: activity could not be read (http_5xx):",
        "mastodon.instance.peers: peers is not requested: add `peers` to the target's `collect`\n",
        "fedimeter_target_up{",
    ] {
        assert!(report.contains(part), "{part}:\n{report}");
    }
    let (_, page) = report.split_once("\nMetrics\n\n").unwrap();
    assert!(named(&samples(page), "mastodon_instance_users").len() == 1);
    let again = bridge.ask(&format!("target={target}&debug=1")).await.1;
    assert!(!again.contains("by this one") && again.contains("s ago"), "{again}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn formats_are_those_of_the_page() {
    let simulator = simulator(1).await;
    let bridge = Bridge::start(&format!("probe: {{enabled: true, allow: {HERE}}}\ncreated: true\n"));
    let url = format!("{}/probe?target={}", bridge.serving.url(), simulator.url(0));
    let get = http::client().get(&url).header(ACCEPT, "application/openmetrics-text;version=1.0.0");
    let response = get.header(ACCEPT_ENCODING, "gzip").send().await.unwrap();
    assert!(response.headers()[CONTENT_TYPE].to_str().unwrap().starts_with("application/openmetrics-text"));
    let mut text = String::new();
    let body = response.bytes().await.unwrap();
    flate2::read::GzDecoder::new(&body[..]).read_to_string(&mut text).unwrap();
    assert!(text.ends_with("\n# EOF\n") && text.contains("mastodon_instance_users{"), "{text}");
}

/// A reload applies allowed targets and modules, and keeps known facts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_takes_other_rules() {
    let simulator = simulator(1).await;
    let target = simulator.url(0);
    let bridge = Bridge::start(&format!("probe: {{enabled: true, allow: {HERE}}}\n"));
    bridge.probe(&format!("target={target}")).await;
    let asked = simulator.requests(0, "/api/v1/instance");
    let reload = async |configuration: &str, until: (StatusCode, &str), query: &str| {
        std::fs::write(bridge.directory.path().join("fedimeter.yaml"), configuration).unwrap();
        bridge.serving.signal("HUP");
        let began = Instant::now();
        loop {
            let (status, text) = bridge.ask(query).await;
            if status == until.0 && text.contains(until.1) {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "{status} {text}\n{}", bridge.serving.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let forbidden = (StatusCode::FORBIDDEN, "may not be probed");
    reload("probe: {enabled: true, allow: []}\n", forbidden, &format!("target={target}")).await;
    let wider = format!(
        "probe: {{enabled: true, allow: {HERE}, modules: {{wide: {{collect: [peers]}}}}}}\n\
         defaults: {{attributes: {{team: social}}}}\n"
    );
    let query = format!("target={target}&module=wide");
    reload(&wider, (StatusCode::OK, "mastodon_instance_peers{"), &query).await;
    let shown = bridge.probe(&query).await;
    assert!(shown.iter().all(|sample| sample.labels["team"] == "social"));
    assert_eq!(simulator.requests(0, "/api/v1/instance"), asked, "what was known is kept");
    let limits = wider.replace("enabled: true", "enabled: true, max_targets: 5");
    reload(&limits, (StatusCode::OK, ""), &query).await;
    bridge.serving.line(|line| line.contains("these changes need a restart: probe").then_some(()));
}
