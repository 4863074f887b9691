//! Recorded answers of lists and of the administration, served at their endpoints: every
//! number equals the one in the JSON, which is computed here independently. Without the
//! recorded answers, these tests are ignored.
#![allow(clippy::float_cmp, reason = "they are whole numbers")]

use crate::support::recorded;
use std::collections::BTreeMap;

use crate::support::recorded::Sample;
use fedimeter::api::admin::{read_languages, read_measures};
use fedimeter::document::{Document, Top};
use fedimeter::endpoint::Endpoint;
use fedimeter::simulator::TokenSpec;
use fedimeter::snapshot::{MEASURES, View};
use fedimeter::target::Token;
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::support::trial::trial;

use crate::support::poll::{Bench, V46, outcome, points, simulator, target};

const SECRET: &str = "a-token-of-the-test";

pub fn trials() -> Vec<Trial> {
    let samples = recorded::all();
    let about =
        |name: &str, test: fn(&[Sample])| trial(name, samples.clone(), move |all: Vec<Sample>| test(&all));
    vec![
        about("reports", reports),
        about("measures", measures),
        about("dimensions", dimensions),
        about("lists", lists),
    ]
}

/// The samples with this part in their names, as JSON.
fn named<'a>(all: &'a [Sample], part: &str) -> Vec<(&'a str, Value)> {
    let found: Vec<_> = all
        .iter()
        .filter(|sample| sample.name.contains(part) && !sample.name.contains("-error-"))
        .map(|sample| (sample.name.as_str(), serde_json::from_slice(&sample.body).unwrap()))
        .collect();
    assert!(!found.is_empty(), "no sample of {part}");
    found
}

/// A view of a Mastodon 4.6, or of the GoToSocial that a sample names, with this answer at
/// this path.
fn served(name: &str, endpoint: Endpoint, path: &str, body: &Value) -> View {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let simulator = simulator(|s| s.tokens = vec![TokenSpec::everything(SECRET)]).await;
        simulator.set_json(V46, path, body.to_string());
        if name.starts_with("gotosocial") {
            let v1 = json!({"version": "0.1.0 (compatible; GoToSocial 0.20.0)"});
            simulator.set_json(V46, "/api/v1/instance", v1.to_string());
        }
        let mut target = target(&simulator, V46);
        target.token = Some(Token::new(SECRET));
        target.endpoints = vec![Endpoint::InstanceV1, endpoint];
        let view = Bench::of(vec![target]).refresh().await;
        View::new(view.started, view.unix, view.targets.clone())
    })
}

fn reports(all: &[Sample]) {
    for (name, body) in named(all, "-admin-reports") {
        let view = served(name, Endpoint::AdminReports, "/api/v1/admin/reports", &body);
        let items: Vec<&Value> =
            body.as_array().unwrap().iter().filter(|item| item["action_taken"] != true).collect();
        let mut by_category: BTreeMap<&str, f64> = BTreeMap::new();
        for item in &items {
            // Before 3.5, reports have no category.
            *by_category.entry(item["category"].as_str().unwrap_or("_OTHER")).or_default() += 1.0;
        }
        for (category, count) in points(&view, 0, "mastodon.admin.reports.open") {
            assert_eq!(
                count,
                by_category.get(category.as_str()).copied().unwrap_or(0.0),
                "{name}: {category}"
            );
        }
        let unassigned = items.iter().filter(|item| item["assigned_account"].is_null()).count();
        let found = points(&view, 0, "mastodon.admin.reports.unassigned");
        assert_eq!(found, [(String::new(), unassigned as f64)], "{name}");
        let oldest = items.iter().map(|item| item["created_at"].as_str().unwrap()).min().unwrap();
        let oldest: jiff::Timestamp = oldest.parse().unwrap();
        let found = points(&view, 0, "mastodon.admin.reports.oldest.timestamp");
        assert_eq!(found, [(String::new(), oldest.as_millisecond() as f64 / 1e3)], "{name}");
    }
}

