//! Reports, accounts, blocks and trends in the administrators' view.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::{Value, json};

use super::{
    AdminTruth, BIG, Bed, PRIVATE, Report, TokenSpec, Trending, V3_4, V4_2, V4_6, bed, header, parse,
};

async fn admin_bed(versions: &[&str]) -> Bed {
    bed(|s| {
        s.token = Some("owner".into());
        s.tokens = vec![TokenSpec::new("user", "admin:read", 0)];
        s.versions = versions.iter().map(|version| (*version).to_owned()).collect();
    })
    .await
}

fn items(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        other => panic!("no array: {other}"),
    }
}

/// Returns every entry of a list, and the number of pages.
async fn all(bed: &Bed, i: usize, path: &str) -> (Vec<Value>, usize) {
    let (mut path, mut entries, mut pages) = (path.to_owned(), Vec::new(), 0);
    loop {
        let response = bed.get_with(i, &path, "owner").await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let link = header(&response, "link").to_owned();
        pages += 1;
        entries.extend(items(parse(response).await));
        let next = link.split(", ").find_map(|link| link.strip_suffix(">; rel=\"next\""));
        let Some(next) = next else { return (entries, pages) };
        path = next.strip_prefix(&format!("<{}", bed.simulator.url(i))).expect("the same host").to_owned();
    }
}

/// Returns every entry of a list that is paged by `offset`.
async fn by_offset(bed: &Bed, i: usize, path: &str) -> Vec<Value> {
    let mut entries = Vec::new();
    loop {
        let response = bed.get_with(i, &format!("{path}?limit=20&offset={}", entries.len()), "owner").await;
        let page = items(parse(response).await);
        if page.is_empty() {
            return entries;
        }
        entries.extend(page);
    }
}

