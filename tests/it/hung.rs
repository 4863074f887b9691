//! Hanging servers and a good one, all at one address.

use std::collections::BTreeMap;
use std::time::Duration;

use fedimeter::config::Http;
use fedimeter::endpoint::Endpoint;
use fedimeter::target::Target;

use crate::support::poll::*;

const HUNG: usize = 20;
const LONG: Duration = Duration::from_secs(3600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_read_in_each_round_beside_hung_ones_at_its_address() {
    let simulator = simulator(|s| s.instances = HUNG + 1).await;
    let address =
        simulator.url(0).rsplit_once(':').map(|(_, port)| format!("http://127.0.0.1:{port}")).unwrap();
    let named = |i| Target::new(address.parse().unwrap(), Some(simulator.host(i)), None, &BTreeMap::new());
    for i in 0..HUNG {
        simulator.set_fault(i, "*", Some("hang".parse().unwrap()));
    }
    // Fewer simultaneous requests than the hanging servers need.
    let http = Http { timeout: Duration::from_secs(1), max_requests: 16, ..http() };
    let bench = Bench::with((0..=HUNG).map(named).collect(), http);
    let view = bench.refresher.refresh(LONG).await;
    assert_eq!(outcome(&view, HUNG, Endpoint::InstanceV1), "ok");
    assert_eq!(outcome(&view, 0, Endpoint::InstanceV1), "timeout");
    for round in 1..=3 {
        bench.clock.advance(Duration::from_secs(60));
        let asked = simulator.requests(HUNG, "/api/v1/instance");
        let is_read = async {
            while simulator.requests(HUNG, "/api/v1/instance") == asked {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let all = bench.refresher.refresh(LONG);
        // The good server does not wait for the others to time out.
        tokio::select! {
            _ = all => panic!("round {round}: all others were first"),
            () = is_read => {}
        }
        let view = bench.refresher.refresh(LONG).await;
        assert_eq!(outcome(&view, HUNG, Endpoint::InstanceV1), "ok", "round {round}");
    }
}

#[tokio::test]
async fn a_server_that_was_not_asked_yet_is_not_called_down() {
    let simulator = simulator(|s| s.instances = 2).await;
    // The second one waits for its turn.
    let both = by_turn(&simulator, 2);
    simulator.set_fault(both[0], "*", Some("hang".parse().unwrap()));
    let both = both.into_iter().map(|i| target(&simulator, i)).collect();
    let bench = Bench::with(both, Http { max_requests: 1, ..http() });
    let deadline = Duration::from_millis(500);
    let view = bench.refresher.refresh(deadline).await.ended_by(deadline);
    assert_eq!([0, 1].map(|i| value(&view, i, "fedimeter.target.up")), [Some(0), None]);
    assert_eq!(outcome(&view, 1, Endpoint::InstanceV1), "none");
    let view = bench.refresher.refresh(LONG).await.ended_by(LONG);
    assert_eq!([0, 1].map(|i| value(&view, i, "fedimeter.target.up")), [Some(0), Some(1)]);
}
