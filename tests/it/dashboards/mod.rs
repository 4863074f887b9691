//! The dashboards in `dashboards/`: rules of Grafana's linter, and our own. Each rule
//! returns the errors of a dashboard, and each test also checks that the rule finds an
//! error.

mod coverage;
mod expression;
mod frame;
mod links;
mod panels;
mod queries;
mod tables;

use crate::support::dashboard::Dashboard;
use serde_json::Value;

/// Errors, one sentence for each.
type Complaints = Vec<String>;

/// Asserts that no dashboard breaks a rule.
#[track_caller]
fn none_breaks(rule: impl Fn(&Dashboard) -> Complaints) {
    let all = Dashboard::all();
    let names: Vec<&str> = all.iter().map(|dashboard| dashboard.name.as_str()).collect();
    assert_eq!(names, ["bridge", "fleet", "instance"]);
    let found: Vec<String> = all
        .iter()
        .flat_map(|dashboard| rule(dashboard).into_iter().map(|found| format!("{}: {found}", dashboard.name)))
        .collect();
    assert_eq!(found, [""; 0]);
}

/// Asserts that the rule finds an error in a changed dashboard, with these words.
#[track_caller]
fn is_found(
    rule: impl Fn(&Dashboard) -> Complaints,
    name: &str,
    spoil: impl FnOnce(&mut Value),
    words: &str,
) {
    let mut dashboard = Dashboard::all().into_iter().find(|dashboard| dashboard.name == name).unwrap();
    spoil(&mut dashboard.json);
    let found = rule(&dashboard);
    assert!(found.len() == 1 && found[0].contains(words), "{found:?}");
}

/// The panel with this title.
fn panel<'a>(dashboard: &'a mut Value, title: &str) -> &'a mut Value {
    let mut panels = Vec::new();
    for panel in dashboard["panels"].as_array_mut().unwrap() {
        if panel["type"] == "row" {
            panels.extend(panel["panels"].as_array_mut().unwrap());
        } else {
            panels.push(panel);
        }
    }
    panels.into_iter().find(|panel| panel["title"] == title).unwrap()
}

/// The first expression of a panel.
fn expression<'a>(dashboard: &'a mut Value, title: &str) -> &'a mut Value {
    &mut panel(dashboard, title)["targets"][0]["expr"]
}
