//! The administrators' metrics of each version. The simulator answers like that version,
//! with its bugs.

use std::collections::BTreeMap;
use std::fmt::Write;

use fedimeter::simulator::{AdminTruth, Report, Settings, Simulator, TokenSpec, Trending};
use fedimeter::target::Token;
use serde_json::{Value, json};

use crate::support::poll::{Bench, outcome, points, target, value};
use crate::support::program::run;

const SECRET: &str = "a-token-of-the-test";

const VERSIONS: [&str; 13] = [
    "2.9.1", "3.0.1", "3.1.1", "3.4.10", "3.5.3", "4.0.2", "4.1.2", "4.2.13", "4.3.0", "4.4.3", "4.5.14",
    "4.6.0", "4.6.4",
];

/// 5 open reports of 12, 2 of them assigned, and 50 trends of each kind.
fn truth() -> AdminTruth {
    let report = |id: u64| Report {
        id,
        category: if id.is_multiple_of(2) { "spam" } else { "violation" }.to_owned(),
        assigned: id < 3,
        resolved: id > 5,
        created_at: 1_700_000_000 + id as i64,
    };
    AdminTruth {
        reports: (1..=12).rev().map(report).collect(),
        pending: 3,
        trending_tags: Trending { listed: 50, pending: 30 },
        trending_statuses: Trending { listed: 50, pending: 50 },
        trending_links: Trending { listed: 50, pending: 0 },
        ..AdminTruth::default()
    }
}

