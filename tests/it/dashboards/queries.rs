//! The queries of panels.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::{Value, json};

use super::expression::{RATE_INTERVAL, parts, with_lengths};
use super::{Complaints, expression, is_found, none_breaks};
use crate::support::dashboard::{Dashboard, list, text};
use crate::support::{promql, rule_files};

/// The targets of panels, with the title of the panel.
fn targets(dashboard: &Dashboard) -> impl Iterator<Item = (&str, &Value)> {
    dashboard
        .panels()
        .flat_map(|panel| list(&panel["targets"]).map(move |target| (text(&panel["title"]), target)))
}

fn names(dashboard: &Dashboard) -> Complaints {
    static RECORDED: LazyLock<BTreeMap<String, BTreeSet<String>>> = LazyLock::new(rule_files::recorded);
    targets(dashboard)
        .flat_map(|(title, target)| {
            let complaints = match with_lengths(text(&target["expr"])) {
                Ok(expression) => promql::complaints(&expression, &RECORDED),
                Err(e) => vec![e],
            };
            complaints.into_iter().map(move |complaint| format!("{title}: {complaint}"))
        })
        .collect()
}

#[test]
fn expressions_name_what_there_is() {
    none_breaks(names);
    let ask = |query: &'static str| move |json: &mut Value| *expression(json, "Users") = json!(query);
    is_found(names, "instance", ask("mastodon_instance_user"), "there is no metric mastodon_instance_user");
    is_found(names, "instance", ask("up{host=\"a\"}"), "up has no label host");
    is_found(names, "instance", ask("up + "), "invalid promql query");
    is_found(names, "instance", ask("up{job=\"$jobs\"}"), "there is no variable $jobs");
    is_found(names, "instance", ask("1 + 1"), "reads no metric");
}

/// Labels in groupings and legends that do not exist.
fn labels(dashboard: &Dashboard) -> Complaints {
    let known: BTreeSet<String> = promql::known().values().flatten().cloned().collect();
    let mut found = Vec::new();
    for (title, target) in targets(dashboard) {
        let Ok(parts) = parts(text(&target["expr"])) else { continue };
        let legend = text(&target["legendFormat"]);
        let in_legend =
            legend.split("{{").skip(1).filter_map(|rest| rest.split_once("}}")).map(|(label, _)| label);
        let mut labels: BTreeSet<&str> = parts.labels.iter().map(String::as_str).collect();
        labels.extend(in_legend);
        for label in labels {
            if !known.contains(label) && !parts.made.contains(label) {
                found.push(format!("{title}: nothing has a label {label}"));
            }
        }
    }
    found
}

#[test]
fn labels_are_there() {
    none_breaks(labels);
    let ask = |query: &'static str| move |json: &mut Value| *expression(json, "Users") = json!(query);
    is_found(labels, "instance", ask("sum by (host) (up)"), "a label host");
    is_found(labels, "instance", ask("up * on (server) mastodon_instance_users"), "a label server");
    is_found(labels, "instance", ask("up * on (job) group_left (host) up"), "a label host");
    let legend =
        |json: &mut Value| super::panel(json, "Checks")["targets"][0]["legendFormat"] = json!("{{checks}}");
    is_found(labels, "instance", legend, "a label checks");
}

/// Every selector uses variables for servers, jobs and bridges.
fn chosen(dashboard: &Dashboard) -> Complaints {
    let chosen: &[(&str, &str)] = match dashboard.name.as_str() {
        "instance" => &[("server_address", "=$server_address"), ("server_port", "=~$server_port")],
        "fleet" => &[
            ("instance", "=~$instance"),
            ("server_address", "=~$server_address"),
            ("customer", "=~$customer"),
            ("region", "=~$region"),
            ("team", "=~$team"),
        ],
        _ => &[("instance", "=~$instance"), ("job", "=~$job")],
    };
    // Recorded series already join the bridges of a server.
    let joined = |name: &str| name.starts_with("server:") || name.starts_with("ALERTS");
    let mut found = Vec::new();
    for (title, target) in targets(dashboard) {
        let Ok(parts) = parts(text(&target["expr"])) else { continue };
        for selector in parts.selectors {
            let labels = ["instance", "job", "server_address", "server_port", "customer", "region", "team"];
            let theirs: Vec<(&str, &str)> =
                labels.iter().filter_map(|label| Some((*label, selector.get(*label)?.as_str()))).collect();
            let skipped = usize::from(dashboard.name == "fleet" && joined(&selector["__name__"]));
            if theirs != chosen[skipped..] {
                found.push(format!("{title}: {} is selected by {theirs:?}", selector["__name__"]));
            }
        }
    }
    found
}

