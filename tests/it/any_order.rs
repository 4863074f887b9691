//! A server with random answers in random order: no endpoint is requested too early. The
//! log of the simulated server is checked, and the test sets the clock.

use fedimeter::endpoint::Endpoint;
use fedimeter_simulator::Simulator;
use http::{HeaderMap, HeaderName, StatusCode};
use proptest::prelude::*;

use crate::support::poll::*;

/// The paths of the endpoints, the maximum wait in seconds after consecutive failures, and
/// whether the endpoint is a document.
const PATHS: [(&str, u64, bool); 9] = [
    ("/api/v2/instance", 60, true),
    ("/api/v1/instance", 60, true),
    (NODEINFO, 60, true),
    ("/.well-known/nodeinfo", 21_600, false),
    ("/api/v1/instance/activity", 3600, false),
    ("/api/v1/instance/peers", 21_600, false),
    ("/api/v1/custom_emojis", 21_600, false),
    ("/api/v1/timelines/public", 60, false),
    ("/health", 60, false),
];

const NODEINFO: &str = "/nodeinfo/2.0";
const FORERUNNER: &str = "/statistics.json";

/// The answer of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Well,
    Status(u16),
    /// A status with `Retry-After` in seconds.
    Later(u16, u64),
    WebPage,
}

impl Way {
    fn set(self, simulator: &Simulator, path: &str) {
        simulator.remove_answer(V46, path);
        let (status, headers, body) = match self {
            Way::Well => return,
            Way::Status(status) => (status, HeaderMap::new(), ""),
            Way::Later(status, seconds) => {
                let headers = [(HeaderName::from_static("retry-after"), seconds.into())];
                (status, HeaderMap::from_iter(headers), "")
            }
            Way::WebPage => (200, HeaderMap::new(), "<!DOCTYPE html><html></html>"),
        };
        simulator.set_answer(V46, path, StatusCode::from_u16(status).unwrap(), headers, body);
    }

    /// Whether the endpoint can be read. For health, the answer of the streaming server is
    /// enough.
    fn is_read(self, path: &str) -> bool {
        self == Way::Well || (path == "/health" && self.is_gone())
    }

    fn is_gone(self) -> bool {
        matches!(self, Way::WebPage | Way::Status(404 | 410) | Way::Later(404, _))
    }

    fn retry_after(self) -> u64 {
        match self {
            Way::Later(_, seconds) => seconds.min(3600),
            _ => 0,
        }
    }

    /// For how many seconds the answer stops all requests below `/api`.
    fn spends_the_limit(self) -> Option<u64> {
        match self {
            Way::Status(429) => Some(60),
            Way::Later(429 | 503, _) => Some(self.retry_after()),
            _ => None,
        }
    }
}

fn way() -> impl Strategy<Value = Way> {
    let status = prop::sample::select(vec![401, 403, 404, 410, 429, 500, 502, 503]);
    let later =
        (prop::sample::select(vec![404, 429, 500, 503]), prop::sample::select(vec![5, 90, 700, 9000]));
    prop_oneof![
        5 => Just(Way::Well),
        4 => status.prop_map(Way::Status),
        2 => later.prop_map(|(status, seconds)| Way::Later(status, seconds)),
        1 => Just(Way::WebPage),
    ]
}

/// The seconds until the next collection, and the changed answers of paths.
type Step = (u64, Vec<(usize, Way)>);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let wait = prop::sample::select(vec![15, 30, 60, 60, 60, 130, 400, 3700, 22_000]);
    prop::collection::vec((wait, prop::collection::vec((0..PATHS.len(), way()), 0..4)), 1..30)
}

/// The earlier requests of a path.
#[derive(Debug, Clone, Copy, Default)]
struct Past {
    asked: u64,
    /// Whether the last request could be read.
    is_read: bool,
    /// The number of consecutive failures. If a document can be read, a missing path is not
    /// a failure, and resets the number.
    failed: u32,
    not_before: u64,
    /// Whether the server was down at any time since the last request. After a server is
    /// back, all failed endpoints are requested again.
    was_away: bool,
}

/// A tolerance of a second, because the real clock runs during requests.
const GRANTED: u64 = 1;

async fn judge(steps: &[Step]) -> Result<(), TestCaseError> {
    let simulator = simulator(|s| s.rate_limit = Some(1_000_000)).await;
    let mut target = target(&simulator, V46);
    target.select_endpoints(&[
        Endpoint::Peers,
        Endpoint::CustomEmojis,
        Endpoint::Timelines,
        Endpoint::Health,
    ]);
    let bench = Bench::of(vec![target]);
    let mut ways = [Way::Well; PATHS.len()];
    let mut past = [Past::default(); PATHS.len()];
    let (mut now, mut held_until, mut is_seen) = (0, 0, true);
    for (wait, changes) in steps {
        for (i, way) in changes {
            ways[*i] = *way;
            way.set(&simulator, PATHS[*i].0);
        }
        now += wait;
        simulator.clear_request_log();
        bench.after(*wait).await;
        let log: Vec<String> =
            simulator.request_log().iter().map(|r| r.target.split('?').next().unwrap().to_owned()).collect();
        for (i, (path, longest, _)) in PATHS.iter().enumerate() {
            let times = log.iter().filter(|asked| *asked == path).count();
            if times == 0 {
                continue;
            }
            let Past { asked, is_read, failed, not_before, was_away } = past[i];
            let told = || format!("{path} at {now}, before {:?}: {log:?}", past[i]);
            prop_assert!(times <= 4, "{} times: {}", times, told());
            prop_assert!(now + GRANTED >= not_before, "before its time: {}", told());
            if path.starts_with("/api") {
                prop_assert!(now + GRANTED >= held_until, "while the limit is spent: {}", told());
            }
            if asked > 0 && !is_read {
                let doubled = 60 * 2_u64.pow(failed.saturating_sub(1).min(10));
                let longest = if was_away { 60 } else { *longest };
                prop_assert!(now - asked + GRANTED >= doubled.min(longest) * 9 / 10, "too soon: {}", told());
            }
        }
        for (i, (path, ..)) in PATHS.iter().enumerate() {
            // Without a discovery, the predecessors of the document are requested, which
            // this server lacks.
            if *path == NODEINFO && log.iter().any(|asked| asked == FORERUNNER) {
                past[i] = Past { is_read: false, ..past[i] };
            }
            if log.iter().any(|asked| asked == path) {
                let way = ways[i];
                let is_read = way.is_read(path);
                past[i] = Past {
                    asked: now,
                    is_read,
                    failed: if is_read || way.is_gone() { 0 } else { past[i].failed + 1 },
                    not_before: past[i].not_before.max(now + way.retry_after()),
                    was_away: !is_seen,
                };
                if let Some(left) = way.spends_the_limit().filter(|_| path.starts_with("/api")) {
                    held_until = held_until.max(now + left);
                }
            }
        }
        let documents = || PATHS.iter().enumerate().filter(|(_, (.., is_document))| *is_document);
        is_seen = documents().any(|(i, _)| past[i].is_read);
        for past in &mut past {
            past.was_away |= !is_seen;
        }
    }
    Ok(())
}

/// A case has up to 30 collections. `PROPTEST_CASES` sets the number of cases.
fn config() -> ProptestConfig {
    let usual = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { usual.cases } else { 40 };
    ProptestConfig { cases, failure_persistence: None, ..usual }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_order_of_answers_has_an_endpoint_asked_too_early(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(judge(&steps))?;
    }
}
