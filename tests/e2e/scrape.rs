//! The page of fedimeter, scraped by Prometheus and by a Collector.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use fedimeter::simulator::{Settings as Simulated, Simulator};

use crate::bench::{RUNTIME, eventually, free_address, get};
use crate::collector::Settings;
use crate::expected::{ACCOUNT, difference, in_prometheus};
use crate::mock::Mock;
use crate::prometheus::{Prometheus, series};
use crate::support::otlp_sink::{HttpSink, Value};
use crate::support::program::Serving;

/// A bridge with a page at this address.
fn serving(address: &str, servers: &[&str]) -> Serving {
    let bridge = Serving::start(&[&["--listen", address], servers].concat(), &[]);
    bridge.url();
    bridge
}

fn scraping(program: &Path, address: &str, seconds: u32) -> Prometheus {
    let configuration = format!(
        "global: {{scrape_interval: {seconds}s, scrape_timeout: {seconds}s}}\n\
         scrape_configs: [{{job_name: fedimeter, static_configs: [{{targets: ['{address}']}}]}}]\n"
    );
    Prometheus::start(program, &configuration, &["--log.level=debug"])
}

/// OpenTelemetry names, and by default classic Prometheus names.
pub fn prometheus_keeps_the_dots(prometheus: &Path) {
    let simulated = RUNTIME.block_on(async {
        let settings = Simulated { instances: 1, ..Simulated::default() };
        Simulator::start(settings, ([127, 0, 0, 1], 0).into()).await.unwrap()
    });
    let server = simulated.url(0);
    let dotted = free_address();
    let with = ["--translation-strategy", "NoTranslation", "--created", &server];
    let _bridge = serving(&dotted, &with);
    let prometheus = scraping(prometheus, &dotted, 1);
    let found = eventually("names with dots", || {
        let users = prometheus.query(r#"{"mastodon.instance.users"}"#);
        users.into_iter().next().ok_or_else(|| prometheus.log())
    });
    assert_eq!(found.1 as i64, simulated.truth(0).users);
    assert_eq!(found.0["server.address"], "art.localhost");
    for query in [r#"{"fedimeter.endpoint.duration"}"#, r#"{"fedimeter.request.duration_bucket"}"#] {
        assert!(!prometheus.query(query).is_empty(), "{query}");
    }
    assert!(prometheus.query("mastodon_instance_users").is_empty());
    let target = &prometheus.api("targets", &[])["activeTargets"][0];
    assert_eq!((&target["health"], &target["lastError"]), (&"up".into(), &"".into()), "{target}");
}

pub fn by_prometheus(prometheus: &Path, mock: &Path) {
    let mock = Mock::start(mock);
    let address = free_address();
    let _bridge = serving(&address, &["--account", ACCOUNT, &mock.url]);
    let prometheus = scraping(prometheus, &address, 2);
    let stored = eventually("the server's series", || {
        let stored = prometheus.about(&mock.url);
        if stored.is_empty() { Err(prometheus.log()) } else { Ok(stored) }
    });
    assert_eq!(difference(&stored, &in_prometheus(&mock.url)), [""; 0]);

    let target = &prometheus.api("targets", &[])["activeTargets"][0];
    assert_eq!((&target["health"], &target["lastError"]), (&"up".into(), &"".into()), "{target}");
    // Prometheus logs and counts dropped samples: out of order, duplicate or invalid ones.
    // There are none.
    let log = prometheus.log();
    let complaints: Vec<&str> =
        log.lines().filter(|l| l.contains("level=WARN") || l.contains("level=ERROR")).collect();
    assert_eq!(complaints, [""; 0]);
    assert!(log.contains("level=DEBUG"), "the log that was searched is empty: {log}");
    assert_eq!(
        value(&prometheus, "scrape_samples_scraped - scrape_samples_post_metric_relabeling"),
        Some(0.0)
    );
    // Kind and unit are those of the page.
    let metadata = prometheus.api("targets/metadata", &[("metric", "fedimeter_endpoint_size_bytes")]);
    assert_eq!(
        (&metadata[0]["type"], &metadata[0]["unit"]),
        (&"gauge".into(), &"bytes".into()),
        "{metadata}"
    );
}

/// Prometheus's linter has no advice on any family of the page, for a bridge that collects
/// everything and pushes.
pub fn promtool_has_no_advice(prometheus: &Path, promtool: &Path) {
    let receiver = Prometheus::start(prometheus, "", &["--web.enable-otlp-receiver"]);
    let endpoint = format!("{}/api/v1/otlp", receiver.url());
    let demo = Serving::start(
        &["demo", "--listen", "127.0.0.1:0"],
        &[("OTEL_METRICS_EXPORTER", "prometheus,otlp"), ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)],
    );
    let url = format!("{}/metrics", demo.url());
    let page = eventually("the export's metrics", || {
        let page = get(&url)?;
        let all = ["mastodon_admin_", "otel_sdk_exporter_operation_duration_seconds_bucket"];
        if all.iter().all(|name| page.contains(name)) { Ok(page) } else { Err(demo.log()) }
    });
    let mut check = Command::new(promtool);
    check.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut check = check.spawn().unwrap();
    check.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = check.wait_with_output().unwrap();
    let advice = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    // The semantic conventions define these names, which take precedence over promtool's
    // advice.
    let conventions = ["process_thread_count ", "process_unix_file_descriptor_count "];
    let is_ours = |line: &&str| !conventions.iter().any(|name| line.starts_with(name));
    let advice: Vec<&str> = advice.lines().filter(is_ours).collect();
    assert_eq!(advice, [""; 0], "{:?}", output.status);
}

