//! Documents with arbitrary JSON in any field: no panics, no numbers that the document does
//! not contain, and no text of the document in labels.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::support::documents::{self, ACCOUNT, ACTIVITY, DISCOVERY, Mutated, NODEINFO, V1, V2};
use crate::support::points::points;
use crate::support::sources::{self, Said};
use fedimeter::api::{account, instance, nodeinfo};
use fedimeter::clock::Moment;
use fedimeter::document::{Document, Top};
use fedimeter::endpoint::Endpoint;
use fedimeter::fetch::follow;
use fedimeter::metrics::uncounted::Figure;
use fedimeter::metrics::{Label, Number, rows};
use fedimeter::snapshot::{Facts, Found, LastAttempt, Slot, Snapshot, View};
use fedimeter::software::Software;
use fedimeter::target::{AccountRef, Target};
use proptest::prelude::*;
use url::Url;

/// The time at which the activity of the plausible documents is current.
const NOW: f64 = 1_775_949_325.0;
const FOLLOWED: &str = "ada@mastodon.example";

fn config() -> ProptestConfig {
    ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn v2_says_only_what_it_says(document in documents::mutated(V2)) {
        check(Endpoint::InstanceV2, &document)?;
    }

    #[test]
    fn v1_says_only_what_it_says(document in documents::mutated(V1)) {
        check(Endpoint::InstanceV1, &document)?;
    }

    #[test]
    fn activity_says_only_what_it_says(document in documents::mutated(ACTIVITY)) {
        check(Endpoint::Activity, &document)?;
    }

    #[test]
    fn nodeinfo_says_only_what_it_says(document in documents::mutated(NODEINFO)) {
        check(Endpoint::Nodeinfo, &document)?;
    }

    #[test]
    fn an_account_says_only_what_it_says(document in documents::mutated(ACCOUNT)) {
        check(Endpoint::Accounts, &document)?;
    }

    #[test]
    fn a_discovery_leads_nowhere_else(document in documents::mutated(DISCOVERY)) {
        let target = target();
        let base = target.url.join("/.well-known/nodeinfo").unwrap();
        let Ok(mut doc) = Document::parse(document.body.as_bytes(), Top::Object) else { return Ok(()) };
        let Some(href) = nodeinfo::href(&mut doc, &base) else { return Ok(()) };
        if let Ok(to) = follow(&target, &base, &href) {
            let host = to.host_str().unwrap_or_default();
            prop_assert_eq!(to.scheme(), "https");
            prop_assert!(host == "mastodon.example" || host.ends_with(".mastodon.example"), "{}", to);
        }
    }

    #[test]
    fn any_bytes_are_a_document_or_none(body in documents::bytes()) {
        for top in [Top::Object, Top::Array] {
            match Document::parse(&body, top) {
                Ok(mut doc) => {
                    let _ = instance::activity(&mut doc);
                    let _ = (instance::v1(&mut doc), instance::v2(&mut doc), nodeinfo::document(&mut doc));
                    let _ = (account::account(&mut doc.fields()), nodeinfo::href(&mut doc, &target().url));
                }
                Err(error) => {
                    let words = error.to_string();
                    prop_assert!(words.len() < 300 && !words.contains(char::is_control), "{:?}", words);
                }
            }
        }
    }

    #[test]
    fn any_version_is_read(spelt in documents::version()) {
        let found = Software::parse(&spelt);
        for text in [&found.name, &found.version].into_iter().flatten() {
            prop_assert!(!text.trim().is_empty(), "{:?}", found);
            prop_assert!(spelt.to_lowercase().contains(&text.to_lowercase()) || found.mastodon.is_some(), "{:?}", found);
        }
    }
}

fn target() -> Target {
    let mut target = Target::new(Url::parse("https://mastodon.example/").unwrap(), None, None, &[].into());
    target.accounts = vec![AccountRef::Acct(FOLLOWED.into())];
    target.endpoints = Endpoint::ALL.to_vec();
    target
}

