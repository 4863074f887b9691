//! The parts of a dashboard besides its panels: name, variables and links.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Complaints, is_found, none_breaks};
use crate::support::dashboard::{Dashboard, label_values, list, text};
use crate::support::promql;

/// Grafana before 11 wrote lower versions. Grafana 12.2 and later write another model.
const SCHEMA_VERSIONS: std::ops::RangeInclusive<u64> = 39..=42;

fn frame(dashboard: &Dashboard) -> Complaints {
    let Dashboard { name, json } = dashboard;
    let mut found = Vec::new();
    let mut must = |is: bool, what: &str| {
        if !is {
            found.push(format!("the dashboard {what}"));
        }
    };
    must(json["uid"] == format!("fedimeter-{name}"), "has another uid than its file's name");
    must(text(&json["title"]).starts_with("fedimeter / "), "has a title that does not say whose it is");
    must(text(&json["description"]).ends_with('.'), "has no description");
    must(list(&json["tags"]).any(|tag| tag == "fedimeter"), "lacks the tag fedimeter");
    must(json["editable"] == false, "can be edited");
    must(json["refresh"] == "1m", "is not drawn anew every minute");
    must(json["graphTooltip"] == 1, "does not share its cursor");
    must(json["schemaVersion"].as_u64().is_some_and(|v| SCHEMA_VERSIONS.contains(&v)), "is of another model");
    // Both belong to a single Grafana: the id in its database, and the inputs for imports
    // from grafana.com.
    must(json.get("id").is_none() && json.get("__inputs").is_none(), "was exported");
    found
}

#[test]
fn frames_are_the_same() {
    none_breaks(frame);
    is_found(frame, "fleet", |json| json["uid"] = json!("x"), "uid");
    is_found(frame, "fleet", |json| json["title"] = json!("Fleet"), "title");
    is_found(frame, "fleet", |json| json["description"] = json!(""), "description");
    is_found(frame, "fleet", |json| json["tags"] = json!(["mastodon"]), "tag");
    is_found(frame, "fleet", |json| json["editable"] = json!(true), "edited");
    is_found(frame, "fleet", |json| json["refresh"] = json!(""), "every minute");
    is_found(frame, "fleet", |json| json["graphTooltip"] = json!(0), "cursor");
    is_found(frame, "fleet", |json| json["schemaVersion"] = json!(16), "model");
    is_found(frame, "fleet", |json| json["id"] = json!(7), "exported");
}

fn data_source(dashboard: &Dashboard) -> Complaints {
    let first = &dashboard.json["templating"]["list"][0];
    let mut found = Vec::new();
    for (key, value) in
        [("name", "datasource"), ("label", "Data source"), ("type", "datasource"), ("query", "prometheus")]
    {
        if first[key] != value {
            found.push(format!("the first variable's {key} is not {value}"));
        }
    }
    let uses = json!({"type": "prometheus", "uid": "${datasource}"});
    for variable in dashboard.variables() {
        if variable["datasource"] != uses {
            found.push(format!("variable {} does not use the data source's", variable["name"]));
        }
    }
    for panel in dashboard.panels() {
        let targets = list(&panel["targets"]).map(|target| &target["datasource"]);
        if targets.chain([&panel["datasource"]]).any(|source| *source != uses) {
            found.push(format!("{} does not use the data source's variable", panel["title"]));
        }
    }
    found
}

#[test]
fn the_data_source_is_a_variable() {
    none_breaks(data_source);
    let first = |json: &mut Value, key: &str| json["templating"]["list"][0][key] = json!("x");
    is_found(data_source, "bridge", |json| first(json, "name"), "name is not datasource");
    is_found(data_source, "bridge", |json| first(json, "label"), "label is not Data source");
    let second = |json: &mut Value| json["templating"]["list"][1]["datasource"]["uid"] = json!("abc");
    is_found(data_source, "bridge", second, "variable \"job\"");
    let panel = |json: &mut Value| super::panel(json, "Memory")["datasource"] = json!("Prometheus");
    is_found(data_source, "bridge", panel, "Memory");
    let target =
        |json: &mut Value| super::panel(json, "Memory")["targets"][0]["datasource"]["uid"] = json!("abc");
    is_found(data_source, "bridge", target, "Memory");
}

