//! The table as a registry of OpenTelemetry semantic conventions (`semconv/`), for
//! `weaver` and other readers of this YAML.

use std::fmt::Write;

use crate::metrics::attributes::{ATTRIBUTES, Attribute, IDENTITY, Origin, Values, find};
use crate::metrics::{Row, SCHEMA_URL, rows};

/// The group of attributes that every point about a target has.
const TARGET_GROUP: &str = "attributes.fedimeter.target";

const HEAD: &str =
    "# Generated from the table in src/metrics/: UPDATE_GOLDEN=1 cargo test --test it registry\n";

/// Returns the files of the registry: their names below `semconv/`, and their contents.
#[must_use]
pub fn files() -> [(&'static str, String); 3] {
    [("manifest.yaml", manifest()), ("attributes.yaml", attributes()), ("metrics.yaml", metrics())]
}

fn manifest() -> String {
    let release = SCHEMA_URL.rsplit('/').next().unwrap_or_default();
    format!(
        "{HEAD}name: fedimeter\n\
         description: What fedimeter reports about Mastodon servers, their kin, and itself.\n\
         schema_url: https://docs.rs/fedimeter/schemas/{}\n\
         dependencies:\n  \
         - schema_url: {SCHEMA_URL}\n    \
         registry_path: https://github.com/open-telemetry/semantic-conventions@v{release}[model]\n",
        env!("CARGO_PKG_VERSION"),
    )
}

fn attributes() -> String {
    let mut out = format!("{HEAD}groups:\n");
    let mut space = "";
    for attribute in ATTRIBUTES {
        let Origin::Ours(stability) = attribute.origin else { continue };
        let own_space = attribute.name.split_once('.').map_or("build", |(space, _)| space);
        if own_space != space {
            space = own_space;
            let _ = write!(
                out,
                "  - id: registry.{space}\n    type: attribute_group\n    stability: {}\n    \
                 display_name: {}\n    brief: {}\n    attributes:\n",
                stability.name(),
                quote(&format!("{space} attributes")),
                quote(&format!("What points are told apart by: {space}.")),
            );
        }
        let _ = writeln!(out, "      - id: {}", attribute.name);
        match attribute.values {
            Values::Text(examples) => {
                let examples: Vec<String> = examples.iter().map(|e| quote(e)).collect();
                let _ = writeln!(out, "        type: string\n        examples: [{}]", examples.join(", "));
            }
            Values::Int(examples) => {
                let _ = writeln!(out, "        type: int\n        examples: {examples:?}");
            }
            Values::Members(members) => {
                out.push_str("        type:\n          members:\n");
                for member in members() {
                    let _ = writeln!(
                        out,
                        "            - id: {}\n              value: {}\n              stability: {}",
                        member.trim_start_matches('_').to_ascii_lowercase(),
                        quote(member),
                        stability.name(),
                    );
                }
            }
        }
        let _ = writeln!(
            out,
            "        brief: {}\n        stability: {}",
            quote(attribute.brief),
            stability.name()
        );
    }
    let _ = write!(
        out,
        "  - id: {TARGET_GROUP}\n    type: attribute_group\n    brief: {}\n    attributes:\n",
        quote(
            "Which server a point is about. The attributes that the user gives a target in the configuration \
             stand beside these."
        ),
    );
    for (name, always) in IDENTITY {
        reference(&mut out, find(name), *always);
    }
    out
}

/// Explains why counts of a server are gauges.
const GAUGES: &str = "\
# Counts that a server reports (users, posts, peers) are gauges, not up-down counters. The
# server adds them up, and fedimeter reads the total: the total can be wrong, corrected, or
# withheld, and then it has no point. An up-down counter says that its points are sums of
# increments since a start time, and that they can be added up over attributes, which is
# wrong for peers of two servers. Prometheus stores both as gauges.
";

fn metrics() -> String {
    let mut out = format!("{HEAD}{GAUGES}groups:\n");
    for row in rows().filter(|row| !is_imported(row)) {
        let _ = write!(
            out,
            "  - id: metric.{name}\n    type: metric\n    metric_name: {name}\n    annotations:\n      \
             code_generation:\n        metric_value_type: {number}\n    stability: {stability}\n    \
             brief: {brief}\n    note: {note}\n    instrument: {instrument}\n    unit: {unit}\n",
            name = row.name,
            number = super::number(row),
            stability = row.stability.name(),
            brief = quote(row.description),
            note = quote(&format!("Source: {}. Collected: {}.", row.source, row.on)),
            instrument = row.kind().name(),
            unit = quote(row.unit),
        );
        if !row.is_own() {
            let _ = writeln!(out, "    extends: {TARGET_GROUP}");
        }
        if !row.attributes.is_empty() {
            out.push_str("    attributes:\n");
        }
        for name in row.attributes {
            reference(&mut out, find(name), !row.optional.contains(name));
        }
    }
    out.push_str("imports:\n  metrics:\n");
    for row in rows().filter(|row| is_imported(row)) {
        let _ = writeln!(out, "    - {}", row.name);
    }
    out.push_str("  entities:\n");
    for entity in ENTITIES {
        let _ = writeln!(out, "    - {entity}");
    }
    out
}

/// The entities of the bridge's resource, in OpenTelemetry's words.
const ENTITIES: [&str; 3] = ["service", "service.instance", "telemetry.sdk"];

/// Whether a metric is defined by OpenTelemetry.
#[must_use]
pub fn is_imported(row: &Row) -> bool {
    ["otel.", "process."].iter().any(|space| row.name.starts_with(space))
}

fn reference(out: &mut String, attribute: Option<&Attribute>, always: bool) {
    // A test of the table ensures that the attribute exists.
    let Some(attribute) = attribute else { return };
    let _ = writeln!(out, "      - ref: {}", attribute.name);
    if always {
        out.push_str("        requirement_level: required\n");
    } else {
        let when = quote(attribute.when);
        let _ = writeln!(out, "        requirement_level:\n          conditionally_required: {when}");
    }
}

/// Quotes text. JSON strings are valid YAML.
fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
