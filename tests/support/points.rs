//! The points of a target as text.

use std::collections::BTreeMap;
use std::fmt::Write;

use fedimeter::metrics::{Label, Number, rows};
use fedimeter::snapshot::Reading;

/// Every point of the table about a target: `metric{label="text"}` and the value.
pub fn points(reading: &Reading<'_>) -> BTreeMap<String, Number> {
    let mut all = BTreeMap::new();
    for row in rows() {
        row.points(reading, &mut |value, labels| {
            let twice = all.insert(name(row.name, labels), value);
            assert_eq!(twice, None, "{} gives one point twice", row.name);
        });
    }
    all
}

/// The points with values of the server, without those about requests.
pub fn said(reading: &Reading<'_>) -> BTreeMap<String, Number> {
    let mut points = points(reading);
    points.retain(|name, _| is_said(name));
    points
}

/// Whether a metric reports a value of the server.
pub fn is_said(name: &str) -> bool {
    (name.starts_with("mastodon.") || name.starts_with("nodeinfo."))
        && !name.starts_with("mastodon.rate_limit.")
}

/// A value as golden files write it.
pub fn spelt(value: Number) -> String {
    match value {
        Number::Int(n) => n.to_string(),
        Number::Float(f) => f.to_string(),
    }
}

fn name(metric: &str, labels: &[(&'static str, Label)]) -> String {
    let mut name = metric.to_owned();
    for (i, (key, label)) in labels.iter().enumerate() {
        let text = match label {
            Label::Static(text) => (*text).to_owned(),
            Label::Text(text) => text.to_string(),
            Label::Int(number) => number.to_string(),
        };
        let _ = write!(name, "{}{key}={text:?}", if i == 0 { '{' } else { ',' });
    }
    if !labels.is_empty() {
        name.push('}');
    }
    name
}
