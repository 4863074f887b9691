//! Public endpoints: peers, blocks, emojis, timelines, hashtags, health.

use http::{HeaderMap, StatusCode};
use reqwest::Client;
use serde_json::{Value, json};

use super::{BIG, Fault, NOW, ShowDomainBlocks, V2_4, V3_4, V4_2, V4_6, bed, header, parse};

const PEERS: &str = "/api/v1/instance/peers";
const BLOCKS: &str = "/api/v1/instance/domain_blocks";
const TIMELINE: &str = "/api/v1/timelines/public";

fn length(value: &Value) -> usize {
    value.as_array().expect("an array").len()
}

#[tokio::test]
async fn peers_are_as_many_as_the_truth_says() {
    let bed = bed(|_| {}).await;
    for i in [V4_6, V4_2, V3_4, V2_4, BIG] {
        assert_eq!(length(&bed.json(i, PEERS).await), bed.simulator.truth(i).peers, "{i}");
    }
    let mut truth = bed.simulator.truth(0);
    for peers in [0, 1, 100_000] {
        truth.peers = peers;
        bed.simulator.set_truth(0, Some(truth.clone()));
        let response = bed.get(0, PEERS).await;
        assert_eq!(header(&response, "content-length"), "", "sent as it is made");
        let etag = header(&response, "etag").to_owned();
        let mut domains: Vec<String> = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        domains.sort_unstable();
        domains.dedup();
        assert_eq!(domains.len(), peers, "none twice");
        let again = bed.request(0, PEERS).header("if-none-match", &etag).send().await.unwrap();
        assert_eq!((again.status(), header(&again, "etag")), (StatusCode::NOT_MODIFIED, etag.as_str()));
    }
    // A client without gzip gets the same content.
    let plain = Client::builder().no_proxy().no_gzip().build().unwrap();
    let url = format!("http://{}{PEERS}", bed.simulator.addr());
    let response = plain.get(url).send().await.unwrap();
    assert_eq!(header(&response, "content-encoding"), "");
    assert_eq!(length(&parse(response).await), 100_000);

    bed.simulator.switch(V4_6, |s| s.peers_api = false);
    let off = bed.get(V4_6, PEERS).await;
    assert_eq!((off.status(), off.bytes().await.unwrap().len()), (StatusCode::NOT_FOUND, 0));
    bed.simulator.switch(V4_2, |s| s.limited_federation = true);
    assert_eq!(bed.status(V4_2, PEERS).await, 401);
}

#[tokio::test]
async fn a_long_list_can_go_wrong_like_any() {
    let bed = bed(|_| {}).await;
    let set = |fault: Fault| bed.simulator.set_fault(BIG, PEERS, Some(fault));
    set(Fault::Truncated);
    let broken = bed.get(BIG, PEERS).await;
    assert_ne!(header(&broken, "content-length"), "");
    assert!(broken.bytes().await.is_err());
    set(Fault::WrongTop);
    assert!(bed.json(BIG, PEERS).await["items"].is_array());
    set(Fault::WrongType);
    assert!(bed.json(BIG, PEERS).await[0].is_array());
    set(Fault::Header { name: "age".into(), value: "7".into() });
    assert_eq!(length(&bed.json(BIG, PEERS).await), bed.simulator.truth(BIG).peers);
}

#[tokio::test]
async fn blocks_are_shown_to_whom_the_admin_wants() {
    let bed = bed(|s| s.token = Some("secret".into())).await;
    let show = |i, to| bed.simulator.switch(i, |s| s.show_domain_blocks = to);
    let off = bed.get(V4_6, BLOCKS).await;
    assert_eq!((off.status(), off.bytes().await.unwrap().len()), (StatusCode::NOT_FOUND, 0));
    show(V4_6, ShowDomainBlocks::Users);
    assert_eq!(bed.status(V4_6, BLOCKS).await, 404);
    let user = bed.get_with(V4_6, BLOCKS, "secret").await;
    assert_eq!(header(&user, "cache-control"), "private, no-store");
    let blocks = parse(user).await;
    show(V4_6, ShowDomainBlocks::All);
    assert_eq!(bed.json(V4_6, BLOCKS).await, blocks);
    let with =
        |severity| blocks.as_array().unwrap().iter().filter(|block| block["severity"] == severity).count();
    let truth = bed.simulator.truth(V4_6).domain_blocks;
    assert_eq!((with("silence"), with("suspend")), (truth.silence, truth.suspend));
    assert_eq!(length(&blocks), truth.silence + truth.suspend);
    assert_eq!(blocks[0]["digest"].as_str().unwrap().len(), 64);
    show(V3_4, ShowDomainBlocks::All);
    assert_eq!(bed.status(V3_4, BLOCKS).await, 404);
}

