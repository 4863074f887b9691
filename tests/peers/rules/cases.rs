//! Test files whose cases last for days, with only the rules that each case needs.
//!
//! promtool evaluates every rule at every step, and two weeks in steps of five minutes
//! took minutes of CPU time. A rule affects an expectation only through the series that it
//! records or the alert that it raises, so a case needs the rules that its expressions
//! read, and those that these rules read. Of these, it does not need rules that read only
//! series which the case does not have.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::Failed;
use promql_parser::label::MatchOp;
use promql_parser::parser::{Expr, VectorSelector};
use promql_parser::util::{ExprVisitor, walk_expr};
use serde_json::{Value, json};

use crate::support::dashboard::list;
use crate::support::promql;
use crate::support::rule_files::{read, text};

/// A file whose cases are longer than this is divided into its cases. Shorter files are
/// tested with all rules, so that an evaluation that fails is noticed.
const LONG_MINUTES: u64 = 24 * 60;

/// What an expression reads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    /// A series.
    Series(String),
    /// The alert with this name.
    Alert(String),
    /// Any alert.
    AnyAlert,
}

/// Runs a test file: a long one case by case, each with only the rules that it needs.
pub fn alerts_fire(file: &str) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let Some(cases) = divided(file, directory.path()) else {
        return super::promtool_says(&["test", "rules"], &[file]);
    };
    let cases: Vec<&str> = cases.iter().map(|case| case.to_str().unwrap()).collect();
    super::promtool_says(&["test", "rules"], &cases)
}

/// Writes each case of a test file in `dashboards/` into a file of its own, beside the
/// rules that it needs. Returns nothing if the file is short.
fn divided(file: &str, directory: &Path) -> Option<Vec<PathBuf>> {
    let tests = read(file);
    if !list(&tests["tests"]).flat_map(expectations).any(|expected| minutes(expected) > LONG_MINUTES) {
        return None;
    }
    let files = list(&tests["rule_files"]).map(|name| text(name, "").trim_start_matches("../").to_owned());
    let groups: Vec<Value> =
        files.flat_map(|file| list(&read(&file)["groups"]).cloned().collect::<Vec<_>>()).collect();
    let cases = list(&tests["tests"]).enumerate().map(|(i, case)| {
        let rules = format!("rules-{i}.json");
        write(&directory.join(&rules), &json!({ "groups": needed(case, &groups) }));
        let mut alone = tests.clone();
        (alone["rule_files"], alone["tests"]) = (json!([rules]), json!([case]));
        let path = directory.join(format!("case-{i}.json"));
        write(&path, &alone);
        path
    });
    Some(cases.collect())
}

/// JSON is YAML.
fn write(path: &Path, value: &Value) {
    fs::write(path, value.to_string()).unwrap();
}

fn expectations(case: &Value) -> impl Iterator<Item = &Value> {
    list(&case["alert_rule_test"]).chain(list(&case["promql_expr_test"]))
}

/// The minutes until an expectation is checked. Other units are used only for short times.
fn minutes(expected: &Value) -> u64 {
    text(expected, "/eval_time").strip_suffix('m').and_then(|minutes| minutes.parse().ok()).unwrap_or(0)
}

/// The groups with only the rules that a case needs.
fn needed(case: &Value, groups: &[Value]) -> Vec<Value> {
    let rules = || groups.iter().flat_map(|group| list(&group["rules"]));
    let series = list(&case["input_series"]).map(|input| text(input, "/series"));
    let mut present: BTreeSet<Name> =
        series.map(|series| Name::Series(series.split('{').next().unwrap_or_default().to_owned())).collect();
    grow(&mut present, |present| {
        let live = rules().filter(|rule| is_live(rule, present));
        live.flat_map(|rule| [Some(of(rule)), rule["alert"].as_str().map(|_| Name::AnyAlert)])
            .flatten()
            .collect()
    });
    let mut wanted = BTreeSet::new();
    for expected in expectations(case) {
        match expected["alertname"].as_str() {
            Some(alert) => drop(wanted.insert(Name::Alert(alert.to_owned()))),
            None => wanted.extend(Read::by(text(expected, "/expr")).names),
        }
    }
    let is_needed = |rule: &Value, wanted: &BTreeSet<Name>| {
        let any = rule["alert"].is_string() && wanted.contains(&Name::AnyAlert);
        (any || wanted.contains(&of(rule))) && is_live(rule, &present)
    };
    grow(&mut wanted, |wanted| {
        let needed = rules().filter(|rule| is_needed(rule, wanted));
        needed.flat_map(|rule| Read::by(text(rule, "/expr")).names).collect()
    });
    let with_needed = |group: &Value| {
        let mut with = group.clone();
        with["rules"] = list(&group["rules"]).filter(|rule| is_needed(rule, &wanted)).cloned().collect();
        with
    };
    groups.iter().map(with_needed).filter(|group| list(&group["rules"]).next().is_some()).collect()
}

