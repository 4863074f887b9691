//! Endpoints that are collected only on request: lists, health, posts, hashtags, those of a
//! token, and robots.txt. The expected values come from the simulator.

use std::sync::Arc;

use fedimeter::endpoint::{Endpoint, On};
use fedimeter::listing;
use fedimeter::simulator::{PRIVATE, ShowDomainBlocks, Simulator, Switches, TokenSpec, permission};
use fedimeter::snapshot::View;
use fedimeter::target::{AccountRef, Target, Token};
use serde_json::json;

use crate::support::poll::*;

const SECRET: &str = "a-token-of-the-test";

/// A target with all endpoints.
fn everything(simulator: &Simulator, i: usize) -> Target {
    let mut target = target(simulator, i);
    target.token = Some(Token::new(SECRET));
    target.accounts =
        simulator.truth(i).accounts.iter().map(|a| AccountRef::Acct(a.username.as_str().into())).collect();
    target.tags = simulator.truth(i).tags.iter().map(|t| Arc::from(t.name.as_str())).collect();
    let opt_in: Vec<Endpoint> = Endpoint::ALL.iter().copied().filter(|e| e.on() == On::OptIn).collect();
    target.select_endpoints(&opt_in);
    target
}

async fn with_tokens(tokens: Vec<TokenSpec>) -> Simulator {
    let simulator = simulator(|s| s.tokens = tokens).await;
    for i in [V46, V42, V34, V24] {
        simulator.switch(i, |s: &mut Switches| s.show_domain_blocks = ShowDomainBlocks::All);
        simulator.set_admin_truth(i, Some(simulator.admin_truth(i)));
    }
    simulator
}

