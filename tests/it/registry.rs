//! The registry in `semconv/` equals the table, and sent points match the registry: names,
//! units, kinds, attributes and types. `UPDATE_GOLDEN=1 cargo test --test it registry`
//! updates it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use std::time::SystemTime;

use crate::support::otlp_sink::{Answer, GrpcSink, HttpSink, Sink};
use crate::support::semconv::{Emitted, Registry, emitted};
use fedimeter::catalogue::registry;
use fedimeter::config::otel::OtelEnv;
use fedimeter::config::{Address, Config, FilePattern, Http, Loaded, Place};
use fedimeter::endpoint::{Endpoint, On};
use fedimeter::export::telemetry::Telemetry;
use fedimeter::metrics::{attributes, rows};
use fedimeter::reload::Setup;
use fedimeter::serve;
use fedimeter::server::socket::Inherited;
use fedimeter::simulator::{Clock, Fault, Settings, ShowDomainBlocks, Simulator, Truth};
use fedimeter::target::{AccountRef, Target, Token, parse_target};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use tokio::sync::oneshot;

/// Metrics that the simulator cannot produce, with the reason.
const BEYOND_THE_SIMULATOR: &[(&str, &str)] = &[
    ("fedimeter.target.certificate.expiry.timestamp", "it speaks no TLS"),
    ("fedimeter.shard.index", "one bridge polls all targets"),
    ("fedimeter.shards", "one bridge polls all targets"),
    ("nodeinfo.active_users.week", "Mastodon does not say it"),
    ("nodeinfo.local_comments", "Mastodon does not say it"),
    ("fedimeter.probe.targets", "it answers no probes"),
    ("fedimeter.probes", "it answers no probes"),
];

#[test]
fn the_registry_is_the_table() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("semconv");
    for (name, text) in registry::files() {
        let path = folder.join(name);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            written, text,
            "semconv/{name} is out of date: UPDATE_GOLDEN=1 cargo test --test it registry, and review the change"
        );
    }
}

