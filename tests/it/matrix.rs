//! Every endpoint with every fault: its outcome, and no effect on other endpoints of the
//! target. The effect of an exhausted rate limit on `/api` is in `politeness`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::support::forward::Forward;
use crate::support::points::{points, said};
use crate::support::program::run;
use crate::support::served::{poll, read_at, simulator, target};
use crate::support::sets;
use fedimeter::endpoint::Endpoint;
use fedimeter::metrics::Number;
use fedimeter::outcome::{ErrorType, Outcome};
use fedimeter::simulator::{Fault, Simulator};
use fedimeter::snapshot::Reading;
use fedimeter::target::{AccountRef, Target};
use serde_json::Value;

const VERSIONS: [&str; 3] = ["4.6.4", "4.2.13", "3.4.10"];

/// An endpoint, and its path.
const ENDPOINTS: [(Endpoint, &str); 6] = [
    (Endpoint::InstanceV2, "/api/v2/instance"),
    (Endpoint::InstanceV1, "/api/v1/instance"),
    (Endpoint::NodeinfoDiscovery, "/.well-known/nodeinfo"),
    (Endpoint::Nodeinfo, "/nodeinfo/2.0"),
    (Endpoint::Activity, "/api/v1/instance/activity"),
    (Endpoint::Accounts, "/api/v1/accounts/*"),
];

/// A fault in its short form, and its outcome for the three documents that show a server
/// up, for NodeInfo's discovery, and for the rest.
type Row = (&'static str, &'static str, &'static str, &'static str);

#[rustfmt::skip]
const FAULTS: &[Row] = &[
    ("status:400",                                  "http_4xx",        "http_4xx",        "http_4xx"),
    ("status:401",                                  "unauthorized",    "unauthorized",    "unauthorized"),
    ("status:403",                                  "unauthorized",    "unauthorized",    "unauthorized"),
    ("status:403:html",                             "unauthorized",    "unauthorized",    "unauthorized"),
    ("status:404",                                  "not_offered",     "not_offered",     "not_offered"),
    ("status:404:empty",                            "not_offered",     "not_offered",     "not_offered"),
    ("status:404:html",                             "not_offered",     "not_offered",     "not_offered"),
    ("status:404:plain",                            "not_offered",     "not_offered",     "not_offered"),
    ("status:410",                                  "not_offered",     "not_offered",     "not_offered"),
    ("status:418:empty",                            "http_4xx",        "http_4xx",        "http_4xx"),
    ("status:422",                                  "http_4xx",        "http_4xx",        "http_4xx"),
    ("status:429",                                  "rate_limited",    "rate_limited",    "rate_limited"),
    ("rate-limited:90s",                            "rate_limited",    "rate_limited",    "rate_limited"),
    ("status:500:html",                             "http_5xx",        "http_5xx",        "http_5xx"),
    ("status:501",                                  "http_5xx",        "not_offered",     "not_offered"),
    ("status:502:html",                             "http_5xx",        "http_5xx",        "http_5xx"),
    ("status:503",                                  "http_5xx",        "http_5xx",        "http_5xx"),
    ("status:520:html",                             "http_5xx",        "http_5xx",        "http_5xx"),
    ("retry-after:30s",                             "rate_limited",    "rate_limited",    "rate_limited"),
    ("status:200:empty",                            "decode",          "decode",          "decode"),
    ("html-challenge",                              "not_offered",     "not_offered",     "not_offered"),
    ("error-object",                                "decode",          "decode",          "decode"),
    ("not-json",                                    "decode",          "decode",          "decode"),
    ("wrong-top",                                   "decode",          "decode",          "decode"),
    ("header:content-encoding=gzip",                "decode",          "decode",          "decode"),
    ("truncated",                                   "connect",         "connect",         "connect"),
    ("reset",                                       "connect",         "connect",         "connect"),
    ("too-large:1200000",                           "too_large",       "too_large",       "too_large"),
    ("redirect:301:http://mastodon.example/",       "redirect",        "redirect",        "redirect"),
    ("redirect:302:ftp://art.localhost/",           "redirect",        "redirect",        "redirect"),
    ("redirect:307:",                               "redirect",        "redirect",        "redirect"),
    ("redirect:302:http://10.0.0.1/",               "blocked_address", "blocked_address", "blocked_address"),
    ("redirect:308:http://[fe80::1]/",              "blocked_address", "blocked_address", "blocked_address"),
    // The document was read, without some fields.
    ("wrong-type",                                  "ok",              "not_offered",     "ok"),
    ("odd-numbers",                                 "ok",              "ok",              "ok"),
];

