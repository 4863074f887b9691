//! Faults from a client's view.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Fault, NOW, bed, header};

/// Reads all bytes until the connection closes.
async fn raw(addr: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn faults_reach_every_path() {
    let bed = bed(|s| s.token = Some("owner".into())).await;
    bed.simulator.switch(0, |s| s.show_domain_blocks = super::ShowDomainBlocks::All);
    let admin = [
        "reports",
        "accounts",
        "domain_blocks",
        "domain_allows",
        "ip_blocks",
        "email_domain_blocks",
        "canonical_email_blocks",
        "trends/tags",
        "trends/statuses",
        "trends/links",
        "measures",
        "dimensions",
        "retention",
    ];
    let public = [
        "/health",
        "/robots.txt",
        "/api/v1/streaming/health",
        "/api/v1/instance/peers",
        "/api/v1/instance/domain_blocks",
        "/api/v1/custom_emojis",
        "/api/v1/announcements",
        "/api/v1/timelines/public",
        "/api/v1/tags/rust",
        "/api/v1/accounts",
        "/api/v1/accounts/verify_credentials",
    ];
    let admin = admin.iter().map(|name| format!("/api/v1/admin/{name}"));
    for path in admin.chain(public.iter().map(|path| (*path).to_owned())) {
        let ask = async || {
            let url = format!("http://{}{path}", bed.simulator.addr());
            let posted = ["measures", "dimensions", "retention"].iter().any(|name| path.ends_with(name));
            let request = if posted { bed.client.post(url) } else { bed.client.get(url) };
            let request = request.header("content-type", "application/json").bearer_auth("owner");
            let body = if posted {
                r#"{"keys":["new_users","space_usage"],"start_at":"2026-07-01","end_at":"2026-08-01"}"#
            } else {
                ""
            };
            request.body(body).send().await
        };
        assert_eq!(ask().await.unwrap().status(), 200, "{path}");
        for (fault, status) in [("status:503", 503), ("status:404:empty", 404), ("html-challenge", 200)] {
            bed.simulator.set_fault(0, &path, Some(fault.parse().unwrap()));
            assert_eq!(ask().await.unwrap().status(), status, "{path} {fault}");
        }
        bed.simulator.set_fault(0, &path, Some(Fault::Reset));
        assert!(ask().await.is_err(), "{path}");
        bed.simulator.set_fault(0, &path, Some(Fault::WrongTop));
        let answer = ask().await.unwrap().bytes().await.unwrap();
        // Plain text has no top level.
        if let Ok(answer) = serde_json::from_slice::<Value>(&answer) {
            assert!(answer["items"].is_array() || answer[0].is_object(), "{path}");
        }
        bed.simulator.set_fault(0, &path, None);
    }
}

#[tokio::test]
async fn faults_do_what_they_say() {
    let bed = bed(|_| {}).await;
    let path = "/api/v1/instance";
    let set = |text: &str| bed.simulator.set_fault(0, path, Some(text.parse().unwrap()));
    for (fault, status, content_type, name, value) in [
        ("status:503", 503, "application/json; charset=utf-8", "etag", ""),
        ("status:404:empty", 404, "", "content-length", "0"),
        ("status:502:html", 502, "text/html; charset=utf-8", "retry-after", ""),
        ("retry-after:30s", 503, "application/json; charset=utf-8", "retry-after", "30"),
        ("html-challenge", 200, "text/html; charset=utf-8", "retry-after", ""),
        ("not-json", 200, "application/json; charset=utf-8", "retry-after", ""),
        ("error-object", 200, "application/json; charset=utf-8", "retry-after", ""),
        ("redirect:307:http://x/y", 307, "text/html; charset=utf-8", "location", "http://x/y"),
        (
            "rate-limited:90s",
            429,
            "application/json; charset=utf-8",
            "x-ratelimit-reset",
            "2026-08-01T13:52:32.000000Z",
        ),
        (
            "header:cache-control=no-cache",
            200,
            "application/json; charset=utf-8",
            "cache-control",
            "no-cache",
        ),
        ("header:cache-control=", 200, "application/json; charset=utf-8", "cache-control", ""),
        ("delay:1ms", 200, "application/json; charset=utf-8", "retry-after", ""),
    ] {
        set(fault);
        let response = bed.get(0, path).await;
        assert_eq!(response.status(), status, "{fault}");
        assert_eq!(header(&response, "content-type"), content_type, "{fault}");
        assert_eq!(header(&response, name), value, "{fault}");
    }
    set("error-object");
    assert!(bed.json(0, path).await["error"].is_string());
    set("not-json");
    assert!(serde_json::from_slice::<Value>(&bed.get(0, path).await.bytes().await.unwrap()).is_err());
    set("too-large:3000000");
    let large = bed.get(0, path).await.bytes().await.unwrap();
    assert_eq!(large.len(), 3_000_000);
    assert_eq!(serde_json::from_slice::<Value>(&large).unwrap(), json!({}));
    bed.simulator.set_fault(0, path, None);
    assert_eq!(bed.json(0, path).await["uri"], bed.simulator.host(0));
}

#[tokio::test]
async fn faults_of_the_connection() {
    let bed = bed(|_| {}).await;
    let (path, addr) = ("/api/v1/instance", bed.simulator.addr());
    bed.simulator.set_fault(0, path, Some(Fault::Reset));
    assert_eq!(raw(addr, path).await, "");
    assert!(bed.get(0, "/nodeinfo/2.0").await.status().is_success());

    bed.simulator.set_fault(0, path, Some(Fault::Truncated));
    let answer = raw(addr, path).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let promised: usize =
        head.lines().find_map(|l| l.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    assert_eq!(body.len(), promised / 2);
    assert!(bed.get(0, path).await.bytes().await.is_err());

    bed.simulator.set_fault(0, path, Some(Fault::Stall));
    let mut stalled = bed.get(0, path).await;
    assert!(stalled.chunk().await.unwrap().is_some());
    bed.simulator.set_fault(0, path, Some(Fault::Hang));
    let arrived = bed.simulator.requests(0, path);
    let hanging = tokio::spawn(bed.request(0, path).send());
    while bed.simulator.requests(0, path) == arrived {
        tokio::task::yield_now().await;
    }
    // Neither connection gets more bytes until the simulator ends; other paths answer.
    assert!(bed.get(0, "/nodeinfo/2.0").await.status().is_success());
    assert!(!hanging.is_finished());
    bed.simulator.shutdown().await;
    assert!(hanging.await.unwrap().is_err());
    assert!(stalled.chunk().await.is_err());
}

#[tokio::test]
async fn spoilt_answers_keep_their_frame() {
    let bed = bed(|_| {}).await;
    let spoilt = async |path: &str, fault: Fault| {
        bed.simulator.set_fault(0, "/api/*", Some(fault));
        bed.json(0, path).await
    };
    let v1 = spoilt("/api/v1/instance", Fault::WrongType).await;
    for field in ["user_count", "status_count", "domain_count"] {
        assert!(!v1["stats"][field].is_number(), "{v1}");
    }
    let rows = spoilt("/api/v1/instance/activity", Fault::WrongType).await;
    assert!(rows[0]["week"].as_str().is_none_or(|week| week.parse::<i64>().is_err()), "{rows}");
    let v1 = spoilt("/api/v1/instance", Fault::OddNumbers).await;
    assert!(v1["stats"].as_object().unwrap().values().all(|n| n.as_u64().is_none()), "{v1}");
    assert_eq!(v1["uri"], bed.simulator.host(0));
    assert!(spoilt("/api/v1/instance", Fault::WrongTop).await.is_array());
    assert!(spoilt("/api/v1/instance/activity", Fault::WrongTop).await.is_object());
}

#[tokio::test]
async fn the_nearest_fault_counts_while_it_lasts() {
    let rules = [
        "i=1,kind=status:503,every=5m,for=20s",
        "path=/api/*,kind=status:502",
        "path=/api/v1/instance,kind=status:504",
    ];
    let bed = bed(|s| s.faults = rules.iter().map(|rule| rule.parse().unwrap()).collect()).await;
    let status = async |i, path: &str| bed.get(i, path).await.status().as_u16();
    assert_eq!(status(1, "/nodeinfo/2.0").await, 200, "62 s into the five minutes");
    bed.simulator.set_time(NOW - NOW.rem_euclid(300) + 19);
    assert_eq!(status(1, "/nodeinfo/2.0").await, 503);
    assert_eq!(status(0, "/nodeinfo/2.0").await, 200);
    assert_eq!(status(1, "/api/v2/instance").await, 502);
    assert_eq!(status(1, "/api/v1/instance").await, 504);
    bed.simulator.set_fault(1, "/api/v1/instance", None);
    assert_eq!(status(1, "/api/v1/instance").await, 502);
}
