//! The alerts and recording rules in `dashboards/`: they pass Prometheus's unit tests, use
//! existing metrics, and each alert has an entry in the runbook. The files are rendered
//! from the mixin.

mod cases;

use crate::support::{promql, rule_files};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use libtest_mimic::{Failed, Trial};
use promql_parser::parser::{Expr, LabelModifier};
use promql_parser::util::{ExprVisitor, walk_expr};
use serde_json::Value;

use crate::support::dashboard::{self, Dashboard, list};
use crate::support::rule_files::{dashboards, names_of, read, root, rules, text};
use crate::support::trial::{always, program, trial};

const RUNBOOK: &str = "https://docs.rs/fedimeter/latest/fedimeter/runbook/index.html";

pub fn trials() -> Vec<Trial> {
    let promtool = program("promtool");
    let jsonnet = program("jsonnet");
    let mut trials = vec![
        always("each_alert_says_what_it_has_to", each_alert_says_what_it_has_to),
        always("each_alert_is_tested", each_alert_is_tested),
        always("cases_have_the_rules_that_they_need", cases::cases_have_the_rules_that_they_need),
        always("each_alert_has_an_entry", each_alert_has_an_entry),
        always("expressions_ask_for_what_there_is", expressions_ask_for_what_there_is),
        always("recording_rules_are_used", recording_rules_are_used),
        always("the_runbook_asks_for_what_there_is", the_runbook_asks_for_what_there_is),
        always("what_there_is_not_is_found_out", what_there_is_not_is_found_out),
        trial("rules_are_valid", promtool.clone(), |()| promtool_says(&["check", "rules"], &FILES)),
        trial("a_test_can_fail", promtool.clone(), |()| a_test_can_fail()),
        trial("files_are_the_mixin", jsonnet.clone(), |()| files_are_the_mixin()),
        trial("mixin_can_be_configured", jsonnet, |()| mixin_can_be_configured()),
    ];
    // Evaluations of two weeks take seconds, so the files are tested in parallel.
    trials.extend(names_of("tests", "yaml").into_iter().map(|name| {
        let file = format!("tests/{name}");
        let run = move |()| cases::alerts_fire(&file);
        trial(&format!("alerts_fire/{name}"), promtool.clone(), run)
    }));
    trials
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

/// The tests find an alert whose `for` is a minute too short.
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
        assert!(!severities(&alert).is_empty(), "{name}");
        let annotations: Vec<_> = alert["annotations"].as_object().unwrap().keys().collect();
        assert_eq!(annotations, ["dashboard_url", "description", "runbook_url", "summary"], "{name}");
        let of_server = alert["keep_firing_for"].is_string();
        let dashboard = text(&alert, "/annotations/dashboard_url");
        assert_eq!(of_server, dashboard.contains("/d/fedimeter-instance?var-server_address="), "{name}");
        assert_eq!(!of_server, dashboard.contains("/d/fedimeter-bridge"), "{name}");
        let entry = format!("{RUNBOOK}#{}", name.to_lowercase());
        assert_eq!(text(&alert, "/annotations/runbook_url"), entry);
        for annotation in ["summary", "description"] {
            let said = text(&alert, &format!("/annotations/{annotation}"));
            let who = said.contains("$labels.server_address") || said.contains("$labels.instance");
            // This alert has nobody to name.
            assert!(who || name == "FedimeterAbsent", "{name}: {annotation}: {said}");
        }
    }
}

/// The possible severities of an alert: one, or two between which an attribute of the
/// target decides.
fn severities(alert: &Value) -> Vec<&str> {
    let said = text(alert, "/labels/severity");
    ["critical", "warning", "info"].into_iter().filter(|severity| said.contains(severity)).collect()
}

/// Every alert is tested firing and not firing at its first severity: by its texts, or by
/// the series of firing alerts.
fn each_alert_is_tested() {
    let mut cases: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for name in names_of("tests", "yaml") {
        let file = read(&format!("tests/{name}"));
        let tests = file["tests"].as_array().unwrap();
        let cases_of = |key| tests.iter().flat_map(move |test| test[key].as_array().into_iter().flatten());
        for case in cases_of("alert_rule_test") {
            cases.entry(text(case, "/alertname").to_owned()).or_default().push(case["exp_alerts"].clone());
        }
        for sample in
            cases_of("promql_expr_test").flat_map(|case| case["exp_samples"].as_array().into_iter().flatten())
        {
            let name = text(sample, "/labels").split("alertname=\"").nth(1);
            seen.extend(name.and_then(|rest| rest.split('"').next()).map(str::to_owned));
        }
    }
    let mut known = BTreeSet::new();
    for alert in alerts() {
        let (name, severity) = (text(&alert, "/alert"), severities(&alert)[0]);
        known.insert(name.to_owned());
        // Cases that list all firing alerts show that it does not fire in the others.
        if seen.contains(name) {
            continue;
        }
        let fires = |alerts: &Value| {
            alerts.as_array().unwrap().iter().any(|alert| text(alert, "/exp_labels/severity") == severity)
        };
        let cases = cases.get(name).unwrap_or_else(|| panic!("{name} has no test"));
        assert!(cases.iter().any(fires), "{name} ({severity}) is never seen to fire");
        assert!(!cases.iter().all(fires), "{name} ({severity}) is never seen to be silent");
    }
    // promtool accepts unknown alerts as not firing.
    assert!(cases.keys().chain(&seen).all(|name| known.contains(name)), "{cases:?}, {seen:?}");
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
    // Links within the page. Another test checks links to files.
    for link in runbook.split("](#").skip(1) {
        let entry = link.split(')').next().unwrap();
        assert!(names.iter().any(|name| name.to_lowercase() == entry), "#{entry} leads nowhere");
    }
}

