//! A small fleet with fixed facts at a fixed time, for pages that are compared byte for
//! byte.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use fedimeter::bridge::{Collected, History, Push, Status};
use fedimeter::clock::Moment;
use fedimeter::endpoint::Endpoint;
use fedimeter::export::exposition::Format;
use fedimeter::export::otlp::Round;
use fedimeter::outcome::ErrorType;
use fedimeter::refresh::{Next, Plan};
use fedimeter::snapshot::{
    ActivityWeek, ExporterName, Facts, Found, InstanceV1, InstanceV2, LastAttempt, Nodeinfo, RateLimit,
    Response, ServedFrom, Slot, Snapshot, View,
};
use fedimeter::target::{Target, Token, parse_target};

/// 2026-08-01 12:00 UTC.
pub const UNIX: f64 = 1_785_585_600.0;
/// The same as a moment of the process's clock.
pub const NOW: Moment = Moment::at(Duration::from_secs(200_000));
/// How long ago the last collection began.
pub const AGO: Duration = Duration::from_secs(12);

pub type Known = (Arc<Target>, Arc<Snapshot>);

pub fn target(url: &str, attributes: &[(&str, &str)]) -> Target {
    let attributes: BTreeMap<String, String> =
        attributes.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Target::new(parse_target(url).unwrap(), None, None, &attributes)
}

/// A target whose endpoints were not requested yet, after `change`.
pub fn known(target: Target, change: impl FnOnce(&mut Snapshot)) -> Known {
    let slots = target.endpoints.iter().map(|endpoint| Slot::new(*endpoint)).collect();
    let mut snapshot = Snapshot { slots, ..Snapshot::default() };
    change(&mut snapshot);
    (Arc::new(target), Arc::new(snapshot))
}

pub fn slot(snapshot: &mut Snapshot, endpoint: Endpoint) -> &mut Slot {
    snapshot.slots.iter_mut().find(|slot| slot.endpoint == endpoint).unwrap()
}

/// A slot that was read at the last collection.
pub fn ok(snapshot: &mut Snapshot, endpoint: Endpoint, facts: Facts) {
    ok_from(snapshot, endpoint, facts, ServedFrom::Origin);
}

/// The same of a cache.
pub fn ok_from(snapshot: &mut Snapshot, endpoint: Endpoint, facts: Facts, served_from: ServedFrom) {
    let found = Found::Read { facts: Some(facts), unix: UNIX - 11.0, served_from, lacks: None };
    record(snapshot, endpoint, Response { status: 200, size: 1234 }, found);
}

pub fn not_offered(snapshot: &mut Snapshot, endpoint: Endpoint, reason: &str) {
    record(snapshot, endpoint, Response { status: 404, size: 0 }, Found::not_offered(reason));
}

/// The last of three failures.
pub fn failed(snapshot: &mut Snapshot, endpoint: Endpoint, error: ErrorType, reason: &str) {
    record(snapshot, endpoint, Response { status: 503, size: 0 }, Found::failed(error, reason));
    slot(snapshot, endpoint).count(error, 2);
}

fn record(snapshot: &mut Snapshot, endpoint: Endpoint, response: Response, found: Found) {
    let took = Duration::from_millis(87);
    let fresh_until = NOW + Duration::from_secs(42);
    let ended = NOW.before(AGO) + took;
    let last = LastAttempt { ended, took, response: Some(response), fresh_until, found };
    slot(snapshot, endpoint).record(last);
}

/// A Mastodon server of this version with this number of users.
pub fn mastodon(name: &str, version: &str, users: i64) -> Known {
    known(target(name, &[]), |snapshot| documents(snapshot, version, users))
}

/// The slots of its instance and NodeInfo documents, and its activity.
pub fn documents(s: &mut Snapshot, version: &str, users: i64) {
    let spelt: Arc<str> = version.into();
    let v2 = InstanceV2 {
        version: Some(spelt.clone()),
        domain: Some("mastodon.example".into()),
        active_month: Some(users / 5),
        registrations_open: Some(true),
        rules: Some(6),
        ..InstanceV2::default()
    };
    ok(s, Endpoint::InstanceV2, Facts::InstanceV2(v2.into()));
    let v1 = InstanceV1 {
        version: Some(spelt.clone()),
        users: Some(users),
        statuses: Some(users * 7),
        domains: Some(4000),
        ..InstanceV1::default()
    };
    ok(s, Endpoint::InstanceV1, Facts::InstanceV1(v1.into()));
    let place = "https://mastodon.example/nodeinfo/2.0".parse::<url::Url>().unwrap();
    ok(s, Endpoint::NodeinfoDiscovery, Facts::Discovery(place.into()));
    let nodeinfo = Nodeinfo {
        software: Some("mastodon".into()),
        version: Some(spelt),
        users: Some(users),
        ..Nodeinfo::default()
    };
    ok(s, Endpoint::Nodeinfo, Facts::Nodeinfo(nodeinfo.into()));
    let week = |n: i64| ActivityWeek {
        week: UNIX as i64 - 43_200 - n * 604_800,
        statuses: Some(70 - n),
        logins: Some(30 + n),
        registrations: Some(n),
    };
    ok(s, Endpoint::Activity, Facts::Activity([week(0), week(1)].into()));
}