#[test]
fn every_row_and_every_attribute_of_ours_is_in_the_registry() {
    let registry = Registry::read();
    let names: BTreeSet<&str> = rows().map(|row| row.name).collect();
    assert_eq!(registry.metrics.keys().map(String::as_str).collect::<BTreeSet<_>>(), names);
    for attribute in attributes::ATTRIBUTES {
        let ours = matches!(attribute.origin, attributes::Origin::Ours(_));
        assert_eq!(registry.attributes.contains_key(attribute.name), ours, "{}", attribute.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_leaves_is_in_the_registry_and_all_of_it_leaves() {
    let registry = Registry::read();
    let all = over_http(&[]).await;
    assert_eq!(complaints(&registry, &all), [""; 0]);

    let there: BTreeSet<&str> = all.iter().map(|metric| metric.name.as_str()).collect();
    let missing: Vec<&str> = registry
        .metrics
        .keys()
        .map(String::as_str)
        .filter(|name| !there.contains(name) && BEYOND_THE_SIMULATOR.iter().all(|(beyond, _)| beyond != name))
        .collect();
    assert!(missing.is_empty(), "never left: {missing:?}");
    for (name, why) in BEYOND_THE_SIMULATOR {
        assert!(!there.contains(name), "{name} is there, though {why}");
    }
    // Each optional attribute was on some points.
    for (name, metric) in registry.metrics.iter().filter(|(name, _)| there.contains(name.as_str())) {
        let seen: BTreeSet<&str> = all
            .iter()
            .filter(|m| m.name == *name)
            .flat_map(|m| m.attributes.keys().map(String::as_str))
            .collect();
        for attribute in &metric.optional {
            // OTLP over HTTP has no gRPC code, reading the instruments does not fail, and
            // this test exports no logs and traces.
            let absent = attribute == "rpc.status_code" || NEVER_FAILING.contains(&name.as_str());
            assert_eq!(!absent, seen.contains(attribute.as_str()), "{name}: {attribute}");
        }
    }
}

/// Metrics about failures that do not happen in these tests.
const NEVER_FAILING: [&str; 3] = [
    "otel.sdk.exporter.log.exported",
    "otel.sdk.exporter.span.exported",
    "otel.sdk.metric_reader.collection.duration",
];

fn complaints(registry: &Registry, all: &[Emitted]) -> Vec<String> {
    let mut wrong: Vec<String> = all.iter().flat_map(|metric| registry.complaints(metric)).collect();
    wrong.sort();
    wrong.dedup();
    wrong
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_grpc_an_operation_has_its_code() {
    let sink = GrpcSink::start().await;
    sink.answer_next(Answer::Status(tonic::Status::invalid_argument("no such tenant")));
    sink.answer_next(Answer::Partial(1, "too old"));
    let all = all_metrics(&sink, &sink.endpoint(), &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).await;
    assert_eq!(complaints(&Registry::read(), &all), [""; 0]);
    let text = |metric: &Emitted, name: &str| match metric.attributes.get(name) {
        Some(Value::StringValue(text)) => text.clone(),
        None => String::new(),
        other => panic!("{name} is {other:?}"),
    };
    let operations = all.iter().filter(|metric| metric.name == "otel.sdk.exporter.operation.duration");
    let ended: BTreeSet<(String, String)> =
        operations.map(|metric| (text(metric, "rpc.status_code"), text(metric, "error.type"))).collect();
    let expected = [("INVALID_ARGUMENT", "INVALID_ARGUMENT"), ("OK", ""), ("OK", "rejected")];
    assert_eq!(ended, expected.map(|(code, error)| (code.to_owned(), error.to_owned())).into());
    assert!(all.iter().all(|metric| !metric.attributes.contains_key("http.response.status_code")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bridge_itself_is_reported_once_a_round_as_push_prefers() {
    let all = over_http(&[
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta"),
        ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "base2_exponential_bucket_histogram"),
    ])
    .await;
    let kinds: BTreeMap<&str, (&str, &str)> =
        all.iter().map(|m| (m.name.as_str(), (m.kind, m.temporality))).collect();
    for (name, expected) in [
        ("fedimeter.request.duration", ("exponential_histogram", "delta")),
        ("fedimeter.collection.duration", ("exponential_histogram", "delta")),
        ("otel.sdk.exporter.operation.duration", ("exponential_histogram", "delta")),
        ("otel.sdk.exporter.metric_data_point.exported", ("counter", "delta")),
        ("otel.sdk.exporter.metric_data_point.inflight", ("updowncounter", "cumulative")),
        ("process.cpu.time", ("counter", "delta")),
        ("process.memory.usage", ("updowncounter", "cumulative")),
        ("process.uptime", ("gauge", "")),
        ("fedimeter.endpoint.failures", ("counter", "delta")),
    ] {
        assert_eq!(kinds.get(name), Some(&expected), "{name}");
    }
}

/// Requests over HTTP, with a failed export, a partially rejected one, and one without an
/// answer, whose points wait.
async fn over_http(env: &[(&str, &str)]) -> Vec<Emitted> {
    let sink = HttpSink::start().await;
    sink.answer_next(Answer::Http(400, Vec::new(), Vec::new()));
    sink.answer_next(Answer::Partial(1, "too old"));
    sink.answer_next(Answer::Hang);
    let env = [env, &[("OTEL_EXPORTER_OTLP_TIMEOUT", "1000")]].concat();
    all_metrics(&sink, &sink.endpoint(), &env).await
}

/// Runs the bridge with simulated servers and a receiver until everything was reported.
/// Returns the requests.
async fn all_metrics(sink: &Sink, endpoint: &str, env: &[(&str, &str)]) -> Vec<Emitted> {
    // Late on the day, when its activity has been computed.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() as i64;
    let settings = Settings {
        clock: Clock::Fixed((now / 86_400 + 1) * 86_400 - 1),
        instances: 4,
        versions: vec!["4.6.0".to_owned(), "4.6.0".to_owned(), "4.2.0".to_owned(), "3.4.0".to_owned()],
        token: Some("secret".to_owned()),
        rate_limit: Some(100_000),
        paging_rate_limit: Some(100_000),
        ..Settings::default()
    };
    let simulator = Simulator::start(settings, ([127, 0, 0, 1], 0).into()).await.unwrap();
    simulator.set_fault(2, "/api/v1/*", Some(Fault::Status(503)));
    // The bridge ignores posts from the future.
    let posted = Some(now * 1000);
    let truth = Truth { newest_local_ms: posted, newest_remote_ms: posted, ..simulator.truth(0) };
    simulator.set_truth(0, Some(truth));
    simulator.switch(0, |switches| switches.show_domain_blocks = ShowDomainBlocks::All);

    let config = Config {
        targets: (0..simulator.len()).map(|i| target(&simulator, i)).collect(),
        listen: vec![Address::Ip(([127, 0, 0, 1], 0).into())],
        http: Http { max_requests_per_host: 8, ..Http::default() },
        ..Config::default()
    };
    let read = |name: &str| match name {
        "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(endpoint.to_owned()),
        "OTEL_METRIC_EXPORT_INTERVAL" => Some("1000".to_owned()),
        "OTEL_LOGS_EXPORTER" | "OTEL_TRACES_EXPORTER" => Some("otlp".to_owned()),
        _ => env.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned()),
    };
    let (otel, warnings) = OtelEnv::read(&read).unwrap();
    // Such a short interval causes a warning.
    assert!(warnings.iter().all(|warning| warning.variable == "OTEL_METRIC_EXPORT_INTERVAL"), "{warnings:?}");
    let resource = serve::resource(&config, &otel);
    let telemetry =
        Telemetry::start(&otel.telemetry, &config.delivery, &resource, config.targets.len()).unwrap();
    let (end, ended) = oneshot::channel::<()>();
    let bridge = tokio::spawn(async move {
        let ended = async {
            let _ = ended.await;
        };
        let list = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/config/lists/good.json").into();
        let file = FilePattern { written: list, place: Place::outside("targets_file") };
        let mut loaded = Loaded::of(config);
        loaded.config.discovery.files.push(file);
        let setup = Setup { loaded, load: None };
        serve::serve(setup, otel, &telemetry, Inherited::default(), ended, |_| {}).await.unwrap();
    });
    // Two requests in each round: that of the targets and that of the bridge itself.
    sink.wait_for(8).await;
    drop(end);
    bridge.await.unwrap();
    simulator.shutdown().await;

    let mut messages: Vec<_> = sink.requests().into_iter().map(|request| request.message).collect();
    // Waiting data has been sent before.
    let again: Vec<bool> = (0..messages.len()).map(|n| messages[..n].contains(&messages[n])).collect();
    let mut again = again.into_iter();
    messages.retain(|_| again.next() == Some(false));
    let rounds: Vec<Vec<Emitted>> = messages.iter().map(emitted).collect();
    let with = |name: &str| rounds.iter().filter(|round| round.iter().any(|m| m.name == name)).count();
    assert_eq!(with("fedimeter.targets"), with("fedimeter.target.up"), "the bridge itself once a round");
    rounds.into_iter().flatten().collect()
}

fn target(simulator: &Simulator, i: usize) -> Target {
    let truth = simulator.truth(i);
    let url = parse_target(&simulator.url(i)).unwrap();
    let mut target = Target::new(url, None, None, &BTreeMap::new());
    target.token = Some(Token::new("secret"));
    target.accounts = vec![AccountRef::Acct(truth.accounts[0].username.as_str().into())];
    target.tags = vec![truth.tags[0].name.as_str().into()];
    let collect: Vec<Endpoint> = Endpoint::ALL.iter().copied().filter(|e| e.on() == On::OptIn).collect();
    target.select_endpoints(&collect);
    target
}
