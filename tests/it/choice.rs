//! The choice of metrics.

use fedimeter::config::{Config, Flags, Loaded, Sources};
use fedimeter::endpoint::Endpoint;
use fedimeter::simulator::{Settings, Simulator};

use crate::support::program::{Serving, run};
use crate::support::{http, ports};

fn load(text: &str) -> Result<Loaded, String> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("f.yaml");
    std::fs::write(&file, text).unwrap();
    let sources =
        Sources { file: Some(&file), text: None, targets: &[], flags: Flags::default(), env: &|_| None };
    Config::load_with_origins(&sources).map_err(|e| e.to_string().replace(&file.display().to_string(), "f"))
}

fn endpoints(loaded: &Loaded, target: usize) -> Vec<Endpoint> {
    loaded.config.targets[target].endpoints.clone()
}

#[test]
fn what_is_left_out_is_not_asked_for() {
    use Endpoint::{Activity, InstanceV1, InstanceV2, Nodeinfo, NodeinfoDiscovery, Peers};
    let usual = [InstanceV2, InstanceV1, NodeinfoDiscovery, Nodeinfo, Activity];
    let without_activity = &usual[..4];
    for (text, expected) in [
        ("targets: [a.example]\n", &usual[..]),
        ("targets: [a.example]\nmetrics: {exclude: 'mastodon.instance.activity.*'}\n", without_activity),
        // By their Prometheus names.
        ("targets: [a.example]\nmetrics: {exclude: ['mastodon_instance_activity_*']}\n", without_activity),
        ("targets: [{url: a.example, metrics: {exclude: ['*.activity.*']}}]\n", without_activity),
        ("targets: [a.example]\ndefaults: {metrics: {exclude: ['*.activity.*']}}\n", without_activity),
        // One wanted metric of an endpoint is enough.
        ("targets: [a.example]\nmetrics: {include: [mastodon.instance.activity.timestamp]}\n", &usual),
        ("targets: [a.example]\nmetrics: {include: [mastodon.instance.users]}\n", without_activity),
        // Metrics about requests are not a reason to request an endpoint.
        ("targets: [a.example]\nmetrics: {include: ['fedimeter.*']}\n", without_activity),
    ] {
        assert_eq!(endpoints(&load(text).unwrap(), 0), expected, "{text}");
    }
    let both = "targets: [{url: a.example, collect: [peers], metrics: {exclude: [mastodon.instance.peers]}}, \
                {url: b.example, collect: [peers]}]\n";
    let loaded = load(both).unwrap();
    assert!(!endpoints(&loaded, 0).contains(&Peers) && endpoints(&loaded, 1).contains(&Peers));
}

#[test]
fn up_stays_unless_it_is_named_whole() {
    let leaves_out_up = |choice: &str| {
        let loaded = load(&format!("targets: [a.example]\nmetrics: {choice}\n")).unwrap();
        loaded.config.targets[0].leaves_out("fedimeter.target.up")
    };
    for choice in
        ["{exclude: ['*']}", "{include: [mastodon.instance.users]}", "{exclude: ['fedimeter.target.*']}"]
    {
        assert!(!leaves_out_up(choice), "{choice}");
    }
    for choice in ["{exclude: [fedimeter.target.up]}", "{exclude: [fedimeter_target_up]}"] {
        assert!(leaves_out_up(choice), "{choice}");
    }
}

