//! The catalogue of metrics, written from the table: for `fedimeter metrics`, for
//! docs/metrics.md, and as a registry.

pub mod registry;

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::{Value, json};

use crate::export::otlp::ERROR_TYPES;
use crate::export::prometheus::family_name;
use crate::metrics::attributes::{ATTRIBUTES, Values};
use crate::metrics::{FAMILIES, Row, rows};
use crate::outcome::ErrorType;

const ERROR_TYPE: &str = "error.type";

fn number(row: &Row) -> &'static str {
    if row.is_integer() { "int" } else { "double" }
}

/// Returns the catalogue as docs/metrics.md.
#[must_use]
pub fn markdown(left: &[&Row]) -> String {
    let mut out = String::from(
        "# Metrics\n\n\
         This page lists every metric that fedimeter reports. It is generated from the table in \
         `src/metrics/` by `UPDATE_GOLDEN=1 cargo test --test it docs`.\n\n\
         If a server does not report a number, or the last value is too old, the metric is absent: it is \
         never zero or outdated instead. Every point about a target carries `server.address`, \
         `server.port` unless the target is https on 443, and the attributes of the target in the \
         configuration. Points about the bridge have none of these. In Prometheus, dots become \
         underscores. `semconv/` contains the same metrics as a registry of semantic conventions.\n",
    );
    for (title, family) in FAMILIES {
        let mut shown = family.iter().filter(|row| left.iter().any(|left| left.name == row.name)).peekable();
        if shown.peek().is_some() {
            let _ = write!(out, "\n## {title}\n");
        }
        for row in shown {
            let unit = if row.unit.is_empty() { "none".to_owned() } else { format!("`{}`", row.unit) };
            let _ = write!(
                out,
                "\n### `{}`\n\n{}\n\n- Prometheus: `{}`\n- Kind: {} of {}, unit: {unit}\n- Source: {}\n\
                 - Collected: {}\n",
                row.name,
                row.description,
                family_name(row),
                row.kind().name(),
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
    attributes(&mut out);
    error_types(&mut out);
    out
}

/// Writes the meaning of each attribute, and when a point has it.
fn attributes(out: &mut String) {
    out.push_str("\n## Attributes\n\n| Attribute | Meaning | Values | Present |\n|---|---|---|---|\n");
    let list = |values: &[&str]| values.iter().map(|v| format!("`{v}`")).collect::<Vec<_>>().join(", ");
    for attribute in ATTRIBUTES {
        let values = match attribute.values {
            _ if attribute.name == ERROR_TYPE => "[below](#values-of-errortype)".to_owned(),
            Values::Text(examples) => format!("such as {}", list(examples)),
            Values::Int(examples) => {
                let examples: Vec<String> = examples.iter().map(ToString::to_string).collect();
                format!("such as {}", list(&examples.iter().map(String::as_str).collect::<Vec<_>>()))
            }
            Values::Members(members) => list(&members()),
        };
        let when = if attribute.when.is_empty() { "always" } else { attribute.when };
        let _ = writeln!(out, "| `{}` | {} | {values} | {when} |", attribute.name, attribute.brief);
    }
}

/// Writes the meaning of each value of `error.type`, by subject.
fn error_types(out: &mut String) {
    out.push_str(
        "\n## Values of `error.type`\n\n\
         A point has no `error.type` where nothing failed.\n\n\
         In `fedimeter.*`, about a request to a server:\n\n| Value | What happened |\n|---|---|\n",
    );
    for error in ErrorType::ALL {
        let _ = writeln!(out, "| `{}` | {} |", error.name(), error.words());
    }
    out.push_str(
        "\nIn `otel.sdk.exporter.*`, about an OTLP request. The response's own status is in \
         `http.response.status_code` or `rpc.status_code`.\n\n| Value | What happened |\n|---|---|\n\
         | name of a gRPC code, such as `UNAVAILABLE` | the receiver answered with that code |\n\
         | HTTP status, such as `503` | the receiver answered with that status |\n",
    );
    for (value, says) in ERROR_TYPES {
        let _ = writeln!(out, "| `{value}` | {says} |");
    }
    out.push_str(
        "\nIn `otel.sdk.metric_reader.*`: `panic`, or `_OTHER` where the SDK gave nothing; both are faults \
         of the bridge, and its log says more.\n",
    );
}

/// Returns the catalogue as JSON.
#[must_use]
pub fn json(left: &[&Row]) -> Value {
    let row = |row: &Row| {
        json!({
            "name": row.name,
            "prometheus": family_name(row),
            "kind": row.kind().name(),
            "type": number(row),
            "unit": row.unit,
            "description": row.description,
            "stability": row.stability.name(),
            "attributes": row.attributes,
            "source": row.source,
            "collected": row.on,
        })
    };
    json!({ "metrics": left.iter().copied().map(row).collect::<Vec<_>>() })
}

/// Returns the rows whose names are not among these.
#[must_use]
pub fn without(left_out: &BTreeSet<&'static str>) -> Vec<&'static Row> {
    rows().filter(|row| !left_out.contains(row.name)).collect()
}

/// Returns the rows for people: name, unit, description.
#[must_use]
pub fn table(left: &[&Row]) -> String {
    let names = left.iter().map(|row| row.name.len()).max().unwrap_or(0);
    let units = left.iter().map(|row| row.unit.len()).max().unwrap_or(0);
    let mut out = String::new();
    for row in left {
        let unit = row.unit.trim_matches(['{', '}']);
        let _ = writeln!(out, "{:<names$}  {unit:<units$}  {}", row.name, row.description);
    }
    out
}