/// Reads an odd document alone and with plausible ones of other endpoints, and checks every
/// point.
fn check(odd: Endpoint, document: &Mutated) -> Result<(), TestCaseError> {
    let others = [
        (Endpoint::InstanceV2, V2),
        (Endpoint::InstanceV1, V1),
        (Endpoint::Nodeinfo, NODEINFO),
        (Endpoint::Activity, ACTIVITY),
        (Endpoint::Accounts, ACCOUNT),
    ];
    let others: Vec<(Endpoint, &str)> = others.into_iter().filter(|(e, _)| *e != odd).collect();
    for company in [&[], others.as_slice()] {
        let mut all: Vec<(Endpoint, &str)> = company.to_vec();
        all.push((odd, &document.body));
        judge(&all)?;
    }
    hides_nothing(odd, document)
}

/// Odd places of a document do not affect its other numbers.
fn hides_nothing(endpoint: Endpoint, document: &Mutated) -> Result<(), TestCaseError> {
    // The counts of a suspended account are omitted.
    if document.places.iter().any(|place| place == "/suspended") {
        return Ok(());
    }
    let (odd, whole) = (view(&[(endpoint, &document.body)]), view(&[(endpoint, document.of)]));
    // A random name may be that of software whose numbers are omitted.
    let is_withheld = |reading| Figure::ALL.iter().any(|figure| figure.withheld(reading).is_some());
    if is_withheld(&odd.readings().next().unwrap()) {
        return Ok(());
    }
    let (odd, whole) = (points(&odd.readings().next().unwrap()), points(&whole.readings().next().unwrap()));
    for metric in sources::apart_from(endpoint, &document.places) {
        let of = |points: &BTreeMap<String, Number>| {
            points.iter().find(|(name, _)| name.split('{').next() == Some(metric)).map(|(_, value)| *value)
        };
        prop_assert!(of(&whole).is_some(), "{} is in no plausible document", metric);
        prop_assert_eq!(of(&odd), of(&whole), "{}", metric);
    }
    Ok(())
}

/// A target with these documents.
fn view(documents: &[(Endpoint, &str)]) -> View {
    let slots = documents.iter().map(|(endpoint, body)| slot(*endpoint, body)).collect();
    let snapshot = Snapshot { slots, ..Snapshot::default() };
    let targets = vec![(Arc::new(target()), Arc::new(snapshot))];
    View::new(Moment::at(Duration::from_secs(1)), NOW, targets)
}

fn judge(documents: &[(Endpoint, &str)]) -> Result<(), TestCaseError> {
    let view = view(documents);
    let said = Said::of(documents);
    let reading = view.readings().next().unwrap();
    let mut wrong = Vec::new();
    for row in rows() {
        row.points(&reading, &mut |value, labels| {
            let value = match value {
                Number::Int(n) => n,
                Number::Float(f) => f as i64,
            };
            if value < 0 {
                wrong.push(format!("{} is {value}", row.name));
            }
            if sources::is_measured(row.name) && !said.says(row.name, value) {
                wrong.push(format!("{} is {value}, which nothing says", row.name));
            }
            let info = row.name == "fedimeter.target.info";
            let known = |label: &Label| match label {
                Label::Static(_) => true,
                Label::Text(text) => info || &**text == FOLLOWED,
                Label::Int(_) => false,
            };
            if !labels.iter().all(|(_, label)| known(label)) {
                wrong.push(format!("{} has the labels {labels:?}", row.name));
            }
        });
    }
    prop_assert!(wrong.is_empty(), "{:?}", wrong);
    Ok(())
}

/// A slot with a new answer.
fn slot(endpoint: Endpoint, body: &str) -> Slot {
    let top = if endpoint == Endpoint::Activity { Top::Array } else { Top::Object };
    let facts = Document::parse(body.as_bytes(), top).ok().map(|mut doc| match endpoint {
        Endpoint::InstanceV2 => Facts::InstanceV2(instance::v2(&mut doc).into()),
        Endpoint::InstanceV1 => Facts::InstanceV1(instance::v1(&mut doc).into()),
        Endpoint::Activity => Facts::Activity(instance::activity(&mut doc).into()),
        Endpoint::Accounts => Facts::Accounts([Some(account::account(&mut doc.fields()))].into()),
        _ => Facts::Nodeinfo(nodeinfo::document(&mut doc).into()),
    });
    let mut slot = Slot::new(endpoint);
    if facts.is_some() {
        slot.record(LastAttempt::new(Moment::at(Duration::from_secs(1)), Found::read(facts, NOW)));
    }
    slot
}
