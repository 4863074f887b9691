//! Recorded answers of real servers, served at their endpoints and polled like any server:
//! the reported values are those of the answers.
//!
//! `tests/golden/conformance.txt` contains the expectations. `UPDATE_GOLDEN=1` updates it;
//! review it like code. Without the samples, the tests are ignored, and the reason is
//! printed.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::support::points::{is_said, points, said, spelt};
use crate::support::recorded::{self, Kind, Sample};
use crate::support::served::{poll, read_at, simulator, target};
use crate::support::sets;
use crate::support::trial::trial;
use fedimeter::endpoint::Endpoint;
use fedimeter::metrics::Number;
use fedimeter::outcome::{ErrorType, Outcome};
use fedimeter::simulator::{Settings, Simulator};
use fedimeter::snapshot::Reading;
use fedimeter::software::Software;
use fedimeter::target::{AccountRef, Target};
use http::{HeaderMap, StatusCode};
use libtest_mimic::{Failed, Trial};

const TIMEOUT: Duration = Duration::from_secs(60);

const V1: &str = "/api/v1/instance";
const V2: &str = "/api/v2/instance";
const ACTIVITY: &str = "/api/v1/instance/activity";
const DISCOVERY: &str = "/.well-known/nodeinfo";
const NODEINFO: &str = "/nodeinfo/2.0";
const LOOKUP: &str = "/api/v1/accounts/lookup";

pub fn trials() -> Vec<Trial> {
    let samples = recorded::all();
    let mut trials = vec![
        trial("every_sample_says_what_the_golden_file_says", samples.clone(), |samples| golden(&samples)),
        trial("other_answers_do_no_harm", samples.clone(), |samples| harmless(&samples)),
        trial("version_strings_of_the_wild_are_read", recorded::wild_versions(), |wild| wild_versions(&wild)),
    ];
    for set in sets::SETS {
        let run = move |samples: Vec<Sample>| on_runtime(sets::check(set, &samples));
        trials.push(trial(set.name, samples.clone(), run));
    }
    trials
}

fn on_runtime<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime can be made").block_on(test)
}

/// Each sample alone, on a server with nothing else.
fn golden(samples: &[Sample]) -> Result<(), Failed> {
    let found = on_runtime(blocks(samples));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/conformance.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, found)?;
        return Ok(());
    }
    let expected = std::fs::read_to_string(&path)?;
    let blocks =
        |text: &str| -> BTreeSet<String> { text.split("\n\n").map(|b| b.trim().to_owned()).collect() };
    let (found, expected) = (blocks(&found), blocks(&expected));
    let mut difference = String::new();
    for block in expected.difference(&found) {
        let _ = write!(difference, "\nexpected:\n{block}\n");
    }
    for block in found.difference(&expected) {
        let _ = write!(difference, "\nfound:\n{block}\n");
    }
    if difference.is_empty() { Ok(()) } else { Err(difference.into()) }
}

async fn blocks(samples: &[Sample]) -> String {
    let served: Vec<&Sample> =
        samples.iter().filter(|s| !matches!(s.kind(), Kind::Other | Kind::Discovery)).collect();
    let simulator = simulator(served.len(), &["4.6.4"]).await;
    let mut targets = Vec::new();
    for (i, sample) in served.iter().enumerate() {
        silence(&simulator, i);
        let mut target = target(&simulator, i);
        match sample.kind() {
            Kind::V1 => simulator.set_json(i, V1, sample.body.clone()),
            Kind::V2 => simulator.set_json(i, V2, sample.body.clone()),
            Kind::Activity => {
                let version = sample.version().map(|v| serde_json::json!({ "version": v }));
                simulator.set_json(i, V1, version.unwrap_or_default().to_string());
                simulator.set_json(i, ACTIVITY, sample.body.clone());
            }
            Kind::Nodeinfo => {
                simulator.set_json(i, DISCOVERY, link_to(NODEINFO));
                simulator.set_json(i, NODEINFO, sample.body.clone());
            }
            Kind::Account => {
                target.endpoints.push(Endpoint::Accounts);
                target.accounts = vec![AccountRef::Acct("someone".into())];
                simulator.set_json(i, LOOKUP, sample.body.clone());
            }
            Kind::Discovery | Kind::Other => {}
        }
        targets.push(target);
    }
    let view = poll(targets, TIMEOUT).await;
    let mut all: Vec<(String, String)> = Vec::new();
    for (i, sample) in served.iter().enumerate() {
        let view = read_at(&view, sample.newest_week().unwrap_or(0));
        all.push((sample.name.clone(), block(sample, &view.readings().nth(i).unwrap())));
    }
    for sample in samples.iter().filter(|s| s.kind() == Kind::Discovery) {
        all.push((sample.name.clone(), discovery_block(sample).await));
    }
    all.sort();
    all.into_iter().map(|(_, block)| block).collect::<Vec<_>>().join("\n")
}