/// Adds `more` names until there are no further ones.
fn grow(names: &mut BTreeSet<Name>, more: impl Fn(&BTreeSet<Name>) -> Vec<Name>) {
    loop {
        let known = names.len();
        let added = more(names);
        names.extend(added);
        if names.len() == known {
            return;
        }
    }
}

/// What a rule records or raises.
fn of(rule: &Value) -> Name {
    match rule["alert"].as_str() {
        Some(alert) => Name::Alert(alert.to_owned()),
        None => Name::Series(text(rule, "/record").to_owned()),
    }
}

/// Whether a rule can have a result where only these series and alerts are present.
fn is_live(rule: &Value, present: &BTreeSet<Name>) -> bool {
    let read = Read::by(text(rule, "/expr"));
    read.makes_series || read.names.iter().any(|name| present.contains(name))
}

/// What an expression reads.
#[derive(Default)]
struct Read {
    names: BTreeSet<Name>,
    /// Whether it has a result without any series.
    makes_series: bool,
}

impl Read {
    fn by(expression: &str) -> Read {
        let mut read = Read::default();
        walk_expr(&mut read, &promql::parsed(expression).unwrap()).unwrap();
        read
    }

    fn add(&mut self, selector: &VectorSelector) {
        let series = selector.name.clone().unwrap_or_default();
        if !series.starts_with("ALERTS") {
            self.names.insert(Name::Series(series));
            return;
        }
        let mut alert = selector.matchers.matchers.iter().filter(|m| m.name == "alertname");
        self.names.insert(match alert.next() {
            Some(matcher) if matcher.op == MatchOp::Equal => Name::Alert(matcher.value.clone()),
            _ => Name::AnyAlert,
        });
    }
}

impl ExprVisitor for Read {
    type Error = String;

    fn pre_visit(&mut self, expression: &Expr) -> Result<bool, String> {
        match expression {
            Expr::VectorSelector(selector) => self.add(selector),
            Expr::MatrixSelector(matrix) => self.add(&matrix.vs),
            Expr::Call(call) => {
                self.makes_series |= ["absent", "absent_over_time", "vector"].contains(&call.func.name);
            }
            _ => {}
        }
        Ok(true)
    }
}

/// A case that reads one series gets the rule that records it, and what this rule reads.
pub fn cases_have_the_rules_that_they_need() {
    let rule = |key: &str, name: &str, expr: &str| json!({ key: name, "expr": expr });
    let groups = [
        json!({"name": "a", "rules": [rule("record", "x:y", "rate(z[5m])"), rule("record", "other", "z")]}),
        json!({"name": "b", "rules": [rule("alert", "Fires", "x:y > 1"), rule("alert", "After", "ALERTS{alertname=\"Fires\"}")]}),
        json!({"name": "c", "rules": [rule("alert", "Alone", "z > 1"), rule("alert", "Gone", "absent(z)")]}),
    ];
    let of = |case: Value| -> Vec<String> {
        let groups = needed(&case, &groups);
        let rules = groups.iter().flat_map(|group| list(&group["rules"]));
        rules.map(|rule| rule["alert"].as_str().unwrap_or_else(|| text(rule, "/record")).to_owned()).collect()
    };
    let z = json!([{"series": "z{a=\"b\"}"}]);
    let series = |expr: &str| json!({"input_series": z, "promql_expr_test": [{"expr": expr}]});
    assert_eq!(of(series("z")), [""; 0]);
    assert_eq!(of(series("sum(x:y)")), ["x:y"]);
    assert_eq!(of(series("count(ALERTS{alertname=\"After\"})")), ["x:y", "Fires", "After"]);
    let alert = |name: &str| json!({"input_series": z, "alert_rule_test": [{"alertname": name}]});
    assert_eq!(of(alert("Fires")), ["x:y", "Fires"]);
    let all = series("ALERTS{alertname!=\"Fires\"}");
    assert_eq!(of(all.clone()), ["x:y", "Fires", "After", "Alone", "Gone"]);
    // Without the series, only the rule that notices its absence has a result.
    let mut without = all;
    without["input_series"] = json!([]);
    assert_eq!(of(without), ["Gone"]);
}
