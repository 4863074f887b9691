//! The parts of an expression of a dashboard, from an independent parser.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use promql_parser::label::Labels;
use promql_parser::parser::{
    AggregateExpr, BinaryExpr, Call, Expr, LabelModifier, VectorMatchCardinality, VectorSelector,
};
use promql_parser::util::{ExprVisitor, walk_expr};

use crate::support::dashboard::filled;
use crate::support::promql::parsed;

/// The value that replaces Grafana's rate interval. Nobody writes this duration by hand, so
/// it can be recognised.
pub const RATE_INTERVAL: Duration = Duration::from_secs(241);

/// The parts of an expression that rules check.
#[derive(Debug, Default)]
pub struct Parts {
    /// The matchers of each selector, with the metric's name under `__name__`.
    pub selectors: Vec<BTreeMap<String, String>>,
    /// The ranges of rates.
    pub rates: Vec<Duration>,
    /// Labels for grouping and matching.
    pub labels: BTreeSet<String>,
    /// Labels that the expression creates.
    pub made: BTreeSet<String>,
}

/// Parses an expression. Variables of the dashboard stay unchanged.
///
/// # Errors
///
/// If the text is not an expression.
pub fn parts(expression: &str) -> Result<Parts, String> {
    let mut parts = Parts::default();
    let parsed = parsed(&with_lengths(expression)?)?;
    walk_expr(&mut parts, &parsed)?;
    Ok(parts)
}

/// Replaces Grafana's own variables with durations.
///
/// # Errors
///
/// If the expression uses an unknown variable.
pub fn with_lengths(expression: &str) -> Result<String, String> {
    let same = [
        "server_address",
        "server_port",
        "job",
        "instance",
        "customer",
        "region",
        "team",
        "fediverse_software_name",
    ]
    .map(|name| (name, format!("${name}")));
    let lengths =
        [("__rate_interval", "4m1s"), ("__range", "24h1s")].map(|(name, long)| (name, long.to_owned()));
    filled(expression, &same.into_iter().chain(lengths).collect())
}

impl ExprVisitor for Parts {
    type Error = String;

    fn pre_visit(&mut self, expression: &Expr) -> Result<bool, String> {
        match expression {
            Expr::VectorSelector(selector) => self.selector(selector),
            Expr::MatrixSelector(matrix) => self.selector(&matrix.vs),
            Expr::Aggregate(AggregateExpr { modifier: Some(modifier), .. }) => self.modifier(modifier),
            Expr::Binary(BinaryExpr { modifier: Some(modifier), .. }) => {
                if let Some(matching) = &modifier.matching {
                    self.modifier(matching);
                }
                match &modifier.card {
                    VectorMatchCardinality::ManyToOne(labels) | VectorMatchCardinality::OneToMany(labels) => {
                        self.labels(labels);
                    }
                    _ => {}
                }
            }
            Expr::Call(call) => self.call(call),
            _ => {}
        }
        Ok(true)
    }
}

impl Parts {
    fn selector(&mut self, selector: &VectorSelector) {
        let matchers = selector.matchers.matchers.iter();
        let mut found: BTreeMap<String, String> =
            matchers.map(|m| (m.name.clone(), format!("{}{}", m.op, m.value))).collect();
        found.insert("__name__".to_owned(), selector.name.clone().unwrap_or_default());
        self.selectors.push(found);
    }

    fn modifier(&mut self, modifier: &LabelModifier) {
        match modifier {
            LabelModifier::Include(labels) | LabelModifier::Exclude(labels) => self.labels(labels),
        }
    }

    fn labels(&mut self, labels: &Labels) {
        self.labels.extend(labels.labels.iter().cloned());
    }

    fn call(&mut self, call: &Call) {
        let argument = |n: usize| call.args.args.get(n).map(|argument| &**argument);
        match call.func.name {
            "rate" | "irate" | "increase" => {
                if let Some(Expr::MatrixSelector(matrix)) = argument(0) {
                    self.rates.push(matrix.range);
                }
            }
            "label_replace" | "label_join" => {
                if let Some(Expr::StringLiteral(label)) = argument(1) {
                    self.made.insert(label.val.clone());
                }
            }
            _ => {}
        }
    }
}
