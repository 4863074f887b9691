//! The pages for people, in a real browser.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use serde_json::json;

use crate::bench::{RUNTIME, get as body_of};
use crate::programs::{directory, root};
use crate::support::otlp_sink::HttpSink;
use crate::support::program::Serving;

/// The number of servers besides the hostile one: more than two pages.
const OTHERS: usize = 240;
const HOSTILE: &str = "4.6.4\"><script>window.hit = 1</script><img src=x onerror=\"window.hit = 2\">\u{202e}";

/// Searches, sorts, selects and opens pages, with and without scripts, in light and dark
/// mode and on a phone, with a server that tries to run a script.
///
/// `UPDATE_PICTURES=1` also updates the pictures in `docs/images/`.
pub fn in_a_browser(modules: &Path) {
    let sink = RUNTIME.block_on(HttpSink::start());
    let endpoint = sink.endpoint();
    let env = [
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", &*endpoint),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
    ];
    let demo = Serving::start(&["demo", "--listen", "127.0.0.1:0"], &env);
    RUNTIME.block_on(sink.wait_for(2));
    body_of(&format!("{}/metrics", demo.url())).unwrap();

    let hostile = hostile();
    let mut yaml = format!("listen: 127.0.0.1:0\ntargets:\n  - {hostile}\n");
    for i in 0..OTHERS {
        // Nothing listens there.
        writeln!(yaml, "  - http://127.0.1.{}:9", i + 1).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fleet.yaml");
    std::fs::write(&file, yaml).unwrap();
    let fleet = Serving::start(&["serve", "--config", file.to_str().unwrap()], &[]);
    body_of(&format!("{}/metrics", fleet.url())).unwrap();

    let pictures = directory().join("page");
    let mut node = Command::new("node");
    node.arg(root().join("tests/e2e/page/click.mjs"))
        .arg(modules)
        .args([demo.url(), fleet.url()])
        .arg(&pictures);
    // The script ends by itself, because every step has a timeout.
    let ran = node.output().unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(ran.status.success(), "{}{}", said(&ran.stdout), said(&ran.stderr));
    if std::env::var_os("UPDATE_PICTURES").is_some() {
        for name in ["page", "page-target", "page-absent", "page-phone"] {
            let name = format!("{name}.png");
            keep(&pictures.join(&name), &root().join("docs/images").join(name));
        }
    }
}

/// Reduces the colours with `pngquant`, if it exists. The file shrinks to a third.
fn keep(from: &Path, to: &Path) {
    let quantized = Command::new("pngquant")
        .args(["--force", "--strip", "--output"])
        .arg(to)
        .arg("64")
        .arg(from)
        .status();
    if !quantized.is_ok_and(|status| status.success()) {
        std::fs::copy(from, to).unwrap();
    }
}

/// A server with HTML and scripts in every text.
fn hostile() -> String {
    let v1 = json!({
        "uri": HOSTILE, "title": HOSTILE, "version": HOSTILE,
        "stats": { "user_count": 7, "status_count": 70, "domain_count": 3 },
    });
    let refusal = json!({ "error": HOSTILE });
    let routes = Router::new()
        .route("/api/v1/instance", get(async move || v1.to_string()))
        .fallback(async move || (StatusCode::INTERNAL_SERVER_ERROR, refusal.to_string()));
    RUNTIME.block_on(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async { axum::serve(listener, routes).await });
        format!("http://{address}")
    })
}