/// The value of the only series of an expression.
fn value(prometheus: &Prometheus, expression: &str) -> Option<f64> {
    let series = prometheus.query(expression);
    assert!(series.len() <= 1, "{series:?}");
    series.first().map(|(_, value)| *value)
}

/// How often the bridge was scraped.
fn scrapes(prometheus: &Prometheus) -> f64 {
    value(prometheus, r#"count_over_time(up{job="fedimeter"}[1h])"#).unwrap_or_default()
}

pub fn what_went_away_is_stale(prometheus: &Path) {
    let simulated = Simulated { instances: 2, ..Simulated::default() };
    let simulator = RUNTIME.block_on(Simulator::start(simulated, ([127, 0, 0, 1], 0).into())).unwrap();
    let (stays, leaves) = (simulator.url(0), simulator.url(1));
    let (stays, leaves) = (stays.as_str(), leaves.as_str());
    let named = |url: &str| url.trim_start_matches("http://").split(':').next().unwrap().to_owned();
    let count = |prometheus: &Prometheus, url: &str| {
        let about = format!(r#"count({{server_address="{}"}})"#, named(url));
        value(prometheus, &about).unwrap_or_default()
    };

    let address = free_address();
    let bridge = serving(&address, &[stays, leaves]);
    let prometheus = scraping(prometheus, &address, 2);
    eventually("both servers' series", || {
        let counts = (count(&prometheus, stays), count(&prometheus, leaves));
        if counts.0 > 20.0 && counts.1 > 20.0 { Ok(()) } else { Err(format!("{counts:?}")) }
    });

    // The configuration no longer contains it.
    assert_eq!(bridge.end("TERM").0, Some(0));
    let _bridge = serving(&address, &[stays]);
    let before = scrapes(&prometheus);
    let after = eventually("no series of it", || {
        let left = count(&prometheus, leaves);
        if left == 0.0 && count(&prometheus, stays) > 20.0 {
            Ok(scrapes(&prometheus))
        } else {
            Err(format!("{left} series, {}", prometheus.log()))
        }
    });
    assert!(after - before <= 2.0, "stale only after {} scrapes", after - before);
}

/// The numbers of a server that no longer answers disappear with the scrape that notices
/// it. (Those of an endpoint that was not due then remain until it is: accounts, for
/// example, for five minutes.)
pub fn a_dead_server_leaves_no_number(prometheus: &Path, mock: &Path) {
    let mock = Mock::start(mock);
    let address = free_address();
    let _bridge = serving(&address, &[&mock.url]);
    let prometheus = scraping(prometheus, &address, 5);
    let numbers = r#"{__name__=~"mastodon_.*|nodeinfo_.*"}"#;
    eventually("the server's numbers", || {
        if prometheus.query(numbers).is_empty() { Err(prometheus.log()) } else { Ok(()) }
    });
    drop(mock);
    // One query, so that both values have the same time.
    let both = format!("fedimeter_target_up == 0 or {numbers}");
    let found = eventually("the server to be found down", || {
        let found = prometheus.query(&both);
        let down = found.iter().any(|(labels, _)| labels["__name__"] == "fedimeter_target_up");
        if down { Ok(found) } else { Err(format!("{found:?}")) }
    });
    assert_eq!(found.len(), 1, "{found:?}");
}

pub fn by_a_collector(collector: &Path, mock: &Path) {
    let mock = Mock::start(mock);
    let address = free_address();
    let _bridge = serving(&address, &["--account", ACCOUNT, &mock.url]);
    let sink = RUNTIME.block_on(HttpSink::start());
    let collector = Settings::new(collector, "otel-collector/scrape.yaml")
        .set("FEDIMETER", &address)
        .set("SCRAPE_INTERVAL", "2s")
        .set("SCRAPE_TIMEOUT", "2s")
        .set("OTLP_BACKEND", sink.endpoint())
        .start();
    let expected = in_prometheus(&mock.url);
    let port = mock.url.rsplit_once(':').unwrap().1;
    let stored = eventually("the server's points", || {
        let points = sink
            .requests()
            .first()
            .map(|r| crate::support::otlp_sink::points(&r.message))
            .unwrap_or_default();
        let about = points.into_iter().filter(|p| p.kind == "gauge");
        let about = about.filter(|p| p.attributes.get("server_port").is_some_and(|p| p == port));
        let stored: crate::prometheus::Series = about
            .map(|p| {
                let value = match p.value {
                    Value::Double(value) => value,
                    Value::Int(value) => value as f64,
                    other @ Value::Distribution(..) => panic!("{}: {other:?}", p.name),
                };
                series(p.name, p.attributes, value)
            })
            .collect();
        if stored.is_empty() { Err(collector.log()) } else { Ok(stored) }
    });
    assert_eq!(difference(&stored, &expected), [""; 0]);
    let log = collector.log();
    assert!(!log.contains("\twarn\t") && !log.contains("\terror\t"), "{log}");
}
