//! The catalogue of metrics, from the table: for `fedimeter metrics` and
//! docs/metrics.md, and as a registry.

pub mod registry;

use std::fmt::Write;

use serde_json::{Value, json};

use crate::export::prometheus::family_name;
use crate::metrics::{FAMILIES, Row, rows};
use crate::outcome::ErrorType;

fn number(row: &Row) -> &'static str {
    if row.is_integer() { "int" } else { "double" }
}

/// The catalogue as docs/metrics.md.
#[must_use]
pub fn markdown() -> String {
    let mut out = String::from(
        "# Metrics\n\n\
         Every metric that fedimeter reports. This page is generated from the table in \
         `src/metrics/`; `UPDATE_GOLDEN=1 cargo test --test docs` writes it anew.\n\n\
         A number that a server did not give, or that is older than its lifetime, is absent: never zero, never \
         stale. Every point about a target carries `server.address`, `server.port` unless the target is https on \
         443, and the attributes that its target has in the configuration; the last family is about no target. \
         In Prometheus dots become underscores. The same as a registry of semantic conventions is in `semconv/`.\n",
    );
    for (title, family) in FAMILIES {
        let _ = write!(out, "\n## {title}\n");
        for row in *family {
            let unit = if row.unit.is_empty() { "none".to_owned() } else { format!("`{}`", row.unit) };
            let _ = write!(
                out,
                "\n### `{}`\n\n{}\n\n- Prometheus: `{}`\n- Kind: {} of {}, unit: {unit}\n- Source: {}\n- Collected: {}\n",
                row.name,
                row.description,
                family_name(row),
                row.kind.name(),
                number(row),
                row.source,
                row.on,
            );
            if !row.attributes.is_empty() {
                let names: Vec<String> = row.attributes.iter().map(|a| format!("`{a}`")).collect();
                let _ = writeln!(out, "- Attributes: {}", names.join(", "));
            }
        }
    }
    out.push_str("\n## Values of `error.type`\n\n");
    for error in ErrorType::ALL {
        let _ = writeln!(out, "- `{}`", error.name());
    }
    out
}

/// The catalogue as JSON.
#[must_use]
pub fn json() -> Value {
    let row = |row: &Row| {
        json!({
            "name": row.name,
            "prometheus": family_name(row),
            "kind": row.kind.name(),
            "type": number(row),
            "unit": row.unit,
            "description": row.description,
            "stability": row.stability.name(),
            "attributes": row.attributes,
            "source": row.source,
            "collected": row.on,
        })
    };
    json!({ "metrics": rows().map(row).collect::<Vec<_>>() })
}

/// The catalogue for people: name, unit, description.
#[must_use]
pub fn table() -> String {
    let names = rows().map(|row| row.name.len()).max().unwrap_or(0);
    let units = rows().map(|row| row.unit.len()).max().unwrap_or(0);
    let mut out = String::new();
    for row in rows() {
        let unit = row.unit.trim_matches(['{', '}']);
        let _ = writeln!(out, "{:<names$}  {unit:<units$}  {}", row.name, row.description);
    }
    out
}
