//! The nodes of a declarative configuration, with their paths and the variables in
//! their text.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use saphyr::{Scalar, Yaml};

use crate::config::suggest::{did_you_mean, list};

/// Errors as paths and messages. Messages repeat no values, which may be secret.
pub type Errors = Rc<RefCell<Vec<(String, String)>>>;

/// One node, with the environment for its references.
#[derive(Clone)]
pub struct Node<'y> {
    pub path: String,
    pub errors: Errors,
    yaml: &'y Yaml<'y>,
    environment: &'y dyn Fn(&str) -> Option<String>,
}

impl<'y> Node<'y> {
    pub fn root(yaml: &'y Yaml<'y>, environment: &'y dyn Fn(&str) -> Option<String>) -> Node<'y> {
        Node { path: String::new(), errors: Errors::default(), yaml, environment }
    }

    fn below(&self, path: String, yaml: &'y Yaml<'y>) -> Node<'y> {
        Node { path, yaml, ..self.clone() }
    }

    pub fn fail(&self, message: impl Into<String>) {
        self.errors.borrow_mut().push((self.path.clone(), message.into()));
    }

    /// Records an error about a key of this map.
    pub fn fail_at(&self, key: &str, message: &str) {
        self.errors.borrow_mut().push((join(&self.path, key), message.to_owned()));
    }

