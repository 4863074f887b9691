//! From answers to points: a line of the input is a JSON answer, in the order
//! v2 instance, v1 instance, NodeInfo, activity, an account, a hashtag,
//! domain blocks, reports, languages, measures. Every row of the metric table
//! is read from them: no panic, no negative number, no more points than the
//! row has room for, no point twice.
#![no_main]

#[path = "judged/points.rs"]
mod points;

use std::collections::BTreeMap;
use std::sync::Arc;

use fedimeter::document::{Document, Top};
use fedimeter::api::{account, admin, instance, lists, nodeinfo, tag};
use fedimeter::clock::Moment;
use fedimeter::endpoint::Endpoint;
use fedimeter::snapshot::{Facts, Found, LastAttempt, Reading, Reports, Response, Slot, Snapshot};
use fedimeter::target::{AccountRef, Target};
use jiff::civil::date;
use libfuzzer_sys::fuzz_target;
use url::Url;

/// 2026-08-01T13:46:40Z
const NOW: f64 = 1_785_592_000.0;

fuzz_target!(|data: &[u8]| {
    let mut target = Target::new(Url::parse("https://a.example/").unwrap(), None, None, &BTreeMap::new());
    target.accounts = vec![AccountRef::Id("1".into())];
    target.tags = vec!["x".into()];
    target.endpoints = Endpoint::ALL.to_vec();
    let mut snapshot = Snapshot::default();
    let mut lines = data.split(|b| *b == b'\n');
    let mut say = |endpoint, top, read: &dyn Fn(&mut Document) -> Option<Facts>| {
        let (status, found) = match lines.next().map(|line| Document::parse(line, top)) {
            Some(Ok(mut doc)) => (200, Found::read(read(&mut doc), NOW)),
            _ => (404, Found::not_offered("HTTP 404")),
        };
        let mut slot = Slot::new(endpoint);
        let response = Some(Response { status, size: 0 });
        slot.record(LastAttempt { response, ..LastAttempt::new(Moment::ORIGIN, found) });
        snapshot.slots.push(slot);
    };
    let today = date(2026, 8, 1);
    say(Endpoint::InstanceV2, Top::Object, &|d| Some(Facts::InstanceV2(instance::v2(d).into())));
    say(Endpoint::InstanceV1, Top::Object, &|d| Some(Facts::InstanceV1(instance::v1(d).into())));
    say(Endpoint::Nodeinfo, Top::Object, &|d| Some(Facts::Nodeinfo(nodeinfo::document(d).into())));
    say(Endpoint::Activity, Top::Array, &|d| Some(Facts::Activity(instance::activity(d).into())));
    say(Endpoint::Accounts, Top::Object, &|d| {
        Some(Facts::Accounts(Arc::from([Some(account::account(&mut d.fields()))])))
    });
    say(Endpoint::Tags, Top::Object, &|d| Some(Facts::Tags(Arc::from([tag::newest_day(d)]))));
    say(Endpoint::DomainBlocks, Top::Array, &|d| {
        Some(Facts::DomainBlocks(lists::by_severity(d, &["silence", "suspend"], "_OTHER")?.into()))
    });
    say(Endpoint::AdminReports, Top::Array, &|d| {
        let mut reports = Reports::default();
        admin::read_reports(d, &mut reports)?;
        Some(Facts::Reports(reports.into()))
    });
    say(Endpoint::AdminLanguages, Top::Array, &|d| Some(Facts::Languages(admin::read_languages(d).into())));
    say(Endpoint::AdminMeasures, Top::Array, &|d| {
        Some(Facts::Measures(admin::read_measures(d, today).into()))
    });

    let reading = Reading::new(&target, &snapshot, Moment::ORIGIN, NOW);
    points::judge(&reading, |_| {});
});
