//! Measures, dimensions, retention.

use http::StatusCode;
use reqwest::Response;
use serde_json::{Value, json};

use super::{AdminTruth, BIG, Bed, Day, NOW, bed, header, parse};

const DAY: i64 = 86_400;
const TODAY: i64 = NOW - NOW % DAY; // 2026-08-01

async fn dashboard(versions: &[&str]) -> Bed {
    bed(|s| {
        s.token = Some("owner".into());
        s.versions = versions.iter().map(|version| (*version).to_owned()).collect();
    })
    .await
}

async fn post(bed: &Bed, i: usize, path: &str, body: Value) -> Response {
    let url = format!("http://{}/api/v1/admin/{path}", bed.simulator.addr());
    let request = bed.client.post(url).header("host", bed.simulator.host(i)).bearer_auth("owner");
    request.header("content-type", "application/json").body(body.to_string()).send().await.unwrap()
}

async fn answer(bed: &Bed, i: usize, path: &str, body: Value) -> Value {
    let response = post(bed, i, path, body).await;
    assert_eq!(response.status(), StatusCode::OK);
    parse(response).await
}

#[tokio::test]
async fn measures_have_the_dates_of_their_version() {
    let bed = dashboard(&["4.6.4", "4.2.13", "3.5.3", "3.4.10"]).await;
    let body = json!({
        "keys": ["active_users", "new_users", "bogus", "interactions", "opened_reports", "resolved_reports"],
        "start_at": "2026-07-31",
        "end_at": "2026-08-02T12:00:00Z",
    });
    for i in 0..3 {
        let measures = answer(&bed, i, "measures", body.clone()).await;
        let keys: Vec<&str> =
            measures.as_array().unwrap().iter().map(|measure| measure["key"].as_str().unwrap()).collect();
        assert_eq!(keys, ["active_users", "new_users", "interactions", "opened_reports", "resolved_reports"]);
        let truth = bed.simulator.admin_truth(i);
        for (key, value) in [
            ("active_users", (|day: Day| day.active_users) as fn(Day) -> i64),
            ("new_users", |day| day.new_users),
            ("interactions", |day| day.interactions),
            ("opened_reports", |day| day.opened_reports),
            ("resolved_reports", |day| day.resolved_reports),
        ] {
            let in_redis = matches!(key, "active_users" | "interactions");
            let (ending, days) = match (in_redis, i) {
                (true, 0) => ("T00:00:00Z", 3),
                (true, _) => ("T00:00:00Z", 2),
                (false, 0) => ("", 3),
                (false, _) => ("T00:00:00.000+00:00", 3),
            };
            let dates = ["2026-07-31", "2026-08-01", "2026-08-02"];
            let expected: Vec<Value> = (0..days)
                .map(|n| {
                    let value = value(truth.day(TODAY + (n as i64 - 1) * DAY)).to_string();
                    json!({ "date": format!("{}{ending}", dates[n]), "value": value })
                })
                .collect();
            let measure = measures.as_array().unwrap().iter().find(|m| m["key"] == key).unwrap();
            assert_eq!(measure["data"], json!(expected), "{i} {key}");
            assert!(measure["total"].is_string() && measure["previous_total"].is_string());
            assert_eq!(measure["unit"], Value::Null);
        }
    }
    assert!(bed.simulator.admin_truth(0).day(TODAY).interactions > 0);
    assert_eq!(post(&bed, 3, "measures", body).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn forms_do_as_well_as_json() {
    let bed = dashboard(&[]).await;
    let url = format!("http://{}/api/v1/admin/measures", bed.simulator.addr());
    let body = "keys[]=active_users&keys%5B%5D=new_users&start_at=2026-08-01&end_at=2026-08-02";
    let request = bed.client.post(url).bearer_auth("owner").body(body);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let measures = parse(request.send().await.unwrap()).await;
    assert_eq!(measures.as_array().unwrap().len(), 2);
    assert_eq!(bed.simulator.request_log()[0].body, body);
    let get = bed.get_with(0, "/api/v1/admin/measures", "owner").await;
    assert_eq!(get.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_is_missing_is_said_or_breaks_something() {
    let bed = dashboard(&["4.6.4", "4.5.13", "4.4.21", "4.2.13"]).await;
    let whole = json!({ "keys": ["new_users"], "start_at": "2026-08-01", "end_at": "2026-08-02" });
    for name in ["keys", "start_at", "end_at"] {
        let mut body = whole.clone();
        body[name] = json!(null);
        for (i, status) in [(0, 400), (1, 500), (2, 400), (3, 500)] {
            let response = post(&bed, i, "measures", body.clone()).await;
            assert_eq!(response.status(), status, "{i} {name}");
            if status == 400 {
                assert!(parse(response).await["error"].as_str().unwrap().starts_with("param is missing"));
            } else {
                assert!(header(&response, "content-type").starts_with("text/html"));
            }
        }
    }
    let nothing = json!({ "start_at": "2026-08-01", "end_at": "2026-08-02" });
    assert_eq!(post(&bed, 0, "dimensions", nothing).await.status(), 500);
    let mut body = whole.clone();
    body["end_at"] = json!("soon");
    assert_eq!(post(&bed, 0, "measures", body).await.status(), 422);
    // One day that ends as it begins: SQL can do that, Redis can't.
    let mut body = json!({ "keys": ["new_users"], "start_at": "2026-08-01", "end_at": "2026-08-01" });
    assert_eq!(post(&bed, 0, "measures", body.clone()).await.status(), 200);
    body["keys"] = json!(["active_users"]);
    assert_eq!(post(&bed, 0, "measures", body).await.status(), 500);
}

#[tokio::test]
async fn tests_say_what_happened_on_a_day() {
    let bed = dashboard(&[]).await;
    let day = Day { start: TODAY, active_users: 12, new_users: -3, ..Day::default() };
    let truth = AdminTruth { days: vec![day], ..AdminTruth::default() };
    bed.simulator.set_admin_truth(0, Some(truth));
    let body = json!({
        "keys": ["active_users", "new_users"], "start_at": "2026-07-31", "end_at": "2026-08-02",
    });
    let measures = answer(&bed, 0, "measures", body).await;
    assert_eq!(measures[0]["data"][0]["value"], "0");
    assert_eq!(measures[0]["data"][1]["value"], "12");
    assert_eq!(measures[0]["total"], "12");
    assert_eq!(measures[1]["data"][1]["value"], "-3");
}

#[tokio::test]
async fn reports_and_measures_agree() {
    let bed = dashboard(&[]).await;
    let truth = bed.simulator.admin_truth(BIG);
    for start in [TODAY, TODAY - 3 * DAY] {
        let opened = truth.reports.iter().filter(|r| (start..start + DAY).contains(&r.created_at)).count();
        assert_eq!(truth.day(start).opened_reports, opened as i64);
        assert!(opened > 0);
    }
}

#[tokio::test]
async fn dimensions_tell_storage_software_and_languages() {
    let bed = dashboard(&[]).await;
    for i in [0, 1, BIG] {
        let body = json!({
            "keys": ["space_usage", "software_versions", "languages", "bogus"],
            "start_at": "2026-07-01", "end_at": "2026-08-01", "limit": 10,
        });
        let dimensions = answer(&bed, i, "dimensions", body).await;
        assert_eq!(dimensions.as_array().unwrap().len(), 3);
        let pairs = |n: usize| -> Vec<(String, String)> {
            let data = dimensions[n]["data"].as_array().unwrap();
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            data.iter().map(|entry| (text(&entry["key"]), text(&entry["value"]))).collect()
        };
        let digits = |pairs: &[(String, i64)]| -> Vec<(String, String)> {
            pairs.iter().map(|(key, value)| (key.clone(), value.to_string())).collect()
        };
        let truth = bed.simulator.admin_truth(i);
        assert_eq!(pairs(0), digits(&truth.storage));
        assert_eq!(dimensions[0]["data"][0]["unit"], "bytes");
        assert_eq!(pairs(1), truth.software);
        assert_eq!(pairs(2), digits(&truth.languages[..truth.languages.len().min(10)]));
        assert_eq!(truth.software[0].1, bed.simulator.truth(i).version);
    }
    assert_eq!(bed.simulator.admin_truth(BIG).languages.len(), 14);
}

#[tokio::test]
async fn cohorts_shrink() {
    let bed = dashboard(&["4.6.4", "4.2.13"]).await;
    let body = json!({ "start_at": "2026-06-01", "end_at": "2026-07-31", "frequency": "month" });
    let cohorts = answer(&bed, 0, "retention", body).await;
    assert_eq!(cohorts.as_array().unwrap().len(), 2);
    assert_eq!(cohorts[0]["period"], "2026-06-01T00:00:00+00:00");
    assert_eq!(cohorts[0]["data"][0]["rate"], 1.0);
    assert_eq!(cohorts[0]["data"][1]["date"], "2026-07-01T00:00:00+00:00");
    let june = 1_780_272_000;
    assert_eq!(cohorts[0]["data"][1]["rate"], bed.simulator.admin_truth(0).retention_of(june));
    assert_eq!(cohorts[1]["data"].as_array().unwrap().len(), 1);
    let truth = AdminTruth { retention: vec![(june, 0.25)], ..AdminTruth::default() };
    bed.simulator.set_admin_truth(0, Some(truth));
    let length = async |i, start: &str, frequency: &str| {
        let body = json!({ "start_at": start, "end_at": "2026-07-31", "frequency": frequency });
        answer(&bed, i, "retention", body).await.as_array().unwrap().len()
    };
    let body = json!({ "start_at": "2026-06-15", "end_at": "2026-07-31", "frequency": "month" });
    assert_eq!(answer(&bed, 0, "retention", body).await[0]["data"][1]["rate"], 0.25);
    assert_eq!(length(0, "2024-01-01", "month").await, 12);
    assert_eq!(length(1, "2024-01-01", "month").await, 31);
    assert_eq!(length(0, "2026-01-01", "day").await, 31);
    assert_eq!(length(0, "2026-07-30", "anything").await, 2);
    assert_eq!(post(&bed, 0, "retention", json!({})).await.status(), 400);
    assert_eq!(post(&bed, 1, "retention", json!({})).await.status(), 500);
}
