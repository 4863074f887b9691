//! The pages for people, from fixed facts at a fixed time. `UPDATE_GOLDEN=1 cargo test
//! --test it pages` updates the golden files.

use crate::support::known;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fedimeter::bridge::{History, Status};
use fedimeter::endpoint::Endpoint;
use fedimeter::export::self_metrics::BUILD;
use fedimeter::listing::{self, Layout};
use fedimeter::outcome::ErrorType;
use fedimeter::server::page::{self, Query};
use fedimeter::snapshot::{
    Configured, Facts, InstanceV1, Nodeinfo, ReloadFacts, ServedFrom, SourceFacts, View,
};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::support::known::{Known, failed, fleet, mastodon, ok, plan, status, target};

fn of_fleet(status: &Status, query: &str) -> String {
    page::fleet(status, &Query::parse(query))
}

fn of_target(status: &Status, name: &str) -> String {
    let reading = status.view.readings().find(|r| &*r.target.name == name).unwrap();
    page::target(status, &Query::default(), &reading, &plan(reading.snapshot))
}

/// The targets of a page, in order.
fn names(html: &str) -> Vec<&str> {
    let rows = html.split("<th role=\"rowheader\"").skip(1);
    rows.map(|row| row.split_once("<bdi>").unwrap().1.split_once("</bdi>").unwrap().0).collect()
}

#[track_caller]
fn golden(name: &str, html: &str) {
    let footer = format!("fedimeter {} ({})", BUILD.version, BUILD.revision);
    let without = format!("fedimeter {}", BUILD.version);
    let told = html.replace(&footer, "fedimeter VERSION").replace(&without, "fedimeter VERSION");
    let told = told.replace(&format!("version {}<", BUILD.version), "version VERSION<");
    // One element in each line, so that differences are readable.
    let told = told.replace("><", ">\n<") + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &told).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, told, "{name} is not what is rendered; UPDATE_GOLDEN=1 writes it anew");
}

#[test]
fn pages_are_what_the_golden_files_say() {
    let status = status(fleet());
    golden("page-fleet.html", &of_fleet(&status, ""));
    golden("page-target.html", &of_target(&status, "mastodon.example"));
    golden("page-no-target.html", &page::no_target(&status, &Query::default(), "mastodn.example"));
}

/// A cache may answer for a server that is down. The page, the table and the JSON report
/// it.
#[test]
fn an_outdated_answer_of_a_cache_is_marked() {
    let words = "a cache gave an outdated answer: the server itself may be down";
    for (served_from, is_marked) in
        [(ServedFrom::Origin, false), (ServedFrom::Cache, false), (ServedFrom::StaleCache, true)]
    {
        let server = known::known(target("cached.example", &[]), |s| {
            known::documents(s, "4.6.4", 7);
            let facts = known::slot(s, Endpoint::InstanceV1).facts().cloned().unwrap();
            known::ok_from(s, Endpoint::InstanceV1, facts, served_from);
        });
        let status = status(vec![server]);
        for shown in [
            of_target(&status, "cached.example"),
            listing::table(&status.view, Layout::default()),
            listing::json(&status.view).to_string(),
        ] {
            assert_eq!(shown.matches(words).count(), usize::from(is_marked), "{served_from:?}: {shown}");
        }
    }
}

/// Programs read `/api/v1/targets` and `once --format json`. docs/page.md promises that no
/// key disappears.
#[test]
fn the_json_view_keeps_its_keys() {
    let shown = listing::json(&status(fleet()).view);
    let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&shown), ["targets"]);
    for target in shown["targets"].as_array().unwrap() {
        assert_eq!(keys(target), ["endpoints", "metrics", "server.address", "target", "up"]);
        for metric in target["metrics"].as_array().unwrap() {
            assert_eq!(keys(metric), ["attributes", "kind", "name", "unit", "value"]);
        }
        for endpoint in target["endpoints"].as_array().unwrap() {
            let expected = ["duration", "endpoint", "outcome", "reason", "size", "status"];
            assert_eq!(keys(endpoint), expected);
        }
    }
}