/// A server with failures, one that is down, one of other software, and one that was not
/// requested yet.
pub fn fleet() -> Vec<Known> {
    let mut own = target("mastodon.example", &[("region", "eu")]);
    own.token = Some(Token::new("hush-token"));
    own.select_endpoints(&[Endpoint::Peers]);
    let own = known(own, |s| {
        documents(s, "4.6.4", 1_234_567);
        failed(s, Endpoint::Activity, ErrorType::Http5xx, "HTTP 503: the server says: \"<b>closed</b>\"");
        let scope = "HTTP 403: the token needs the scope admin:read:reports";
        not_offered(s, Endpoint::AdminReports, scope);
        s.rate_limit = Some(RateLimit { limit: Some(300), remaining: Some(287), reset: UNIX + 120.0 });
        s.certificate_expiry = Some(UNIX as i64 + 30 * 86_400);
    });
    let down = known(target("down.example", &[]), |s| {
        let read = Found::read(None, UNIX - 10_800.0);
        slot(s, Endpoint::InstanceV1).record(LastAttempt::new(NOW.before(Duration::from_secs(10_800)), read));
        for endpoint in Target::new("https://x/".parse().unwrap(), None, None, &BTreeMap::new()).endpoints {
            failed(s, endpoint, ErrorType::Timeout, "no complete response within 10s");
        }
    });
    let other = known(target("http://127.0.0.1:3000", &[]), |s| {
        not_offered(s, Endpoint::InstanceV2, "HTTP 404 Not Found");
        not_offered(s, Endpoint::InstanceV1, "HTTP 404 Not Found");
        not_offered(s, Endpoint::Activity, "HTTP 404 Not Found");
        let nodeinfo = Nodeinfo {
            software: Some("PeerTube".into()),
            version: Some("7.1.0".into()),
            users: Some(12),
            local_posts: Some(340),
            ..Nodeinfo::default()
        };
        ok(s, Endpoint::Nodeinfo, Facts::Nodeinfo(nodeinfo.into()));
    });
    vec![own, down, other, known(target("new.example", &[]), |_| {})]
}

/// The bridge of these targets: scraped 12 seconds ago, with failing pushes.
pub fn status(targets: Vec<Known>) -> Status {
    let (started, unix) = (NOW.before(AGO), UNIX - AGO.as_secs_f64());
    let scrape = Collected {
        exporter: ExporterName::Prometheus,
        started,
        unix,
        took: Duration::from_millis(130),
        page: Some((Format::OpenMetrics100, 48_213)),
    };
    let round = Round {
        at: UNIX_EPOCH + Duration::from_secs_f64(UNIX - 20.0),
        took: Duration::from_millis(2500),
        accepted: 0,
        lost: 812,
        waiting: 1203,
        trouble: Some("HTTP status 503: \"<script>busy</script>\" (tried 3 times)".to_owned()),
        failing_since: Some(UNIX_EPOCH + Duration::from_secs_f64(UNIX - 620.0)),
    };
    let push = Push {
        endpoint: "https://***@collector.example:4318/v1/metrics".to_owned(),
        protocol: "http/protobuf".to_owned(),
        last: Some(round),
        next: Some(Duration::from_secs(40)),
    };
    Status {
        by_itself: None,
        configured: None,
        now: NOW,
        unix: UNIX,
        view: Arc::new(View::new(started, unix, targets)),
        collected: vec![scrape],
        pull: true,
        push: Some(push),
        history: Arc::new(History::new(100)),
        own: None,
    }
}

/// Every endpoint is due in 42 seconds; after a failure, slightly later.
pub fn plan(snapshot: &Snapshot) -> Plan {
    let next = |slot: &Slot| {
        let failed = slot.has_failed();
        let due = NOW + Duration::from_secs(if failed { 108 } else { 42 });
        Next { due, under_way: slot.endpoint == Endpoint::Peers, failures_in_row: 2 * u32::from(failed) }
    };
    Plan { held_until: NOW + Duration::from_secs(30), endpoints: snapshot.slots.iter().map(next).collect() }
}
