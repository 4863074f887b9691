//! The parts of the Grafana dashboards in `dashboards/` that the tests read.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

/// A dashboard. `name` is the name of its file without the extension.
pub struct Dashboard {
    pub name: String,
    pub json: Value,
}

impl Dashboard {
    /// All dashboards.
    pub fn all() -> Vec<Dashboard> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards");
        let files = std::fs::read_dir(directory).unwrap().map(|file| file.unwrap().path());
        let mut all: Vec<Dashboard> = files
            .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
            .map(|path| {
                let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                let text = std::fs::read_to_string(&path).unwrap();
                Dashboard {
                    json: serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}")),
                    name,
                }
            })
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// All panels, including those of collapsed rows, but not the rows themselves.
    pub fn panels(&self) -> impl Iterator<Item = &Value> {
        list(&self.json["panels"])
            .flat_map(|panel| std::iter::once(panel).chain(list(&panel["panels"])))
            .filter(|panel| panel["type"] != "row")
    }

    /// The variables whose values Grafana queries.
    pub fn variables(&self) -> impl Iterator<Item = &Value> {
        list(&self.json["templating"]["list"]).filter(|variable| variable["type"] == "query")
    }
}

/// The elements of an array. Another value has none.
pub fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The text of a value, or an empty text.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The metric and the label that a variable lists, of
/// `label_values(METRIC, LABEL)`.
pub fn label_values(query: &str) -> Option<(&str, &str)> {
    let inner = query.strip_prefix("label_values(")?.strip_suffix(')')?;
    let (metric, label) = inner.rsplit_once(',')?;
    Some((metric.trim(), label.trim()))
}

/// Replaces the variables of an expression with their values: `$name`, `${name}` and
/// `${name:format}`.
///
/// # Errors
///
/// If the expression contains a variable without a value.
pub fn filled(expression: &str, values: &BTreeMap<&str, String>) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = expression;
    while let Some((before, after)) = rest.split_once('$') {
        filled.push_str(before);
        let braced = after.strip_prefix('{').and_then(|after| after.split_once('}'));
        let (name, after) = if let Some((inside, after)) = braced {
            (inside.split(':').next().unwrap_or_default(), after)
        } else {
            let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            after.split_at(after.find(|c| !word(c)).unwrap_or(after.len()))
        };
        let value = values.get(name).ok_or_else(|| format!("{expression}: there is no variable ${name}"))?;
        filled.push_str(value);
        rest = after;
    }
    Ok(filled + rest)
}