/// Lines of the last hours, up to the configured number of targets.
#[test]
fn the_last_hours_are_lines() {
    let status = status(fleet());
    let View { targets, .. } = &*status.view;
    let drawn = |max_targets: usize| {
        let history = History::new(max_targets);
        for minutes in [40, 20, 1] {
            let (started, unix) = (status.now.before(Duration::from_secs(60 * minutes)), status.unix);
            history.record(&View::new(started, unix, targets.clone()));
        }
        let status = Status { history: Arc::new(history), ..status.clone() };
        (of_fleet(&status, ""), of_target(&status, "mastodon.example"))
    };
    let (fleet, target) = drawn(targets.len());
    let users = status.view.readings().find(|r| &*r.target.name == "mastodon.example").unwrap();
    let users = users.v1().unwrap().users.unwrap().to_string();
    for (page, lines) in [(&fleet, 3), (&target, 3)] {
        assert!(page.matches("<svg class=\"spark\"").count() >= lines, "{page}");
        let (_, words) = page.split_once("aria-label=\"Users, last 40 min: ").unwrap();
        let words = words.split('"').next().unwrap().replace('\u{202f}', "");
        assert_eq!(words, users);
        assert!(page.contains("aria-label=\"Response time, last 40 min: "), "{page}");
        // No attribute that the content security policy forbids.
        assert!(!page.contains(" style=") && !page.contains("<style"), "{page}");
    }
    assert!(target.contains(">The last 40 min</h2>"), "{target}");
    let (fleet, target) = drawn(targets.len() - 1);
    assert!(!fleet.contains("<svg") && !target.contains("<svg"), "beyond the setting there are none");
}

#[test]
fn every_metric_has_a_number_or_a_reason() {
    let status = status(fleet());
    for reading in status.view.readings() {
        let html = page::target(&status, &Query::default(), &reading, &plan(reading.snapshot));
        for row in fedimeter::metrics::rows().filter(|row| !row.is_own()) {
            let name = format!(">{}</code>", row.name);
            assert!(html.contains(&name), "{}: {}", reading.target.name, row.name);
        }
        assert!(!html.contains("there is none"), "{}: a reason is missing", reading.target.name);
    }
    let own = of_target(&status, "mastodon.example");
    for reason in [
        "Absent: activity could not be read (http_5xx): HTTP 503",
        "Absent: admin_reports is not offered: HTTP 403: the token needs the scope admin:read:reports",
        "Absent: timelines is not requested: add <code>timelines</code> to the target's <code>collect</code>",
        "Absent: admin_storage has not been read yet",
        "Absent: instance_v2 was read, but does not contain it",
        "Absent: instance_v2 and instance_v1 were read, but do not contain it",
        "Absent: tags is not requested: the target lists no <code>tags</code>",
    ] {
        assert!(own.contains(reason), "{reason}");
    }
    let other = of_target(&status, "http://127.0.0.1:3000");
    let scope = "give the target an access token with the scope admin:read:reports, of a user whose role has \
                 the permission Manage Reports";
    assert!(other.contains(scope) && other.contains("the NodeInfo of other software"));
}

#[test]
fn what_is_asked_for_is_shown_in_the_order_asked_for() {
    let status = status(fleet());
    let [own, down, other, new] =
        ["mastodon.example", "down.example", "http://127.0.0.1:3000", "new.example"];
    for (query, expected) in [
        // The worst target comes first.
        ("", vec![down, own, new, other]),
        ("sort=target", vec![down, other, own, new]),
        ("sort=target&order=desc", vec![new, own, other, down]),
        // Targets without a number come last in both orders.
        ("sort=users", vec![own, other, down, new]),
        ("sort=users&order=asc", vec![other, own, down, new]),
        ("sort=state&order=asc", vec![down, own, new, other]),
        ("sort=software", vec![own, other, down, new]),
        ("sort=endpoints", vec![down, own, other, new]),
        ("state=up", vec![own, other]),
        ("state=down", vec![down]),
        ("state=failing", vec![down, own]),
        ("state=unknown", vec![new]),
        ("q=EXAMPLE&sort=target", vec![down, own, new]),
        ("q=peertube+7", vec![other]),
        ("q=eu", vec![own]),
        ("q=example&state=up", vec![own]),
        ("q=nothing-like-it", vec![]),
        ("sort=%3Cscript%3E&order=up&state=gone&page=-4", vec![down, own, new, other]),
    ] {
        let html = of_fleet(&status, query);
        assert_eq!(names(&html), expected, "{query}");
        assert!(!html.contains("<script"), "{query}");
    }
    let sorted = of_fleet(&status, "q=example&state=up&sort=users");
    assert_eq!(sorted.matches("aria-sort=").count(), 1);
    assert!(sorted.contains(
        "aria-sort=\"descending\"><a href=\"?q=example&amp;state=up&amp;sort=users&amp;order=asc\">"
    ));
    assert!(sorted.contains("<input type=\"hidden\" name=\"state\" value=\"up\">"));
}

