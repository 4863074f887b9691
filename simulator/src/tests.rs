//! Tests of the simulator from a client's view.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::*;

mod admin;
mod community;
mod dashboard;
mod documents;
mod faults;
mod house;
mod limits;
mod tokens;

const NOW: i64 = 1_785_592_262; // Saturday 2026-08-01T13:51:02Z
const LOOPBACK: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

/// The numbers of instances by version, with the default settings.
const V4_6: usize = 0;
const V4_2: usize = 1;
const V3_4: usize = 2;
const V2_4: usize = 3;
/// An instance of version 4.6 whose numbers change every few seconds.
const BIG: usize = 4;

struct Bed {
    simulator: Simulator,
    client: Client,
}

async fn bed(change: impl FnOnce(&mut Settings)) -> Bed {
    // Another test has usually installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut settings = Settings { clock: Clock::Fixed(NOW), ..Settings::default() };
    change(&mut settings);
    let simulator = Simulator::start(settings, LOOPBACK.into()).await.unwrap();
    let client = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    Bed { simulator, client }
}

impl Bed {
    fn request(&self, i: usize, path: &str) -> reqwest::RequestBuilder {
        let url = format!("http://{}{path}", self.simulator.addr());
        self.client.get(url).header("host", self.simulator.host(i))
    }

    async fn get(&self, i: usize, path: &str) -> Response {
        self.request(i, path).send().await.unwrap()
    }

    async fn get_with(&self, i: usize, path: &str, token: &str) -> Response {
        self.request(i, path).bearer_auth(token).send().await.unwrap()
    }

    async fn status(&self, i: usize, path: &str) -> u16 {
        self.get(i, path).await.status().as_u16()
    }

    async fn json(&self, i: usize, path: &str) -> Value {
        let response = self.get(i, path).await;
        assert_eq!(response.status(), StatusCode::OK, "{i} {path}");
        assert_eq!(header(&response, "content-type"), "application/json; charset=utf-8");
        parse(response).await
    }
}

