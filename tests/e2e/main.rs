//! The whole way, with real programs: from a Mastodon server through fedimeter
//! to Collectors, Prometheus and a browser.
//!
//! `cargo test --test e2e` runs it, or `just e2e`; `cargo test` alone does not,
//! because the first run builds the programs (Go, Node.js and Python are needed,
//! and Debian's Chromium). A program that cannot be had is named, and what needs
//! it is counted as ignored.

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
mod programs;
mod prometheus;
mod rules;
mod scrape;
mod telemetry;
mod written;

use std::path::PathBuf;

use libtest_mimic::{Arguments, Trial};

use programs::{Program, Programs};
use support::trial::trial;

fn main() {
    let mut arguments = Arguments::from_args();
    // Most of the time they wait.
    arguments.test_threads.get_or_insert(4);
    let programs = if arguments.list { Programs::none() } else { Programs::get() };
    let Programs { collector, prometheus, promtool, mock, browser } = &programs;
    let all = collector.clone().and_then(|c| Ok((c, prometheus.clone()?, mock.clone()?)));
    let trials = vec![
        // The longest first.
        two("the_back_end_is_away_for_a_minute", collector, mock, outage::of_the_back_end),
        two("the_collector_is_away", collector, mock, outage::of_the_collector),
        two(
            "the_collector_is_away_and_the_bridge_is_killed",
            collector,
            mock,
            outage::of_the_collector_and_a_killed_bridge,
        ),
        two("prometheus_is_away", prometheus, mock, outage::of_prometheus),
        one("dashboards_show_the_demo", prometheus, dashboards::show_the_demo),
        one("dashboards_know_a_week", promtool, dashboards::know_a_week),
        two("collector_over_grpc", collector, mock, pipeline::over_grpc),
        two("collector_over_http_with_gzip", collector, mock, pipeline::over_http_with_gzip),
        two("collector_with_a_client_certificate", collector, mock, pipeline::with_a_client_certificate),
        two("collector_gets_logs_and_traces", collector, mock, telemetry::logs_and_traces_arrive),
        two("prometheus_over_otlp", prometheus, mock, pipeline::into_prometheus),
        two("prometheus_scrapes", prometheus, mock, scrape::by_prometheus),
        one("what_went_away_is_stale", prometheus, scrape::what_went_away_is_stale),
        two("a_dead_server_leaves_no_number", prometheus, mock, scrape::a_dead_server_leaves_no_number),
        two("promtool_has_no_advice", prometheus, promtool, scrape::promtool_has_no_advice),
        two("collector_scrapes", collector, mock, scrape::by_a_collector),
        one("two_thousand_servers", collector, fleet::of_two_thousand),
        one("configurations_are_valid", collector, configurations::are_valid),
        two("agent_sends_otlp", collector, mock, configurations::agent_sends_otlp),
        trial("agent_writes_to_prometheus", all.clone(), |(collector, prometheus, mock)| {
            configurations::agent_writes_to_prometheus(&collector, &prometheus, &mock);
        }),
        trial("agent_keeps_the_order", all, |(collector, prometheus, mock)| {
            configurations::agent_keeps_the_order(&collector, &prometheus, &mock);
        }),
        two(
            "grafana_cloud_gets_its_password",
            collector,
            mock,
            configurations::grafana_cloud_gets_its_password,
        ),
        two("each_server_is_a_resource", collector, mock, configurations::each_server_is_a_resource),
        one("rules_hold_by_promtool", promtool, rules::hold_by_promtool),
        one("rules_are_evaluated", prometheus, rules::are_evaluated),
        one("pages_in_a_browser", browser, page::in_a_browser),
        two("collector_has_a_page", collector, mock, configurations::stands_on_a_page),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

/// A scenario that needs one program.
fn one(name: &str, program: &Program, scenario: fn(&std::path::Path)) -> Trial {
    trial(name, program.clone(), move |program: PathBuf| scenario(&program))
}

/// A scenario that needs two.
fn two(
    name: &str,
    first: &Program,
    second: &Program,
    scenario: fn(&std::path::Path, &std::path::Path),
) -> Trial {
    let both = first.clone().and_then(|first| Ok((first, second.clone()?)));
    trial(name, both, move |(first, second): (PathBuf, PathBuf)| scenario(&first, &second))
}
