//! Simulated servers, polled with the real refresher.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fedimeter::clock::Clock;
use fedimeter::config::Http;
use fedimeter::fetch::Client;
use fedimeter::refresh::Refresher;
use fedimeter::simulator::{Settings, Simulator};
use fedimeter::snapshot::View;
use fedimeter::target::Target;

/// Long enough for every answer, even on a busy machine.
const WITHIN: Duration = Duration::from_secs(120);

/// This number of instances, of these versions in turn, without cache headers.
pub async fn simulator(instances: usize, versions: &[&str]) -> Simulator {
    let versions = versions.iter().map(|v| (*v).to_owned()).collect();
    let settings =
        Settings { instances, versions, cache_headers: false, request_log: 16, ..Settings::default() };
    Simulator::start(settings, ([127, 0, 0, 1], 0).into()).await.unwrap()
}

/// An instance as a target.
pub fn target(simulator: &Simulator, i: usize) -> Target {
    Target::new(simulator.url(i).parse().unwrap(), None, None, &BTreeMap::new())
}

/// The result of one collection of these targets, with this timeout of requests.
pub async fn poll(targets: Vec<Target>, timeout: Duration) -> Arc<View> {
    let client = Client::new(Http { timeout, ..Http::default() }).unwrap();
    Refresher::new(targets, client, Clock::default()).refresh(WITHIN).await
}

/// The same facts at another time.
pub fn read_at(view: &View, unix: i64) -> View {
    View::new(view.started, unix as f64, view.targets.clone())
}
