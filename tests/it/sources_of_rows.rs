//! Every row of the metric table names exactly the endpoints from which it is read. The
//! reasons for absent numbers depend on them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fedimeter::endpoint::{Endpoint, On};
use fedimeter::metrics::{Row, rows};
use fedimeter::simulator::{Settings, ShowDomainBlocks, Simulator};
use fedimeter::snapshot::{Found, Reading, Snapshot, View};
use fedimeter::target::{AccountRef, Target, Token};

use crate::support::served::{poll, target};

const VERSIONS: [&str; 3] = ["4.6.4", "4.2.13", "3.4.10"];
/// Endpoints that report the software, on which the meaning of other answers depends.
const SOFTWARE: [Endpoint; 3] = [Endpoint::InstanceV2, Endpoint::InstanceV1, Endpoint::Nodeinfo];

async fn view() -> Arc<View> {
    let settings = Settings {
        instances: VERSIONS.len(),
        versions: VERSIONS.map(str::to_owned).to_vec(),
        token: Some("secret".to_owned()),
        ..Settings::default()
    };
    let simulator = Simulator::start(settings, ([127, 0, 0, 1], 0).into()).await.unwrap();
    let collect: Vec<Endpoint> = Endpoint::ALL.iter().copied().filter(|e| e.on() == On::OptIn).collect();
    let everything = |i: usize| -> Target {
        simulator.switch(i, |switches| switches.show_domain_blocks = ShowDomainBlocks::All);
        let truth = simulator.truth(i);
        let mut target = target(&simulator, i);
        target.token = Some(Token::new("secret"));
        target.accounts = vec![AccountRef::Acct(truth.accounts[0].username.as_str().into())];
        target.tags = vec![truth.tags[0].name.as_str().into()];
        target.select_endpoints(&collect);
        target
    };
    let targets = (0..VERSIONS.len()).map(everything).collect();
    let view = poll(targets, Duration::from_secs(60)).await;
    simulator.shutdown().await;
    view
}

fn points(row: &Row, reading: &Reading<'_>) -> Vec<String> {
    let mut points = Vec::new();
    row.points(reading, &mut |value, labels| points.push(format!("{value:?} {labels:?}")));
    points
}

fn without(snapshot: &Snapshot, is_gone: impl Fn(Endpoint) -> bool) -> Snapshot {
    let mut snapshot = snapshot.clone();
    for slot in snapshot.slots.iter_mut().filter(|slot| is_gone(slot.endpoint)) {
        let Some(mut last) = slot.last().cloned() else { continue };
        match &mut last.found {
            Found::Read { facts, .. } | Found::Failed { kept: facts, .. } => *facts = None,
            Found::NotOffered { .. } => {}
        }
        *slot = slot.restarted();
        slot.record(last);
    }
    snapshot
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_read_from_the_endpoints_that_they_name() {
    let view = view().await;
    let mut seen = BTreeSet::new();
    for reading in view.readings() {
        for row in rows().filter(|row| !row.is_own()) {
            let whole = points(row, &reading);
            let reasons = row.absence(&reading);
            assert_eq!(reasons.is_empty(), !whole.is_empty(), "{}: {reasons:?}", row.name);
            if row.from.is_empty() || whole.is_empty() {
                continue;
            }
            seen.insert(row.name);
            let snapshot = without(reading.snapshot, |endpoint| row.from.contains(&endpoint));
            let rest = reading.of(&snapshot);
            assert_eq!(
                points(row, &rest),
                Vec::<String>::new(),
                "{} is read from more than it names",
                row.name
            );
            assert!(!row.absence(&rest).is_empty(), "{}", row.name);
            let needed = |endpoint| row.from.contains(&endpoint) || SOFTWARE.contains(&endpoint);
            let snapshot = without(reading.snapshot, |endpoint| !needed(endpoint));
            let named = reading.of(&snapshot);
            assert_eq!(points(row, &named), whole, "{} needs more than it names", row.name);
        }
    }
    for row in rows().filter(|row| !row.is_own() && !row.from.is_empty()) {
        // The simulator lacks these numbers, or has them only at some hours.
        let elsewhere =
            ["nodeinfo.active_users.week", "nodeinfo.local_comments", "mastodon.instance.activity.day."];
        if !elsewhere.iter().any(|name| row.name.starts_with(name)) {
            assert!(seen.contains(row.name), "{} was never there", row.name);
        }
    }
}

#[test]
fn a_row_without_an_endpoint_knows_its_reasons() {
    for row in rows().filter(|row| !row.is_own() && row.from.is_empty()) {
        assert!(row.unless.is_some(), "{}", row.name);
    }
}
