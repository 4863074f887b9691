//! The whole path with real programs: from a Mastodon server through fedimeter to
//! Collectors, Prometheus and a browser.
//!
//! `cargo test --test e2e` or `just e2e` runs these tests. `cargo test` alone does not,
//! because the first run builds the programs, for which Go, Node.js, Python and Debian's
//! Chromium are needed. A missing program is named, and its scenarios are ignored.

#[path = "../support/mod.rs"]
mod support;

mod bench;
mod collector;
mod configurations;
mod dashboards;
mod expected;
mod fleet;
mod mock;
mod outage;
mod page;
mod pipeline;
mod probes;
mod programs;
mod prometheus;
mod proxies;
mod rules;
mod scrape;
mod systemd;
mod telemetry;
mod truth;
mod victoria;
mod web;
mod written;

use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Trial};

use programs::{
    APACHE, BROWSER, CADDY, COLLECTOR, CURL, Lazy, MOCK, NGINX, PROMETHEUS, PROMTOOL, Program,
    SOCKET_ACTIVATE, SYSTEMD, TOOLKIT, VICTORIA, VMAGENT,
};
use support::trial::trial;

fn main() {
    let mut arguments = Arguments::from_args();
    // Scenarios wait most of the time.
    arguments.test_threads.get_or_insert(4);
    let all = Scenarios { arguments: arguments.clone() };
    let trials = vec![
        // The longest scenarios start first.
        all.one("panels_tell_the_truth", &PROMETHEUS, truth::is_told),
        all.two("the_back_end_is_away_for_a_minute", &COLLECTOR, &MOCK, outage::of_the_back_end),
        all.two("the_collector_is_away", &COLLECTOR, &MOCK, outage::of_the_collector),
        all.two(
            "the_collector_is_away_and_the_bridge_is_killed",
            &COLLECTOR,
            &MOCK,
            outage::of_the_collector_and_a_killed_bridge,
        ),
        all.two("prometheus_is_away", &PROMETHEUS, &MOCK, outage::of_prometheus),
        all.one("dashboards_show_the_demo", &PROMETHEUS, dashboards::show_the_demo),
        all.one("dashboards_know_a_week", &PROMTOOL, dashboards::know_a_week),
        all.two("collector_over_grpc", &COLLECTOR, &MOCK, pipeline::over_grpc),
        all.two("collector_over_http_with_gzip", &COLLECTOR, &MOCK, pipeline::over_http_with_gzip),
        all.two(
            "collector_with_a_client_certificate",
            &COLLECTOR,
            &MOCK,
            pipeline::with_a_client_certificate,
        ),
        all.two("collector_gets_logs_and_traces", &COLLECTOR, &MOCK, telemetry::logs_and_traces_arrive),
        all.two("prometheus_over_otlp", &PROMETHEUS, &MOCK, pipeline::into_prometheus),
        all.two("prometheus_scrapes", &PROMETHEUS, &MOCK, scrape::by_prometheus),
        all.one("prometheus_keeps_the_dots", &PROMETHEUS, scrape::prometheus_keeps_the_dots),
        all.one("prometheus_probes", &PROMETHEUS, probes::by_prometheus),
        all.one("vmagent_members_divide_a_thousand", &VMAGENT, probes::by_vmagents),
        all.one("what_went_away_is_stale", &PROMETHEUS, scrape::what_went_away_is_stale),
        all.two("a_dead_server_leaves_no_number", &PROMETHEUS, &MOCK, scrape::a_dead_server_leaves_no_number),
        all.two("promtool_has_no_advice", &PROMETHEUS, &PROMTOOL, scrape::promtool_has_no_advice),
        all.two("collector_scrapes", &COLLECTOR, &MOCK, scrape::by_a_collector),
        all.one("two_thousand_servers", &COLLECTOR, fleet::of_two_thousand),
        all.one("configurations_are_valid", &COLLECTOR, configurations::are_valid),
        all.two("agent_sends_otlp", &COLLECTOR, &MOCK, configurations::agent_sends_otlp),
        all.three("agent_writes_to_prometheus", configurations::agent_writes_to_prometheus),
        all.three("agent_keeps_the_order", configurations::agent_keeps_the_order),
        all.two(
            "grafana_cloud_gets_its_password",
            &COLLECTOR,
            &MOCK,
            configurations::grafana_cloud_gets_its_password,
        ),
        all.two("each_server_is_a_resource", &COLLECTOR, &MOCK, configurations::each_server_is_a_resource),
        all.one("rules_hold_by_promtool", &PROMTOOL, rules::hold_by_promtool),
        all.one("rules_are_evaluated", &PROMETHEUS, rules::are_evaluated),
        all.one("pages_in_a_browser", &BROWSER, page::in_a_browser),
        all.one("pages_behind_nginx", &NGINX, proxies::nginx),
        all.one("pages_behind_nginx_that_passes_all_on", &NGINX, proxies::nginx_that_passes_all_on),
        all.one("pages_behind_apache", &APACHE, proxies::apache),
        all.one("systemd_supervises_the_service", &SYSTEMD, systemd::supervises),
        all.one("systemd_keeps_the_socket", &SYSTEMD, systemd::keeps_the_socket),
        all.one("systemd_hands_sockets_over", &SOCKET_ACTIVATE, systemd::hands_sockets_over),
        all.one("curl_over_a_unix_socket", &CURL, systemd::curl_over_a_unix_socket),
        all.one("prometheus_shows_who_it_is", &PROMETHEUS, web::prometheus_shows_who_it_is),
        all.two("web_configurations_are_those_of_exporters", &TOOLKIT, &CURL, web::as_exporters_have_it),
        all.one("pages_behind_caddy", &CADDY, proxies::caddy),
        all.two("victoriametrics_has_job_and_instance", &VICTORIA, &MOCK, victoria::has_job_and_instance),
        all.one(
            "victoriametrics_takes_a_large_page_where_it_may",
            &VICTORIA,
            victoria::takes_a_large_page_where_it_may,
        ),
        all.two("collector_has_a_page", &COLLECTOR, &MOCK, configurations::stands_on_a_page),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

/// Builds only the programs of the selected scenarios, because a build takes minutes.
struct Scenarios {
    arguments: Arguments,
}

impl Scenarios {
    /// The program, if this scenario is selected.
    fn program(&self, name: &str, program: &Lazy) -> Program {
        let Arguments { filter, exact, skip, list, .. } = &self.arguments;
        let is_named = |part: &String| if *exact { name == part } else { name.contains(part.as_str()) };
        let is_chosen = !list && filter.as_ref().is_none_or(is_named) && !skip.iter().any(is_named);
        if is_chosen { (*program).clone() } else { Err(String::new()) }
    }

    /// A scenario that needs one program.
    fn one(&self, name: &str, program: &Lazy, scenario: fn(&Path)) -> Trial {
        trial(name, self.program(name, program), move |program: PathBuf| scenario(&program))
    }

    /// A scenario that needs two.
    fn two(&self, name: &str, first: &Lazy, second: &Lazy, scenario: fn(&Path, &Path)) -> Trial {
        let both = self.program(name, first).and_then(|first| Ok((first, self.program(name, second)?)));
        trial(name, both, move |(first, second): (PathBuf, PathBuf)| scenario(&first, &second))
    }

    /// A scenario that needs a Collector, a Prometheus and a server.
    fn three(&self, name: &str, scenario: fn(&Path, &Path, &Path)) -> Trial {
        let program = |program| self.program(name, program);
        let all = program(&COLLECTOR).and_then(|c| Ok((c, program(&PROMETHEUS)?, program(&MOCK)?)));
        trial(name, all, move |(a, b, c): (PathBuf, PathBuf, PathBuf)| scenario(&a, &b, &c))
    }
}
