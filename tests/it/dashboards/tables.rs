//! Tables: their transformations name columns that the queries return.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::expression::parts;
use super::{Complaints, is_found, none_breaks, panel};
use crate::support::dashboard::{Dashboard, list, text};

/// Grafana's names of the columns of a panel's queries.
fn columns(panel: &Value) -> BTreeSet<String> {
    let step = |id: &str| list(&panel["transformations"]).find(|t| t["id"] == id);
    let trend = step("timeSeriesTable").map_or("", |t| text(&t["filter"]["options"]));
    let tables: Vec<&Value> = list(&panel["targets"]).filter(|target| target["format"] == "table").collect();
    let mut columns = BTreeSet::new();
    for target in &tables {
        let number =
            if tables.len() > 1 { format!("Value #{}", text(&target["refId"])) } else { "Value".to_owned() };
        columns.insert(number);
    }
    for target in list(&panel["targets"]) {
        if target["refId"] == trend {
            columns.insert(format!("Trend #{trend}"));
        }
        let parts = parts(text(&target["expr"])).unwrap_or_default();
        columns.extend(parts.labels.into_iter().chain(parts.made));
    }
    columns
}

fn tables(dashboard: &Dashboard) -> Complaints {
    let mut found = Vec::new();
    for panel in dashboard.panels().filter(|panel| panel["type"] == "table") {
        let title = text(&panel["title"]);
        let step = |id: &str| list(&panel["transformations"]).find(|t| t["id"] == id).map(|t| &t["options"]);
        let Some((kept, organized)) = step("filterFieldsByName").zip(step("organize")) else {
            found.push(format!("{title}: shows whatever comes"));
            continue;
        };
        let columns = columns(panel);
        let kept: Vec<&str> = list(&kept["include"]["names"]).map(text).collect();
        let renamed = organized["renameByName"].as_object();
        let names: BTreeSet<&str> =
            kept.iter().map(|name| renamed.and_then(|r| r.get(*name)).map_or(*name, text)).collect();
        let strange = |name: &&&str| !columns.contains(**name);
        found.extend(
            kept.iter().filter(strange).map(|name| format!("{title}: no query gives a column {name}")),
        );
        let raw = |name: &&&str| name.contains('#') || name.contains('_');
        found.extend(names.iter().filter(raw).map(|name| format!("{title}: a column is called {name}")));
        let overridden = list(&panel["fieldConfig"]["overrides"]).map(|o| text(&o["matcher"]["options"]));
        let sorted = list(&panel["options"]["sortBy"]).map(|by| text(&by["displayName"]));
        let strange = overridden.chain(sorted).filter(|name| !names.contains(name));
        found.extend(strange.map(|name| format!("{title}: there is no column {name}")));
        // Grafana formats a text of digits as a number.
        let is_text = list(&panel["fieldConfig"]["overrides"]).any(|o| {
            o["matcher"]["options"] == "Port" && list(&o["properties"]).any(|p| p["value"] == "string")
        });
        if names.contains("Port") && !is_text {
            found.push(format!("{title}: a port is shown as a number"));
        }
        let joined = step("joinByField").map(|options| text(&options["byField"]));
        let is_apart = list(&panel["targets"]).count() > 1 && step("merge").is_none();
        if joined.map_or(is_apart, |by| !kept.contains(&by)) {
            found.push(format!("{title}: is joined by {joined:?}"));
        }
    }
    found
}

#[test]
fn tables_have_their_columns() {
    none_breaks(tables);
    is_found(tables, "fleet", |json| panel(json, "Versions")["transformations"] = json!([]), "whatever");
    let name = |json: &mut Value| panel(json, "Every server")["targets"][0]["refId"] = json!("state");
    is_found(tables, "fleet", name, "no query gives a column Value #up");
    let trend = |json: &mut Value| panel(json, "Every server")["targets"][3]["refId"] = json!("line");
    is_found(tables, "fleet", trend, "no query gives a column Trend #trend");
    let sort =
        |json: &mut Value| panel(json, "Versions")["options"]["sortBy"][0]["displayName"] = json!("Value");
    is_found(tables, "fleet", sort, "no column Value");
    let port = |json: &mut Value| panel(json, "Needs attention")["fieldConfig"]["overrides"] = json!([]);
    is_found(tables, "fleet", port, "a port");
    let join = |json: &mut Value| {
        panel(json, "Today and yesterday")["transformations"][0]["options"]["byField"] = json!("x");
    };
    is_found(tables, "instance", join, "joined by");
    let apart = |json: &mut Value| panel(json, "Every server")["transformations"][2]["id"] = json!("x");
    is_found(tables, "fleet", apart, "joined by None");
}