/// Faults that end with the request's timeout.
#[rustfmt::skip]
const HANGING: &[Row] = &[
    ("hang",                                        "timeout",         "timeout",         "timeout"),
    ("stall",                                       "timeout",         "timeout",         "timeout"),
];

/// Longer than any regular answer.
const AMPLE: Duration = Duration::from_secs(60);
/// The timeout of a hanging request. The other endpoints of the target must answer within
/// the same time.
const SHORT: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_faulty_endpoint_counts_as_it_should_and_harms_no_other() {
    matrix(FAULTS, AMPLE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hanging_endpoint_times_out_and_harms_no_other() {
    matrix(HANGING, SHORT).await;
}

/// The headers by which caches mark their answers (`src/fetch/cached.rs`).
const CACHES: [&str; 12] = [
    "cached:age=30",
    "cached:x-cached=HIT",
    "cached:x-cached=REVALIDATED",
    "cached:cf-cache-status=HIT",
    "cached:cache-status=Edge; hit",
    "cached:x-cache=HIT from edge",
    "cached:x-cache=TCP_MEM_HIT",
    "cached:x-cache-status=HIT",
    "cached:x-proxy-cache=HIT",
    "cached:x-varnish=32770 3",
    "cached:cdn-cache=HIT",
    "cached:x-drupal-cache=HIT",
];

/// A cached answer is the server's: every number counts, except the rate limit of another
/// client.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_cache_kept_is_read_as_what_the_server_said() {
    let cases: Vec<_> = CACHES.iter().flat_map(|fault| ENDPOINTS.map(|(_, path)| (*fault, path))).collect();
    let simulator = simulator(1 + cases.len(), &VERSIONS[..1]).await;
    let truth = simulator.truth(0);
    for i in 0..=cases.len() {
        simulator.set_truth(i, Some(truth.clone()));
    }
    for (i, (fault, path)) in cases.iter().enumerate() {
        simulator.set_fault(1 + i, path, Some(fault.parse().unwrap()));
    }
    let view = poll((0..=cases.len()).map(|i| with_account(&simulator, i)).collect(), AMPLE).await;
    let view = read_at(&view, simulator.now());
    let readings: Vec<Reading<'_>> = view.readings().collect();
    let told = |reading: &Reading<'_>| {
        let mut told = shown(reading);
        told.retain(|name, _| !name.starts_with("mastodon.rate_limit."));
        told
    };
    let usual = told(&readings[0]);
    for ((fault, path), reading) in cases.iter().zip(&readings[1..]) {
        for slot in &reading.snapshot.slots {
            assert_eq!(slot.outcome(), Some(Outcome::Ok), "{fault} at {path}: {}", slot.endpoint.name());
        }
        assert_eq!(told(reading), usual, "{fault} at {path}");
    }
}