async fn parse(response: Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_known_answer_is_not_sent_again_until_it_changes() {
    let bed = bed(|_| {}).await;
    let first = bed.get(BIG, "/api/v1/instance").await;
    let etag = header(&first, "etag").to_owned();
    let again = || bed.request(BIG, "/api/v1/instance").header("if-none-match", etag.as_str()).send();
    let second = again().await.unwrap();
    assert_eq!(second.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(header(&second, "etag"), etag);
    assert_eq!(header(&second, "x-ratelimit-limit"), "300");
    bed.simulator.advance(Duration::from_secs(3600));
    let third = again().await.unwrap();
    assert_eq!(third.status(), StatusCode::OK);
    assert_eq!(parse(third).await["stats"]["status_count"], bed.simulator.truth(BIG).statuses);
}

#[tokio::test]
async fn hosts_tell_instances_apart() {
    let bed = bed(|s| s.instances = 50).await;
    assert_eq!(bed.simulator.urls().len(), 50);
    assert_eq!(bed.simulator.url(42), format!("http://i00042.localhost:{}", bed.simulator.addr().port()));
    for i in [0, 7, 8, 42] {
        assert_eq!(bed.json(i, "/api/v1/instance").await["title"], bed.simulator.truth(i).title);
    }
    // An address means instance 0, whose links then contain that address.
    let url = format!("http://{}", bed.simulator.addr());
    let links = parse(bed.client.get(format!("{url}/.well-known/nodeinfo")).send().await.unwrap()).await;
    assert_eq!(links["links"][0]["href"], format!("{url}/nodeinfo/2.0"));
    assert_eq!(bed.get(0, "/about").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn it_speaks_http_2() {
    let bed = bed(|_| {}).await;
    let client = Client::builder().no_proxy().http2_prior_knowledge();
    let client = client.resolve("science.localhost", bed.simulator.addr()).build().unwrap();
    let response = client.get(format!("{}/api/v1/instance", bed.simulator.url(1))).send().await.unwrap();
    assert_eq!(parse(response).await["uri"], bed.simulator.host(1));
    let log = bed.simulator.request_log();
    assert_eq!(log[0].version, http::Version::HTTP_2);
    assert_eq!(log[0].headers["host"], bed.simulator.host(1));
    bed.simulator.set_fault(1, "*", Some(Fault::Reset));
    assert!(client.get(bed.simulator.url(1)).send().await.is_err());
}

#[tokio::test]
async fn requests_are_on_record() {
    let bed = bed(|s| s.request_log = 2).await;
    for query in ["", "?a=1", "?b=2"] {
        let request = bed.request(1, &format!("/api/v1/instance{query}")).header("user-agent", "test/1");
        request.send().await.unwrap();
    }
    bed.get(1, "/nodeinfo/2.0").await;
    assert_eq!(bed.simulator.requests(1, "/api/v1/instance"), 3);
    assert_eq!(bed.simulator.requests(1, "/api/*"), 3);
    assert_eq!(bed.simulator.requests(1, "*"), 4);
    assert_eq!(bed.simulator.requests(0, "*"), 0);
    let log = bed.simulator.request_log();
    let targets: Vec<&str> = log.iter().map(|request| request.target.as_str()).collect();
    assert_eq!(targets, ["/api/v1/instance?b=2", "/nodeinfo/2.0"]);
    assert_eq!((log[0].instance, &log[0].headers["user-agent"]), (1, &"test/1".parse().unwrap()));
    assert_eq!(log[0].headers["host"], bed.simulator.host(1));
    bed.simulator.clear_request_log();
    assert!(bed.simulator.request_log().is_empty());
}

#[tokio::test]
async fn tests_can_put_words_in_its_mouth() {
    let bed = bed(|_| {}).await;
    bed.simulator.switch(0, |s| s.contact_account = true);
    let mut truth = bed.simulator.truth(0);
    truth.users = -5;
    truth.accounts[0].followers = -1;
    bed.simulator.set_truth(0, Some(truth.clone()));
    assert_eq!(bed.simulator.truth(0), truth);
    let v1 = bed.json(0, "/api/v1/instance").await;
    assert_eq!(v1["stats"]["user_count"], -5);
    assert_eq!(v1["contact_account"]["followers_count"], -1);
    bed.simulator.switch(0, |s| s.contact_account = false);
    assert_eq!(bed.json(0, "/api/v1/instance").await["contact_account"], Value::Null);
    bed.simulator.set_truth(0, None);
    assert_ne!(bed.simulator.truth(0), truth);

    bed.simulator.set_json(V2_4, "/api/v2/instance", "{\"a\":1}");
    assert_eq!(bed.json(V2_4, "/api/v2/instance").await, json!({ "a": 1 }));
    let headers = HeaderMap::from_iter([(http::header::AGE, "30".parse().unwrap())]);
    bed.simulator.set_answer(0, "/health", StatusCode::ACCEPTED, headers, "OK");
    let response = bed.get(0, "/health").await;
    assert_eq!((response.status(), header(&response, "age")), (StatusCode::ACCEPTED, "30"));
    assert_eq!(response.text().await.unwrap(), "OK");
    bed.simulator.remove_answer(0, "/health");
    assert_eq!(bed.get(0, "/health").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn large_answers_are_packed_for_those_who_unpack() {
    let bed = bed(|_| {}).await;
    let get = async |path: &str, accept: &str| {
        let plain = Client::builder().no_proxy().no_gzip().build().unwrap();
        let url = format!("http://{}{path}", bed.simulator.addr());
        let response = plain.get(url).header("accept-encoding", accept).send().await.unwrap();
        let coding = header(&response, "content-encoding").to_owned();
        (coding, response.bytes().await.unwrap().len())
    };
    let (coding, packed) = get("/api/v2/instance", "gzip, br").await;
    let (none, whole) = get("/api/v2/instance", "gzip;q=0, br").await;
    assert_eq!((coding.as_str(), none.as_str()), ("gzip", ""));
    assert!(packed * 3 < whole * 2, "{packed} of {whole}");
    assert_eq!(get("/nodeinfo/2.0", "gzip").await.0, "");
}

#[tokio::test]
async fn a_moved_clock_moves_the_numbers() {
    let bed = bed(|_| {}).await;
    let before = bed.simulator.truth(BIG);
    bed.simulator.set_time(NOW + 86_400);
    assert_eq!(bed.simulator.now(), NOW + 86_400);
    assert!(bed.simulator.truth(BIG).statuses > before.statuses + 1000);
    let again = self::bed(|_| {}).await;
    assert_eq!(Truth { domain: before.domain.clone(), ..again.simulator.truth(BIG) }, before);
}

#[tokio::test]
async fn it_stops_when_told_to_and_when_dropped() {
    let bed = bed(|_| {}).await;
    let addr = bed.simulator.addr();
    bed.get(0, "/api/v1/instance").await;
    let mut kept = TcpStream::connect(addr).await.unwrap();
    bed.simulator.shutdown().await;
    assert_eq!(kept.read(&mut [0; 8]).await.unwrap_or(0), 0, "open connections close");
    let next = Simulator::start(Settings::default(), addr).await.expect("the port is free");
    let mut kept = TcpStream::connect(addr).await.unwrap();
    drop(next);
    assert_eq!(kept.read(&mut [0; 8]).await.unwrap_or(0), 0);
}
