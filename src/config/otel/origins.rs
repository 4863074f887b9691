//! The origins of the OpenTelemetry settings: variables with an effect, or paths in the
//! file that replaces them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::table::VARIABLES;

/// The origin of each value.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Origins {
    /// The file, if it replaces the variables.
    file: Option<Arc<str>>,
    /// By variable: the variable itself, or the path in the file that replaces it.
    set: BTreeMap<String, String>,
}

impl Origins {
    /// The variables that are set, except ignored ones.
    pub fn of_variables(environment: &dyn Fn(&str) -> Option<String>, ignored: &BTreeSet<String>) -> Origins {
        let is_set = |name: &String| environment(name).is_some_and(|value| !value.trim().is_empty());
        let names = VARIABLES.iter().flat_map(super::Variable::names);
        let set = names.filter(|name| is_set(name) && !ignored.contains(name));
        Origins { file: None, set: set.map(|name| (name.clone(), name)).collect() }
    }

    /// Paths in a file, by the variables that they replace.
    pub fn of_file(file: &str, paths: impl Iterator<Item = (&'static str, String)>) -> Origins {
        let at = |(variable, path): (&'static str, String)| (variable.to_owned(), format!("{file}: {path}"));
        Origins { file: Some(file.into()), set: paths.map(at).collect() }
    }

    pub fn file(&self) -> Option<&Arc<str>> {
        self.file.as_ref()
    }

    /// Returns the first of these variables that is set, or `default`.
    pub fn first(&self, variables: &[&'static str]) -> String {
        let found = variables.iter().find_map(|variable| self.set.get(*variable));
        found.map_or_else(|| "default".to_owned(), String::clone)
    }

    /// Returns all of these variables that are set.
    pub fn all(&self, variables: &[&'static str]) -> String {
        let found: Vec<&str> =
            variables.iter().filter_map(|variable| self.set.get(*variable).map(String::as_str)).collect();
        if found.is_empty() { "default".to_owned() } else { found.join(", ") }
    }
}