#[test]
fn servers_and_bridges_are_chosen() {
    none_breaks(chosen);
    let ask = |query: &'static str| move |json: &mut Value| *expression(json, "Users") = json!(query);
    is_found(chosen, "instance", ask("mastodon_instance_users"), "selected by []");
    is_found(
        chosen,
        "instance",
        ask("mastodon_instance_users{server_address=\"example.org\"}"),
        "example.org",
    );
    is_found(chosen, "fleet", ask("mastodon_instance_users{server_address=\"$server_address\"}"), "\"=$");
    let memory = |json: &mut Value| {
        *expression(json, "Memory") =
            json!("process_memory_usage_bytes{job=\"fedimeter\",instance=~\"$instance\"}");
    };
    is_found(chosen, "bridge", memory, "=fedimeter");
}

/// Rates use an interval that fits the scrapes and the width of the graph.
fn rates(dashboard: &Dashboard) -> Complaints {
    let mut found = Vec::new();
    for (title, target) in targets(dashboard) {
        let Ok(parts) = parts(text(&target["expr"])) else { continue };
        if parts.rates.iter().any(|range| *range != RATE_INTERVAL) {
            found.push(format!("{title}: a rate over another time than $__rate_interval"));
        }
        // A column of small graphs queries every server at once.
        let least = if target["refId"] == "trend" { "1h" } else { "1m" };
        if target["interval"] != least {
            found.push(format!("{title}: is not asked for in steps of {least} or more"));
        }
    }
    found
}

#[test]
fn rates_are_over_the_rate_interval() {
    none_breaks(rates);
    let ask = |query: &'static str| move |json: &mut Value| *expression(json, "CPU time") = json!(query);
    is_found(rates, "bridge", ask("rate(process_cpu_time_seconds_total[5m])"), "a rate over");
    is_found(rates, "bridge", ask("sum(increase(process_cpu_time_seconds_total[$__range]))"), "a rate over");
    let step = |json: &mut Value| super::panel(json, "CPU time")["targets"][0]["interval"] = json!("");
    is_found(rates, "bridge", step, "steps of 1m");
    let trend = |json: &mut Value| super::panel(json, "Every server")["targets"][3]["interval"] = json!("1m");
    is_found(rates, "fleet", trend, "steps of 1h");
}

/// Current values are instant queries. From a range, Grafana would show the last value,
/// however old.
fn as_of_now(dashboard: &Dashboard) -> Complaints {
    let mut found = Vec::new();
    for panel in dashboard.panels() {
        let graph = matches!(text(&panel["type"]), "timeseries" | "state-timeline");
        // A column of small graphs.
        let trend = list(&panel["transformations"]).find(|t| t["id"] == "timeSeriesTable");
        let trend = trend.map(|t| &t["filter"]["options"]);
        for target in list(&panel["targets"]) {
            let instant = !graph && trend != Some(&target["refId"]);
            if target["instant"] != instant || target["range"] == instant {
                found.push(format!("{}: {} is not as of now", panel["title"], target["refId"]));
            }
        }
    }
    found
}

#[test]
fn numbers_are_of_now() {
    none_breaks(as_of_now);
    let range = |title: &'static str| {
        move |json: &mut Value| super::panel(json, title)["targets"][0]["range"] = json!(true)
    };
    is_found(as_of_now, "instance", range("Posts"), "Posts");
    is_found(as_of_now, "fleet", range("Every server"), "Every server");
}
