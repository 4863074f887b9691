//! The endpoints that are collected only on request, with every fault. The documents have
//! their own matrix.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use fedimeter::config::Http;
use fedimeter::endpoint::{Endpoint, On};
use fedimeter::metrics::rows;
use fedimeter::simulator::{ShowDomainBlocks, Simulator, Switches, TokenSpec};
use fedimeter::snapshot::{Slot, View};
use fedimeter::target::{Target, Token};

use crate::support::poll::*;

const SECRET: &str = "a-token-of-the-test";

const ENDPOINTS: [(Endpoint, &str); 19] = [
    (Endpoint::Health, "/health"),
    (Endpoint::Timelines, "/api/v1/timelines/public"),
    (Endpoint::Peers, "/api/v1/instance/peers"),
    (Endpoint::DomainBlocks, "/api/v1/instance/domain_blocks"),
    (Endpoint::Tags, "/api/v1/tags/*"),
    (Endpoint::Credentials, "/api/v1/accounts/verify_credentials"),
    (Endpoint::Announcements, "/api/v1/announcements"),
    (Endpoint::AdminReports, "/api/v1/admin/reports"),
    (Endpoint::AdminAccounts, "/api/v2/admin/accounts"),
    (Endpoint::AdminTrends, "/api/v1/admin/trends/*"),
    (Endpoint::AdminMeasures, "/api/v1/admin/measures"),
    (Endpoint::AdminStorage, "/api/v1/admin/dimensions"),
    (Endpoint::AdminSoftware, "/api/v1/admin/dimensions"),
    (Endpoint::AdminLanguages, "/api/v1/admin/dimensions"),
    (Endpoint::AdminRetention, "/api/v1/admin/retention"),
    (Endpoint::AdminDomainBlocks, "/api/v1/admin/domain_blocks"),
    (Endpoint::AdminIpBlocks, "/api/v1/admin/ip_blocks"),
    (Endpoint::AdminEmailDomainBlocks, "/api/v1/admin/email_domain_blocks"),
    (Endpoint::AdminCanonicalEmailBlocks, "/api/v1/admin/canonical_email_blocks"),
];

/// A fault, and its outcome without and with a token.
const FAULTS: [(&str, &str, &str); 22] = [
    ("status:400", "http_4xx", "http_4xx"),
    ("status:401", "unauthorized", "unauthorized"),
    ("status:403", "unauthorized", "not_offered"),
    ("status:403:html", "unauthorized", "unauthorized"),
    ("status:404", "not_offered", "not_offered"),
    ("status:404:empty", "not_offered", "not_offered"),
    ("status:404:html", "not_offered", "not_offered"),
    ("status:410", "not_offered", "not_offered"),
    ("status:422", "http_4xx", "http_4xx"),
    ("rate-limited:90s", "rate_limited", "rate_limited"),
    ("status:500:html", "http_5xx", "http_5xx"),
    ("status:501", "not_offered", "not_offered"),
    ("status:503", "http_5xx", "http_5xx"),
    ("retry-after:30s", "rate_limited", "rate_limited"),
    ("html-challenge", "not_offered", "not_offered"),
    ("error-object", "decode", "decode"),
    ("not-json", "decode", "decode"),
    ("status:200:empty", "decode", "decode"),
    ("truncated", "connect", "connect"),
    ("reset", "connect", "connect"),
    ("redirect:301:http://mastodon.example/", "redirect", "redirect"),
    ("redirect:302:http://10.0.0.1/", "blocked_address", "blocked_address"),
];

/// A target with the faulty endpoint, and two good ones.
fn narrow(simulator: &Simulator, i: usize, endpoint: Endpoint) -> Target {
    let mut target = target(simulator, i);
    target.token = Some(Token::new(SECRET));
    target.tags = simulator.truth(i).tags.iter().take(1).map(|t| Arc::from(t.name.as_str())).collect();
    target.endpoints = vec![Endpoint::InstanceV1, endpoint, Endpoint::CustomEmojis];
    target
}

fn expected(
    endpoint: Endpoint,
    (fault, without, with): (&'static str, &'static str, &'static str),
) -> &'static str {
    match endpoint {
        // Hidden from everyone, which is not a failure.
        Endpoint::DomainBlocks if fault.starts_with("status:403") => "not_offered",
        _ if endpoint.on() == On::Token => with,
        _ => without,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fails_in_its_own_way_and_alone() {
    let cases: Vec<(Endpoint, &str, (&str, &str, &str))> =
        ENDPOINTS.iter().flat_map(|(e, path)| FAULTS.map(|fault| (*e, *path, fault))).collect();
    let simulator = simulator(|s| {
        s.instances = cases.len();
        s.versions = vec!["4.6.4".to_owned()];
        s.tokens = vec![TokenSpec::everything(SECRET)];
        s.request_log = 0;
    })
    .await;
    for (i, (_, path, fault)) in cases.iter().enumerate() {
        simulator.switch(i, |s: &mut Switches| s.show_domain_blocks = ShowDomainBlocks::All);
        simulator.set_fault(i, path, Some(fault.0.parse().unwrap()));
        if *path == "/health" {
            // The endpoint covers both servers.
            simulator.set_fault(i, "/api/v1/streaming/health", Some(fault.0.parse().unwrap()));
        }
    }
    let targets = cases.iter().enumerate().map(|(i, (endpoint, ..))| narrow(&simulator, i, *endpoint));
    // The timeout of a request starts with its turn. With hundreds of requests on a busy
    // machine, repeated requests would be too late.
    let bench = Bench::with(targets.collect(), Http { max_requests: 16, ..http() });
    // Deadlines are not tested here, so this one is long enough for any machine.
    let view = bench.refresher.refresh(Duration::from_secs(3600)).await;
    let mut wrong = String::new();
    for (i, (endpoint, _, fault)) in cases.iter().enumerate() {
        let mut say = |what: String| {
            let _ = writeln!(wrong, "{} {}: {what}", endpoint.name(), fault.0);
        };
        let found = outcome(&view, i, *endpoint);
        if found != expected(*endpoint, *fault) {
            let reason = reading(&view, i).slot(*endpoint).and_then(Slot::reason);
            say(format!("{found}, not {}: {reason:?}", expected(*endpoint, *fault)));
        }
        // An exhausted rate limit affects everything below `/api`; see `politeness`.
        let spent = expected(*endpoint, *fault) == "rate_limited" && endpoint.is_under_api();
        for (other, name, truth) in [
            (Endpoint::InstanceV1, "mastodon.instance.users", simulator.truth(i).users as f64),
            (
                Endpoint::CustomEmojis,
                "mastodon.instance.custom_emojis",
                simulator.truth(i).custom_emojis as f64,
            ),
        ] {
            if spent {
                continue;
            }
            if outcome(&view, i, other) != "ok" || points(&view, i, name) != [(String::new(), truth)] {
                say(format!("{} suffers: {:?}", other.name(), points(&view, i, name)));
            }
        }
        for (name, value) in left(&view, i, *endpoint) {
            // These metrics report unhealthy servers.
            let health = ["mastodon.instance.web.up", "mastodon.instance.streaming.up"].contains(&name);
            if !health || value != 0.0 {
                say(format!("{name} is {value}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The points that come from an endpoint.
fn left(view: &View, i: usize, endpoint: Endpoint) -> Vec<(&'static str, f64)> {
    let own = rows().filter(|row| row.from == [endpoint]);
    own.flat_map(|row| points(view, i, row.name).into_iter().map(|(_, value)| (row.name, value))).collect()
}