/// Through a forward proxy, which resolves every name, each failure counts as without one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forward_proxy_changes_no_outcome() {
    let cases = cases(FAULTS, 1);
    let simulator = simulator(cases.len(), &VERSIONS[..1]).await;
    let mut yaml = "timeout: 1m\ndeadline: 5m\ntargets:\n".to_owned();
    let mut known = BTreeMap::new();
    for (i, case) in cases.iter().enumerate() {
        simulator.set_fault(i, case.path, Some(fault(case)));
        let url = simulator.url(i);
        let _ = writeln!(yaml, "  - {{url: {url}, accounts: [ada]}}");
        known.insert(url.trim_start_matches("http://").to_owned(), simulator.addr());
    }
    let proxy = Forward::start(known).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), yaml).unwrap();
    let (config, proxied) = (file.path().display().to_string(), proxy.url.clone());
    let ran = tokio::task::spawn_blocking(move || {
        run(&["once", "--format", "json", "--config", &config], &[("HTTP_PROXY", &proxied)])
    });
    let ran = ran.await.unwrap();
    let printed: Value = serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{e}: {ran:?}"));
    let mut wrong = String::new();
    for (case, target) in cases.iter().zip(printed["targets"].as_array().unwrap()) {
        for slot in target["endpoints"].as_array().unwrap() {
            let endpoint = Endpoint::ALL.iter().find(|endpoint| slot["endpoint"] == endpoint.name()).unwrap();
            if slot["outcome"] != case.outcome(*endpoint) {
                let _ = writeln!(wrong, "{} {}: {slot}", case.endpoint.name(), case.row.0);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(proxy.asked().len() > cases.len(), "they were asked through the proxy");
}

struct Case<'a> {
    version: usize,
    endpoint: Endpoint,
    path: &'a str,
    row: &'a Row,
}

/// Each fault at each endpoint of one server for each version.
fn cases(faults: &[Row], versions: usize) -> Vec<Case<'_>> {
    let all = faults.iter().flat_map(|row| ENDPOINTS.map(|e| (row, e)));
    let alone = all.filter(|(row, (e, _))| !(row.3 == "rate_limited" && e.is_under_api()));
    let case =
        |(row, (endpoint, path))| (0..versions).map(move |version| Case { version, endpoint, path, row });
    alone.flat_map(case).collect()
}