fn many(count: usize) -> Status {
    status((0..count).map(|i| mastodon(&format!("m{i:05}.example"), "4.6.4", 100 + i as i64)).collect())
}

#[test]
fn a_large_fleet_is_shown_in_pages_of_the_same_size() {
    let status = many(1234);
    let first = of_fleet(&status, "sort=users&order=desc");
    assert_eq!(names(&first).len(), 100);
    assert_eq!(names(&first)[0], "m01233.example");
    assert!(
        first.contains("page 1 of 13") && first.contains("rel=\"next\"") && !first.contains("rel=\"prev\"")
    );
    let last = of_fleet(&status, "sort=users&order=desc&page=13");
    assert_eq!(names(&last).len(), 34);
    assert!(last.contains("1\u{202f}201 to 1\u{202f}234 of 1\u{202f}234 targets"), "{last}");
    for query in ["page=14&sort=users", "page=99999999", &format!("page={}&sort=users", usize::MAX)] {
        assert_eq!(names(&of_fleet(&status, query)).len(), 34, "{query}");
    }
    assert!(first.len() < 250_000, "{} bytes", first.len());
}

/// Not a benchmark, which is `cargo bench -- page`. It notices only large regressions.
#[test]
fn ten_thousand_targets_are_no_wait() {
    let status = many(10_000);
    for query in ["", "q=m0999&sort=software", "sort=users"] {
        let html = of_fleet(&status, query);
        assert!(html.len() < 250_000, "{query}: {} bytes", html.len());
        // On a busy machine some take longer.
        let took = || {
            let began = Instant::now();
            of_fleet(&status, query);
            began.elapsed()
        };
        assert!((0..10).any(|_| took() < Duration::from_secs(5)), "{query}");
    }
}

const HOSTILE: &str =
    "\"><script>alert(1)</script>'&amp;\u{202e}gpj.exe\u{2066}\u{0}\u{7}<img src=x onerror=alert(1)>";

fn hostile() -> Vec<Known> {
    let long = format!("{HOSTILE}{}", "x".repeat(10_000));
    let mut fleet = fleet();
    let mut one = target("hostile.example", &[("note", &long)]);
    one.select_endpoints(&[Endpoint::Peers]);
    fleet.push(known::known(one, |s| {
        let nodeinfo = Nodeinfo {
            software: Some(long.as_str().into()),
            version: Some(long.as_str().into()),
            users: Some(i64::MAX),
            ..Nodeinfo::default()
        };
        ok(s, Endpoint::Nodeinfo, Facts::Nodeinfo(nodeinfo.into()));
        let v1 = InstanceV1 { uri: Some(long.as_str().into()), ..InstanceV1::default() };
        ok(s, Endpoint::InstanceV1, Facts::InstanceV1(v1.into()));
        failed(s, Endpoint::Peers, ErrorType::Decode, &long);
        failed(s, Endpoint::Activity, ErrorType::Other, HOSTILE);
        s.certificate_expiry = Some(i64::MIN);
    }));
    fleet
}

#[test]
fn what_servers_say_does_nothing_and_has_an_end() {
    let status = status(hostile());
    let escaped = utf8_percent_encode(HOSTILE, NON_ALPHANUMERIC).to_string();
    for (page, html) in [
        ("fleet", of_fleet(&status, "")),
        ("target", of_target(&status, "hostile.example")),
        ("none", page::no_target(&status, &Query::default(), &HOSTILE.repeat(1000))),
        ("search", of_fleet(&status, &format!("q={escaped}&state={escaped}&sort={escaped}"))),
    ] {
        assert!(html.contains("&lt;script&gt;"), "{page}");
        for harm in ["<script", "<img src=x", "onerror=alert(1)>", "\u{202e}", "\u{2066}", "\u{0}", "\u{7}"] {
            assert!(!html.contains(harm), "{page} has {harm:?}");
        }
        assert!(html.len() < 100_000, "{page} has {} bytes", html.len());
        assert!(!html.contains(&"x".repeat(600)), "{page} repeats without end");
        // Nothing that the content security policy forbids.
        for refused in ["<style", " style=", " onclick=", "javascript:", "http-equiv"] {
            assert!(!html.contains(refused), "{page} has {refused}");
        }
    }
}

