//! The expressions of dashboards and rules, read by a parser that we did not
//! write, and the names that they may use.

use std::collections::{BTreeMap, BTreeSet};

use promql_parser::parser::{Expr, VectorSelector, parse};
use promql_parser::util::{ExprVisitor, walk_expr};

/// Labels of every series: Prometheus's own, the target's, where a point came
/// from, and the attributes of targets that the rules keep.
const EVERYWHERE: &[&str] =
    &["instance", "job", "server_address", "server_port", "customer", "region", "team", "page"];

/// Metrics that Prometheus makes of each scrape.
const OF_A_SCRAPE: &[&str] = &["up", "scrape_duration_seconds", "scrape_samples_scraped"];

/// What of one metric an expression reads.
#[derive(Debug, PartialEq, Eq)]
pub struct Selector {
    pub metric: String,
    pub labels: BTreeSet<String>,
}

/// Every selector of an expression.
///
/// # Errors
///
/// If it is no expression, or a selector names no metric.
pub fn selectors(expression: &str) -> Result<Vec<Selector>, String> {
    let parsed = parse(expression).map_err(|e| format!("{expression}: {e}"))?;
    let mut found = Found(Vec::new());
    walk_expr(&mut found, &parsed)?;
    Ok(found.0)
}

struct Found(Vec<Selector>);

impl ExprVisitor for Found {
    type Error = String;

    fn pre_visit(&mut self, expression: &Expr) -> Result<bool, String> {
        match expression {
            Expr::VectorSelector(selector) => self.add(selector)?,
            Expr::MatrixSelector(matrix) => self.add(&matrix.vs)?,
            _ => {}
        }
        Ok(true)
    }
}

impl Found {
    fn add(&mut self, selector: &VectorSelector) -> Result<(), String> {
        let metric = selector.name.clone().ok_or_else(|| format!("{selector} names no metric"))?;
        let either = selector.matchers.or_matchers.iter().flatten();
        let labels = selector.matchers.matchers.iter().chain(either).map(|m| m.name.clone()).collect();
        self.0.push(Selector { metric, labels });
        Ok(())
    }
}

/// The labels of each series that the metric table can lead to, by its name in
/// Prometheus.
pub fn known() -> BTreeMap<String, BTreeSet<String>> {
    let mut known = BTreeMap::new();
    let everywhere = || EVERYWHERE.iter().map(|label| (*label).to_owned());
    for name in OF_A_SCRAPE {
        known.insert((*name).to_owned(), everywhere().collect());
    }
    // What Prometheus makes of each alert.
    for name in ["ALERTS", "ALERTS_FOR_STATE"] {
        let own = ["alertname", "alertstate", "severity"].into_iter().map(str::to_owned);
        known.insert(name.to_owned(), own.chain(everywhere()).collect());
    }
    // What Prometheus makes of the attributes of an OTLP resource.
    known.insert(
        "target_info".to_owned(),
        ["host_name"].into_iter().map(str::to_owned).chain(everywhere()).collect(),
    );
    let catalogue = fedimeter::catalogue::json(&fedimeter::metrics::rows().collect::<Vec<_>>());
    for metric in catalogue["metrics"].as_array().unwrap() {
        let name = metric["prometheus"].as_str().unwrap();
        let own = metric["attributes"].as_array().unwrap();
        let own = own.iter().map(|attribute| attribute.as_str().unwrap().replace('.', "_"));
        let labels: BTreeSet<String> = everywhere().chain(own).collect();
        if metric["kind"] == "histogram" {
            for series in ["bucket", "count", "sum"] {
                known.insert(format!("{name}_{series}"), labels.clone());
            }
            known.get_mut(&format!("{name}_bucket")).unwrap().insert("le".to_owned());
        } else {
            known.insert(name.to_owned(), labels);
        }
    }
    known
}

/// What is wrong with an expression: it does not parse, or reads a metric or a
/// label that there is not. `more` are names beside the table's, of recording
/// rules.
pub fn complaints(expression: &str, more: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let known = known();
    let selectors = match selectors(expression) {
        Ok(selectors) if selectors.is_empty() => return vec![format!("{expression} reads no metric")],
        Ok(selectors) => selectors,
        Err(e) => return vec![e],
    };
    let mut complaints = Vec::new();
    for Selector { metric, labels } in selectors {
        let Some(there) = known.get(&metric).or_else(|| more.get(&metric)) else {
            complaints.push(format!("{expression}: there is no metric {metric}"));
            continue;
        };
        for label in labels.difference(there) {
            complaints.push(format!("{expression}: {metric} has no label {label}"));
        }
    }
    complaints
}