fn is(view: &View, i: usize, name: &str, expected: &[(&str, f64)]) {
    let expected: Vec<(String, f64)> = expected.iter().map(|(l, v)| ((*l).to_owned(), *v)).collect();
    assert_eq!(points(view, i, name), expected, "{name} of {i}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_instance_shows_on_request() {
    let simulator = with_tokens(vec![TokenSpec::everything(SECRET)]).await;
    let bench = Bench::of(vec![everything(&simulator, V46)]);
    let view = bench.refresh().await;
    let truth = simulator.truth(V46);
    is(&view, 0, "mastodon.instance.peers", &[("", truth.peers as f64)]);
    let blocks = &truth.domain_blocks;
    let blocks = [("silence", blocks.silence as f64), ("suspend", blocks.suspend as f64)];
    is(&view, 0, "mastodon.instance.domain_blocks", &blocks);
    is(&view, 0, "mastodon.instance.custom_emojis", &[("", truth.custom_emojis as f64)]);
    is(&view, 0, "mastodon.instance.announcements", &[("", truth.announcements as f64)]);
    is(&view, 0, "mastodon.instance.web.up", &[("", 1.0)]);
    is(&view, 0, "mastodon.instance.streaming.up", &[("", 1.0)]);
    for (name, truth) in [("local", truth.newest_local_ms), ("federated", truth.newest_remote_ms)] {
        let found = points(&view, 0, &format!("mastodon.instance.newest_status.{name}.timestamp"));
        // The simulator continues to post during the requests.
        let apart = (found[0].1 - truth.unwrap() as f64 / 1e3).abs();
        assert!(apart < 120.0, "{name}: {found:?} {truth:?}");
    }
    let tags: Vec<(String, f64)> = truth.tags.iter().map(|t| (t.name.clone(), t.uses[0] as f64)).collect();
    assert!(!tags.is_empty());
    assert_eq!(points(&view, 0, "mastodon.tag.uses"), tags);
    let tags: Vec<(String, f64)> =
        truth.tags.iter().map(|t| (t.name.clone(), t.accounts[0] as f64)).collect();
    assert_eq!(points(&view, 0, "mastodon.tag.accounts"), tags);
}

/// Ids are numbers on Mastodon, but ULIDs on GoToSocial and flakes on Pleroma. A word is
/// tried as a name first, and then as an id.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_found_by_an_id_that_is_a_word() {
    const ULID: &str = "01H7N3Q0M2R9W6BTKCQ4QZ8V5E";
    let simulator = simulator(|_| {}).await;
    let found = json!({"id": ULID, "followers_count": 7, "following_count": 2, "statuses_count": 3});
    let other = json!({"id": "1", "followers_count": 9, "following_count": 9, "statuses_count": 9});
    simulator.set_json(V46, &format!("/api/v1/accounts/{ULID}"), found.to_string());
    // Some servers also find an account by its name here, but it is another one.
    simulator.set_json(V46, "/api/v1/accounts/nobody", other.to_string());
    let mut target = target(&simulator, V46);
    target.accounts = [ULID, "ada", "nobody"].map(|word| AccountRef::Acct(word.into())).into();
    target.select_endpoints(&[]);
    let view = Bench::of(vec![target]).refresh().await;
    let ada = simulator.truth(V46).accounts.iter().find(|a| a.username == "ada").unwrap().followers as f64;
    let followers = points(&view, 0, "mastodon.account.followers");
    assert_eq!(followers, [(ULID.to_owned(), 7.0), ("ada".to_owned(), ada)]);
    assert_eq!(outcome(&view, 0, Endpoint::Accounts), "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_administrator_sees() {
    let simulator = with_tokens(vec![TokenSpec::everything(SECRET)]).await;
    let versions = [V46, V42];
    let bench = Bench::of(versions.iter().map(|i| everything(&simulator, *i)).collect());
    let view = bench.refresh().await;
    for (place, i) in versions.into_iter().enumerate() {
        let truth = simulator.admin_truth(i);
        for slot in &reading(&view, place).snapshot.slots {
            assert_eq!(
                outcome(&view, place, slot.endpoint),
                "ok",
                "{} of {i}: {:?}",
                slot.endpoint.name(),
                slot.reason()
            );
        }
        let categories = ["spam", "legal", "violation", "other"];
        let open: Vec<(&str, f64)> =
            categories.iter().map(|c| (*c, truth.open_reports(Some(c)) as f64)).collect();
        is(&view, place, "mastodon.admin.reports.open", &open);
        is(&view, place, "mastodon.admin.reports.unassigned", &[("", truth.unassigned_reports() as f64)]);
        let oldest: Vec<(&str, f64)> = truth.oldest_report().map(|at| ("", at as f64)).into_iter().collect();
        is(&view, place, "mastodon.admin.reports.oldest.timestamp", &oldest);
        is(&view, place, "mastodon.admin.accounts.pending", &[("", truth.pending as f64)]);
        let trends = [
            ("tags", truth.trending_tags.pending as f64),
            ("statuses", truth.trending_statuses.pending as f64),
            ("links", truth.trending_links.pending as f64),
        ];
        is(&view, place, "mastodon.admin.trends.pending", &trends);
        let midnight = simulator.now().div_euclid(86_400) * 86_400;
        for (when, at) in [("today", midnight), ("yesterday", midnight - 86_400)] {
            let day = truth.day(at);
            for (name, value) in [
                ("active_users", day.active_users as f64),
                ("new_users", day.new_users as f64),
                ("interactions", day.interactions as f64),
                ("opened_reports", day.opened_reports as f64),
                ("resolved_reports", day.resolved_reports as f64),
            ] {
                is(&view, place, &format!("mastodon.admin.measures.{when}.{name}"), &[("", value)]);
            }
        }
        let storage: Vec<(String, f64)> = truth.storage.iter().map(|(k, v)| (k.clone(), *v as f64)).collect();
        assert_eq!(points(&view, place, "mastodon.admin.storage"), storage);
        let software: Vec<(String, f64)> =
            truth.software.iter().map(|(k, v)| (format!("{k},{v}"), 1.0)).collect();
        assert_eq!(points(&view, place, "mastodon.admin.software.info"), software);
        let languages = points(&view, place, "mastodon.admin.languages");
        let known: i64 = truth.languages.iter().map(|(_, n)| n).sum();
        assert!(!languages.is_empty() && languages.len() <= 10);
        assert!(languages.iter().map(|(_, n)| *n).sum::<f64>() <= known as f64);
        let blocks = &simulator.truth(i).domain_blocks;
        let blocks = [
            ("noop", truth.noop_domain_blocks as f64),
            ("silence", blocks.silence as f64),
            ("suspend", blocks.suspend as f64),
        ];
        is(&view, place, "mastodon.admin.domain_blocks", &blocks);
        let ip = &truth.ip_blocks;
        let ip = [
            ("sign_up_requires_approval", ip.sign_up_requires_approval as f64),
            ("sign_up_block", ip.sign_up_block as f64),
            ("no_access", ip.no_access as f64),
        ];
        is(&view, place, "mastodon.admin.ip_blocks", &ip);
        is(&view, place, "mastodon.admin.domain_allows", &[("", truth.domain_allows as f64)]);
        is(&view, place, "mastodon.admin.email_domain_blocks", &[("", truth.email_domain_blocks as f64)]);
        is(
            &view,
            place,
            "mastodon.admin.canonical_email_blocks",
            &[("", truth.canonical_email_blocks as f64)],
        );
        let rate = points(&view, place, "mastodon.admin.retention.rate");
        assert!(rate.len() == 1 && (0.0..=1.0).contains(&rate[0].1), "{rate:?}");
    }
    // Nothing private is in any output.
    let shown =
        format!("{view:?} {} {}", listing::json(&view), listing::table(&view, listing::Layout::default()));
    for private in PRIVATE.iter().chain([&SECRET]) {
        assert!(!shown.contains(private), "{private} leaks");
    }
    // The public endpoints were requested without the token.
    for request in simulator.request_log() {
        let public = [
            "/api/v1/instance",
            "/api/v2/instance",
            "/nodeinfo",
            "/.well-known",
            "/api/v1/custom_emojis",
            "/health",
        ];
        if public.iter().any(|path| request.target.starts_with(path)) {
            assert!(!request.headers.contains_key("authorization"), "{}", request.target);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_token_may_not_do_is_not_offered() {
    let reports_only = TokenSpec::new(SECRET, "read admin:read:reports", permission::MANAGE_REPORTS);
    let simulator = with_tokens(vec![reports_only]).await;
    let bench = Bench::of(vec![everything(&simulator, V46)]);
    let view = bench.refresh().await;
    assert_eq!(outcome(&view, 0, Endpoint::Credentials), "ok");
    assert_eq!(outcome(&view, 0, Endpoint::AdminReports), "ok");
    for endpoint in
        Endpoint::ALL.iter().copied().filter(|e| e.needs().is_some() && *e != Endpoint::AdminReports)
    {
        assert_eq!(outcome(&view, 0, endpoint), "not_offered", "{}", endpoint.name());
        let reason = reading(&view, 0).slot(endpoint).unwrap().reason().unwrap().to_owned();
        assert!(reason.contains(endpoint.needs().unwrap().permission), "{reason}");
    }
    assert_eq!(simulator.requests(V46, "/api/v1/admin/measures"), 0, "not even asked");
    assert_eq!(simulator.requests(V46, "/api/v1/admin/trends/tags"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_token_harms_only_where_it_is_used() {
    let simulator = with_tokens(vec![]).await;
    let bench = Bench::of(vec![everything(&simulator, V46)]);
    let view = bench.refresh().await;
    for slot in &reading(&view, 0).snapshot.slots {
        let expected = if slot.endpoint.on() == On::Token { "unauthorized" } else { "ok" };
        assert_eq!(
            outcome(&view, 0, slot.endpoint),
            expected,
            "{}: {:?}",
            slot.endpoint.name(),
            slot.reason()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_end_at_the_page_cap_and_the_budget() {
    let simulator = with_tokens(vec![TokenSpec::everything(SECRET)]).await;
    let mut truth = simulator.admin_truth(V46);
    truth.canonical_email_blocks = 200 * 20 + 1;
    truth.email_domain_blocks = 200 * 3;
    simulator.set_admin_truth(V46, Some(truth));
    let mut one = target(&simulator, V46);
    one.token = Some(Token::new(SECRET));
    one.endpoints = vec![Endpoint::AdminCanonicalEmailBlocks, Endpoint::AdminEmailDomainBlocks];
    let bench = Bench::of(vec![one]);
    let view = bench.refresh().await;
    assert_eq!(outcome(&view, 0, Endpoint::AdminCanonicalEmailBlocks), "too_large");
    is(&view, 0, "mastodon.admin.canonical_email_blocks", &[]);
    is(&view, 0, "mastodon.admin.email_domain_blocks", &[("", 600.0)]);
    assert!(simulator.requests(V46, "/api/v1/admin/canonical_email_blocks") <= 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_peers_are_counted_as_they_stream_in() {
    let simulator = with_tokens(vec![]).await;
    let mut truth = simulator.truth(V46);
    truth.peers = 100_000;
    simulator.set_truth(V46, Some(truth));
    let mut one = target(&simulator, V46);
    one.select_endpoints(&[Endpoint::Peers]);
    let bench = Bench::of(vec![one]);
    let view = bench.refresh().await;
    is(&view, 0, "mastodon.instance.peers", &[("", 100_000.0)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn robots_txt_is_obeyed_where_that_is_asked_for() {
    let simulator = with_tokens(vec![]).await;
    simulator.set_robots(V46, "User-agent: *\nDisallow: /api/v1/instance/domain_blocks\n\nUser-agent: fedimeter\nDisallow: /api/v1/instance/\n");
    let mut obeying = target(&simulator, V46);
    obeying.obey_robots = true;
    obeying.select_endpoints(&[Endpoint::DomainBlocks, Endpoint::CustomEmojis]);
    let bench = Bench::of(vec![obeying]);
    let view = bench.refresh().await;
    assert_eq!(outcome(&view, 0, Endpoint::Robots), "ok");
    for (endpoint, expected) in [
        (Endpoint::InstanceV1, "ok"),
        (Endpoint::CustomEmojis, "ok"),
        (Endpoint::Activity, "not_offered"),
        (Endpoint::DomainBlocks, "not_offered"),
    ] {
        assert_eq!(outcome(&view, 0, endpoint), expected, "{}", endpoint.name());
    }
    assert_eq!(simulator.requests(V46, "/api/v1/instance/*"), 0);
    assert_eq!(simulator.requests(V46, "/robots.txt"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_come_forty_at_once_where_the_server_can() {
    let simulator = with_tokens(vec![]).await;
    let known = simulator.truth(V46).accounts;
    assert!(known.len() > 2);
    for (i, at_once) in [(V46, true), (V42, false)] {
        let mut one = target(&simulator, i);
        let known = simulator.truth(i).accounts;
        one.accounts = known.iter().map(|a| AccountRef::Id(a.id.as_str().into())).collect();
        one.select_endpoints(&[]);
        let bench = Bench::of(vec![one]);
        let view = bench.refresh().await;
        let expected: Vec<(String, f64)> = known.iter().map(|a| (a.id.clone(), a.statuses as f64)).collect();
        assert_eq!(points(&view, 0, "mastodon.account.statuses"), expected);
        let asked = simulator.requests(i, "/api/v1/accounts*");
        assert_eq!(asked, if at_once { 1 } else { known.len() }, "requests to {i}");
    }
}
