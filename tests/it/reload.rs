//! Reloads of the configuration.

use std::path::Path;

use fedimeter::endpoint::Endpoint;
use fedimeter::simulator::{Fault, Settings, Simulator};
use fedimeter::target::AccountRef;
use reqwest::StatusCode;

use crate::support::http;
use crate::support::otlp_sink::GrpcSink;
use crate::support::poll::{Bench, outcome, simulator, target, value};
use crate::support::program::Serving;
use crate::support::samples::{only, samples};

pub async fn simulated(instances: usize) -> Simulator {
    let settings = Settings { instances, cache_headers: false, ..Settings::default() };
    Simulator::start(settings, ([127, 0, 0, 1], 0).into()).await.unwrap()
}

/// A bridge with a configuration file that the test changes.
pub struct Bridge {
    pub serving: Serving,
    directory: tempfile::TempDir,
}

impl Bridge {
    pub fn start(text: &str) -> Bridge {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("f.yaml"), text).unwrap();
        let file = directory.path().join("f.yaml");
        let serving = Serving::start(
            &["serve", "--config", file.to_str().unwrap(), "--enable-reload", "--listen", "127.0.0.1:0"],
            &[],
        );
        Bridge { serving, directory }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn write(&self, text: &str) {
        std::fs::write(self.path().join("f.yaml"), text).unwrap();
    }

