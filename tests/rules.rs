//! The alerts and recording rules in `dashboards/`: they hold what they promise
//! (Prometheus's own unit tests), ask for what there is, and each alert has an
//! entry in the runbook. The mixin is the same files.

#[path = "support/promql.rs"]
mod promql;
#[path = "support/rule_files.rs"]
mod rule_files;
#[path = "support/trial.rs"]
mod trial;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use libtest_mimic::{Arguments, Failed};
use promql_parser::parser::{Expr, LabelModifier, parse};
use promql_parser::util::{ExprVisitor, walk_expr};
use serde_json::Value;

use rule_files::{dashboards, names_of, read, root, rules, text};
use trial::{always, program, trial};

const RUNBOOK: &str = "https://docs.rs/fedimeter/latest/fedimeter/runbook/index.html";

fn main() {
    let arguments = Arguments::from_args();
    let promtool = program("promtool");
    let jsonnet = program("jsonnet");
    let mut trials = vec![
        always("each_alert_says_what_it_has_to", each_alert_says_what_it_has_to),
        always("each_alert_is_tested", each_alert_is_tested),
        always("each_alert_has_an_entry", each_alert_has_an_entry),
        always("expressions_ask_for_what_there_is", expressions_ask_for_what_there_is),
        always("recording_rules_are_used", recording_rules_are_used),
        always("the_runbook_asks_for_what_there_is", the_runbook_asks_for_what_there_is),
        always("what_there_is_not_is_found_out", what_there_is_not_is_found_out),
        trial("rules_are_valid", promtool.clone(), |()| promtool_says(&["check", "rules"], &FILES)),
        trial("a_test_can_fail", promtool.clone(), |()| a_test_can_fail()),
        trial("mixin_is_the_files", jsonnet.clone(), |()| mixin_is_the_files()),
        trial("mixin_can_be_configured", jsonnet, |()| mixin_can_be_configured()),
    ];
    // Two weeks of evaluations are seconds of work: side by side.
    trials.extend(names_of("tests", "yaml").into_iter().map(|name| {
        let file = format!("tests/{name}");
        let run = move |()| promtool_says(&["test", "rules"], &[&file]);
        trial(&format!("alerts_fire/{name}"), promtool.clone(), run)
    }));
    libtest_mimic::run(&arguments, trials).exit();
}

const FILES: [&str; 2] = ["alerts.yaml", "rules.yaml"];

