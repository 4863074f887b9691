//! A server's numbers, after fedimeter and a Collector or Prometheus, equal those of
//! `once`.

use std::path::Path;

use crate::bench::eventually;
use crate::collector::{Collector, Settings};
use crate::expected::{ACCOUNT, Expected, difference, in_prometheus};
use crate::mock::Mock;
use crate::prometheus::Prometheus;
use crate::support::pki::Pki;
use crate::support::program::Serving;

/// A bridge that pushes the numbers of `server`, without pages.
pub fn pushing(server: &str, endpoint: &str, protocol: &str, more: &[(&str, &str)]) -> Serving {
    let mut env = vec![
        ("MASTODON_HOST", server),
        ("FEDIMETER_ACCOUNTS", ACCOUNT),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
    ];
    env.extend(more);
    Serving::start(&["--listen", "none"], &env)
}

/// The first collection that a Collector wrote equals the output of `once`.
fn arrives(collector: &Collector, mock: &Mock) {
    let points = collector.wait_for("mastodon.instance.users");
    let first: Vec<_> = points.into_iter().filter(|p| p.request == 0).collect();
    assert!(first.iter().all(|p| p.scope == "fedimeter" && p.resource["service.name"] == "fedimeter"));
    assert_eq!(Expected::of(&first, &mock.url), Expected::once(&mock.url));
}

pub fn over_grpc(collector: &Path, mock: &Path) {
    let mock = Mock::start(mock);
    let collector = Settings::to_file(collector).start();
    let bridge = pushing(&mock.url, &collector.grpc(), "grpc", &[]);
    arrives(&collector, &mock);
    assert_eq!(bridge.end("TERM").0, Some(0));
}

pub fn over_http_with_gzip(collector: &Path, mock: &Path) {
    let mock = Mock::start(mock);
    let collector = Settings::to_file(collector).start();
    let gzip = [("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")];
    let bridge = pushing(&mock.url, &collector.http(), "http/protobuf", &gzip);
    arrives(&collector, &mock);
    assert_eq!(bridge.end("TERM").0, Some(0));
}

pub fn with_a_client_certificate(collector: &Path, mock: &Path) {
    let mock = Mock::start(mock);
    let pki = Pki::new();
    let files = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = files.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let (certificate, key) = &pki.server;
    let ca = pki.ca.display().to_string();
    let with_tls = || {
        Settings::to_file(collector)
            .and("tests/e2e/collector-tls.yaml")
            .set("TLS_CERTIFICATE", file("server.pem", certificate))
            .set("TLS_KEY", file("server.key", key))
            .set("TLS_CLIENT_CA", &ca)
            .start()
    };
    let trust = [("OTEL_EXPORTER_OTLP_CERTIFICATE", ca.as_str()), ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")];
    let (certificate, key) =
        (pki.client_certificate.display().to_string(), pki.client_key.display().to_string());
    let identity = [
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", certificate.as_str()),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", key.as_str()),
    ];
    for protocol in ["grpc", "http/protobuf"] {
        let collector = with_tls();
        let plain = if protocol == "grpc" { collector.grpc() } else { collector.http() };
        let endpoint = plain.replace("http://", "https://");

        let stranger = pushing(&mock.url, &endpoint, protocol, &trust);
        let warning = stranger.line(|line| line.contains("WARN").then(|| line.to_owned()));
        assert!(warning.contains(&endpoint), "{warning}");
        drop(stranger);
        assert_eq!(collector.points(), []);

        let bridge = pushing(&mock.url, &endpoint, protocol, &[trust, identity].concat());
        arrives(&collector, &mock);
        assert_eq!(bridge.end("TERM").0, Some(0));
    }
}

pub fn into_prometheus(prometheus: &Path, mock: &Path) {
    let mock = Mock::start(mock);
    let prometheus = Prometheus::start(prometheus, "", &["--web.enable-otlp-receiver"]);
    let endpoint = format!("{}/api/v1/otlp", prometheus.url());
    let bridge = pushing(&mock.url, &endpoint, "http/protobuf", &[]);
    let expected = in_prometheus(&mock.url);
    let stored = eventually("the server's series", || {
        let stored = prometheus.about(&mock.url);
        if stored.is_empty() { Err(prometheus.log() + &bridge.log()) } else { Ok(stored) }
    });
    assert_eq!(difference(&stored, &expected), [""; 0]);
    // There the bridge is a separate target, because of its resource.
    let info = prometheus.query("target_info");
    assert_eq!(info.len(), 1, "{info:?}");
    assert_eq!(info[0].0["job"], "fedimeter");
    assert_eq!(bridge.end("TERM").0, Some(0));
}