fn expressions_ask_for_what_there_is() {
    let recorded = rule_files::recorded();
    for rule in rules("rules.yaml").into_iter().chain(alerts()) {
        assert_eq!(complaints(&rule, &recorded), [""; 0]);
    }
}

/// Each line of PromQL in the runbook is an expression.
fn the_runbook_asks_for_what_there_is() {
    let recorded = rule_files::recorded();
    let runbook = fs::read_to_string(root().join("docs/runbook.md")).unwrap();
    let blocks = runbook.split("```promql\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let expressions: Vec<&str> = blocks.flat_map(str::lines).collect();
    assert!(expressions.len() > 5);
    for expression in expressions {
        assert_eq!(promql::complaints(expression, &recorded), [""; 0]);
    }
}

/// The errors of a rule: in its expression, in labels for grouping and matching, and in its
/// annotations.
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
    walk_expr(&mut named, &promql::parsed(expression).unwrap()).unwrap();
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

/// Labels for grouping and matching in an expression.
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

/// By another rule or a panel, or for daily values in the guide on keeping them.
fn recording_rules_are_used() {
    let rules: Vec<Value> = rules("rules.yaml").into_iter().chain(alerts()).collect();
    let guide = fs::read_to_string(root().join("docs/guides/years.md")).unwrap();
    let all = Dashboard::all();
    let targets = all.iter().flat_map(Dashboard::panels).flat_map(|panel| list(&panel["targets"]));
    let shown: Vec<&str> = targets.map(|target| dashboard::text(&target["expr"])).collect();
    for name in rule_files::recorded().into_keys() {
        assert!(matches!(name.split(':').count(), 2 | 3), "{name} is not level:metric:operations");
        let used = rules.iter().any(|rule| {
            let by_itself = rule["record"] == name.as_str();
            !by_itself && promql::selectors(text(rule, "/expr")).unwrap().iter().any(|s| s.metric == name)
        });
        let daily = name.ends_with(":daily") && guide.contains(&name);
        let used = used || daily || shown.iter().any(|expression| expression.contains(&name));
        assert!(used, "nothing uses {name}");
    }
}

fn what_there_is_not_is_found_out() {
    let complain = |expression: &str, description: &str| {
        let rule = serde_json::json!({"expr": expression, "annotations": {"description": description}});
        complaints(&rule, &rule_files::recorded())
    };
    for (expression, description, complaint) in [
        ("server:users:delta9h > 1", "", "no metric server:users:delta9h"),
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

/// Each rendered file equals the one in the folder.
fn files_are_the_mixin() -> Result<(), Failed> {
    let rendered = jsonnet("import 'mixin/files.jsonnet'")?;
    let rendered = rendered.as_object().unwrap();
    for file in FILES {
        assert!(rendered.contains_key(file), "{file} is not rendered");
    }
    for (file, rendered) in rendered {
        let path = dashboards().join(file);
        let rendered = format!("{}\n", rendered.as_str().unwrap());
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, &rendered)?;
        }
        let update = "UPDATE_GOLDEN=1 cargo test --test peers rules::files_are_the_mixin";
        assert!(rendered == fs::read_to_string(&path)?, "{file} is not what the mixin says: {update}");
    }
    Ok(())
}

/// The rules of the mixin with a configuration.
fn configured(what: &str, configuration: &str) -> Result<Vec<Value>, Failed> {
    let mixin = format!("((import 'mixin.libsonnet') + {{ _config+:: {{ {configuration} }} }}).{what}");
    Ok(rule_files::rules_of(&jsonnet(&mixin)?))
}

fn mixin_can_be_configured() -> Result<(), Failed> {
    let changed = configured(
        "prometheusAlerts",
        "runbookUrl: 'https://wiki.example/alerts', grafanaUrl: 'https://grafana.example', \
         severities: { FedimeterEndpointFailing: 'info' }, withoutAlerts: ['FedimeterAbsent']",
    )?;
    let left: Vec<Value> = alerts().into_iter().filter(|a| a["alert"] != "FedimeterAbsent").collect();
    assert_eq!(changed.len(), left.len());
    for (mut before, after) in left.into_iter().zip(changed) {
        let entry = format!("https://wiki.example/alerts#{}", text(&before, "/alert").to_lowercase());
        let link = text(&before, "/annotations/dashboard_url")
            .replace("http://127.0.0.1:3000", "https://grafana.example");
        before["annotations"]["runbook_url"] = entry.into();
        before["annotations"]["dashboard_url"] = link.into();
        if before["alert"] == "FedimeterEndpointFailing" {
            before["labels"]["severity"] = "info".into();
        }
        assert_eq!(before, after);
    }

    // With this configuration, only marked servers page.
    let fleet = configured("prometheusAlerts", "isFleet: true, pageAttribute: 'importance'")?;
    let down = fleet.iter().find(|alert| alert["alert"] == "FedimeterTargetDown").unwrap();
    let severity = r#"{{ if eq $labels.importance "yes" }}critical{{ else }}warning{{ end }}"#;
    assert_eq!(text(down, "/labels/severity"), severity);
    let bridge = fleet.iter().find(|alert| alert["alert"] == "FedimeterBridgeDown").unwrap();
    assert_eq!(text(bridge, "/labels/severity"), "critical");

    mixin_configures_dashboards()?;

    // The configured selector is in every selector except those of recorded series, and the
    // cluster is in every grouping.
    let with = "selector: 'env=\"prod\"', clusterLabel: 'cluster', attributes: ['tier']";
    for what in ["prometheusAlerts", "prometheusRules"] {
        for rule in configured(what, with)? {
            let expression = text(&rule, "/expr");
            for selector in promql::selectors(expression)? {
                let chosen = selector.labels.contains("env");
                assert_eq!(chosen, !selector.metric.starts_with("server:"), "{expression}");
            }
            for grouping in expression.split(" by (").skip(1) {
                assert!(grouping.starts_with("cluster, "), "{expression}");
            }
        }
    }
    Ok(())
}

/// The dashboards equal those of the mixin with defaults. With a configuration, the
/// selector is in every selector except those of rules and alerts, the cluster is in all,
/// and the attributes are variables of Fleet.
fn mixin_configures_dashboards() -> Result<(), Failed> {
    let render = |configuration: &str| {
        let mixin = "((import 'mixin.libsonnet') + { _config+:: { ";
        jsonnet(&format!("{mixin}{configuration} }} }}).grafanaDashboards"))
    };
    let defaults = render("")?;
    let configured = render(
        "selector: 'env=\"prod\"', clusterLabel: 'cluster', attributes: ['tier'], dashboardUidPrefix: 'x-', \
         certificateWarningDays: 3, rateLimitShare: 0.3",
    )?;
    for (file, changed) in
        [("fleet", ["< 3 * 86400", "< 0.3)"]), ("instance", ["bool 3 * 86400", "bool 0.3,"])]
    {
        let text = configured[format!("fedimeter-{file}.json")].to_string();
        assert!(changed.iter().all(|threshold| text.contains(threshold)), "{file}: {changed:?}");
    }
    for Dashboard { name, json } in Dashboard::all() {
        let file = format!("fedimeter-{name}.json");
        assert!(json == defaults[&file], "{name}");
        let changed = Dashboard { name: name.clone(), json: configured[&file].clone() };
        assert_eq!(changed.json["uid"], format!("x-{name}"));
        assert!(!changed.json["links"].to_string().contains("/d/fedimeter-"), "{name}");
        let mut variables: Vec<&str> = changed.variables().map(|v| dashboard::text(&v["name"])).collect();
        if name == "fleet" {
            let expected = ["cluster", "tier", "fediverse_software_name", "instance", "server_address"];
            assert_eq!(variables, expected);
            let titles: Vec<&str> = changed.panels().map(|panel| dashboard::text(&panel["title"])).collect();
            assert!(titles.contains(&"By tier") && !titles.contains(&"By Region"), "{titles:?}");
        }
        assert_eq!(variables.remove(0), "cluster");
        let targets = changed.panels().flat_map(|panel| list(&panel["targets"]));
        for expression in targets.map(|target| dashboard::text(&target["expr"])) {
            let names = ["__rate_interval", "__range"].map(|name| (name, "5m".to_owned()));
            let others = variables.iter().map(|name| (*name, String::new()));
            let values = names.into_iter().chain(others).chain([("cluster", String::new())]).collect();
            for selector in promql::selectors(&dashboard::filled(expression, &values)?)? {
                let is_recorded =
                    selector.metric.starts_with("server:") || selector.metric.starts_with("ALERTS");
                assert_eq!(selector.labels.contains("env"), !is_recorded, "{expression}");
                assert!(selector.labels.contains("cluster"), "{expression}");
                assert_eq!(selector.labels.contains("tier"), name == "fleet", "{expression}");
            }
        }
    }
    Ok(())
}