    /// Returns the values of a map that may have these keys. Null counts as missing.
    pub fn fields(&self, known: &[&str]) -> BTreeMap<String, Node<'y>> {
        let mut fields = BTreeMap::new();
        if self.yaml.is_null() {
            return fields;
        }
        let Some(map) = self.yaml.as_mapping() else {
            self.fail("must be a map");
            return fields;
        };
        for (key, value) in map {
            let Some(key) = key.as_str() else {
                self.fail("has a key that is not text");
                continue;
            };
            if !is_plain(key) {
                self.fail("has a key that is not in the schema; it is not shown, because it may be secret");
                continue;
            }
            let node = self.below(join(&self.path, key), value);
            if known.contains(&key) {
                fields.insert(key.to_owned(), node);
                continue;
            }
            let meant = did_you_mean(key, known);
            let meant = match (meant.is_empty(), known.is_empty()) {
                (false, _) => meant,
                (true, true) => "; remove it".to_owned(),
                (true, false) => format!("; supported here are {}", list(known)),
            };
            node.fail(format!("is not supported{meant}"));
        }
        fields
    }

    /// Returns the key of a map with exactly one of these keys, and its value, which
    /// may be null.
    pub fn only(&self, known: &[&'static str]) -> Option<(&'static str, Node<'y>)> {
        let fields = self.fields(known);
        if fields.len() != 1 {
            // The error about an unknown key is already recorded.
            let is_empty = self.yaml.as_mapping().is_some_and(|map| map.iter().next().is_none());
            if fields.len() > 1 || is_empty {
                self.fail(format!("must have one key of {}", list(known)));
            }
            return None;
        }
        let (key, node) = fields.into_iter().next()?;
        let key = known.iter().find(|name| **name == key)?;
        Some((key, node))
    }

    /// Returns the value of a required key.
    pub fn needs<'f>(&self, fields: &'f BTreeMap<String, Node<'y>>, key: &str) -> Option<&'f Node<'y>> {
        let found = fields.get(key);
        if found.is_none() {
            self.fail_at(key, "is missing");
        }
        found
    }

    /// Returns the items of a list.
    pub fn items(&self) -> Vec<Node<'y>> {
        if self.yaml.is_null() {
            return Vec::new();
        }
        let Some(items) = self.yaml.as_vec() else {
            self.fail("must be a list");
            return Vec::new();
        };
        let item = |(i, yaml)| self.below(format!("{}[{i}]", self.path), yaml);
        items.iter().enumerate().map(item).collect()
    }

    /// Returns the text. A variable that is not set and has no default is an error.
    pub fn text_of_set_variables(&self) -> Option<String> {
        let text = self.yaml.as_str().unwrap_or_default();
        let without_default = references(text).filter(|(_, default)| default.is_none());
        for name in without_default.map(|(name, _)| name).filter(|name| is_variable(name)) {
            if (self.environment)(name).is_none_or(|value| value.is_empty()) {
                self.fail(format!(
                    "refers to the variable {name}, which is not set; set it, or write ${{{name}:-}} for \
                     nothing"
                ));
                return None;
            }
        }
        self.text()
    }

    /// Returns a scalar as text, with variables replaced; `None` if it is null or
    /// empty.
    pub fn text(&self) -> Option<String> {
        let text = match self.yaml {
            Yaml::Value(Scalar::Null) => return None,
            Yaml::Value(Scalar::Boolean(value)) => value.to_string(),
            Yaml::Value(Scalar::Integer(value)) => value.to_string(),
            Yaml::Value(Scalar::FloatingPoint(value)) => value.to_string(),
            Yaml::Value(Scalar::String(text)) => match substitute(text, self.environment) {
                Ok(text) => text,
                Err(message) => {
                    self.fail(message);
                    return None;
                }
            },
            _ => {
                self.fail("must be text, a number or a boolean");
                return None;
            }
        };
        (!text.trim().is_empty()).then_some(text)
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// Replaces references to variables: `${NAME}`, `${env:NAME}`, `${NAME:-default}`; `$$`
/// is a dollar sign. Values are not searched for further references.
fn substitute(text: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(after) = after.strip_prefix('{') {
            let (reference, after) = after.split_once('}').ok_or("has a `${` without its `}`")?;
            let (name, default) = match reference.split_once(":-") {
                Some((name, default)) => (name, default),
                None => (reference, ""),
            };
            let name = name.strip_prefix("env:").unwrap_or(name);
            if !is_variable(name) {
                return Err("has a reference that is not ${NAME} or ${NAME:-default}".to_owned());
            }
            match environment(name).filter(|value| !value.is_empty()) {
                Some(value) => out.push_str(&value),
                None => out.push_str(default),
            }
            rest = after;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Returns the variables to which a text refers, each with its default. [`substitute`]
/// reports invalid references.
fn references(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let (_, after) = rest.split_once('$')?;
            rest = after.strip_prefix('$').unwrap_or(after);
            if let Some(after) = after.strip_prefix('{') {
                let (reference, after) = after.split_once('}')?;
                rest = after;
                let (name, default) = match reference.split_once(":-") {
                    Some((name, default)) => (name, Some(default)),
                    None => (reference, None),
                };
                return Some((name.strip_prefix("env:").unwrap_or(name), default));
            }
        }
    })
}

/// Whether a key looks like one of the schema. Lines of another file, or headers that
/// were written as keys, are not repeated in messages.
fn is_plain(key: &str) -> bool {
    let is_part =
        |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'_' | b'/' | b'.' | b'-');
    (1..=48).contains(&key.len()) && key.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_put_in_once() {
        let env = |name: &str| match name {
            "A" => Some("1".to_owned()),
            "NESTED" => Some("${A}".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        for (text, expected) in [
            ("plain", Ok("plain")),
            ("${A}", Ok("1")),
            ("x${env:A}y${A}", Ok("x1y1")),
            ("${MISSING}", Ok("")),
            ("${MISSING:-a:-b}", Ok("a:-b")),
            ("${EMPTY:-default}", Ok("default")),
            ("${A:-default}", Ok("1")),
            ("${NESTED}", Ok("${A}")),
            ("$${A} $$$${A} $A $", Ok("${A} $${A} $A $")),
            ("${A", Err(())),
            ("${1A}", Err(())),
            ("${A:?wrong}", Err(())),
            ("${}", Err(())),
        ] {
            assert_eq!(substitute(text, &env).map_err(|_| ()), expected.map(str::to_owned), "{text}");
        }
    }
}
