//! Polls simulated servers with the real refresher, on a clock of the test.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fedimeter::clock::Clock;
use fedimeter::config::Http;
use fedimeter::endpoint::Endpoint;
use fedimeter::fetch::Client;
use fedimeter::metrics::{Number, rows};
use fedimeter::refresh::Refresher;
use fedimeter::simulator::{Settings, Simulator};
use fedimeter::snapshot::{Reading, View};
use fedimeter::target::Target;

pub const WITHIN: Duration = Duration::from_secs(20);

/// Instances by index: versions 4.6, 4.2, 3.4, 2.4.
pub const V46: usize = 0;
pub const V42: usize = 1;
pub const V34: usize = 2;
pub const V24: usize = 3;

pub async fn simulator(change: impl FnOnce(&mut Settings)) -> Simulator {
    let mut settings = Settings { instances: 4, cache_headers: false, ..Settings::default() };
    change(&mut settings);
    let simulator = Simulator::start(settings, ([127, 0, 0, 1], 0).into()).await.unwrap();
    // Otherwise its numbers would grow while a test compares them.
    for i in 0..simulator.len() {
        simulator.set_truth(i, Some(simulator.truth(i)));
    }
    simulator
}

pub fn target(simulator: &Simulator, i: usize) -> Target {
    Target::new(simulator.url(i).parse().unwrap(), None, None, &BTreeMap::new())
}

/// The first instances in the order of their [turns](Target::turn).
pub fn by_turn(simulator: &Simulator, instances: usize) -> Vec<usize> {
    let mut all: Vec<usize> = (0..instances).collect();
    all.sort_by_cached_key(|i| target(simulator, *i).turn().to_bits());
    all
}

pub fn http() -> Http {
    Http { timeout: Duration::from_secs(5), ..Http::default() }
}

pub struct Bench {
    pub refresher: Refresher,
    pub clock: Clock,
}

impl Bench {
    pub fn of(targets: Vec<Target>) -> Bench {
        Bench::with(targets, http())
    }

    pub fn with(targets: Vec<Target>, http: Http) -> Bench {
        let clock = Clock::default();
        let refresher = Refresher::new(targets, Client::new(http).unwrap(), clock.clone());
        Bench { refresher, clock }
    }

    pub async fn refresh(&self) -> Arc<View> {
        self.refresher.refresh(WITHIN).await
    }

    pub async fn after(&self, seconds: u64) -> Arc<View> {
        self.clock.advance(Duration::from_secs(seconds));
        self.refresh().await
    }
}

pub fn reading(view: &View, i: usize) -> Reading<'_> {
    view.readings().nth(i).unwrap()
}

/// The value of a row's only point about the i-th target.
pub fn value(view: &View, i: usize, name: &str) -> Option<i64> {
    let row = rows().find(|row| row.name == name).unwrap_or_else(|| panic!("no row {name}"));
    let mut found = None;
    row.points(&reading(view, i), &mut |n, labels| {
        assert!(labels.is_empty(), "{name} has labels");
        assert!(found.is_none(), "{name} has two points");
        found = match n {
            Number::Int(n) => Some(n),
            Number::Float(f) => Some(f as i64),
        };
    });
    found
}

pub fn outcome(view: &View, i: usize, endpoint: Endpoint) -> &'static str {
    reading(view, i).outcome(endpoint).map_or("none", fedimeter::outcome::Outcome::name)
}

/// All points of a row about the i-th target: labels as `a=b,c=d`, and the value.
pub fn points(view: &View, i: usize, name: &str) -> Vec<(String, f64)> {
    let row = rows().find(|row| row.name == name).unwrap_or_else(|| panic!("no row {name}"));
    let mut found = Vec::new();
    row.points(&reading(view, i), &mut |n, labels| {
        let labels: Vec<String> = labels
            .iter()
            .map(|(_, label)| match label {
                fedimeter::metrics::Label::Static(text) => (*text).to_owned(),
                fedimeter::metrics::Label::Text(text) => text.to_string(),
                fedimeter::metrics::Label::Int(n) => n.to_string(),
            })
            .collect();
        let value = match n {
            Number::Int(n) => n as f64,
            Number::Float(f) => f,
        };
        found.push((labels.join(","), value));
    });
    found
}

/// The last second of the running UTC day, Unix time.
pub fn end_of_today() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
    (now / 86_400 + 1) * 86_400 - 1
}