#[tokio::test]
async fn emojis_and_announcements_are_counted() {
    let bed = bed(|s| s.token = Some("secret".into())).await;
    for i in [V4_6, V4_2, V3_4, V2_4] {
        let emojis = bed.json(i, "/api/v1/custom_emojis").await;
        assert_eq!(length(&emojis), bed.simulator.truth(i).custom_emojis);
        let categories = emojis.as_array().unwrap().iter().filter(|emoji| emoji.get("category").is_some());
        assert!(categories.count() < length(&emojis).max(1));
    }
    let path = "/api/v1/announcements";
    for i in [V4_6, V3_4] {
        let refused = bed.get(i, path).await;
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(parse(refused).await, json!({ "error": "This method requires an authenticated user" }));
        let announcements = parse(bed.get_with(i, path, "secret").await).await;
        assert_eq!(length(&announcements), bed.simulator.truth(i).announcements);
    }
    assert_eq!(bed.status(V2_4, path).await, 404);
}

#[tokio::test]
async fn timelines_begin_with_the_newest() {
    let bed = bed(|s| s.token = Some("secret".into())).await;
    for i in [V4_6, V4_2, V3_4, V2_4, BIG] {
        let truth = bed.simulator.truth(i);
        for (path, newest) in [
            (format!("{TIMELINE}?local=true&limit=1"), truth.newest_local_ms),
            (format!("{TIMELINE}?limit=1"), truth.newest_remote_ms.max(truth.newest_local_ms)),
        ] {
            let statuses = bed.json(i, &path).await;
            assert_eq!(length(&statuses), 1);
            let created: jiff::Timestamp = statuses[0]["created_at"].as_str().unwrap().parse().unwrap();
            assert_eq!(Some(created.as_millisecond()), newest, "{i} {path}");
            assert!(created.as_millisecond() <= NOW * 1000);
            let id: i64 = statuses[0]["id"].as_str().unwrap().parse().unwrap();
            assert_eq!(id >> 16, created.as_millisecond());
        }
        let remote = bed.json(i, &format!("{TIMELINE}?remote=true&limit=40")).await;
        let is_remote = |post: &Value| post["account"]["acct"].as_str().unwrap().contains('@');
        // Old versions do not know the parameter, and include their own posts.
        assert_eq!(remote.as_array().unwrap().iter().all(is_remote), i != V2_4, "{i}");
    }
    assert_eq!(length(&bed.json(BIG, TIMELINE).await), 20);
    assert_eq!(length(&bed.json(BIG, &format!("{TIMELINE}?limit=400")).await), 40);
    let mut truth = bed.simulator.truth(0);
    truth.newest_local_ms = None;
    bed.simulator.set_truth(0, Some(truth));
    assert_eq!(bed.json(0, &format!("{TIMELINE}?local=true")).await, json!([]));

    for i in [V4_6, V3_4, V2_4] {
        bed.simulator.switch(i, |s| s.timeline_preview = false);
    }
    let refused = bed.get(V3_4, TIMELINE).await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(parse(refused).await, json!({ "error": "This method requires an authenticated user" }));
    assert_eq!(bed.get_with(V4_6, TIMELINE, "secret").await.status(), StatusCode::OK);
    assert_eq!(bed.status(V2_4, TIMELINE).await, 200);
    let v2 = bed.json(V4_6, "/api/v2/instance").await;
    assert_eq!(v2["configuration"]["timelines_access"]["live_feeds"]["local"], "authenticated");
    bed.simulator.switch(V4_2, |s| s.authenticated_only = true);
    for path in [TIMELINE, "/api/v1/custom_emojis", "/api/v1/tags/rust"] {
        assert_eq!(bed.status(V4_2, path).await, 401, "{path}");
    }
}

