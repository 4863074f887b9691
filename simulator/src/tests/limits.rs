//! Rate limits from a client's view.

use std::time::Duration;

use http::StatusCode;
use serde_json::json;

use super::{V2_4, V4_2, V4_6, bed, header, parse};

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
    // NodeInfo is not counted, and every instance has its own counts.
    assert_eq!(header(&bed.get(V4_6, "/nodeinfo/2.0").await, "x-ratelimit-limit"), "");
    assert_eq!(header(&bed.get(V4_2, "/api/v1/instance").await, "x-ratelimit-remaining"), "2");
    bed.simulator.advance(Duration::from_secs(300));
    assert_eq!(bed.get(V4_6, "/api/v1/instance").await.status(), StatusCode::OK);
    let old = self::bed(|_| {}).await;
    assert_eq!(header(&old.get(V2_4, "/api/v1/instance").await, "x-ratelimit-limit"), "7500");
}

#[tokio::test]
async fn pages_have_a_limit_of_their_own() {
    let bed = bed(|s| (s.rate_limit, s.paging_rate_limit) = (Some(10), Some(2))).await;
    let ask = async |i, path: &str| {
        let response = bed.get(i, path).await;
        let left = header(&response, "x-ratelimit-remaining").to_owned();
        (response.status().as_u16(), left, header(&response, "x-ratelimit-reset").to_owned())
    };
    let (soon, later) = ("2026-08-01T13:55:00.000000Z".to_owned(), "2026-08-01T14:00:00.000000Z".to_owned());
    let path = "/api/v1/instance/activity";
    assert_eq!(ask(V4_6, &format!("{path}?limit=5")).await, (200, "9".to_owned(), soon));
    for (left, parameter) in [("1", "max_id=7"), ("0", "limit=2&since_id=7")] {
        assert_eq!(ask(V4_6, &format!("{path}?{parameter}")).await, (200, left.to_owned(), later.clone()));
    }
    assert_eq!(ask(V4_6, &format!("{path}?page=2")).await, (429, "0".to_owned(), later));
    assert_eq!(ask(V4_6, path).await.0, 200);
    bed.simulator.advance(Duration::from_secs(900));
    assert_eq!(ask(V4_6, &format!("{path}?min_id=7")).await.0, 200);
    for _ in 0..4 {
        assert_eq!(ask(V2_4, &format!("{path}?max_id=7")).await.0, 200);
    }
}
