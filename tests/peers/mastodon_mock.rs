//! An independent server: `mastodon_mock` from PyPI. Each of its numbers, read here without
//! code of the project, is the metric's value in `once`, on `/metrics` and at an OTLP
//! receiver.
//!
//! Without it the tests are ignored, and the reason is printed.

use crate::support::{http, ports, samples, venv};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::expected::{Expected, expected};
use crate::support::otlp_sink::{GrpcSink, Value as OtlpValue};
use crate::support::program::{PATIENCE, Serving, run};
use crate::support::trial::trial;
use libtest_mimic::Trial;
use serde_json::Value;

const PACKAGE: &str = "mastodon_mock==0.6.1";

pub fn trials() -> Vec<Trial> {
    // The server ends with its last owner, which is the last test.
    let mock = Mock::start().map(Arc::new);
    let about = |name: &str, test: fn(&Mock)| trial(name, mock.clone(), move |mock: Arc<Mock>| test(&mock));
    vec![
        about("once_prints_what_the_server_says", once_prints_what_the_server_says),
        about("metrics_shows_what_the_server_says", metrics_shows_what_the_server_says),
        about("a_receiver_gets_what_the_server_says", a_receiver_gets_what_the_server_says),
        about("a_token_shows_what_the_server_says", a_token_shows_what_the_server_says),
    ]
}

/// The server with its demo data.
struct Mock {
    child: Child,
    url: String,
}

impl Mock {
    fn start() -> Result<Mock, String> {
        let python = venv::venv("mastodon-mock", &[PACKAGE])?;
        // The server does not support port 0. Another program may take the free port first,
        // so there are several attempts.
        let mut result = Err(String::new());
        for _ in 0..3 {
            result = Mock::start_once(&python);
            if result.is_ok() {
                break;
            }
        }
        result
    }

