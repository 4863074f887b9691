//! The documents of instances, by version and by the administrator's settings.

use http::StatusCode;
use serde_json::{Value, json};

use super::{V2_4, V3_4, V4_2, V4_6, bed, header, parse};

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
async fn admins_decide() {
    let bed = bed(|s| s.token = Some("secret".into())).await;
    bed.simulator.switch(V4_6, |s| s.activity_api = false);
    let off = bed.get(V4_6, "/api/v1/instance/activity").await;
    assert_eq!((off.status(), off.bytes().await.unwrap().len()), (StatusCode::NOT_FOUND, 0));

    for i in [V4_6, V4_2] {
        bed.simulator.switch(i, |s| s.limited_federation = true);
    }
    assert_eq!(bed.status(V4_2, "/api/v1/instance").await, 401);
    assert_eq!(bed.status(V4_2, "/api/v2/instance").await, 401);
    assert_eq!(bed.status(V4_2, "/api/v1/instance/activity").await, 401);
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
    assert_eq!(bed.status(V3_4, "/api/v1/accounts/1").await, 401);
    assert_eq!(bed.status(V3_4, "/api/v1/instance").await, 200);

    bed.simulator.switch(V2_4, |s| s.force_ssl = true);
    let moved = bed.get(V2_4, "/api/v1/instance?x=1").await;
    assert_eq!(moved.status(), StatusCode::MOVED_PERMANENTLY);
    let https = format!("https://{}/api/v1/instance?x=1", bed.simulator.host(V2_4));
    assert_eq!(header(&moved, "location"), https);
    let proxied = bed.request(V2_4, "/api/v1/instance").header("x-forwarded-proto", "https");
    assert_eq!(proxied.send().await.unwrap().status(), StatusCode::OK);
}
