//! Prints one collection: as JSON for programs, as a table for people.

mod headline;
mod table;

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use crate::metrics::{Label, Number, rows};
use crate::outcome::Outcome;
use crate::snapshot::{Reading, Slot, View};
use crate::target::AttributeValue;

pub(crate) use headline::Headline;
pub use table::{Layout, table};

/// Returns the view as one JSON object. Values are numbers, durations are in seconds
/// and sizes in bytes. `status` and `size` are null without an answer.
#[must_use]
pub fn json(view: &View) -> Value {
    json!({ "targets": view.readings().map(|r| target(&r)).collect::<Vec<_>>() })
}

fn target(r: &Reading<'_>) -> Value {
    let mut metrics = Vec::new();
    for row in rows() {
        row.points(r, &mut |value, labels| {
            metrics.push(json!({
                "name": row.name,
                "unit": row.unit,
                "kind": row.kind().name(),
                "value": match value { Number::Int(n) => json!(n), Number::Float(f) => json!(f) },
                "attributes": attributes(r, labels),
            }));
        });
    }
    let endpoints: Vec<Value> = r.snapshot.slots.iter().map(endpoint).collect();
    json!({
        "target": *r.target.name,
        "server.address": r.target.address(),
        "up": r.up(),
        "metrics": metrics,
        "endpoints": endpoints,
    })
}

fn attributes(r: &Reading<'_>, labels: &[(&'static str, Label)]) -> Map<String, Value> {
    let identity = r.target.identity.iter().map(|(key, value)| {
        let value = match value {
            AttributeValue::Text(text) => json!(**text),
            AttributeValue::Int(n) => json!(n),
        };
        (key.to_string(), value)
    });
    identity.chain(labels.iter().map(|(key, value)| ((*key).to_owned(), json!(label(value))))).collect()
}

/// Formats the value of an attribute.
pub(crate) fn label(label: &Label) -> Cow<'_, str> {
    match label {
        Label::Static(text) => Cow::Borrowed(text),
        Label::Text(text) => Cow::Borrowed(text),
        Label::Int(n) => Cow::Owned(n.to_string()),
    }
}

fn endpoint(slot: &Slot) -> Value {
    json!({
        "endpoint": slot.endpoint.name(),
        "outcome": slot.outcome().map(Outcome::name),
        "status": slot.response().map(|response| response.status),
        "duration": slot.took().map(|took| took.as_secs_f64()),
        "size": slot.response().map(|response| response.size),
        "reason": slot.reason().or(slot.remark()),
    })
}
