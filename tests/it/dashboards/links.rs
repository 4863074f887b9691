//! The links between dashboards.

use serde_json::{Value, json};

use super::{Complaints, is_found, none_breaks, panel};
use crate::support::dashboard::{Dashboard, list, text};

/// The data links of a dashboard and its panels.
fn data_links(dashboard: &Dashboard) -> impl Iterator<Item = (&str, &str)> {
    dashboard.panels().flat_map(|panel| {
        let overridden = list(&panel["fieldConfig"]["overrides"])
            .flat_map(|o| list(&o["properties"]))
            .filter(|property| property["id"] == "links")
            .flat_map(|property| list(&property["value"]));
        let links = list(&panel["fieldConfig"]["defaults"]["links"]).chain(overridden);
        links.map(move |link| (text(&panel["title"]), text(&link["url"])))
    })
}

/// The dashboards link to each other, and keep time and data source. The name of a server
/// links to its dashboard.
fn links(dashboard: &Dashboard) -> Complaints {
    let mut found = Vec::new();
    let others: Vec<String> = ["instance", "fleet", "bridge"]
        .iter()
        .filter(|name| **name != dashboard.name)
        .map(|name| url(name))
        .collect();
    let links: Vec<&str> = list(&dashboard.json["links"]).map(|link| text(&link["url"])).collect();
    if links != others {
        found.push(format!("the dashboard leads to {links:?}"));
    }
    if list(&dashboard.json["links"]).any(|link| link["keepTime"] != true || link["targetBlank"] != false) {
        found.push("the dashboard leads to another time or window".to_owned());
    }
    for (title, link) in data_links(dashboard) {
        let start = format!("{}&var-server_address=${{__", url("instance"));
        if !link.starts_with(&start) || !link.ends_with("}&${__url_time_range}") {
            found.push(format!("{title}: leads to {link}"));
        }
    }
    found
}

fn url(name: &str) -> String {
    format!("/d/fedimeter-{name}?${{datasource:queryparam}}")
}

#[test]
fn links_lead_somewhere() {
    none_breaks(links);
    is_found(links, "bridge", |json| json["links"][0]["url"] = json!("/d/fleet"), "leads to");
    is_found(links, "bridge", |json| json["links"][0]["keepTime"] = json!(false), "another time");
    let link = |json: &mut Value| {
        panel(json, "Failures by server")["fieldConfig"]["defaults"]["links"][0]["url"] = json!("/d/x");
    };
    is_found(links, "bridge", link, "leads to /d/x");
    let fleet = Dashboard::all().into_iter().find(|dashboard| dashboard.name == "fleet").unwrap();
    assert!(data_links(&fleet).any(|(title, _)| title == "Every server"), "a server's row leads nowhere");
}