/// Every day of every recorded measure, as if it were today.
fn measures(all: &[Sample]) {
    for (name, body) in named(all, "-admin-measures") {
        let mut days: Vec<String> = body
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|measure| measure["data"].as_array().unwrap())
            .map(|day| day["date"].as_str().unwrap()[..10].to_owned())
            .collect();
        days.sort();
        days.dedup();
        for (i, day) in days.iter().enumerate() {
            let text = body.to_string();
            let mut doc = Document::parse(text.as_bytes(), Top::Array).unwrap();
            let read = read_measures(&mut doc, day.parse().unwrap());
            let said = |key: &str, day: Option<&String>| {
                let measure = body.as_array().unwrap().iter().find(|measure| measure["key"] == key)?;
                let of_day = |d: &&Value| Some(&d["date"].as_str().unwrap()[..10]) == day.map(String::as_str);
                measure["data"].as_array().unwrap().iter().find(of_day)?["value"]
                    .as_str()?
                    .parse::<i64>()
                    .ok()
            };
            for (place, key) in MEASURES.iter().enumerate() {
                assert_eq!(read.today[place], said(key, Some(day)), "{name}: {key} of {day}");
                let before = i.checked_sub(1).map(|before| &days[before]);
                assert_eq!(read.yesterday[place], said(key, before), "{name}: {key} before {day}");
            }
        }
    }
}

fn dimensions(all: &[Sample]) {
    for (name, body) in named(all, "-admin-dimensions") {
        let of = |key: &str| {
            let dimension = body.as_array().unwrap().iter().find(|dimension| dimension["key"] == key);
            dimension.map(|d| d["data"].as_array().unwrap().clone()).unwrap_or_default()
        };
        let view = served(name, Endpoint::AdminStorage, "/api/v1/admin/dimensions", &body);
        let storage: Vec<(String, f64)> = of("space_usage")
            .iter()
            .map(|d| (d["key"].as_str().unwrap().to_owned(), d["value"].as_str().unwrap().parse().unwrap()))
            .collect();
        assert_eq!(points(&view, 0, "mastodon.admin.storage"), storage, "{name}");
        let view = served(name, Endpoint::AdminSoftware, "/api/v1/admin/dimensions", &body);
        let software: Vec<(String, f64)> = of("software_versions")
            .iter()
            .map(|d| (format!("{},{}", d["key"].as_str().unwrap(), d["value"].as_str().unwrap()), 1.0))
            .collect();
        assert_eq!(points(&view, 0, "mastodon.admin.software.info"), software, "{name}");
        let text = body.to_string();
        let mut doc = Document::parse(text.as_bytes(), Top::Array).unwrap();
        let languages: i64 = read_languages(&mut doc).0.iter().map(|(_, users)| users).sum();
        let said: i64 =
            of("languages").iter().map(|d| d["value"].as_str().unwrap().parse::<i64>().unwrap()).sum();
        assert!(languages <= said && (said == 0) == (languages == 0), "{name}: {languages} of {said}");
    }
}

/// Lists whose length counts, in total or by severity.
fn lists(all: &[Sample]) {
    for (part, endpoint, path, metric) in [
        ("-4.6.4-instance-peers", Endpoint::Peers, "/api/v1/instance/peers", "mastodon.instance.peers"),
        ("-peers-filter-", Endpoint::Peers, "/api/v1/instance/peers", "mastodon.instance.peers"),
        (
            "-custom_emojis",
            Endpoint::CustomEmojis,
            "/api/v1/custom_emojis",
            "mastodon.instance.custom_emojis",
        ),
        (
            "-admin_domain_allows-",
            Endpoint::AdminDomainAllows,
            "/api/v1/admin/domain_allows",
            "mastodon.admin.domain_allows",
        ),
        (
            "-canonical_email_blocks",
            Endpoint::AdminCanonicalEmailBlocks,
            "/api/v1/admin/canonical_email_blocks",
            "mastodon.admin.canonical_email_blocks",
        ),
        (
            "-instance-domain_blocks",
            Endpoint::DomainBlocks,
            "/api/v1/instance/domain_blocks",
            "mastodon.instance.domain_blocks",
        ),
        (
            "-admin-domain_blocks",
            Endpoint::AdminDomainBlocks,
            "/api/v1/admin/domain_blocks",
            "mastodon.admin.domain_blocks",
        ),
    ] {
        for (name, body) in named(all, part) {
            let view = served(name, endpoint, path, &body);
            assert_eq!(outcome(&view, 0, endpoint), "ok", "{name}");
            let total: f64 = points(&view, 0, metric).iter().map(|(_, n)| n).sum();
            assert_eq!(total, body.as_array().unwrap().len() as f64, "{name}");
            for (severity, count) in points(&view, 0, metric).iter().filter(|(label, _)| !label.is_empty()) {
                // Blocks of GoToSocial suspend without saying so.
                let said = body
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter(|item| item["severity"].as_str().unwrap_or("suspend") == severity.as_str());
                assert_eq!(*count, said.count() as f64, "{name}: {severity}");
            }
        }
    }
}
