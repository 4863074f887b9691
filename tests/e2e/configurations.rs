//! The configurations in `otel-collector/`, started unchanged.

use std::collections::BTreeSet;
use std::path::Path;

use crate::bench::{RUNTIME, eventually, free_address, get};
use crate::collector::{Collector, Settings};
use crate::expected::{difference, in_prometheus};
use crate::mock::Mock;
use crate::pipeline::pushing;
use crate::programs::root;
use crate::prometheus::Prometheus;
use crate::support::otlp_sink::{GrpcSink, HttpSink, Point, Sink};

/// The Collector's own check accepts every file unchanged.
pub fn are_valid(collector: &Path) {
    let names: BTreeSet<String> = std::fs::read_dir(root().join("otel-collector"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    let known =
        ["agent.yaml", "config.yaml", "grafana-cloud.yaml", "per-instance-resources.yaml", "scrape.yaml"];
    assert_eq!(names.iter().map(String::as_str).collect::<Vec<_>>(), known, "each is started below");
    for name in names {
        let settings = Settings::new(collector, &format!("otel-collector/{name}"));
        let valid = match name.as_str() {
            // This configuration requires it.
            "grafana-cloud.yaml" => {
                assert!(settings.validate().unwrap_err().contains("endpoint"));
                Settings::new(collector, &format!("otel-collector/{name}"))
                    .set("GRAFANA_CLOUD_OTLP_ENDPOINT", "https://otlp-gateway-test.grafana.net/otlp")
                    .set("GRAFANA_CLOUD_INSTANCE_ID", "1")
                    .set("GRAFANA_CLOUD_API_KEY", "key")
                    .validate()
            }
            _ => settings.validate(),
        };
        assert_eq!(valid, Ok(()), "{name}");
    }
}

/// Waits for points about servers, and returns them.
fn about_servers(sink: &Sink, collector: &Collector) -> Vec<Point> {
    eventually("a server's points", || {
        let points = sink.points();
        if points.iter().any(|p| p.name == "mastodon.instance.users") {
            Ok(points)
        } else {
            Err(collector.log())
        }
    })
}

pub fn agent_sends_otlp(collector: &Path, mock: &Path) {
    let mock = Mock::start(mock);
    let agent = |exporter: &str, variable: &str, backend: String| {
        Settings::new(collector, "otel-collector/agent.yaml")
            .set("EXPORTER", exporter)
            .set(variable, backend)
            .set("OTLP_GRPC_INSECURE", "true")
            .start()
    };
    let http = RUNTIME.block_on(HttpSink::start());
    let over_http = agent("otlp_http", "OTLP_BACKEND", http.endpoint());
    let _bridge = pushing(&mock.url, &over_http.grpc(), "grpc", &[]);
    about_servers(&http, &over_http);

    let grpc = RUNTIME.block_on(GrpcSink::start());
    let over_grpc = agent("otlp_grpc", "OTLP_GRPC_BACKEND", grpc.endpoint().replace("http://", ""));
    let _bridge = pushing(&mock.url, &over_grpc.http(), "http/protobuf", &[]);
    about_servers(&grpc, &over_grpc);
}

pub fn agent_writes_to_prometheus(collector: &Path, prometheus: &Path, mock: &Path) {
    let mock = Mock::start(mock);
    let prometheus = Prometheus::start(prometheus, "", &["--web.enable-remote-write-receiver"]);
    let agent = Settings::new(collector, "otel-collector/agent.yaml")
        .set("EXPORTER", "prometheusremotewrite")
        .set("REMOTE_WRITE_URL", format!("{}/api/v1/write", prometheus.url()))
        .start();
    let _bridge = pushing(&mock.url, &agent.grpc(), "grpc", &[]);
    let stored = eventually("the server's series", || {
        let stored = prometheus.about(&mock.url);
        if stored.is_empty() { Err(agent.log()) } else { Ok(stored) }
    });
    assert_eq!(difference(&stored, &in_prometheus(&mock.url)), [""; 0]);
}

/// Prometheus rejects a request that is older than the last one of the same resource, so a
/// reordering would lose one of two requests.
pub fn agent_keeps_the_order(collector: &Path, prometheus: &Path, mock: &Path) {
    let mock = Mock::start(mock);
    let prometheus = Prometheus::start(prometheus, "", &["--web.enable-otlp-receiver"]);
    let agent = Settings::new(collector, "otel-collector/agent.yaml")
        .set("OTLP_BACKEND", format!("{}/api/v1/otlp", prometheus.url()))
        .start();
    // A push consists of two requests: of the servers, and of the bridge itself.
    let _bridge = pushing(&mock.url, &agent.grpc(), "grpc", &[("OTEL_METRIC_EXPORT_INTERVAL", "100")]);
    eventually("forty pushes", || {
        let stored = prometheus.query("max(count_over_time(mastodon_instance_users[1h]))");
        if stored.iter().any(|(_, pushes)| *pushes >= 40.0) { Ok(()) } else { Err(agent.log()) }
    });
    assert!(!agent.log().contains("Dropping data"), "{}", agent.log());
}

pub fn grafana_cloud_gets_its_password(collector: &Path, mock: &Path) {
    let mock = Mock::start(mock);
    let cloud = RUNTIME.block_on(HttpSink::start());
    let collector = Settings::new(collector, "otel-collector/grafana-cloud.yaml")
        .set("GRAFANA_CLOUD_OTLP_ENDPOINT", format!("{}/otlp", cloud.endpoint()))
        .set("GRAFANA_CLOUD_INSTANCE_ID", "123456")
        .set("GRAFANA_CLOUD_API_KEY", "glc_secret")
        .start();
    let _bridge = pushing(&mock.url, &collector.grpc(), "grpc", &[]);
    about_servers(&cloud, &collector);
    let requests = cloud.requests();
    assert_eq!(requests[0].path, "/otlp/v1/metrics");
    // base64 of 123456:glc_secret
    assert_eq!(requests[0].headers["authorization"], "Basic MTIzNDU2OmdsY19zZWNyZXQ=");
    assert!(!collector.log().contains("glc_secret"));
}

pub fn each_server_is_a_resource(collector: &Path, mock: &Path) {
    let mocks = [Mock::start(mock), Mock::start(mock)];
    let backend = RUNTIME.block_on(HttpSink::start());
    let collector = Settings::new(collector, "otel-collector/per-instance-resources.yaml")
        .set("OTLP_BACKEND", backend.endpoint())
        .start();
    let servers = mocks.each_ref().map(|mock| mock.url.as_str()).join(",");
    let bridge = crate::support::program::Serving::start(
        &["--listen", "none"],
        &[("FEDIMETER_TARGETS", &servers), ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.http())],
    );
    let points = about_servers(&backend, &collector);
    let (about, own): (Vec<_>, Vec<_>) = points
        .into_iter()
        .partition(|p| ["mastodon.", "nodeinfo.", "fedimeter.target."].iter().any(|m| p.name.starts_with(m)));
    let mut seen = BTreeSet::new();
    for point in &about {
        assert!(!point.attributes.contains_key("server.address"), "{point:?}");
        let (host, port) = (&point.resource["server.address"], &point.resource["server.port"]);

        assert_eq!(point.resource["service.instance.id"], format!("{host}:{port}"));
        assert_eq!(point.resource["service.name"], "fedimeter");
        seen.insert(format!("http://{host}:{port}"));
    }
    assert_eq!(seen, mocks.iter().map(|mock| mock.url.clone()).collect());
    let bridges: BTreeSet<&String> = about.iter().map(|p| &p.resource["fedimeter.instance.id"]).collect();
    assert_eq!(bridges.len(), 1);
    // Points about no server stay on the bridge's resource.
    for point in own.iter().filter(|p| !p.resource.contains_key("server.address")) {
        assert!(bridges.contains(&point.resource["service.instance.id"]), "{point:?}");
    }
    assert_eq!(bridge.end("TERM").0, Some(0));
}

/// The smallest configuration: received points are on a page.
pub fn stands_on_a_page(collector: &Path, mock: &Path) {
    let mock = Mock::start(mock);
    let page = free_address();
    let collector =
        Settings::new(collector, "otel-collector/config.yaml").set("PROMETHEUS_ENDPOINT", &page).start();
    let _bridge = pushing(&mock.url, &collector.grpc(), "grpc", &[]);
    let page = format!("http://{page}/metrics");
    let text = eventually("the server's series", || {
        let text = get(&page)?;
        if text.contains("mastodon_instance_users{") { Ok(text) } else { Err(collector.log()) }
    });
    let port = mock.url.rsplit_once(':').unwrap().1;
    let about = crate::support::samples::samples(&text)
        .into_iter()
        .filter(|s| s.labels.get("server_port").is_some_and(|p| p == port) && !s.name.ends_with("_total"));
    let stored = about.map(|s| crate::prometheus::series(s.name, s.labels, s.value)).collect();
    assert_eq!(difference(&stored, &in_prometheus(&mock.url)), [""; 0]);
}
