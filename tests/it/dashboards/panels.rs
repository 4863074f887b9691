//! The appearance of panels.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Complaints, is_found, none_breaks, panel};
use crate::support::dashboard::{Dashboard, list, text};

/// The units of our numbers, by Grafana's names. `string` is for labels that look like
/// numbers.
const UNITS: &[&str] = &["bytes", "cpm", "locale", "none", "percentunit", "s", "short", "string"];

fn words(dashboard: &Dashboard) -> Complaints {
    let mut found = Vec::new();
    for panel in dashboard.panels() {
        let title = text(&panel["title"]);
        if title.is_empty() {
            found.push(format!("panel {} has no title", panel["id"]));
        }
        if !text(&panel["description"]).ends_with('.') {
            found.push(format!("{title}: has no description"));
        }
        let defaults = &panel["fieldConfig"]["defaults"]["unit"];
        let overridden = list(&panel["fieldConfig"]["overrides"])
            .flat_map(|o| list(&o["properties"]))
            .filter(|property| property["id"] == "unit")
            .map(|property| &property["value"]);
        for unit in overridden.chain([defaults]) {
            if !UNITS.contains(&text(unit)) {
                found.push(format!("{title}: has the unit {unit}"));
            }
        }
    }
    found
}

#[test]
fn panels_say_what_they_show() {
    none_breaks(words);
    is_found(words, "fleet", |json| panel(json, "Posts")["title"] = json!(""), "no title");
    is_found(words, "fleet", |json| panel(json, "Posts")["description"] = Value::Null, "no description");
    let unit = |json: &mut Value| panel(json, "Posts")["fieldConfig"]["defaults"]["unit"] = json!("posts");
    is_found(words, "fleet", unit, "the unit \"posts\"");
}

/// Panels are on a grid of 24 columns, and do not overlap.
fn places(dashboard: &Dashboard) -> Complaints {
    let mut found = Vec::new();
    let mut ids = BTreeSet::new();
    places_of(&dashboard.json, &mut ids, &mut found);
    // A collapsed row has its own grid, which is hidden until the row is opened.
    for row in list(&dashboard.json["panels"]).filter(|panel| panel["type"] == "row") {
        if row["collapsed"] != list(&row["panels"]).next().is_some() {
            found.push(format!("{}: is a row that is neither open nor collapsed", row["title"]));
        }
        places_of(row, &mut ids, &mut found);
    }
    found
}

fn places_of(holder: &Value, ids: &mut BTreeSet<Option<u64>>, found: &mut Complaints) {
    let mut taken = BTreeSet::new();
    for panel in list(&holder["panels"]) {
        let title = text(&panel["title"]);
        if !panel["id"].is_u64() || !ids.insert(panel["id"].as_u64()) {
            found.push(format!("{title}: has no id of its own"));
        }
        let [x, y, w, h] =
            ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap_or_default());
        if w == 0 || h == 0 || x + w > 24 {
            found.push(format!("{title}: is not on the grid"));
        }
        let cells = (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y)));
        let taken_before = cells.filter(|cell| !taken.insert(*cell)).count();
        if taken_before > 0 {
            found.push(format!("{title}: lies over another"));
        }
    }
}

#[test]
fn panels_have_a_place() {
    none_breaks(places);
    is_found(places, "bridge", |json| panel(json, "Uptime")["id"] = json!(1), "id");
    is_found(places, "bridge", |json| panel(json, "Uptime")["gridPos"]["w"] = json!(9), "grid");
    is_found(places, "bridge", |json| panel(json, "Uptime")["gridPos"]["x"] = json!(15), "over another");
    is_found(places, "instance", |json| panel(json, "Blocks")["gridPos"]["x"] = json!(15), "over another");
    let row = |json: &mut Value| {
        let panels = json["panels"].as_array_mut().unwrap();
        panels.iter_mut().find(|panel| panel["collapsed"] == true).unwrap()["collapsed"] = json!(false);
    };
    is_found(places, "instance", row, "neither open nor collapsed");
}

/// Time without data is a gap, and a single point is visible.
fn gaps(dashboard: &Dashboard) -> Complaints {
    let mut found = Vec::new();
    for panel in dashboard.panels() {
        let custom = &panel["fieldConfig"]["defaults"]["custom"];
        let graph = panel["type"] == "timeseries";
        if (graph || panel["type"] == "state-timeline") && custom["spanNulls"] != false {
            found.push(format!("{}: draws over gaps", panel["title"]));
        }
        if graph && custom["showPoints"] != "auto" {
            found.push(format!("{}: hides a single point", panel["title"]));
        }
        if panel["fieldConfig"]["defaults"].get("noValue").is_some() {
            found.push(format!("{}: has a value for none", panel["title"]));
        }
    }
    found
}

