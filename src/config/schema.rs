//! A JSON Schema of the configuration file, from the rows of settings. Editors use it
//! to complete keys and to mark errors. It detects errors within a single value.

use serde_json::{Map, Value, json};

use super::setting::Description;
use super::syntax::Shape;
use super::{bridge_settings, module_settings, probe_settings, target_settings};
use crate::endpoint::{Endpoint, On};

/// Draft 7 is what the YAML language server understands.
const DIALECT: &str = "http://json-schema.org/draft-07/schema#";
const DURATION: &str = r"^\s*([0-9]+(ms|s|m|h|d))+\s*$";
const SIZE: &str = r"^\s*[0-9]+\s*(B|KiB|MiB|GiB)?\s*$";
/// Without user, path or query.
const SERVER: &str = r"^\s*([Hh][Tt][Tt][Pp][Ss]?://)?[^/@?#\s]+/?\s*$";
const ADDRESS: &str = r"^\s*(none|localhost(:[0-9]+)?|:[0-9]+|[0-9]+(\.[0-9]+){3}(:[0-9]+)?|\[[0-9a-fA-F:.]+\](:[0-9]+)?|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)\s*$";
const ATTRIBUTE: &str = r"^[a-z][a-z0-9]*(_[a-z0-9]+)*(\.[a-z][a-z0-9]*(_[a-z0-9]+)*)*$";
const NUMBER: &str = r"^\s*[0-9]+\s*$";

/// Returns the schema.
#[must_use]
pub fn schema() -> Value {
    let of_target = target_settings();
    let of_all: Vec<Description> =
        of_target.iter().filter(|setting| setting.key.of_one_server.is_none()).cloned().collect();
    let mut settings = properties(&bridge_settings());
    extend(
        &mut settings,
        "targets",
        json!({ "type": "array", "items": { "anyOf": [
            { "type": "string", "pattern": SERVER, "description": "A host or a URL." },
            { "$ref": "#/definitions/target" },
        ] } }),
    );
    extend(&mut settings, "defaults", json!({ "$ref": "#/definitions/defaults" }));
    extend(&mut settings, "probe", json!({ "$ref": "#/definitions/probe" }));
    let mut of_probe = properties(&probe_settings());
    let modules = json!({ "type": "object", "additionalProperties": { "$ref": "#/definitions/module" } });
    extend(&mut of_probe, "modules", modules);
    json!({
        "$schema": DIALECT,
        "title": "Configuration of fedimeter",
        "type": "object",
        "additionalProperties": false,
        "properties": settings,
        "definitions": {
            "target": {
                "type": "object",
                "additionalProperties": false,
                "required": ["url"],
                "not": { "required": ["token_file", "token_env"] },
                "properties": properties(&of_target),
            },
            "defaults": {
                "type": "object",
                "additionalProperties": false,
                "properties": properties(&of_all),
            },
            "probe": {
                "type": "object",
                "additionalProperties": false,
                "properties": of_probe,
            },
            "module": {
                "type": "object",
                "additionalProperties": false,
                "properties": properties(&module_settings()),
            },
        },
    })
}

fn properties(settings: &[Description]) -> Map<String, Value> {
    settings.iter().map(|setting| (setting.key.name.to_owned(), property(setting))).collect()
}

/// Adds entries to those of a row.
fn extend(properties: &mut Map<String, Value>, key: &str, more: Value) {
    if let (Some(Value::Object(property)), Value::Object(more)) = (properties.get_mut(key), more) {
        property.extend(more);
    }
}

fn property(Description { key, shape, default }: &Description) -> Value {
    let mut description = vec![key.summary.to_owned()];
    description.extend(key.more());
    description.extend(shape.bounds());
    description.extend((default != "none").then(|| format!("Default: {default}.")));
    let mut property = value(shape);
    property.insert("description".to_owned(), description.join(" ").replace('`', "").into());
    property.into()
}

/// Returns the schema of a value. The reader accepts a number as its text.
fn value(shape: &Shape) -> Map<String, Value> {
    let schema = match shape {
        Shape::Boolean => json!({ "type": "boolean" }),
        Shape::Duration { .. } => json!({ "type": "string", "pattern": DURATION }),
        // `pattern` applies to text, and the bounds apply to numbers.
        Shape::Count { min, max } => {
            json!({ "type": ["integer", "string"], "minimum": min, "maximum": max, "pattern": NUMBER })
        }
        Shape::Size { min, max } => {
            json!({ "type": ["integer", "string"], "minimum": min, "maximum": max, "pattern": SIZE })
        }
        Shape::OneOf(names) => json!({ "enum": names.iter().map(|(name, _)| *name).collect::<Vec<_>>() }),
        Shape::Text { kind: "endpoint", .. } => {
            json!({ "enum": names(|endpoint| endpoint.on() != On::Listed) })
        }
        Shape::Text { kind: "text", .. } => {
            json!({ "type": ["string", "number", "boolean"], "minLength": 1 })
        }
        Shape::Text { kind: "path" | "variable name", .. } => json!({ "type": "string", "minLength": 1 }),
        Shape::Text { kind: "host or URL", .. } => json!({ "type": "string", "pattern": SERVER }),
        Shape::Text { kind: "address", .. } => json!({ "type": "string", "pattern": ADDRESS }),
        Shape::Text { .. } => json!({ "type": ["string", "number"] }),
        Shape::List { item, or_one, .. } => {
            let list = json!({ "type": "array", "items": value(item) });
            if *or_one { json!({ "anyOf": [value(item), list] }) } else { list }
        }
        Shape::Map { value: of_map, .. } => {
            let mut map = json!({ "type": "object", "additionalProperties": value(of_map) });
            // Durations are keyed by endpoints; names of attributes have their own
            // rule.
            map["propertyNames"] = match **of_map {
                Shape::Duration { .. } => json!({ "enum": names(|_| true) }),
                _ => json!({ "pattern": ATTRIBUTE }),
            };
            map
        }
        // A definition lists its keys.
        Shape::Structure(_) => json!({}),
    };
    match schema {
        Value::Object(schema) => schema,
        _ => Map::new(),
    }
}

fn names(is_known: impl Fn(Endpoint) -> bool) -> Vec<&'static str> {
    Endpoint::ALL.iter().copied().filter(|endpoint| is_known(*endpoint)).map(Endpoint::name).collect()
}