    pub async fn reload(&self) -> (StatusCode, String) {
        let answer = http::client().post(format!("{}/-/reload", self.serving.url())).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    pub async fn scrape(&self) -> String {
        http::body(http::client().get(format!("{}/metrics", self.serving.url()))).await
    }

    /// A metric of the bridge itself.
    pub async fn own(&self, name: &str) -> Option<f64> {
        only(&samples(&self.scrape().await), name)
    }

    /// The names of the targets that are up.
    pub async fn up(&self) -> Vec<String> {
        let page = self.scrape().await;
        let up = page.lines().filter(|line| line.starts_with("fedimeter_target_up{") && line.ends_with(" 1"));
        let address = |line: &str| {
            let (_, address) = line.split_once("server_address=\"").unwrap();
            address.split('"').next().unwrap().to_owned()
        };
        let mut addresses: Vec<String> = up.map(address).collect();
        addresses.sort();
        addresses
    }
}

pub fn names(simulator: &Simulator, instances: &[usize]) -> Vec<String> {
    let name = |i: &usize| simulator.host(*i).split(':').next().unwrap().to_owned();
    let mut names: Vec<String> = instances.iter().map(name).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_configuration_is_taken_and_what_stays_is_not_asked_again() {
    let simulator = simulated(3).await;
    let [a, b, c] = [0, 1, 2].map(|i| simulator.url(i));
    let bridge = Bridge::start(&format!("targets: ['{a}', '{c}']\n"));
    assert_eq!(bridge.up().await, names(&simulator, &[0, 2]));
    let hash = bridge.own("fedimeter_config_hash").await.unwrap();
    let asked = simulator.requests(0, "*");
    assert_ne!(asked, 0);

    bridge.write(&format!("targets: ['{a}', '{b}']\nlog_format: json\n"));
    bridge.serving.signal("HUP");
    let told = "the configuration was reloaded; targets: 1 stays, 1 is new, 1 is gone; these changes need a restart: log_format";
    bridge.serving.line(|line| line.contains(told).then_some(()));
    assert_eq!(bridge.up().await, names(&simulator, &[0, 1]));
    assert_eq!(simulator.requests(0, "*"), asked, "what was known of it is fresh");
    assert_eq!(bridge.own("fedimeter_targets").await, Some(2.0));
    assert_eq!(bridge.own("fedimeter_config_last_reload_successful").await, Some(1.0));
    assert_ne!(bridge.own("fedimeter_config_hash").await, Some(hash));

    // The same over HTTP.
    bridge.write(&format!("targets: ['{a}']\n"));
    let (status, says) = bridge.reload().await;
    assert_eq!(
        (status.as_u16(), &*says),
        (200, "the configuration was reloaded; targets: 1 stays, 1 is gone\n")
    );
    assert_eq!(bridge.up().await, names(&simulator, &[0]));

    // One that a reload applies in part.
    bridge.write(&format!("targets: ['{a}']\nmetrics: {{exclude: ['nodeinfo.*', process.uptime]}}\n"));
    let (_, says) = bridge.reload().await;
    let told = "need a restart: metrics (for the bridge's own metrics; targets have the change)\n";
    assert!(says.ends_with(told), "{says}");
    let page = bridge.scrape().await;
    assert!(!page.contains("nodeinfo_users") && page.contains("process_uptime_seconds"), "{page}");
    assert_eq!(simulator.requests(0, "*"), asked);
    assert_eq!(bridge.serving.end("TERM").0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_configuration_changes_nothing_and_is_told_whole() {
    let simulator = simulated(1).await;
    let good = format!("targets: ['{}']\n", simulator.url(0));
    let bridge = Bridge::start(&good);
    let taken = bridge.own("fedimeter_config_last_reload_timestamp_seconds").await.unwrap();
    bridge.write("targets: [a.example/path]\ndeadlin: 5s\n");
    let (status, says) = bridge.reload().await;
    assert_eq!(status, 500);
    assert!(
        says.starts_with("the configuration was not reloaded, and the previous one stays in effect:\n"),
        "{says}"
    );
    for error in ["f.yaml:1: targets[0]: ", "f.yaml:2: deadlin: unknown key; did you mean `deadline`?"] {
        assert!(says.contains(error), "{says}");
        bridge.serving.line(|line| {
            (line.contains("previous one stays in effect: ") && line.contains(error)).then_some(())
        });
    }
    assert_eq!(bridge.up().await, names(&simulator, &[0]));
    assert_eq!(bridge.own("fedimeter_config_last_reload_successful").await, Some(0.0));
    assert_eq!(bridge.own("fedimeter_config_last_reload_timestamp_seconds").await, Some(taken));
    std::fs::remove_file(bridge.path().join("f.yaml")).unwrap();
    assert!(bridge.reload().await.1.contains("cannot read the configuration"));
    bridge.write(&good);
    assert_eq!(bridge.reload().await.0, 200);
    assert_eq!(bridge.own("fedimeter_config_last_reload_successful").await, Some(1.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloading_over_http_is_off_unless_enabled_and_no_page_can_ask_for_it() {
    let simulator = simulated(1).await;
    let off = Serving::start(&["serve", "--listen", "127.0.0.1:0", &simulator.url(0)], &[]);
    let answer = http::client().post(format!("{}/-/reload", off.url())).send().await.unwrap();
    assert_eq!(answer.status(), 403);
    assert!(answer.text().await.unwrap().contains("--enable-reload"));

    let bridge = Bridge::start(&format!("targets: ['{}']\n", simulator.url(0)));
    let url = format!("{}/-/reload", bridge.serving.url());
    assert_eq!(http::client().get(&url).send().await.unwrap().status(), 405);
    let foreign = http::client().post(&url).header("Origin", "https://evil.example").send().await.unwrap();
    assert_eq!(foreign.status(), 403);
    assert_eq!(bridge.reload().await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_from_standard_input_cannot_be_read_again() {
    let simulator = simulated(1).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("f.yaml");
    std::fs::write(&file, format!("targets: ['{}']\n", simulator.url(0))).unwrap();
    let mut command = crate::support::program::fedimeter();
    command.args(["serve", "--config", "-", "--listen", "127.0.0.1:0"]);
    command.stdin(std::fs::File::open(&file).unwrap());
    let serving = Serving::with(&mut command);
    serving.url();
    serving.signal("HUP");
    serving.line(|line| line.contains("came from standard input, which cannot be read again").then_some(()));
    assert_eq!(serving.end("TERM").0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_of_targets_are_read_again_when_they_change() {
    let simulator = simulated(3).await;
    let bridge = Bridge::start("targets_file: 'l/*.json'\n");
    std::fs::create_dir(bridge.path().join("l")).unwrap();
    let write = |name: &str, text: String| std::fs::write(bridge.path().join("l").join(name), text).unwrap();
    let group =
        |i: usize| format!(r#"[{{"targets": ["{}"], "labels": {{"team": "t{i}"}}}}]"#, simulator.url(i));
    assert_eq!(bridge.own("fedimeter_targets").await, Some(0.0));
    write("a.json", group(0));
    bridge
        .serving
        .line(|line| line.contains("the lists of targets changed; targets: 1 is new").then_some(()));
    let page = bridge.scrape().await;
    assert!(page.contains("team=\"t0\""), "{page}");
    assert_eq!(only(&samples(&page), "fedimeter_source_targets"), Some(1.0));

    write("b.json", "[{".to_owned());
    bridge.serving.line(|line| line.contains("b.json:2: not YAML").then_some(()));
    assert_eq!(bridge.up().await, names(&simulator, &[0]), "the targets stay");
    assert_eq!(bridge.own("fedimeter_source_last_refresh_successful").await, Some(0.0));
    write("b.json", group(1));
    std::fs::remove_file(bridge.path().join("l/a.json")).unwrap();
    bridge.serving.line(|line| line.contains("targets: 1 is new, 1 is gone").then_some(()));
    assert_eq!(bridge.up().await, names(&simulator, &[1]));
    assert_eq!(bridge.own("fedimeter_source_last_refresh_successful").await, Some(1.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watched_configuration_is_taken_without_a_signal() {
    let simulator = simulated(2).await;
    let text = |i| format!("targets: ['{}']\nwatch_config: true\n", simulator.url(i));
    let bridge = Bridge::start(&text(0));
    assert_eq!(bridge.up().await, names(&simulator, &[0]));
    // As with a mounted ConfigMap, another file replaces the first.
    let new = bridge.path().join("new.yaml");
    std::fs::write(&new, text(1)).unwrap();
    std::fs::rename(&new, bridge.path().join("f.yaml")).unwrap();
    bridge.serving.line(|line| line.contains("the configuration was reloaded; ").then_some(()));
    assert_eq!(bridge.up().await, names(&simulator, &[1]));
}

/// Pushes continue during many reloads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_cost_no_push_a_point() {
    for temporality in ["cumulative", "delta"] {
        let simulator = simulated(3).await;
        let sink = GrpcSink::start().await;
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("f.yaml");
        let [a, b, c] = [0, 1, 2].map(|i| simulator.url(i));
        let write = |i: usize| {
            let third = if i.is_multiple_of(2) { format!(", '{c}'") } else { String::new() };
            let collect = if i.is_multiple_of(3) { "peers" } else { "health" };
            let text = format!("targets: ['{a}', {{url: '{b}', collect: [{collect}]}}{third}]\n");
            std::fs::write(&file, text).unwrap();
        };
        write(0);
        let bridge = Serving::start(
            &["serve", "--config", file.to_str().unwrap(), "--listen", "none"],
            &[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", &sink.endpoint()),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
                ("OTEL_METRIC_EXPORT_INTERVAL", "100"),
                ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", temporality),
            ],
        );
        sink.wait_for(2).await;
        for i in 1..=30 {
            write(i);
            bridge.signal("HUP");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        let before = sink.requests().len();
        sink.wait_for(before + 4).await;
        let log = bridge.log();
        assert!(log.contains("the configuration was reloaded") && !log.contains("panic"), "{log}");
        assert_eq!(bridge.end("TERM").0, Some(0));
        // A round consists of requests for the targets, and the last one for the bridge
        // itself. With delta temporality a target may move to another request.
        let always = names(&simulator, &[0, 1]);
        let (mut up, mut rounds) = (Vec::new(), 0);
        for point in sink.points() {
            match &*point.name {
                "fedimeter.target.up" => up.push(point.attributes["server.address"].clone()),
                "fedimeter.build.info" => {
                    let whole = always.iter().all(|name| up.contains(name));
                    assert!(whole, "{temporality}: round {rounds} has {up:?}");
                    rounds += 1;
                    up.clear();
                }
                _ => {}
            }
        }
        assert!(rounds > 5, "{rounds}");
    }
}

/// Scrapes continue during many reloads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_reloads_cost_no_scrape_a_point() {
    let simulator = simulated(3).await;
    let [a, b, c] = [0, 1, 2].map(|i| simulator.url(i));
    let with = |third: bool, team: usize| {
        let third = if third { format!(", '{c}'") } else { String::new() };
        format!("targets: ['{a}', {{url: '{b}', attributes: {{team: t{team}}}}}{third}]\n")
    };
    let bridge = Bridge::start(&with(true, 0));
    bridge.scrape().await;
    let url = format!("{}/metrics", bridge.serving.url());
    let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let scraping: Vec<_> = (0..3)
        .map(|_| {
            let (url, done) = (url.clone(), done.clone());
            tokio::spawn(async move {
                let mut scrapes = 0;
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    let page = http::body(http::client().get(&url)).await;
                    // The first two targets are always complete and up.
                    let up = page
                        .lines()
                        .filter(|line| line.starts_with("fedimeter_target_up{") && line.ends_with(" 1"));
                    assert!(up.count() >= 2, "{page}");
                    let users = page.lines().filter(|line| line.starts_with("mastodon_instance_users{"));
                    assert!(users.count() >= 2, "{page}");
                    scrapes += 1;
                    // A reload takes several times as long.
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
                scrapes
            })
        })
        .collect();
    for i in 0..100 {
        bridge.write(&with(i % 2 == 0, i));
        assert_eq!(bridge.reload().await.0, 200);
    }
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    for scraper in scraping {
        assert!(scraper.await.unwrap() > 0);
    }
    assert_eq!(bridge.own("fedimeter_targets").await, Some(2.0));
    assert!(!bridge.serving.log().contains("panic"), "{}", bridge.serving.log());
}

#[tokio::test]
async fn other_settings_keep_what_is_known_and_when_it_may_be_asked() {
    let simulator = simulator(|_| {}).await;
    simulator.set_fault(0, "/api/v1/instance/activity", Some(Fault::Status(500)));
    let bench = Bench::of(vec![target(&simulator, 0), target(&simulator, 1)]);
    let view = bench.refresh().await;
    assert_eq!(outcome(&view, 0, Endpoint::Activity), "http_5xx");
    let users = value(&view, 0, "mastodon.instance.users");
    assert!(users.is_some());
    let asked = simulator.requests(0, "*");

    // Only the new account is requested.
    let mut changed = target(&simulator, 0);
    changed.accounts = vec![AccountRef::Acct("admin".into())];
    changed.select_endpoints(&[]);
    let replaced = bench.refresher.replace(vec![target(&simulator, 1), changed.clone()]);
    assert_eq!((replaced.stayed, replaced.changed, replaced.added, replaced.removed), (1, 1, 0, 0));
    let view = bench.refresh().await;
    assert_eq!(value(&view, 1, "mastodon.instance.users"), users);
    assert_eq!(outcome(&view, 1, Endpoint::Activity), "http_5xx", "its back-off is not over");
    assert_eq!(outcome(&view, 1, Endpoint::Accounts), "ok");
    assert_eq!(simulator.requests(0, "/api/v1/instance/activity"), 1);
    assert_eq!(simulator.requests(0, "*"), asked + 1);

    // An account that replaces it is requested at once, too.
    changed.accounts = vec![AccountRef::Acct("news".into())];
    bench.refresher.replace(vec![changed.clone(), target(&simulator, 1)]);
    bench.refresh().await;
    assert_eq!(simulator.requests(0, "*"), asked + 2);

    // A removed target that returns is like a new one.
    bench.refresher.replace(Vec::new());
    assert_eq!(bench.refresh().await.targets.len(), 0);
    let replaced = bench.refresher.replace(vec![changed]);
    assert_eq!(replaced.added, 1);
    assert_eq!(outcome(&*bench.refresh().await, 0, Endpoint::Activity), "http_5xx");
    assert_eq!(simulator.requests(0, "/api/v1/instance/activity"), 2);
}

#[tokio::test]
async fn a_reload_asks_again_for_what_was_not_offered() {
    let simulator = simulator(|_| {}).await;
    simulator.set_fault(0, "/api/v1/instance/activity", Some(Fault::Status(404)));
    let bench = Bench::of(vec![target(&simulator, 0)]);
    let view = bench.refresh().await;
    assert_eq!(outcome(&view, 0, Endpoint::Activity), "not_offered");
    let asked = simulator.requests(0, "/api/v1/instance/activity");
    simulator.set_fault(0, "/api/v1/instance/activity", None);
    let view = bench.after(60).await;
    assert_eq!(outcome(&view, 0, Endpoint::Activity), "not_offered", "for six hours");
    bench.refresher.relist(vec![target(&simulator, 0), target(&simulator, 1)]);
    let view = bench.refresh().await;
    assert_eq!(outcome(&view, 0, Endpoint::Activity), "not_offered", "another target is new");
    bench.refresher.replace(vec![target(&simulator, 0)]);
    assert_eq!(outcome(&*bench.refresh().await, 0, Endpoint::Activity), "ok");
    assert_eq!(simulator.requests(0, "/api/v1/instance/activity"), asked + 1);
}