#[tokio::test]
async fn hashtags_have_seven_days() {
    let bed = bed(|_| {}).await;
    let tags = bed.simulator.truth(BIG).tags;
    assert!(tags.iter().all(|tag| tag.uses[1] > 0 && tag.accounts[1] <= tag.uses[1]), "{tags:?}");
    for tag in tags {
        let shown = bed.json(BIG, &format!("/api/v1/tags/{}", tag.name)).await;
        assert_eq!(length(&shown["history"]), 7);
        for day in 0..7 {
            let midnight = NOW - NOW % 86_400 - day as i64 * 86_400;
            let expected = json!({
                "day": midnight.to_string(),
                "uses": tag.uses[day].to_string(),
                "accounts": tag.accounts[day].to_string(),
            });
            assert_eq!(shown["history"][day], expected);
        }
    }
    for name in ["nothing", "sm%C3%B8rrebr%C3%B8d"] {
        let unused = bed.json(V4_2, &format!("/api/v1/tags/{name}")).await;
        assert_eq!(unused["history"][6]["uses"], "0");
    }
    assert_eq!(bed.status(V4_2, "/api/v1/tags/no.name").await, 404);
    assert_eq!(bed.status(V3_4, "/api/v1/tags/rust").await, 404);
}

#[tokio::test]
async fn accounts_come_in_batches() {
    let bed = bed(|_| {}).await;
    let accounts = bed.simulator.truth(V4_6).accounts;
    let path = format!("/api/v1/accounts?id[]={}&id[]=999&id%5B%5D={}", accounts[1].id, accounts[0].id);
    let shown = bed.json(V4_6, &path).await;
    let names: Vec<&str> =
        shown.as_array().unwrap().iter().map(|a| a["username"].as_str().unwrap()).collect();
    assert_eq!(names, [&accounts[0].username, &accounts[1].username], "what is unknown is left out");
    let ids = |count: usize| (0..count).map(|n| format!("id[]={n}")).collect::<Vec<_>>().join("&");
    assert_eq!(bed.status(V4_6, &format!("/api/v1/accounts?{}", ids(40))).await, 200);
    assert_eq!(bed.status(V4_6, &format!("/api/v1/accounts?{}", ids(41))).await, 422);
    assert_eq!(bed.status(V4_2, &path).await, 404);
}

#[tokio::test]
async fn health_is_two_letters() {
    let bed = bed(|s| {
        s.versions = ["4.6.4", "3.3.0", "2.4.5"].map(str::to_owned).to_vec();
        s.rate_limit = Some(1);
    })
    .await;
    for path in ["/health", "/api/v1/streaming/health", "/api/v1/streaming/health"] {
        let health = bed.get(0, path).await;
        assert!(header(&health, "content-type").starts_with("text/plain"));
        assert_eq!(header(&health, "x-ratelimit-limit"), "");
        assert_eq!((health.status(), health.text().await.unwrap().as_str()), (StatusCode::OK, "OK"));
        assert_eq!(bed.status(2, path).await, 404);
    }
    let json = bed.request(1, "/health").header("accept", "application/json").send().await.unwrap();
    assert_eq!(parse(json).await, json!({ "status": "OK" }));
    let v2 = bed.json(0, "/api/v2/instance").await;
    assert_eq!(v2["configuration"]["urls"]["streaming"], format!("ws://{}", bed.simulator.host(0)));
    assert_eq!(bed.get_with(0, "/api/v1/streaming/health", "dead").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn robots_are_told_where_to_go() {
    let bed = bed(|_| {}).await;
    let robots = async |i| bed.get(i, "/robots.txt").await.text().await.unwrap();
    assert!(robots(V4_6).await.contains("Disallow: /api/v1/instance/domain_blocks\n"));
    assert!(!robots(V4_2).await.contains("/api/"));
    bed.simulator.set_robots(V4_2, "User-agent: *\nDisallow: /\n");
    assert_eq!(robots(V4_2).await, "User-agent: *\nDisallow: /\n");
    for path in ["/.well-known/x-nodeinfo2", "/statistics.json"] {
        assert_eq!(bed.status(V4_6, path).await, 404);
        bed.simulator.set_answer(V4_6, path, StatusCode::OK, HeaderMap::new(), "{}");
        assert_eq!(bed.status(V4_6, path).await, 200);
    }
}