#[test]
fn gaps_are_gaps() {
    none_breaks(gaps);
    let custom = |key: &'static str, value: Value| {
        move |json: &mut Value| {
            panel(json, "Users, all servers")["fieldConfig"]["defaults"]["custom"][key] = value;
        }
    };
    is_found(gaps, "fleet", custom("spanNulls", json!(true)), "gaps");
    is_found(gaps, "fleet", custom("spanNulls", json!(3_600_000)), "gaps");
    is_found(gaps, "fleet", custom("showPoints", json!("never")), "point");
    let zero = |json: &mut Value| panel(json, "Users")["fieldConfig"]["defaults"]["noValue"] = json!("0");
    is_found(gaps, "fleet", zero, "for none");
}

/// Colours have a meaning: a threshold or a state.
fn colours(dashboard: &Dashboard) -> Complaints {
    let mut found = Vec::new();
    for panel in dashboard.panels() {
        let defaults = &panel["fieldConfig"]["defaults"];
        let kind = text(&panel["type"]);
        if kind == "timeseries" {
            continue;
        }
        let steps = &defaults["thresholds"]["steps"];
        let begins = steps[0]["value"].is_null() && steps[0]["color"].is_string();
        let rises = list(steps).skip(1).is_sorted_by_key(|step| step["value"].as_f64());
        if defaults["color"]["mode"] != "thresholds" || !begins || !rises {
            found.push(format!("{}: has no thresholds", panel["title"]));
        }
        if kind == "state-timeline" && list(&defaults["mappings"]).next().is_none() {
            found.push(format!("{}: has states without names", panel["title"]));
        }
    }
    found
}

#[test]
fn colours_mean_something() {
    none_breaks(colours);
    let defaults = |title: &'static str, key: &'static str, value: Value| {
        move |json: &mut Value| panel(json, title)["fieldConfig"]["defaults"][key] = value
    };
    is_found(colours, "instance", defaults("Users", "color", json!({})), "no thresholds");
    is_found(colours, "instance", defaults("State", "thresholds", Value::Null), "no thresholds");
    is_found(colours, "instance", defaults("Checks", "mappings", json!([])), "names");
    let falls = json!({"steps": [{"value": null, "color": "red"}, {"value": 2}, {"value": 1}]});
    is_found(colours, "instance", defaults("State", "thresholds", falls), "no thresholds");
}

/// Every line has a chosen name. A single line needs no legend.
fn legends(dashboard: &Dashboard) -> Complaints {
    let mut found = Vec::new();
    for panel in dashboard.panels().filter(|panel| panel["type"] != "table") {
        if list(&panel["targets"]).any(|target| matches!(text(&target["legendFormat"]), "" | "__auto")) {
            found.push(format!("{}: has a line without a name", panel["title"]));
        }
        if panel["type"] == "timeseries" {
            let several = list(&panel["targets"]).count() > 1
                || text(&panel["targets"][0]["legendFormat"]).contains("{{");
            if panel["options"]["legend"]["showLegend"] != several {
                found.push(format!("{}: its legend is not needed, or missing", panel["title"]));
            }
            let tooltip = if several { "multi" } else { "single" };
            if panel["options"]["tooltip"]["mode"] != tooltip {
                found.push(format!("{}: its tooltip is not {tooltip}", panel["title"]));
            }
        }
    }
    found
}

#[test]
fn lines_have_names() {
    none_breaks(legends);
    let name = |name: &'static str| {
        move |json: &mut Value| panel(json, "Memory")["targets"][0]["legendFormat"] = json!(name)
    };
    is_found(
        legends,
        "bridge",
        |json| panel(json, "CPU")["targets"][0]["legendFormat"] = json!("__auto"),
        "name",
    );
    is_found(
        legends,
        "bridge",
        |json| panel(json, "Uptime")["options"]["legend"]["showLegend"] = json!(false),
        "legend",
    );
    is_found(
        legends,
        "bridge",
        |json| panel(json, "Uptime")["options"]["tooltip"]["mode"] = json!("single"),
        "tooltip",
    );
    is_found(legends, "bridge", name(""), "name");
}