async fn simulator(versions: &[&str]) -> Simulator {
    let settings = Settings {
        instances: versions.len(),
        versions: versions.iter().map(|version| (*version).to_owned()).collect(),
        tokens: vec![TokenSpec::everything(SECRET)],
        ..Settings::default()
    };
    let simulator = Simulator::start(settings, ([127, 0, 0, 1], 0).into()).await.unwrap();
    (0..versions.len()).for_each(|i| simulator.set_admin_truth(i, Some(truth())));
    simulator
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_shows_open_reports_and_pending_trends_of_every_version() {
    let simulator = simulator(&VERSIONS).await;
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    std::fs::write(&token, SECRET).unwrap();
    let file = directory.path().join("fedimeter.yaml");
    let mut yaml = "timeout: 1m\ndeadline: 5m\ntargets:\n".to_owned();
    for url in simulator.urls() {
        writeln!(yaml, "  - url: {url}\n    token_file: {}", token.display()).unwrap();
    }
    std::fs::write(&file, yaml).unwrap();
    let config = file.to_str().unwrap().to_owned();
    let ran =
        tokio::task::spawn_blocking(move || run(&["once", "--format", "json", "--config", &config], &[]));
    let said: Value = serde_json::from_str(&ran.await.unwrap().out).unwrap();
    for (version, said) in VERSIONS.iter().zip(said["targets"].as_array().unwrap()) {
        let mut found: BTreeMap<String, Value> = BTreeMap::new();
        for metric in said["metrics"].as_array().unwrap() {
            let name = metric["name"].as_str().unwrap();
            if let Some(name) = name.strip_prefix("mastodon.admin.") {
                let own = metric["attributes"].as_object().unwrap();
                let own: Vec<&str> = own
                    .iter()
                    .filter(|(key, _)| key.starts_with("mastodon."))
                    .map(|(_, v)| v.as_str().unwrap())
                    .collect();
                found.insert([&[name], &own[..]].concat().join(" "), metric["value"].clone());
            }
        }
        let of = |prefix: &str| -> BTreeMap<&str, &Value> {
            found
                .iter()
                .filter(|(name, _)| name.starts_with(prefix))
                .map(|(name, value)| (&**name, value))
                .collect()
        };
        // Categories and trends exist from 3.5.
        let new = *version >= "3.5";
        let open = if new {
            json!({"reports.open legal": 0, "reports.open other": 0, "reports.open spam": 2, "reports.open violation": 3})
        } else {
            json!({"reports.open legal": 0, "reports.open other": 0, "reports.open spam": 0, "reports.open violation": 0,
                   "reports.open _OTHER": 5})
        };
        assert_eq!(json!(of("reports.open")), open, "{version}");
        assert_eq!(json!(of("reports.unassigned")), json!({"reports.unassigned": 3}), "{version}");
        assert_eq!(
            json!(of("reports.oldest")),
            json!({"reports.oldest.timestamp": 1_700_000_001.0}),
            "{version}"
        );
        assert_eq!(json!(of("accounts")), json!({"accounts.pending": 3}), "{version}");
        let trends = match *version {
            version if version < "3.5" => json!({}),
            // By a bug, the version returns plain hashtags.
            "4.0.2" => json!({"trends.pending statuses": 50, "trends.pending links": 0}),
            _ => json!({"trends.pending tags": 30, "trends.pending statuses": 50, "trends.pending links": 0}),
        };
        assert_eq!(json!(of("trends")), trends, "{version}");
    }
}

/// A server of this version with these answers to the token.
async fn answering(version: &str, answers: &[(&str, Value)]) -> (Simulator, Bench) {
    let simulator = simulator(&["4.6.4"]).await;
    let v2 = json!({"domain": "a.example", "version": version, "source_url": ""});
    for (path, body) in [("/api/v2/instance", v2)].iter().chain(answers) {
        simulator.set_json(0, path, body.to_string());
    }
    for path in ["/api/v1/instance", "/.well-known/nodeinfo"] {
        simulator.set_fault(0, path, Some("status:404".parse().unwrap()));
    }
    let mut target = target(&simulator, 0);
    target.token = Some(Token::new(SECRET));
    target.select_endpoints(&[]);
    let bench = Bench::of(vec![target]);
    (simulator, bench)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_on_which_action_was_taken_are_not_open_whatever_was_asked() {
    let report = |taken: bool| json!({"id": "1", "category": "spam", "action_taken": taken, "created_at": "2026-08-01T00:00:00Z"});
    let list = json!([report(true), report(false), report(true)]);
    let (_simulator, bench) = answering("0.1", &[("/api/v1/admin/reports", list)]).await;
    let view = bench.refresh().await;
    let open: f64 = points(&view, 0, "mastodon.admin.reports.open").iter().map(|(_, n)| n).sum();
    assert!((open - 1.0).abs() < f64::EPSILON, "{open}");
    assert_eq!(value(&view, 0, "mastodon.admin.reports.unassigned"), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_gotosocial_is_asked_for_what_is_not_resolved() {
    for (version, expected) in [
        ("4.5.0", "/api/v1/admin/reports?limit=100"),
        ("0.1.0 (compatible; GoToSocial 0.20.0)", "/api/v1/admin/reports?resolved=false&limit=100"),
        ("0.1.0 (compatible; Unheard 1.0)", "/api/v1/admin/reports?limit=100"),
    ] {
        let (simulator, bench) = answering(version, &[("/api/v1/admin/reports", json!([]))]).await;
        bench.refresh().await;
        let asked: Vec<String> = simulator.request_log().into_iter().map(|request| request.target).collect();
        let reports: Vec<&String> = asked.iter().filter(|target| target.contains("/admin/reports")).collect();
        assert_eq!(reports, [expected], "{version}");
    }
}

/// Mitra lists every account for any query, and does not report whether an account is
/// approved.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_count_as_pending_only_where_they_say_so() {
    for (accounts, pending, ended) in [
        (json!([{"approved": false}, {"approved": true}, {"approved": false}]), Some(2), "ok"),
        (json!([{"id": "1"}, {"approved": false}]), None, "not_offered"),
        (json!([]), Some(0), "ok"),
    ] {
        let (_simulator, bench) = answering("4.6.4", &[("/api/v2/admin/accounts", accounts.clone())]).await;
        let view = bench.refresh().await;
        assert_eq!(value(&view, 0, "mastodon.admin.accounts.pending"), pending, "{accounts}");
        assert_eq!(outcome(&view, 0, fedimeter::endpoint::Endpoint::AdminAccounts), ended, "{accounts}");
    }
}