/// Runs promtool on files of `dashboards/`.
fn promtool_says(what: &[&str], files: &[&str]) -> Result<(), Failed> {
    let output = Command::new("promtool").args(what).args(files).current_dir(dashboards()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(String::from_utf8_lossy(&said).into_owned().into())
}

/// A rule that lost a minute of its patience is found out.
fn a_test_can_fail() -> Result<(), Failed> {
    let copy = tempfile::tempdir()?;
    fs::create_dir(copy.path().join("tests"))?;
    for file in FILES {
        let changed = fs::read_to_string(dashboards().join(file))?.replace("for: 5m", "for: 4m");
        fs::write(copy.path().join(file), changed)?;
    }
    let test = "tests/servers.yaml";
    fs::copy(dashboards().join(test), copy.path().join(test))?;
    let output = Command::new("promtool").args(["test", "rules", test]).current_dir(&copy).output()?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if !output.status.success() && said.contains("FedimeterTargetDown") { Ok(()) } else { Err(said.into()) }
}

fn alerts() -> Vec<Value> {
    rules("alerts.yaml")
}

fn each_alert_says_what_it_has_to() {
    assert!(alerts().len() > 10);
    for alert in alerts() {
        let name = text(&alert, "/alert");
        assert!(name.starts_with("Fedimeter") && name.chars().all(char::is_alphanumeric), "{name}");
        assert!(!text(&alert, "/for").is_empty());
        let labels: Vec<_> = alert["labels"].as_object().unwrap().keys().collect();
        assert_eq!(labels, ["severity"], "{name}");
        assert!(["critical", "warning", "info"].contains(&text(&alert, "/labels/severity")), "{name}");
        let annotations: Vec<_> = alert["annotations"].as_object().unwrap().keys().collect();
        assert_eq!(annotations, ["description", "runbook_url", "summary"], "{name}");
        let entry = format!("{RUNBOOK}#{}", name.to_lowercase());
        assert_eq!(text(&alert, "/annotations/runbook_url"), entry);
        for annotation in ["summary", "description"] {
            let said = text(&alert, &format!("/annotations/{annotation}"));
            let who = said.contains("$labels.server_address") || said.contains("$labels.instance");
            // There is nobody to name.
            assert!(who || name == "FedimeterAbsent", "{name}: {annotation}: {said}");
        }
    }
}

/// Every alert is seen to fire, and not to, at each of its severities.
fn each_alert_is_tested() {
    let mut cases: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for name in names_of("tests", "yaml") {
        let file = read(&format!("tests/{name}"));
        let tests = file["tests"].as_array().unwrap();
        for case in tests.iter().flat_map(|test| test["alert_rule_test"].as_array().unwrap()) {
            cases.entry(text(case, "/alertname").to_owned()).or_default().push(case["exp_alerts"].clone());
        }
    }
    let mut known = BTreeSet::new();
    for alert in alerts() {
        let (name, severity) = (text(&alert, "/alert"), text(&alert, "/labels/severity"));
        known.insert(name.to_owned());
        let fires = |alerts: &Value| {
            alerts.as_array().unwrap().iter().any(|alert| text(alert, "/exp_labels/severity") == severity)
        };
        let cases = cases.get(name).unwrap_or_else(|| panic!("{name} has no test"));
        assert!(cases.iter().any(fires), "{name} ({severity}) is never seen to fire");
        assert!(!cases.iter().all(fires), "{name} ({severity}) is never seen to be silent");
    }
    // Of an alert that there is not promtool says that it does not fire.
    assert_eq!(cases.into_keys().collect::<BTreeSet<_>>(), known);
}

fn each_alert_has_an_entry() {
    let runbook = fs::read_to_string(root().join("docs/runbook.md")).unwrap();
    let entries: Vec<&str> = runbook.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let mut names: Vec<String> = Vec::new();
    for alert in alerts() {
        let name = text(&alert, "/alert");
        if names.last().is_none_or(|last| last != name) {
            names.push(name.to_owned());
        }
    }
    assert_eq!(entries, names, "entries and alerts, in one order");
    // Links within the page; those to files are looked at with all pages.
    for link in runbook.split("](#").skip(1) {
        let entry = link.split(')').next().unwrap();
        assert!(names.iter().any(|name| name.to_lowercase() == entry), "#{entry} leads nowhere");
    }
}

/// The recorded series, with labels as their sources have them.
fn recorded() -> BTreeMap<String, BTreeSet<String>> {
    let labels = &promql::known()["fedimeter_target_up"];
    rules("rules.yaml").iter().map(|rule| (text(rule, "/record").to_owned(), labels.clone())).collect()
}

fn expressions_ask_for_what_there_is() {
    let recorded = recorded();
    for rule in rules("rules.yaml").into_iter().chain(alerts()) {
        let expression = text(&rule, "/expr");
        assert!(!expression.contains('\n'), "not on one line: {expression}");
        assert_eq!(complaints(&rule, &recorded), [""; 0]);
    }
}

/// A line of the runbook's PromQL is an expression.
fn the_runbook_asks_for_what_there_is() {
    let recorded = recorded();
    let runbook = fs::read_to_string(root().join("docs/runbook.md")).unwrap();
    let blocks = runbook.split("```promql\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let expressions: Vec<&str> = blocks.flat_map(str::lines).collect();
    assert!(expressions.len() > 5);
    for expression in expressions {
        assert_eq!(promql::complaints(expression, &recorded), [""; 0]);
    }
}

/// What is wrong with a rule: its expression, the labels that it groups and
/// matches by, and those in its annotations.
fn complaints(rule: &Value, recorded: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let expression = text(rule, "/expr");
    let mut complaints = promql::complaints(expression, recorded);
    if !complaints.is_empty() {
        return complaints;
    }
    let known = promql::known();
    let labels: BTreeSet<&String> = promql::selectors(expression)
        .unwrap()
        .iter()
        .flat_map(|s| known.get(&s.metric).unwrap_or_else(|| &recorded[&s.metric]))
        .collect();
    let mut named = Named(BTreeSet::new());
    walk_expr(&mut named, &parse(expression).unwrap()).unwrap();
    let annotations = rule["annotations"].as_object().into_iter().flatten();
    named.0.extend(annotations.flat_map(|(_, said)| labels_in(said.as_str().unwrap())));
    let unknown = named.0.iter().filter(|label| !labels.contains(label));
    complaints.extend(unknown.map(|label| format!("{expression}: no metric has a label {label}")));
    complaints
}

/// `$labels.NAME` in a template.
fn labels_in(template: &str) -> impl Iterator<Item = String> {
    let after = template.split("$labels.").skip(1);
    after.map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
}

/// Labels that an expression groups or matches by.
struct Named(BTreeSet<String>);

impl ExprVisitor for Named {
    type Error = String;

    fn pre_visit(&mut self, expression: &Expr) -> Result<bool, String> {
        let modifier = match expression {
            Expr::Aggregate(aggregate) => aggregate.modifier.as_ref(),
            Expr::Binary(binary) => binary.modifier.as_ref().and_then(|m| m.matching.as_ref()),
            _ => None,
        };
        if let Some(LabelModifier::Include(labels) | LabelModifier::Exclude(labels)) = modifier {
            self.0.extend(labels.labels.iter().cloned());
        }
        Ok(true)
    }
}

fn recording_rules_are_used() {
    let rules: Vec<Value> = rules("rules.yaml").into_iter().chain(alerts()).collect();
    for name in recorded().into_keys() {
        assert!(matches!(name.split(':').count(), 2 | 3), "{name} is not level:metric:operations");
        let used = rules.iter().any(|rule| {
            let by_itself = rule["record"] == name.as_str();
            !by_itself && promql::selectors(text(rule, "/expr")).unwrap().iter().any(|s| s.metric == name)
        });
        assert!(used, "nothing uses {name}");
    }
}

fn what_there_is_not_is_found_out() {
    let complain = |expression: &str, description: &str| {
        let rule = serde_json::json!({"expr": expression, "annotations": {"description": description}});
        complaints(&rule, &recorded())
    };
    for (expression, description, complaint) in [
        (
            "server:mastodon_instance_users:delta9h > 1",
            "",
            "no metric server:mastodon_instance_users:delta9h",
        ),
        ("fedimeter_target_up == 0 unless on (host) up", "", "has a label host"),
        ("sum without (category) (mastodon_admin_reports_open) > 1", "", "has a label category"),
        ("fedimeter_target_up == 0", "{{ $labels.server }} is down", "has a label server"),
    ] {
        let found = complain(expression, description);
        assert!(found.len() == 1 && found[0].contains(complaint), "{found:?}");
    }
    assert_eq!(complain("count by (job) (up) > 1", "{{ $labels.job }} is up"), [""; 0]);
}

fn jsonnet(expression: &str) -> Result<Value, Failed> {
    let mut command = Command::new("jsonnet");
    let output = command.arg("--jpath").arg(dashboards()).args(["-e", expression]).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Every dashboard of the folder, both rule files, and nothing changed.
fn mixin_is_the_files() -> Result<(), Failed> {
    let mixin = jsonnet(
        "local m = import 'mixin.libsonnet'; \
         { alerts: m.prometheusAlerts, rules: m.prometheusRules, dashboards: std.objectFields(m.grafanaDashboards) }",
    )?;
    assert_eq!(mixin["alerts"], read("alerts.yaml"));
    assert_eq!(mixin["rules"], read("rules.yaml"));
    let files = names_of("", "json");
    assert_eq!(mixin["dashboards"], files.iter().map(|file| format!("fedimeter-{file}")).collect::<Value>());
    for file in files {
        let name = format!("fedimeter-{file}");
        let dashboard = jsonnet(&format!("(import 'mixin.libsonnet').grafanaDashboards['{name}']"))?;
        let text = fs::read_to_string(dashboards().join(&file))?;
        assert!(dashboard == serde_json::from_str::<Value>(&text)?, "{file} is another in the mixin");
    }
    Ok(())
}

fn mixin_can_be_configured() -> Result<(), Failed> {
    let configured = jsonnet(
        "((import 'mixin.libsonnet') + { _config+:: { \
           runbookUrl: 'https://wiki.example/alerts', \
           severities: { FedimeterTargetDown: 'info' }, \
           withoutAlerts: ['FedimeterAbsent'] } }).prometheusAlerts",
    )?;
    let configured = rule_files::rules_of(&configured);
    let left: Vec<Value> = alerts().into_iter().filter(|a| a["alert"] != "FedimeterAbsent").collect();
    assert_eq!(configured.len(), left.len());
    for (mut before, after) in left.into_iter().zip(configured) {
        let entry = format!("https://wiki.example/alerts#{}", text(&before, "/alert").to_lowercase());
        before["annotations"]["runbook_url"] = entry.into();
        if before["alert"] == "FedimeterTargetDown" {
            before["labels"]["severity"] = "info".into();
        }
        assert_eq!(before, after);
    }
    Ok(())
}
