//! Answers by which other servers than Mastodon say that they do not have
//! something.

use std::collections::BTreeMap;
use std::time::Duration;

use fedimeter::clock::Clock;
use fedimeter::config::Http;
use fedimeter::endpoint::Endpoint;
use fedimeter::fetch::Client;
use fedimeter::outcome::Outcome;
use fedimeter::refresh::Refresher;
use fedimeter::simulator::{Fault, Settings, Simulator};
use fedimeter::target::Target;

/// GoToSocial shows its peers to its own users unless its admin opens them;
/// a 401 of any other server is one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closed_peers_of_gotosocial_are_not_offered() {
    let settings = Settings { instances: 2, ..Settings::default() };
    let simulator = Simulator::start(settings, ([127, 0, 0, 1], 0).into()).await.unwrap();
    let software = r#"{"version":"2.0","software":{"name":"gotosocial","version":"0.20.0"},"usage":{}}"#;
    simulator.set_json(0, "/nodeinfo/2.0", software);
    let targets = (0..2).map(|i| {
        simulator.set_fault(i, "/api/v1/instance/peers", Some(Fault::Status(401)));
        let mut target = Target::new(simulator.url(i).parse().unwrap(), None, None, &BTreeMap::new());
        target.select_endpoints(&[Endpoint::Peers]);
        target
    });
    let refresher =
        Refresher::new(targets.collect(), Client::new(Http::default()).unwrap(), Clock::default());
    let view = refresher.refresh(Duration::from_secs(60)).await;
    let outcomes: Vec<_> = view.readings().map(|r| r.outcome(Endpoint::Peers).map(Outcome::name)).collect();
    assert_eq!(outcomes, [Some("not_offered"), Some("unauthorized")]);
}