    fn start_once(python: &Path) -> Result<Mock, String> {
        let cannot = |e: std::io::Error| format!("mastodon_mock does not start: {e}");
        let port = ports::free();
        let child = Command::new(python.with_file_name("mastodon_mock"))
            .args(["serve", "--demo", "--in-memory", "--log-level", "critical", "--host", "127.0.0.1"])
            .args(["--port", &port.port().to_string()])
            .current_dir(env!("CARGO_TARGET_TMPDIR"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(cannot)?;
        let mut mock = Mock { child, url: format!("http://{port}") };
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if let Some(status) = mock.child.try_wait().map_err(cannot)? {
                return Err(format!("mastodon_mock ended: {status}"));
            }
            if mock.get("/api/v1/instance").is_ok() {
                return Ok(mock);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(format!("mastodon_mock does not answer at {}", mock.url))
    }

    fn get(&self, path: &str) -> Result<Value, String> {
        let url = format!("{}{path}", self.url);
        let get = async { http::client().get(&url).send().await?.error_for_status()?.text().await };
        let body: Result<String, reqwest::Error> = runtime().block_on(get);
        serde_json::from_str(&body.map_err(|e| format!("{url}: {e}"))?).map_err(|e| format!("{url}: {e}"))
    }

    /// The current numbers of the server, with two of its accounts, one by name and one by
    /// id.
    fn expected(&self) -> Expected {
        let get = |path: &str| self.get(path).unwrap();
        let accounts = get("/api/v1/directory?limit=2");
        let name = accounts[0]["acct"].as_str().unwrap();
        let id = accounts[1]["id"].as_str().unwrap();
        assert_ne!(accounts[0]["id"], accounts[1]["id"]);
        let accounts = vec![
            (name.to_owned(), get(&format!("/api/v1/accounts/lookup?acct={name}"))),
            (id.to_owned(), get(&format!("/api/v1/accounts/{id}"))),
        ];
        expected(
            &get("/api/v1/instance"),
            &get("/api/v2/instance"),
            &get("/api/v1/instance/activity"),
            &get("/nodeinfo/2.0"),
            accounts,
        )
    }

    /// The `key=value` attributes of every point about the server.
    fn identity(&self) -> BTreeMap<String, String> {
        let port = self.url.rsplit_once(':').unwrap().1;
        [("server.address", "127.0.0.1"), ("server.port", port)]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into()
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// The points about the server from any output, by name and attributes, without its
/// identity.
type Points = BTreeMap<(String, BTreeMap<String, String>), f64>;

fn about_server(name: &str) -> bool {
    ["mastodon", "nodeinfo", "fedimeter_target_", "fedimeter.target."].iter().any(|p| name.starts_with(p))
}

fn once_prints_what_the_server_says(mock: &Mock) {
    let expected = mock.expected();
    let mut args = vec!["once", "--format", "json", &mock.url];
    args.extend(expected.accounts().flat_map(|account| ["--account", account]));
    let ran = run(&args, &[]);
    assert_eq!((ran.status, ran.err.as_str()), (Some(0), ""));
    let printed: Value = serde_json::from_str(&ran.out).unwrap();
    let [target] = &printed["targets"].as_array().unwrap()[..] else { panic!("{printed}") };
    assert_eq!(target["target"], mock.url.as_str());
    assert_eq!(target["server.address"], "127.0.0.1");
    assert_eq!(target["up"], true);
    for endpoint in target["endpoints"].as_array().unwrap() {
        assert_eq!(endpoint["outcome"], "ok", "{endpoint}");
        assert_eq!(endpoint["status"], 200, "{endpoint}");
        assert!(endpoint["duration"].as_f64().unwrap() > 0.0, "{endpoint}");
        assert!(endpoint["size"].as_u64().unwrap() > 0, "{endpoint}");
    }
    let endpoints: Vec<&Value> =
        target["endpoints"].as_array().unwrap().iter().map(|e| &e["endpoint"]).collect();
    let known = ["instance_v2", "instance_v1", "nodeinfo_discovery", "nodeinfo", "activity", "accounts"];
    assert_eq!(endpoints, known);
    let mut points = Points::new();
    for metric in target["metrics"].as_array().unwrap() {
        let name = metric["name"].as_str().unwrap();
        if about_server(name) {
            let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
            let attributes = metric["attributes"].as_object().unwrap();
            let attributes = attributes.iter().map(|(key, value)| (key.clone(), text(value))).collect();
            let key = (name.to_owned(), without(attributes, &mock.identity()));
            assert_eq!(points.insert(key, metric["value"].as_f64().unwrap()), None, "{name} stands twice");
        }
    }
    expected.check(&points);
}

fn metrics_shows_what_the_server_says(mock: &Mock) {
    let expected = mock.expected();
    let accounts: Vec<&str> = expected.accounts().collect();
    let args = ["serve", "--listen", "127.0.0.1:0", "--account", &accounts.join(","), &mock.url];
    let bridge = Serving::start(&args, &[]);
    let url = format!("{}/metrics", bridge.url());
    let text = runtime().block_on(async { http::body(http::client().get(url)).await });
    let label = |key: &str| key.replace('.', "_");
    let identity = mock.identity().into_iter().map(|(key, value)| (label(&key), value)).collect();
    let mut points = Points::new();
    for sample in samples::samples(&text).into_iter().filter(|s| about_server(&s.name)) {
        let mut labels = without(sample.labels, &identity);
        assert_eq!(labels.remove("otel_scope_name").as_deref(), Some("fedimeter"));
        points.insert((sample.name, labels), sample.value);
    }
    expected.in_prometheus().check(&points);
    assert_eq!(bridge.end("TERM").0, Some(0));
}

fn a_receiver_gets_what_the_server_says(mock: &Mock) {
    let expected = mock.expected();
    let runtime = runtime();
    let sink = runtime.block_on(GrpcSink::start());
    let accounts: Vec<&str> = expected.accounts().collect();
    let env = [
        ("MASTODON_HOST", mock.url.as_str()),
        ("FEDIMETER_ACCOUNTS", &accounts.join(",")),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &sink.endpoint()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
    ];
    let bridge = Serving::start(&["--listen", "none"], &env);
    runtime.block_on(sink.wait_for(1));
    let mut points = Points::new();
    for point in sink.points().into_iter().filter(|p| about_server(&p.name)) {
        assert_eq!((point.kind, point.scope.as_str()), ("gauge", "fedimeter"), "{}", point.name);
        assert_eq!(point.resource["service.name"], "fedimeter");
        let value = match point.value {
            OtlpValue::Int(n) => n as f64,
            other => panic!("{} is no whole number: {other:?}", point.name),
        };
        let key = (point.name, without(point.attributes, &mock.identity()));
        assert_eq!(points.insert(key, value), None, "a point stands twice");
    }
    expected.check(&points);
    assert_eq!(bridge.end("TERM").0, Some(0));
}

/// The attributes without the identity, which must be complete.
fn without(
    mut attributes: BTreeMap<String, String>,
    identity: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    for (key, value) in identity {
        assert_eq!(attributes.remove(key).as_ref(), Some(value), "{key}");
    }
    attributes
}

/// The demo's administrator.
const TOKEN: &str = "ada_token";

/// Sends a request as the administrator, without code of the project. Returns the JSON of
/// the answer.
fn as_admin(mock: &Mock, method: &str, path: &str, form: &str) -> Value {
    use std::io::{Read, Write};
    let address = mock.url.trim_start_matches("http://");
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let length = form.len();
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\nAuthorization: Bearer {TOKEN}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{form}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// On a separate server, because the test changes it.
fn a_token_shows_what_the_server_says(_: &Mock) {
    let mock = Mock::start().unwrap();
    for (domain, severity) in [("a.example", "silence"), ("b.example", "suspend"), ("c.example", "suspend")] {
        let form = format!("domain={domain}&severity={severity}");
        let blocked = as_admin(&mock, "POST", "/api/v1/admin/domain_blocks", &form);
        assert_eq!(blocked["severity"], severity, "{blocked}");
    }
    let args = [
        "once",
        "--format",
        "json",
        "--token-env",
        "MOCK_TOKEN",
        "--collect",
        "custom_emojis,health",
        &mock.url,
    ];
    let ran = run(&args, &[("MOCK_TOKEN", TOKEN)]);
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    assert!(!ran.out.contains(TOKEN) && !ran.err.contains(TOKEN));
    let printed: Value = serde_json::from_str(&ran.out).unwrap();
    let values = |name: &str| -> Vec<f64> {
        let metrics = printed["targets"][0]["metrics"].as_array().unwrap();
        metrics.iter().filter(|m| m["name"] == name).map(|m| m["value"].as_f64().unwrap()).collect()
    };
    let length = |path: &str| as_admin(&mock, "GET", path, "").as_array().unwrap().len() as f64;
    // noop, silence, suspend
    assert_eq!(values("mastodon.admin.domain_blocks"), [0.0, 1.0, 2.0]);
    assert_eq!(values("mastodon.instance.announcements"), [length("/api/v1/announcements")]);
    assert_eq!(values("mastodon.instance.custom_emojis"), [length("/api/v1/custom_emojis")]);
    let open: f64 = values("mastodon.admin.reports.open").iter().sum();
    assert_eq!(vec![open], [length("/api/v1/admin/reports")]);
    let pending = length("/api/v2/admin/accounts?origin=local&status=pending");
    assert_eq!(values("mastodon.admin.accounts.pending"), [pending]);
    assert_eq!(values("mastodon.instance.web.up"), [1.0]);
    assert_eq!(values("mastodon.instance.streaming.up"), [1.0]);
    // Its measures have no days, and its storage no kinds, so there is nothing to report.
    assert_eq!(values("mastodon.admin.measures.today.active_users"), [0.0; 0]);
    assert_eq!(values("mastodon.admin.storage"), [0.0; 0]);
    let outcomes = printed["targets"][0]["endpoints"].as_array().unwrap();
    let outcome = |name: &str| outcomes.iter().find(|e| e["endpoint"] == name).unwrap()["outcome"].clone();
    for endpoint in ["credentials", "announcements", "admin_reports", "admin_measures", "admin_domain_blocks"]
    {
        assert_eq!(outcome(endpoint), "ok", "{endpoint}");
    }
    // Its hashtags lack `requires_review`, as in the public list. Other trends have it.
    let waiting = as_admin(&mock, "GET", "/api/v1/admin/trends/statuses?limit=20", "");
    let waiting = waiting.as_array().unwrap().iter().filter(|s| s["requires_review"] == true).count();
    assert_eq!(values("mastodon.admin.trends.pending"), [waiting as f64, 0.0]);
    assert_eq!(outcome("admin_trends"), "ok");
}