async fn matrix(faults: &[Row], timeout: Duration) {
    // Instances have the versions in turn. The first of each version has no fault.
    let cases = cases(faults, VERSIONS.len());
    let first = VERSIONS.len();
    let simulator = simulator(first + cases.len(), &VERSIONS).await;
    for i in 0..first {
        // From here on the numbers do not change.
        simulator.set_truth(i, Some(simulator.truth(i)));
    }
    for (i, case) in cases.iter().enumerate() {
        simulator.set_truth(first + i, Some(simulator.truth(case.version)));
        simulator.set_fault(first + i, case.path, Some(fault(case)));
    }
    let targets = (0..first + cases.len()).map(|i| with_account(&simulator, i)).collect();
    let view = read_at(&*poll(targets, timeout).await, simulator.now());
    let readings: Vec<Reading<'_>> = view.readings().collect();
    let mut wrong = String::new();
    for (i, case) in cases.iter().enumerate().filter(|(_, case)| !case.spoils_nothing()) {
        for what in case.judge(&readings[first + i], &readings[case.version]) {
            let version = VERSIONS[case.version];
            let _ = writeln!(wrong, "{version} {} {}: {what}", case.endpoint.name(), case.row.0);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn with_account(simulator: &Simulator, i: usize) -> Target {
    let mut target = target(simulator, i);
    target.endpoints.push(Endpoint::Accounts);
    target.accounts = vec![AccountRef::Acct("ada".into())];
    target
}

fn fault(case: &Case<'_>) -> Fault {
    match case.row.0.strip_prefix("redirect:307:") {
        // Each version in turn.
        Some("") => Fault::Redirect { status: 307, to: case.path.replace('*', "lookup?acct=ada") },
        _ => case.row.0.parse().unwrap(),
    }
}

impl Case<'_> {
    fn outcome(&self, of: Endpoint) -> &'static str {
        let (_, document, discovery, rest) = *self.row;
        match (self.endpoint, of) {
            // NodeInfo fails with its discovery.
            (Endpoint::NodeinfoDiscovery, Endpoint::NodeinfoDiscovery | Endpoint::Nodeinfo) => discovery,
            (faulty, of) if faulty == of => {
                if of.shows_up() {
                    document
                } else {
                    rest
                }
            }
            (_, Endpoint::InstanceV2) if self.is_34() => "not_offered",
            _ => "ok",
        }
    }

    /// The errors of the faulty target, in comparison with a good one.
    fn judge(&self, faulty: &Reading<'_>, well: &Reading<'_>) -> Vec<String> {
        let mut wrong = Vec::new();
        for slot in &faulty.snapshot.slots {
            let (found, expected) =
                (slot.outcome().map_or("none", Outcome::name), self.outcome(slot.endpoint));
            if found != expected {
                let reason = slot.reason().unwrap_or_default();
                wrong.push(format!("{} is {found}, not {expected} ({reason})", slot.endpoint.name()));
            }
            wrong.extend(self.failures(slot.endpoint, expected, slot.failures()));
        }
        let (mut now, mut usual) = (shown(faulty), shown(well));
        if (self.endpoint, self.row.0) == (Endpoint::Activity, "wrong-type") {
            // A number instead of digits still is a week, although a strange one.
            for points in [&mut now, &mut usual] {
                points.remove("mastodon.instance.activity.timestamp");
            }
        }
        for (name, value) in &usual {
            let expected = Some(value).filter(|_| self.survives(name));
            if now.get(name) != expected {
                wrong.push(format!("{name} is {:?}, not {expected:?}", now.get(name)));
            }
        }
        wrong.extend(
            now.keys().filter(|name| !usual.contains_key(*name)).map(|name| format!("{name} is new")),
        );
        wrong
    }

    /// A failed attempt counts once, and each field of a wrong type. Without a fault
    /// nothing counts.
    fn failures(&self, of: Endpoint, outcome: &str, counted: &[(ErrorType, u64)]) -> Option<String> {
        let spoilt = of == self.endpoint && matches!(self.row.0, "wrong-type" | "odd-numbers");
        // A discovery contains no number.
        let spoilt = spoilt && (of != Endpoint::NodeinfoDiscovery || self.row.0 == "wrong-type");
        let right = match counted {
            [] => matches!(outcome, "ok" | "not_offered") && !spoilt,
            [(ErrorType::Decode, n)] if spoilt => *n > 0,
            [(error, 1)] => error.name() == outcome,
            _ => false,
        };
        (!right).then(|| format!("{} has counted {counted:?}", of.name()))
    }

    /// Mastodon 3.4 has no v2, so it cannot be faulty.
    fn spoils_nothing(&self) -> bool {
        let spoils =
            ["wrong-", "odd-", "header:", "truncated"].iter().any(|kind| self.row.0.starts_with(kind));
        spoils && self.is_34() && self.endpoint == Endpoint::InstanceV2
    }

    fn is_34(&self) -> bool {
        VERSIONS[self.version].starts_with("3.4")
    }

    fn survives(&self, name: &str) -> bool {
        let metric = name.split('{').next().unwrap_or(name);
        let is_flag = metric.ends_with(".registrations.open") || metric.ends_with(".approval_required");
        let survives = match self.row.0 {
            // The length of a list does not depend on its content.
            "wrong-type" => metric == "mastodon.instance.rules",
            "odd-numbers" => {
                is_flag
                    || self.endpoint == Endpoint::NodeinfoDiscovery
                    || matches!(metric, "mastodon.instance.rules" | "mastodon.account.last_status.timestamp")
            }
            _ => false,
        };
        if self.is_34() && self.endpoint == Endpoint::InstanceV1 {
            // From 4.0, v2 also contains these.
            let only = metric.starts_with("mastodon.instance.registrations.")
                || metric.starts_with("mastodon.instance.limits.")
                || metric == "mastodon.instance.rules";
            return survives || (!only && sets::survives(name, self.endpoint, self.outcome(self.endpoint)));
        }
        survives || sets::survives(name, self.endpoint, self.outcome(self.endpoint))
    }
}

/// The values of the server, whether it is up, and its software.
fn shown(reading: &Reading<'_>) -> BTreeMap<String, Number> {
    let mut shown = said(reading);
    for (name, value) in points(reading) {
        let metric = name.split('{').next().unwrap_or(&name);
        if metric == "fedimeter.target.up" {
            shown.insert(name, value);
        } else if let Some((_, software)) = name.split_once("fediverse.software.") {
            // The domain differs for each instance.
            shown.insert(format!("software {software}"), value);
        }
    }
    shown
}
