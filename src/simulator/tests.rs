//! The simulator as a client sees it.

use std::time::Duration;

use http::StatusCode;
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::*;

mod faults;

const NOW: i64 = 1_785_592_262; // Saturday 2026-08-01T13:51:02Z
const LOOPBACK: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

/// Instances by version, as the defaults have them.
const V4_6: usize = 0;
const V4_2: usize = 1;
const V3_4: usize = 2;
const V2_4: usize = 3;
/// The one whose numbers change every few seconds, of version 4.6 too.
const BIG: usize = 4;

struct Bed {
    simulator: Simulator,
    client: Client,
}

async fn bed(change: impl FnOnce(&mut Settings)) -> Bed {
    // Already installed by another test, most of the time.
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
async fn documents_say_the_truth_in_every_version() {
    let bed = bed(|s| s.instances = 40).await;
    for i in 0..40 {
        let truth = bed.simulator.truth(i);
        let v1 = bed.json(i, "/api/v1/instance").await;
        assert_eq!(v1["uri"], truth.domain);
        assert_eq!(v1["version"], truth.version);
        assert_eq!(
            v1["stats"],
            json!({ "user_count": truth.users, "status_count": truth.statuses, "domain_count": truth.domains })
        );
        let has = |name: &str| v1.get(name).is_some();
        let (old, middle) = (i % 4 == V2_4, i % 4 == V3_4);
        assert_eq!([has("registrations"), has("rules"), has("configuration")], [!old; 3], "{i}");
        if !old {
            assert_eq!(v1["registrations"], truth.registrations_open);
            assert_eq!(v1["approval_required"], truth.approval_required);
            assert_eq!(v1["rules"].as_array().unwrap().len(), truth.rules);
            assert_eq!(v1["configuration"]["statuses"]["max_characters"], 500);
        }

        let rows = bed.json(i, "/api/v1/instance/activity").await;
        let rows: Vec<[String; 4]> = rows
            .as_array()
            .unwrap()
            .iter()
            .map(|row| {
                ["week", "statuses", "logins", "registrations"].map(|k| row[k].as_str().unwrap().into())
            })
            .collect();
        let expected: Vec<[String; 4]> = truth
            .activity
            .iter()
            .map(|r| {
                [
                    r.week.to_string(),
                    r.statuses.to_string(),
                    r.logins.to_string(),
                    r.registrations.to_string(),
                ]
            })
            .collect();
        assert_eq!(rows, expected);

        if old || middle {
            let v2 = bed.get(i, "/api/v2/instance").await;
            assert_eq!(v2.status(), StatusCode::NOT_FOUND);
            assert!(header(&v2, "content-type").starts_with("text/html"));
        } else {
            let v2 = bed.json(i, "/api/v2/instance").await;
            assert_eq!(v2["domain"], truth.domain);
            assert_eq!(v2["usage"]["users"]["active_month"], truth.active_month);
            assert_eq!(v2["registrations"]["enabled"], truth.registrations_open);
            assert_eq!(v2["rules"].as_array().unwrap().len(), truth.rules);
            assert_eq!(v2["api_versions"]["mastodon"], json!(truth.api_version));
            assert_eq!(v2["configuration"].get("limited_federation").is_some(), i % 4 == V4_6);
        }
    }
}

#[tokio::test]
async fn nodeinfo_has_the_shape_of_its_time() {
    let bed = bed(|s| s.versions = ["3.4.10", "4.0.2", "4.6.4", "2.4.5"].map(str::to_owned).to_vec()).await;
    for i in 0..3 {
        let links = bed.json(i, "/.well-known/nodeinfo").await;
        assert_eq!(links["links"][0]["href"], format!("{}/nodeinfo/2.0", bed.simulator.url(i)));
        let (truth, document) = (bed.simulator.truth(i), bed.json(i, "/nodeinfo/2.0").await);
        assert_eq!(
            document["usage"],
            json!({
                "users": {
                    "total": truth.users,
                    "activeMonth": truth.active_month,
                    "activeHalfyear": truth.active_half_year,
                },
                "localPosts": truth.statuses,
            })
        );
        assert_eq!(document["software"], json!({ "name": "mastodon", "version": truth.version }));
        assert_eq!(document.get("services").is_some(), i > 0);
        assert_eq!(document["metadata"]["nodeName"], if i == 2 { json!(truth.title) } else { Value::Null });
    }
    for path in ["/.well-known/nodeinfo", "/nodeinfo/2.0"] {
        assert_eq!(bed.get(3, path).await.status(), StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn accounts_are_found_by_name_and_id() {
    let bed = bed(|_| {}).await;
    for i in [V4_6, V4_2, V3_4, V2_4] {
        for account in bed.simulator.truth(i).accounts {
            let shown = bed.json(i, &format!("/api/v1/accounts/{}", account.id)).await;
            assert_eq!(shown["username"], account.username);
            assert_eq!(shown["followers_count"], account.followers);
            assert_eq!(shown["following_count"], account.following);
            assert_eq!(shown["statuses_count"], account.statuses);
            let last = shown.get("last_status_at").cloned();
            assert_eq!(last, (i != V2_4).then(|| json!(account.last_status_at)));
            if i != V2_4 {
                let domain = bed.simulator.host(i);
                for acct in [account.username.clone(), format!("{}@{domain}", account.username)] {
                    assert_eq!(bed.json(i, &format!("/api/v1/accounts/lookup?acct={acct}")).await, shown);
                }
            }
        }
        for path in [
            "/api/v1/accounts/999",
            "/api/v1/accounts/lookup?acct=nobody",
            "/api/v1/accounts/lookup?acct=ada@x.y",
        ] {
            let response = bed.get(i, path).await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND);
            assert_eq!(parse(response).await, json!({ "error": "Record not found" }));
        }
    }
}

#[tokio::test]
async fn headers_are_those_of_the_version() {
    let bed = bed(|_| {}).await;
    let newest = "max-age=300, public, stale-while-revalidate=30, stale-if-error=86400";
    let brief = "max-age=15, public, stale-while-revalidate=30, stale-if-error=86400";
    for (i, path, cache, vary) in [
        (V4_6, "/api/v1/instance", newest, "Accept, Origin"),
        (V4_2, "/api/v2/instance", newest, "Accept, Origin"),
        (V4_2, "/api/v1/instance/activity", newest, "Accept, Origin"),
        (V4_2, "/api/v1/accounts/1", brief, "Authorization, Origin"),
        (V3_4, "/api/v1/instance", "max-age=180, public", "Accept-Encoding, Origin"),
        (V3_4, "/api/v1/instance/activity", "max-age=86400, public", "Accept-Encoding, Origin"),
        (V2_4, "/api/v1/instance", "max-age=0, private, must-revalidate", "Accept-Encoding, Origin"),
        (V4_6, "/nodeinfo/2.0", "max-age=1800, public", "Accept, Origin"),
        (V4_6, "/.well-known/nodeinfo", "max-age=259200, public", "Accept, Origin"),
    ] {
        let response = bed.get(i, path).await;
        assert_eq!(header(&response, "cache-control"), cache, "{i} {path}");
        assert_eq!(header(&response, "vary"), vary, "{i} {path}");
        assert!(header(&response, "etag").starts_with("W/\""));
        let deprecated = header(&response, "deprecation");
        assert_eq!(deprecated, if i == V4_6 && path == "/api/v1/instance" { "@1668384000" } else { "" });
    }
    let bed = self::bed(|s| s.cache_headers = false).await;
    assert_eq!(header(&bed.get(V4_6, "/api/v1/instance").await, "cache-control"), "");
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
async fn rate_limits_count_by_window() {
    let bed = bed(|s| s.rate_limit = Some(3)).await;
    for remaining in ["2", "1", "0"] {
        let response = bed.get(V4_6, "/api/v1/instance").await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(header(&response, "x-ratelimit-limit"), "3");
        assert_eq!(header(&response, "x-ratelimit-remaining"), remaining);
        assert_eq!(header(&response, "x-ratelimit-reset"), "2026-08-01T13:55:00.000000Z");
    }
    let refused = bed.get(V4_6, "/api/v1/instance").await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(header(&refused, "x-ratelimit-remaining"), "0");
    assert_eq!(header(&refused, "retry-after"), "");
    assert_eq!(parse(refused).await, json!({ "error": "Too many requests" }));
    // NodeInfo is not counted, and other instances have counts of their own.
    assert_eq!(header(&bed.get(V4_6, "/nodeinfo/2.0").await, "x-ratelimit-limit"), "");
    assert_eq!(header(&bed.get(V4_2, "/api/v1/instance").await, "x-ratelimit-remaining"), "2");
    bed.simulator.advance(Duration::from_secs(300));
    assert_eq!(bed.get(V4_6, "/api/v1/instance").await.status(), StatusCode::OK);
    let old = self::bed(|_| {}).await;
    assert_eq!(header(&old.get(V2_4, "/api/v1/instance").await, "x-ratelimit-limit"), "7500");
}

#[tokio::test]
async fn admins_decide() {
    let bed = bed(|s| s.token = Some("secret".into())).await;
    let status = async |i, path: &str| bed.get(i, path).await.status().as_u16();
    bed.simulator.switch(V4_6, |s| s.activity_api = false);
    let off = bed.get(V4_6, "/api/v1/instance/activity").await;
    assert_eq!((off.status(), off.bytes().await.unwrap().len()), (StatusCode::NOT_FOUND, 0));

    for i in [V4_6, V4_2] {
        bed.simulator.switch(i, |s| s.limited_federation = true);
    }
    assert_eq!(status(V4_2, "/api/v1/instance").await, 401);
    assert_eq!(status(V4_2, "/api/v2/instance").await, 401);
    assert_eq!(status(V4_2, "/api/v1/instance/activity").await, 401);
    assert_eq!(
        bed.json(V4_2, "/nodeinfo/2.0").await["usage"]["users"]["total"],
        bed.simulator.truth(V4_2).users
    );
    let v2 = bed.json(V4_6, "/api/v2/instance").await;
    assert_eq!(v2["configuration"]["limited_federation"], true);
    assert_eq!(v2["usage"]["users"]["active_month"], 0);
    let with = async |token: &str| {
        let response = bed.request(V4_2, "/api/v1/instance").bearer_auth(token).send().await.unwrap();
        (response.status().as_u16(), header(&response, "cache-control").to_owned())
    };
    assert_eq!(with("secret").await, (200, "private, no-store".to_owned()));
    assert_eq!(with("dead").await.0, 401);

    bed.simulator.switch(V3_4, |s| s.authenticated_only = true);
    assert_eq!(status(V3_4, "/api/v1/accounts/1").await, 401);
    assert_eq!(status(V3_4, "/api/v1/instance").await, 200);

    bed.simulator.switch(V2_4, |s| s.force_ssl = true);
    let moved = bed.get(V2_4, "/api/v1/instance?x=1").await;
    assert_eq!(moved.status(), StatusCode::MOVED_PERMANENTLY);
    let https = format!("https://{}/api/v1/instance?x=1", bed.simulator.host(V2_4));
    assert_eq!(header(&moved, "location"), https);
    let proxied = bed.request(V2_4, "/api/v1/instance").header("x-forwarded-proto", "https");
    assert_eq!(proxied.send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn hosts_tell_instances_apart() {
    let bed = bed(|s| s.instances = 50).await;
    assert_eq!(bed.simulator.urls().len(), 50);
    assert_eq!(bed.simulator.url(42), format!("http://i00042.localhost:{}", bed.simulator.addr().port()));
    for i in [0, 7, 8, 42] {
        assert_eq!(bed.json(i, "/api/v1/instance").await["title"], bed.simulator.truth(i).title);
    }
    // By an address it is instance 0, whose links then lead to that address.
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
    assert_eq!(bed.get(0, "/health").await.status(), StatusCode::NOT_FOUND);
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
    assert!(packed * 2 < whole, "{packed} of {whole}");
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