/// The variables of each dashboard besides the data source, and whether several values can
/// be chosen.
fn expected(name: &str) -> &'static [(&'static str, &'static str, bool)] {
    match name {
        "instance" => &[("server_address", "Server", false), ("server_port", "Port", true)],
        "fleet" => &[
            ("customer", "Customer", true),
            ("region", "Region", true),
            ("team", "Team", true),
            ("fediverse_software_name", "Software", true),
            ("instance", "Bridge", true),
            ("server_address", "Servers", true),
        ],
        _ => &[("job", "Job", true), ("instance", "Instance", true)],
    }
}

fn variables(dashboard: &Dashboard) -> Complaints {
    let mut found = Vec::new();
    let theirs: Vec<_> =
        dashboard.variables().map(|v| (text(&v["name"]), text(&v["label"]), v["multi"] == true)).collect();
    if theirs != expected(&dashboard.name) {
        found.push(format!("the variables are {theirs:?}"));
    }
    let known = promql::known();
    for variable in dashboard.variables() {
        let mut must = |is: bool, what: &str| {
            if !is {
                found.push(format!("variable {} {what}", variable["name"]));
            }
        };
        // New values since the page was opened must appear.
        must(variable["refresh"] == 2, "is not asked for anew when the time changes");
        must(variable["includeAll"] == variable["multi"], "offers all or several, not both");
        // A list of thousands of names would be too long for a query. Series without the
        // label must not be excluded.
        let is_always_there = matches!(text(&variable["name"]), "job" | "instance" | "server_address");
        let all = match (variable["multi"] == true, is_always_there) {
            (false, _) => Value::Null,
            (true, true) => json!(".+"),
            (true, false) => json!(".*"),
        };
        must(variable["allValue"] == all, "has another value for all");
        must(variable["sort"] == 1, "is not sorted");
        let query = text(&variable["query"]["query"]);
        must(variable["definition"] == query, "says one query and asks another");
        let Some((metric, label)) = label_values(query) else {
            found.push(format!("variable {} lists no label", variable["name"]));
            continue;
        };
        let name = metric.split('{').next().unwrap_or_default();
        if known.get(name).is_none_or(|labels| !labels.contains(label)) || variable["name"] != label {
            found.push(format!("variable {} lists {label} of {name}", variable["name"]));
        }
        found.extend(promql::complaints(metric, &BTreeMap::new()));
    }
    found
}

#[test]
fn variables_list_what_there_is() {
    none_breaks(variables);
    let set =
        |key: &'static str, value: Value| move |json: &mut Value| json["templating"]["list"][2][key] = value;
    is_found(variables, "bridge", set("label", json!("Bridge")), "the variables are");
    is_found(variables, "bridge", set("refresh", json!(1)), "asked for anew");
    is_found(variables, "bridge", set("includeAll", json!(false)), "all or several");
    is_found(variables, "bridge", set("allValue", Value::Null), "for all");
    is_found(variables, "bridge", set("sort", json!(0)), "sorted");
    is_found(variables, "fleet", set("allValue", json!(".+")), "for all");
    let ask = |query: &'static str| {
        move |json: &mut Value| {
            let variable = &mut json["templating"]["list"][2];
            variable["definition"] = json!(query);
            variable["query"]["query"] = json!(query);
        }
    };
    is_found(variables, "bridge", ask("fedimeter_build_info"), "lists no label");
    is_found(variables, "bridge", ask("label_values(fedimeter_build_info, job)"), "lists job");
    is_found(
        variables,
        "bridge",
        ask("label_values(fedimeter_build_info{host=\"a\"}, instance)"),
        "no label host",
    );
}
