//! The expressions of dashboards and rules, read by an independent parser, and the names
//! that they may use.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, Mutex};

use promql_parser::parser::{Expr, VectorSelector, parse};
use promql_parser::util::{ExprVisitor, walk_expr};

/// Labels of every series: those of Prometheus and of the target, and the attributes of
/// targets that the rules keep.
const EVERYWHERE: &[&str] =
    &["instance", "job", "server_address", "server_port", "customer", "region", "team", "page"];

/// Metrics that Prometheus creates for each scrape.
const OF_A_SCRAPE: &[&str] = &["up", "scrape_duration_seconds", "scrape_samples_scraped"];

/// A metric that an expression reads, and its labels in matchers.
#[derive(Debug, PartialEq, Eq)]
pub struct Selector {
    pub metric: String,
    pub labels: BTreeSet<String>,
}

/// Parses an expression. Each is parsed once in a test run, because the parser builds its
/// tables anew for each call.
///
/// # Errors
///
/// If the text is not an expression.
pub fn parsed(expression: &str) -> Result<Arc<Expr>, String> {
    static PARSED: Mutex<BTreeMap<String, Result<Arc<Expr>, String>>> = Mutex::new(BTreeMap::new());
    let known = PARSED.lock().unwrap().get(expression).cloned();
    known.unwrap_or_else(|| {
        let parsed = parse(expression).map(Arc::new).map_err(|e| format!("{expression}: {e}"));
        PARSED.lock().unwrap().insert(expression.to_owned(), parsed.clone());
        parsed
    })
}

/// Every selector of an expression.
///
/// # Errors
///
/// If the text is not an expression, or a selector names no metric.
pub fn selectors(expression: &str) -> Result<Vec<Selector>, String> {
    let mut found = Found(Vec::new());
    let parsed = parsed(expression)?;
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

/// The labels of each series of the metric table, by its Prometheus name.
pub fn known() -> &'static BTreeMap<String, BTreeSet<String>> {
    static KNOWN: LazyLock<BTreeMap<String, BTreeSet<String>>> = LazyLock::new(of_the_table);
    &KNOWN
}

fn of_the_table() -> BTreeMap<String, BTreeSet<String>> {
    let mut known = BTreeMap::new();
    let everywhere = || EVERYWHERE.iter().map(|label| (*label).to_owned());
    for name in OF_A_SCRAPE {
        known.insert((*name).to_owned(), everywhere().collect());
    }
    // The series that Prometheus creates for alerts.
    for name in ["ALERTS", "ALERTS_FOR_STATE"] {
        let own = ["alertname", "alertstate", "severity"].into_iter().map(str::to_owned);
        known.insert(name.to_owned(), own.chain(everywhere()).collect());
    }
    // The series that Prometheus creates for the attributes of an OTLP resource.
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

/// The errors of an expression: it does not parse, or a metric or label does not exist.
/// `more` contains the names of recording rules.
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
