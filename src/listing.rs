//! One collection, printed: as JSON for programs, as a table for people.

use std::borrow::Cow;
use std::fmt::Write;

use serde_json::{Map, Value, json};

use crate::clean::one_line;
use crate::metrics::{Label, Number, rows};
use crate::outcome::Outcome;
use crate::snapshot::{Reading, Slot, View};
use crate::target::AttributeValue;

/// The view as one JSON object. Values are numbers, durations seconds, sizes
/// bytes; `status` and `size` are null where there was no answer.
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

/// The value of an attribute as text.
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
        "outcome": slot.outcome.map(Outcome::name),
        "status": slot.status,
        "duration": slot.outcome.map(|_| slot.duration.as_secs_f64()),
        "size": slot.status.map(|_| slot.size),
        "reason": slot.reason.as_deref(),
    })
}

/// Colours for a terminal, or none.
#[derive(Debug, Clone, Copy)]
pub struct Paint(pub bool);

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// The view for people: each target's metrics, aligned, and under them how
/// each endpoint fared.
#[must_use]
pub fn table(view: &View, paint: Paint) -> String {
    let mut out = String::new();
    for (i, r) in view.readings().enumerate() {
        if i > 0 {
            out.push('\n');
        }
        let state = match r.up() {
            Some(true) => paint.with("32", "up"),
            Some(false) => paint.with("31", "down"),
            None => paint.with("33", "no answer yet"),
        };
        let _ = writeln!(out, "{}  {state}", paint.with("1", &one_line(&r.target.name)));
        metrics_table(&mut out, &r, paint);
        endpoints_table(&mut out, &r, paint);
    }
    out
}

/// Metrics about the asking itself: in the table the endpoints' lines say the same.
pub(crate) fn is_about_asking(name: &str) -> bool {
    name.starts_with("fedimeter.endpoint.") || name == "fedimeter.target.up"
}

fn metrics_table(out: &mut String, r: &Reading<'_>, paint: Paint) {
    let mut lines: Vec<(String, String, &str)> = Vec::new();
    for row in rows().filter(|row| !is_about_asking(row.name)) {
        row.points(r, &mut |value, labels| {
            let labels: Vec<String> =
                labels.iter().map(|(k, v)| format!("{k}={}", one_line(&label(v)))).collect();
            let name = if labels.is_empty() {
                row.name.to_owned()
            } else {
                format!("{}{{{}}}", row.name, labels.join(", "))
            };
            let instant = row.name.ends_with(".timestamp");
            lines.push((name, shown(value, instant), if instant { "" } else { row.unit }));
        });
    }
    // Info rows are long and their value says nothing: they set no width.
    let is_narrow = |line: &&(String, String, &str)| !line.0.contains(".info{");
    let names = lines.iter().filter(is_narrow).map(|(name, ..)| name.chars().count()).max().unwrap_or(0);
    let values = lines.iter().map(|(_, value, _)| value.chars().count()).max().unwrap_or(0);
    for (name, value, unit) in lines {
        let unit = paint.with("2", unit.trim_matches(['{', '}']));
        let line = format!("  {name:<names$}  {}  {unit}", paint.with("36", &format!("{value:>values$}")));
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

fn endpoints_table(out: &mut String, r: &Reading<'_>, paint: Paint) {
    let slots = &r.snapshot.slots;
    let names = slots.iter().map(|s| s.endpoint.name().len()).max().unwrap_or(0);
    for slot in slots {
        let (colour, word) = match slot.outcome {
            Some(Outcome::Ok) => ("32", "ok"),
            Some(Outcome::NotOffered) => ("33", "not_offered"),
            Some(Outcome::Failed(error)) => ("31", error.name()),
            None => ("33", "no answer yet"),
        };
        let mut line =
            format!("  {:<names$}  {}", slot.endpoint.name(), paint.with(colour, &format!("{word:<15}")));
        if slot.outcome.is_some() {
            let _ = write!(line, "  {:>7.0} ms", slot.duration.as_secs_f64() * 1e3);
            if slot.status.is_some() {
                let _ = write!(line, "  {:>8} B", slot.size);
            }
        }
        if let Some(reason) = slot.reason.as_deref().filter(|_| slot.outcome != Some(Outcome::Ok)) {
            let _ = write!(line, "  {reason}");
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

fn shown(value: Number, instant: bool) -> String {
    let at = |seconds: i64| jiff::Timestamp::from_second(seconds).ok().map(|t| t.to_string());
    match value {
        Number::Int(n) => at(n).filter(|_| instant).unwrap_or_else(|| n.to_string()),
        Number::Float(f) => at(f as i64).filter(|_| instant).unwrap_or_else(|| format!("{f:.3}")),
    }
}
