//! Answers of servers other than Mastodon: missing and hidden values, and the software.

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
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::support::poll::{Bench, V46, outcome, points, simulator, target, value};

/// GoToSocial shows peers only to its own users by default. A 401 of any other server is a
/// failure.
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

/// A server with only these answers.
async fn answering(answers: &[(&str, Value)]) -> (Simulator, Bench) {
    let simulator = simulator(|_| {}).await;
    for path in ["/api/v2/instance", "/api/v1/instance", "/.well-known/nodeinfo", "/nodeinfo/2.0"] {
        simulator.set_answer(V46, path, StatusCode::NOT_FOUND, HeaderMap::new(), "");
    }
    for (path, answer) in answers {
        simulator.set_json(V46, path, answer.to_string());
    }
    let bench = Bench::of(vec![target(&simulator, V46)]);
    (simulator, bench)
}

/// Epicyon answers with its NodeInfo document instead of links to it, and at the path of
/// NodeInfo2, without the member `server`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nodeinfo_document_in_another_place_is_taken_as_what_it_is() {
    let document = json!({
        "version": "2.0",
        "software": {"name": "epicyon", "version": "1.7.0"},
        "usage": {"users": {"total": 4, "activeMonth": 3, "activeHalfyear": 4}, "localPosts": 30},
        "openRegistrations": true,
    });
    let v1 = json!({"uri": "a.example", "version": "1.7.0", "rules": [], "stats": {"user_count": 4, "domain_count": 2}});
    for (place, discovered) in [("/.well-known/nodeinfo", "ok"), ("/.well-known/x-nodeinfo2", "not_offered")]
    {
        let answers = [(place, document.clone()), ("/api/v1/instance", v1.clone())];
        let (_simulator, bench) = answering(&answers).await;
        let view = bench.refresh().await;
        assert_eq!(outcome(&view, 0, Endpoint::NodeinfoDiscovery), discovered, "{place}");
        assert_eq!(outcome(&view, 0, Endpoint::Nodeinfo), "ok", "{place}");
        let info = points(&view, 0, "fedimeter.target.info");
        assert_eq!(info, [("a.example,epicyon,1.7.0".to_owned(), 1.0)], "{place}");
        assert_eq!(value(&view, 0, "nodeinfo.users"), Some(4), "{place}");
        // A constant of this software was omitted, so the software was known.
        assert_eq!(value(&view, 0, "mastodon.instance.domains"), None, "{place}");
    }
}

/// Software whose version looks like one of Mastodon is not Mastodon: its documents have
/// later members.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_its_documents_contradict_is_not_mastodons() {
    let (v1, v2) = ("/api/v1/instance", "/api/v2/instance");
    for (path, answer, name) in [
        (v1, json!({"version": "1.7.0", "rules": []}), None),
        (v1, json!({"version": "3.3.0", "configuration": {"statuses": {"max_media_attachments": 4}}}), None),
        (v1, json!({"version": "3.3.0"}), Some("mastodon")),
        (v1, json!({"version": "3.4.0", "rules": []}), Some("mastodon")),
        (v2, json!({"domain": "a.example", "version": "3.5.0"}), None),
        (v2, json!({"domain": "a.example", "version": "4.0.0rc1"}), Some("mastodon")),
    ] {
        let (_simulator, bench) = answering(&[(path, answer.clone())]).await;
        let view = bench.refresh().await;
        let info = points(&view, 0, "fedimeter.target.info");
        let is_mastodon = info.iter().any(|(labels, _)| labels.split(',').any(|label| label == "mastodon"));
        assert_eq!(is_mastodon, name.is_some(), "{answer}: {info:?}");
    }
}

/// GoToSocial reports 0 for hidden numbers, and asks not to be indexed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zeros_that_are_a_refusal_are_absent() {
    for (robots, users) in [
        (None, Some(0)),
        (Some("noarchive"), Some(0)),
        (Some("noindex, nofollow"), None),
        (Some("NoIndex"), None),
    ] {
        let v1 =
            json!({"version": "0.20.0", "stats": {"user_count": 0, "status_count": 0, "domain_count": 0}});
        let (simulator, bench) = answering(&[("/api/v1/instance", v1)]).await;
        let place = format!("{}/nodeinfo/2.0", simulator.url(V46));
        let links =
            json!({"links": [{"rel": "http://nodeinfo.diaspora.software/ns/schema/2.0", "href": place}]});
        simulator.set_json(V46, "/.well-known/nodeinfo", links.to_string());
        let json_type =
            (HeaderName::from_static("content-type"), HeaderValue::from_static("application/json"));
        let robots_tag =
            robots.map(|tag| (HeaderName::from_static("x-robots-tag"), HeaderValue::from_static(tag)));
        let headers: HeaderMap = [json_type].into_iter().chain(robots_tag).collect();
        let nodeinfo = r#"{"version":"2.0","software":{"name":"gotosocial","version":"0.20.0"},"usage":{"users":{"total":0}}}"#;
        simulator.set_answer(V46, "/nodeinfo/2.0", StatusCode::OK, headers, nodeinfo);
        let view = bench.refresh().await;
        assert_eq!(outcome(&view, 0, Endpoint::Nodeinfo), "ok");
        assert_eq!(value(&view, 0, "mastodon.instance.users"), users, "{robots:?}");
        assert_eq!(value(&view, 0, "nodeinfo.users"), users, "{robots:?}");
    }
}