/// Nothing is offered.
fn silence(simulator: &Simulator, i: usize) {
    for path in [V1, V2, ACTIVITY, DISCOVERY, NODEINFO] {
        simulator.set_answer(i, path, StatusCode::NOT_FOUND, HeaderMap::new(), "");
    }
}

fn link_to(path: &str) -> String {
    format!(r#"{{"links":[{{"rel":"http://nodeinfo.diaspora.software/ns/schema/2.0","href":"{path}"}}]}}"#)
}

fn block(sample: &Sample, reading: &Reading<'_>) -> String {
    let endpoint = match sample.kind() {
        Kind::V1 => Endpoint::InstanceV1,
        Kind::V2 => Endpoint::InstanceV2,
        Kind::Activity => Endpoint::Activity,
        Kind::Nodeinfo => Endpoint::Nodeinfo,
        Kind::Account => Endpoint::Accounts,
        Kind::Discovery | Kind::Other => Endpoint::NodeinfoDiscovery,
    };
    let mut text = format!("== {}\n{}: {}\n", sample.name, endpoint.name(), outcome(reading, endpoint));
    for (error, n) in reading.slot(endpoint).unwrap().failures() {
        let _ = writeln!(text, "{} failures: {n}", error.name());
    }
    for (name, value) in points(reading) {
        let about = endpoint.shows_up() && name.starts_with("fedimeter.target.");
        if is_said(&name) || about {
            let _ = writeln!(text, "{name} {}", spelt(value));
        }
    }
    text
}

/// A well-known document names its own server, so the target is that server. The test
/// checks which of the existing documents is requested.
async fn discovery_block(sample: &Sample) -> String {
    let settings = Settings { instances: 1, request_log: 16, ..Settings::default() };
    let simulator = Simulator::start(settings, ([127, 0, 0, 1], 0).into()).await.unwrap();
    silence(&simulator, 0);
    simulator.set_json(0, DISCOVERY, sample.body.clone());
    for version in ["1.0", "1.1", "2.0", "2.1", "2.2"] {
        simulator.set_json(0, &format!("/nodeinfo/{version}"), "{}");
    }
    let text = String::from_utf8_lossy(&sample.body).replace("\\/", "/");
    let url = format!("http://127.0.0.1:{}", simulator.addr().port()).parse().unwrap();
    let link = text.contains("\"links\"").then(|| {
        let (before, _) = text.split_once("/nodeinfo/").expect("a link to /nodeinfo/");
        before.rsplit('"').next().unwrap().split_once("://").expect("an absolute link")
    });
    let (scheme, host) = link.unwrap_or(("http", ""));
    let named = |text: &str| link.map(|_| text.to_owned());
    let target = Target::new(url, named(host), named(scheme), &[].into());
    let view = poll(vec![target], TIMEOUT).await;
    let reading = view.readings().next().unwrap();
    if link.is_none() {
        // The document itself.
        return block(sample, &reading);
    }
    let mut text = format!("== {}\n", sample.name);
    for endpoint in [Endpoint::NodeinfoDiscovery, Endpoint::Nodeinfo] {
        let _ = writeln!(text, "{}: {}", endpoint.name(), outcome(&reading, endpoint));
    }
    let log = simulator.request_log();
    // The number of requests depends on the order of the answers, because a document that
    // was requested later settles what is missing.
    let asked: BTreeSet<_> = log.iter().map(|r| &r.target).filter(|t| t.starts_with("/nodeinfo/")).collect();
    for path in asked {
        let _ = writeln!(text, "asked for {path} of {scheme}://{host}");
    }
    text
}

fn outcome(reading: &Reading<'_>, endpoint: Endpoint) -> &'static str {
    reading.outcome(endpoint).map_or("none", Outcome::name)
}

/// Other recorded answers, at each endpoint in turn: the endpoint reports nothing, and the
/// others are unaffected.
fn harmless(samples: &[Sample]) -> Result<(), Failed> {
    on_runtime(async {
        let places = [
            (Endpoint::InstanceV2, V2),
            (Endpoint::InstanceV1, V1),
            (Endpoint::NodeinfoDiscovery, DISCOVERY),
            (Endpoint::Nodeinfo, NODEINFO),
            (Endpoint::Activity, ACTIVITY),
            (Endpoint::Accounts, LOOKUP),
        ];
        let others: Vec<&Sample> = samples.iter().filter(|s| s.kind() == Kind::Other).collect();
        let cases: Vec<_> = others.iter().flat_map(|s| places.iter().map(move |p| (*s, p))).collect();
        // The last instance has no fault.
        let simulator = simulator(cases.len() + 1, &["4.6.4"]).await;
        let well = cases.len();
        // From here on its numbers do not change.
        simulator.set_truth(well, Some(simulator.truth(well)));
        let mut targets = Vec::new();
        for i in 0..=well {
            let mut target = target(&simulator, i);
            target.endpoints.push(Endpoint::Accounts);
            target.accounts = vec![AccountRef::Acct("ada".into())];
            targets.push(target);
            simulator.set_truth(i, Some(simulator.truth(well)));
        }
        for (i, (sample, (_, path))) in cases.iter().enumerate() {
            simulator.set_json(i, path, sample.body.clone());
        }
        let view = poll(targets, TIMEOUT).await;
        let view = read_at(&view, simulator.now());
        let usual = said(&view.readings().nth(well).unwrap());
        let mut wrong = String::new();
        for ((sample, (endpoint, _)), reading) in cases.iter().zip(view.readings()) {
            for fault in harm(*endpoint, &reading, &usual) {
                let _ = writeln!(wrong, "{} as {}: {fault}", sample.name, endpoint.name());
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong.into()) }
    })
}

/// The errors of a target whose `endpoint` has another answer.
fn harm(
    endpoint: Endpoint,
    reading: &Reading<'_>,
    usual: &std::collections::BTreeMap<String, Number>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let slot = reading.slot(endpoint).unwrap();
    // `not_offered` is a discovery that names no document.
    let expected = match slot.outcome() {
        Some(Outcome::Ok) => true,
        Some(Outcome::Failed(ErrorType::Decode)) => slot.facts().is_none(),
        Some(Outcome::NotOffered) => endpoint == Endpoint::NodeinfoDiscovery,
        _ => false,
    };
    if !expected {
        wrong.push(format!("outcome {}", outcome(reading, endpoint)));
    }
    if reading.up() != Some(true) {
        wrong.push("the target is not up".to_owned());
    }
    let now = said(reading);
    let ok = slot.is_ok();
    for (name, value) in usual {
        let survives = sets::survives(name, endpoint, if ok { "ok" } else { "decode" });
        match now.get(name) {
            Some(found) if found != value => wrong.push(format!("{name} is {found:?}, not {value:?}")),
            Some(_) if !survives => wrong.push(format!("{name} is still {value:?}")),
            None if survives => wrong.push(format!("{name} is gone")),
            _ => {}
        }
    }
    wrong.extend(now.keys().filter(|name| !usual.contains_key(*name)).map(|name| format!("{name} is new")));
    wrong
}

fn wild_versions(wild: &[(String, Vec<String>)]) -> Result<(), Failed> {
    let spelt: Vec<&String> = wild.iter().flat_map(|(_, versions)| versions).collect();
    if wild.len() < 400 || spelt.len() < 2000 {
        return Err(format!("only {} names and {} versions", wild.len(), spelt.len()).into());
    }
    for version in spelt {
        let found = Software::parse(version);
        let blank = |text: &Option<String>| text.as_ref().is_some_and(|t| t.trim().is_empty());
        if blank(&found.name) || blank(&found.version) {
            return Err(format!("{version:?}: {found:?} has a blank").into());
        }
        if found.version.is_none() != version.trim().is_empty() {
            return Err(format!("{version:?}: {found:?} has lost its version").into());
        }
        if found.mastodon.is_some_and(|(major, _)| !version.contains(&major.to_string())) {
            return Err(format!("{version:?}: {found:?} has made a version up").into());
        }
    }
    // Servers with these names report the version of a Mastodon.
    for (name, versions) in
        wild.iter().filter(|(name, _)| ["mastodon", "hometown", "kmyblue"].contains(&&**name))
    {
        for version in versions {
            let (major, minor) =
                Software::parse(version).mastodon.ok_or(format!("{name} {version}: no Mastodon"))?;
            let plausible = (1..=4).contains(&major) && minor <= 10;
            if !plausible {
                return Err(format!("{name} {version} as Mastodon {major}.{minor}").into());
            }
        }
    }
    Ok(())
}