fn count_by(entries: &[Value], field: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for entry in entries {
        *counts.entry(entry[field].as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn reports_are_those_of_the_truth() {
    let bed = admin_bed(&[]).await;
    for i in [V4_6, V4_2, V3_4, BIG] {
        let truth = bed.simulator.admin_truth(i);
        let (reports, pages) = all(&bed, i, "/api/v1/admin/reports").await;
        assert_eq!(reports.len(), truth.open_reports(None));
        assert_eq!(pages, 1 + reports.len() / 100);
        if i == V3_4 {
            assert_eq!(reports[0].get("category"), None);
        } else {
            for (category, count) in count_by(&reports, "category") {
                assert_eq!(count, truth.open_reports(Some(&category)), "{category}");
            }
        }
        let unassigned = reports.iter().filter(|report| report["assigned_account"].is_null()).count();
        assert_eq!(unassigned, truth.unassigned_reports());
        let instant = |report: &Value| report["created_at"].as_str().unwrap().parse::<jiff::Timestamp>();
        let oldest = reports.iter().map(|report| instant(report).unwrap().as_second()).min();
        assert_eq!(oldest, truth.oldest_report());
        let text = serde_json::to_string(&reports).unwrap();
        assert!(PRIVATE.iter().all(|words| text.contains(words)));
    }
    assert!(bed.simulator.admin_truth(BIG).open_reports(None) > 100);
    let (resolved, _) = all(&bed, BIG, "/api/v1/admin/reports?resolved=true&limit=50").await;
    let truth = bed.simulator.admin_truth(BIG);
    assert_eq!(resolved.len(), truth.reports.len() - truth.open_reports(None));
    assert!(resolved.iter().all(|report| report["action_taken"] == true));
    let answer = bed.get_with(V4_6, "/api/v1/admin/reports", "owner").await;
    assert_eq!(header(&answer, "cache-control"), "private, no-store");
}

#[tokio::test]
async fn pages_end_where_the_list_does() {
    let bed = admin_bed(&[]).await;
    let report = |id| Report {
        id,
        category: "spam".into(),
        assigned: false,
        resolved: false,
        created_at: 1_700_000_000 + id as i64,
    };
    let reports: Vec<Report> = (1..=400).rev().map(|n| report(n * 3)).collect();
    bed.simulator.set_admin_truth(0, Some(AdminTruth { reports, ..AdminTruth::default() }));
    let ids = async |query: &str| {
        let response = bed.get_with(0, &format!("/api/v1/admin/reports?{query}"), "owner").await;
        let link = header(&response, "link").replace(&bed.simulator.url(0), "");
        let list = items(parse(response).await);
        let id = |report: Option<&Value>| report.map_or(0, |r| r["id"].as_str().unwrap().parse().unwrap());
        (list.len(), id(list.first()), id(list.last()), link)
    };
    let (length, first, last, link) = ids("").await;
    assert_eq!((length, first, last), (100, 1200, 903));
    assert_eq!(
        link,
        "</api/v1/admin/reports?max_id=903>; rel=\"next\", </api/v1/admin/reports?min_id=1200>; rel=\"prev\""
    );
    assert_eq!(ids("limit=999").await.0, 200);
    assert_eq!(ids("limit=200&max_id=304").await.0, 101);
    assert!(!ids("limit=200&max_id=304").await.3.contains("next"));
    assert_eq!(ids("max_id=3").await, (0, 0, 0, String::new()));
    let (length, first, last, _) = ids("limit=5&min_id=30").await;
    assert_eq!((length, first, last), (5, 45, 33));
    let (length, first, last, _) = ids("limit=5&since_id=30").await;
    assert_eq!((length, first, last), (5, 1200, 1188));
    // A list that ends with a full page is followed by an empty one.
    assert_eq!(all(&bed, 0, "/api/v1/admin/reports").await.1, 5);
}

#[tokio::test]
async fn pending_accounts_wait_in_both_lists() {
    let bed = admin_bed(&[]).await;
    for (i, path) in [
        (V4_6, "/api/v2/admin/accounts?origin=local&status=pending"),
        (V4_2, "/api/v1/admin/accounts?local=true&pending=true"),
        (V3_4, "/api/v1/admin/accounts?local=true&pending=true"),
    ] {
        let pending = bed.simulator.admin_truth(i).pending;
        assert_eq!(all(&bed, i, path).await.0.len(), pending);
        let truth = AdminTruth { pending: 130, ..AdminTruth::default() };
        bed.simulator.set_admin_truth(i, Some(truth));
        let (accounts, pages) = all(&bed, i, path).await;
        assert_eq!((accounts.len(), pages), (130, 2));
        assert!(accounts.iter().all(|account| account["approved"] == false));
    }
    assert_eq!(bed.status(V3_4, "/api/v2/admin/accounts").await, 404);
    let known = all(&bed, V4_6, "/api/v2/admin/accounts").await.0;
    assert_eq!(known.len(), 5);
}

#[tokio::test]
async fn blocks_and_allowances_are_counted() {
    let bed = admin_bed(&[]).await;
    for i in [V4_6, V4_2] {
        bed.simulator.switch(i, |s| s.limited_federation = true);
        let (truth, public) = (bed.simulator.admin_truth(i), bed.simulator.truth(i).domain_blocks);
        let by_severity = async |path: &str| {
            let counts = count_by(&all(&bed, i, &format!("/api/v1/admin/{path}")).await.0, "severity");
            move |severity: &str| counts.get(severity).copied().unwrap_or(0)
        };
        let domains = by_severity("domain_blocks").await;
        assert_eq!((domains("silence"), domains("suspend")), (public.silence, public.suspend));
        assert_eq!(domains("noop"), truth.noop_domain_blocks);
        let ips = by_severity("ip_blocks").await;
        assert_eq!(ips("no_access"), truth.ip_blocks.no_access);
        assert_eq!(ips("sign_up_block"), truth.ip_blocks.sign_up_block);
        assert_eq!(ips("sign_up_requires_approval"), truth.ip_blocks.sign_up_requires_approval);
        for (path, count) in [
            ("domain_allows", truth.domain_allows),
            ("email_domain_blocks", truth.email_domain_blocks),
            ("canonical_email_blocks", truth.canonical_email_blocks),
        ] {
            assert_eq!(all(&bed, i, &format!("/api/v1/admin/{path}")).await.0.len(), count, "{path}");
        }
    }
    let mut truth = bed.simulator.admin_truth(V4_6);
    truth.domain_allows = 1001;
    bed.simulator.set_admin_truth(V4_6, Some(truth));
    let (allows, pages) = all(&bed, V4_6, "/api/v1/admin/domain_allows?limit=500").await;
    assert_eq!((allows.len(), pages), (1001, 3));
    assert_eq!(bed.status(V3_4, "/api/v1/admin/domain_blocks").await, 404);
}

#[tokio::test]
async fn trends_hide_what_is_to_be_reviewed() {
    let bed = admin_bed(&["4.6.4", "4.0.2", "3.5.3", "3.4.10"]).await;
    let tags = "/api/v1/admin/trends/tags";
    for path in [tags, "/api/v1/admin/trends/statuses", "/api/v1/admin/trends/links"] {
        let trending = Trending { listed: 50, pending: 17 };
        bed.simulator.set_admin_truth(
            0,
            Some(AdminTruth {
                trending_tags: trending,
                trending_statuses: trending,
                trending_links: trending,
                ..AdminTruth::default()
            }),
        );
        let all = by_offset(&bed, 0, path).await;
        assert_eq!(all.len(), 50, "{path}");
        // The link leads to the public list.
        let response = bed.get_with(0, &format!("{path}?limit=5"), "owner").await;
        let public = format!("{}?limit=5&offset=5>; rel=\"next\"", path.replace("/admin/", "/"));
        assert!(header(&response, "link").ends_with(&public), "{:?}", response.headers());
        assert_eq!(all.iter().filter(|entry| entry["requires_review"] == true).count(), 17, "{path}");
        // A client without the permission silently gets the public list.
        let public = bed.get_with(0, &format!("{path}?limit=40"), "user").await;
        assert_eq!(public.status(), StatusCode::OK);
        let public = items(parse(public).await);
        assert!(public.iter().all(|entry| entry.get("requires_review").is_none()));
        assert_eq!(public.len(), if path.ends_with("statuses") { 33 } else { 20 });
        assert_eq!(bed.status(0, path).await, 200);
        assert_eq!(bed.status(2, path).await, 403);
        assert_eq!(bed.status(3, path).await, 404);
    }
    let plain = by_offset(&bed, 1, tags).await;
    assert!(plain.iter().all(|tag| tag.get("requires_review").is_none()));
    let staff = by_offset(&bed, 2, "/api/v1/admin/trends/links").await;
    assert_eq!(staff.len(), bed.simulator.admin_truth(2).trending_links.listed);
    assert_eq!(bed.json(0, &format!("{tags}?offset=100")).await, json!([]));
}
