//! The choice of metrics, by patterns of their names.

use std::collections::{BTreeMap, BTreeSet};

use super::given::Given;
use super::suggest::{did_you_mean, misspelt};
use super::syntax::{Shape, Shown, Syntax};
use super::yaml::quote;
use crate::export::prometheus::family_name;
use crate::metrics::{Row, UP, rows};
use crate::target::Choice;

/// The keys of the two lists.
const KEYS: [&str; 2] = ["include", "exclude"];

/// The setting with patterns of names to include and to exclude.
pub struct Choices;

impl Syntax for Choices {
    type Value = Choice;
    fn shape(&self) -> Shape {
        let item = Box::new(Shape::Text { kind: "pattern of a name", placeholder: "PATTERN" });
        let value = Box::new(Shape::List { item, or_one: true, kind: "pattern, or list of patterns" });
        Shape::Map { value, kind: "map of `include` and `exclude` to patterns" }
    }
    fn read(&self, given: &Given<'_>) -> Option<Choice> {
        let mut lists: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (key, node) in given.entries("a map with include and exclude")? {
            if !KEYS.contains(&&*key) {
                let meant = did_you_mean(&key, &KEYS);
                node.error(format!(
                    "unknown key{}",
                    if meant.is_empty() { "; known are `include`, `exclude`" } else { &meant }
                ));
                continue;
            }
            let items = if node.is_list() { node.items("a list of patterns")? } else { vec![node] };
            let list = lists.entry(key).or_default();
            for item in items {
                let Some(text) = item.text("a pattern of names") else { continue };
                match matched(text) {
                    Ok(()) => list.push(text.to_owned()),
                    Err(message) => item.error(message),
                }
            }
        }
        let mut list = |key| lists.remove(key).unwrap_or_default();
        Some(Choice { include: list(KEYS[0]), exclude: list(KEYS[1]) })
    }
    fn show(&self, choice: &Choice) -> Shown {
        let lists = [(KEYS[0], &choice.include), (KEYS[1], &choice.exclude)];
        let given = lists.into_iter().filter(|(_, list)| !list.is_empty());
        let shown = given.map(|(key, list)| {
            let items: Vec<String> = list.iter().map(|pattern| quote(pattern)).collect();
            (key.to_owned(), format!("[{}]", items.join(", ")))
        });
        Shown::Map(shown.collect())
    }
}

/// Checks that a pattern is valid and matches a metric.
fn matched(text: &str) -> Result<(), String> {
    let pattern = glob::Pattern::new(text)
        .map_err(|e| format!("is not a valid pattern: {}, at character {}", e.msg, e.pos + 1))?;
    if rows().any(|row| is_meant(&pattern, row)) {
        return Ok(());
    }
    let meant = if text.contains('*') {
        let patterns: Vec<String> = rows().flat_map(|row| namespaces(row.name)).collect();
        let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
        misspelt(text, &patterns).map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default()
    } else {
        did_you_mean(text, &rows().map(|row| row.name).collect::<Vec<_>>())
    };
    Err(format!("does not match any metric{meant}; `fedimeter metrics` lists them"))
}

/// The patterns of all that is beside a name, from the nearest to the farthest:
/// `mastodon.instance.*` and `mastodon.*` for `mastodon.instance.users`.
fn namespaces(name: &str) -> impl Iterator<Item = String> {
    name.rmatch_indices('.').map(|(dot, _)| format!("{}.*", &name[..dot]))
}

/// Whether a pattern matches a row by its OpenTelemetry or its Prometheus name.
fn is_meant(pattern: &glob::Pattern, row: &Row) -> bool {
    pattern.matches(row.name) || pattern.matches(&family_name(row))
}

/// Returns the excluded metrics. `fedimeter.target.up` is excluded only by its exact
/// name, because alerts and dashboards need it.
#[must_use]
pub fn left_out(choice: &Choice) -> BTreeSet<&'static str> {
    let patterns = |list: &[String]| -> Vec<glob::Pattern> {
        list.iter().filter_map(|text| glob::Pattern::new(text).ok()).collect()
    };
    let (include, exclude) = (patterns(&choice.include), patterns(&choice.exclude));
    let is_wanted = |row: &&Row| {
        let is_in = |list: &[glob::Pattern]| list.iter().any(|pattern| is_meant(pattern, row));
        if row.name == UP {
            let family = family_name(row);
            return !choice.exclude.iter().any(|name| *name == row.name || *name == family);
        }
        (include.is_empty() || is_in(&include)) && !is_in(&exclude)
    };
    rows().filter(|row| !is_wanted(row)).map(|row| row.name).collect()
}