#[test]
fn every_element_is_closed() {
    let status = status(hostile());
    for html in [
        of_fleet(&status, ""),
        of_target(&status, "hostile.example"),
        page::no_target(&status, &Query::default(), "x"),
    ] {
        let mut open: Vec<&str> = Vec::new();
        for tag in html.split('<').skip(1) {
            let name = tag.split(['>', ' ']).next().unwrap();
            match name.strip_prefix('/') {
                Some(closed) => assert_eq!(open.pop(), Some(closed), "…<{tag}"),
                None if ["!DOCTYPE", "meta", "link", "img", "input"].contains(&name) => {}
                None => open.push(name),
            }
        }
        assert_eq!(open, Vec::<&str>::new());
        let ids: Vec<&str> =
            html.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        let unique: BTreeSet<&str> = ids.iter().copied().collect();
        assert_eq!(unique.len(), ids.len(), "{ids:?}");
        for named in html.split("aria-labelledby=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert!(unique.contains(named), "{named}");
        }
        assert!(html.contains("<html lang=\"en\">") && html.matches("<h1").count() == 1);
    }
}

#[test]
fn a_name_that_is_nearly_right_is_recognized() {
    let status = status(fleet());
    let html = page::no_target(&status, &Query::default(), "mastodom.example");
    assert!(html.contains("Did you mean <a href=\"target?name=mastodon.example\">"), "{html}");
    assert!(html.contains("href=\"./?q=mastodom.example\""), "{html}");
    assert!(!page::no_target(&status, &Query::default(), "elsewhere.net").contains("Did you mean"));
}

#[test]
fn a_page_that_stays_as_it_is_leads_to_others_that_do() {
    let status = status(fleet());
    let html = of_fleet(&status, "refresh=off&state=up");
    assert!(html.contains("href=\"target?name=mastodon.example&amp;refresh=off\""), "{html}");
    assert!(html.contains("href=\"?state=down&amp;refresh=off\""), "{html}");
    assert!(html.contains("<a href=\"?state=up\">Resume</a>"), "{html}");
    assert!(of_fleet(&status, "").contains("<a href=\"?refresh=off\">Pause</a>"));
    // Next to a target's page, a query alone would refer to that page.
    let paused = Query::default().paused(true);
    let html = page::no_target(&status, &paused, "a.example");
    assert!(html.contains("<a href=\"./?refresh=off\">all targets</a>"), "{html}");
}

#[test]
fn nobody_has_collected_yet_or_not_for_long() {
    let mut status = status(fleet());
    status.unix += 7300.0;
    let html = of_fleet(&status, "");
    assert!(html.contains("No exporter has collected for 2 h: numbers and states are that old."), "{html}");
    status.collected.clear();
    status.push = None;
    status.view = Arc::new(fedimeter::snapshot::View::new(known::NOW, known::UNIX, Vec::new()));
    let html = of_fleet(&status, "");
    assert!(html.contains("No exporter has collected yet.") && html.contains("not scraped yet"), "{html}");
    assert!(html.contains("<b class=\"none\">0</b> <span>targets</span>"));
}

#[test]
fn lists_of_targets_and_a_wrong_configuration_are_told() {
    let at = |age: f64| known::UNIX - age;
    let source =
        |name: &str, successful, unix| SourceFacts { name: name.into(), targets: 3, successful, unix };
    let reload = ReloadFacts { successful: true, unix: at(3600.0), hash: 1 };
    let sources = vec![
        source("targets/*.yaml", true, Some(at(120.0))),
        source("https://inventory.example/<script>", false, Some(at(7200.0))),
        source("https://new.example/", false, None),
        source("https://slow.example/", true, None),
    ];
    let mut status = status(fleet());
    assert!(!of_fleet(&status, "").contains("Lists of targets"));
    status.configured = Some(Configured { reload, shard: None, sources });
    let html = of_fleet(&status, "");
    let without = |html: &str| html.replace(['\n'], "");
    for told in [
        "<bdi>targets/*.yaml</bdi></code> <span class=\"state up\">read</span> 3 targets, last read ",
        "https://inventory.example/&lt;script&gt;</bdi></code> <span class=\"state warn\">cannot be read now</span>",
        "<span class=\"state down\">could not be read yet</span> 3 targets. The log has the reason.",
        "<span class=\"state unknown\">not read yet</span>",
    ] {
        assert!(without(&html).contains(told), "{told}: {html}");
    }
    assert!(!html.contains("The changed configuration"), "{html}");
    status.configured.as_mut().unwrap().reload.successful = false;
    assert!(of_fleet(&status, "").contains("The changed configuration has errors: the one from "));
}