#[test]
fn a_pattern_of_nothing_is_an_error() {
    for (choice, expected) in [
        (
            "{exclude: [mastodon.instance.user]}",
            "metrics.exclude[0]: does not match any metric; did you mean `mastodon.instance.users`",
        ),
        (
            "{include: ['mastodon.nothing.*']}",
            "metrics.include[0]: does not match any metric; `fedimeter metrics` lists them",
        ),
        (
            "{include: ['mastodon.instence.*']}",
            "metrics.include[0]: does not match any metric; did you mean `mastodon.instance.*`",
        ),
        ("{include: ['mastodon[']}", "metrics.include[0]: is not a valid pattern: "),
        ("{excluded: ['*']}", "metrics.excluded: unknown key; did you mean `exclude`?"),
        ("[a]", "metrics: expected a map with include and exclude, found a list"),
    ] {
        let error = load(&format!("targets: [a.example]\nmetrics: {choice}\n")).unwrap_err();
        assert!(error.starts_with(&format!("f:2: {expected}")), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_and_tables_have_what_is_wanted() {
    let settings = Settings { instances: 1, ..Settings::default() };
    let simulator = Simulator::start(settings, ([127, 0, 0, 1], 0).into()).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("f.yaml");
    let text = format!(
        "targets: ['{}']\nmetrics: {{include: ['mastodon.instance.*', process.uptime], exclude: ['*.limits.*', '*.activity.*']}}\n",
        simulator.url(0)
    );
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let bridge = Serving::start(&["serve", "--config", file, "--listen", "127.0.0.1:0"], &[]);
    let get = async |path: &str| http::body(http::client().get(format!("{}{path}", bridge.url()))).await;
    let page = get("/metrics").await;
    let families: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert!(families.contains(&"mastodon_instance_users") && families.contains(&"fedimeter_target_up"));
    assert!(families.contains(&"process_uptime_seconds"));
    let expected = |name: &str| {
        (name.starts_with("mastodon_instance_") && !name.contains("_limits_") && !name.contains("_activity_"))
            || ["fedimeter_target_up", "process_uptime_seconds", "target_info"].contains(&name)
    };
    assert!(families.iter().all(|name| expected(name)), "{families:?}");
    assert_eq!(simulator.requests(0, "/api/v1/instance/activity"), 0);

    let listed = get("/api/v1/targets").await;
    assert!(
        listed.contains("mastodon.instance.users") && !listed.contains("mastodon.instance.limits"),
        "{listed}"
    );
    let html = get(&format!("/target?name={}", simulator.url(0))).await;
    assert!(html.contains("the configuration excludes it"), "{html}");
    let once = tokio::task::spawn_blocking({
        let file = file.to_owned();
        move || run(&["once", "--config", &file], &[])
    });
    let once = once.await.unwrap();
    assert!(once.out.contains("mastodon.instance.users") && !once.out.contains("limits"), "{}", once.out);
    let left = run(&["metrics", "--config", file], &[]).out;
    assert!(left.contains("mastodon.instance.users ") && !left.contains("nodeinfo.users"), "{left}");
}

/// `metrics --config` lists a metric if the bridge itself or any target reports it.
#[test]
fn the_catalogue_has_what_any_target_reports() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("f.yaml");
    let listed = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let ran = run(&["metrics", "--format", "json", "--config", file.to_str().unwrap()], &[]);
        assert_eq!((ran.status, &*ran.err), (Some(0), ""), "{text}");
        ["mastodon.instance.users", "nodeinfo.users", "process.uptime"]
            .map(|name| ran.out.contains(&format!("\"{name}\"")))
    };
    let a = "{url: a.example, metrics: {include: [mastodon.instance.users]}}";
    let b = "{url: b.example, metrics: {include: [nodeinfo.users]}}";
    for (text, expected) in [
        (format!("targets: [{a}]\n"), [true, false, true]),
        (format!("targets: [{a}, {b}]\n"), [true, true, true]),
        (format!("targets: [{a}, c.example]\n"), [true, true, true]),
        (format!("targets: [{a}]\nmetrics: {{exclude: ['mastodon.*']}}\n"), [false, false, true]),
        (
            "targets: [a.example]\ndefaults: {metrics: {exclude: ['nodeinfo.*']}}\n".to_owned(),
            [true, false, true],
        ),
        // Targets from a URL have the defaults.
        (format!("targets: [{a}]\ntargets_url: http://b.example/\n"), [true, true, true]),
        // A file without targets, and one whose token cannot be read, are accepted.
        ("metrics: {exclude: ['process.*']}\n".to_owned(), [true, true, false]),
        ("targets: [{url: a.example, token_file: /nonexistent}]\n".to_owned(), [true, true, true]),
    ] {
        assert_eq!(listed(&text), expected, "{text}");
    }
    std::fs::write(&file, "targets: [{url: a.example, metrics: {include: [nothing]}}]\n").unwrap();
    let ran = run(&["metrics", "--config", file.to_str().unwrap()], &[]);
    assert!(
        ran.status == Some(2) && ran.err.contains("targets[0].metrics.include[0]: does not match"),
        "{}",
        ran.err
    );
}

/// A page without any metric is not a failure.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_may_be_left_with_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("f.yaml");
    let nobody = ports::free();
    let config = format!(
        "targets: ['http://{nobody}']\ntarget_info: false\n\
         metrics: {{include: [mastodon.instance.users], exclude: [fedimeter.target.up]}}\n"
    );
    std::fs::write(&file, config).unwrap();
    let bridge =
        Serving::start(&["serve", "--config", file.to_str().unwrap(), "--listen", "127.0.0.1:0"], &[]);
    let answer = http::client().get(format!("{}/metrics", bridge.url())).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let page = answer.text().await.unwrap();
    assert!(page.lines().all(|line| line.starts_with('#')), "{page}");
    let log = bridge.log();
    assert!(!log.contains("ERROR"), "{log}");
}
