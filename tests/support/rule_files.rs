//! The files of `dashboards/` as values.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use saphyr::{LoadableYamlNode, Yaml};
use serde_json::Value;

use super::promql;

/// The project's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn dashboards() -> PathBuf {
    root().join("dashboards")
}

/// The names of the files in a folder of `dashboards/` with this extension.
pub fn names_of(folder: &str, extension: &str) -> Vec<String> {
    let files = fs::read_dir(dashboards().join(folder)).unwrap().map(|file| file.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|e| e == extension));
    let mut names: Vec<String> =
        files.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    assert!(!names.is_empty(), "dashboards/{folder} has no {extension}");
    names
}

/// A YAML file of `dashboards/`.
pub fn read(file: &str) -> Value {
    let text = fs::read_to_string(dashboards().join(file)).unwrap();
    let documents = Yaml::load_from_str(&text).unwrap_or_else(|e| panic!("{file}: {e}"));
    assert_eq!(documents.len(), 1, "{file}");
    value(&documents[0])
}

fn value(yaml: &Yaml<'_>) -> Value {
    if let Some(list) = yaml.as_vec() {
        return list.iter().map(value).collect();
    }
    if let Some(map) = yaml.as_mapping() {
        return map.iter().map(|(key, of)| (key.as_str().unwrap().to_owned(), value(of))).collect();
    }
    let number = yaml.as_integer().map(Value::from).or_else(|| yaml.as_floating_point().map(Value::from));
    number.or_else(|| yaml.as_str().map(Value::from)).unwrap_or_else(|| panic!("{yaml:?}"))
}

/// The rules of a file.
pub fn rules(file: &str) -> Vec<Value> {
    rules_of(&read(file))
}

/// The rules of all groups.
pub fn rules_of(file: &Value) -> Vec<Value> {
    let groups = file["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).cloned().collect()
}

/// The text at a JSON Pointer, which must exist.
pub fn text<'a>(value: &'a Value, place: &str) -> &'a str {
    value.pointer(place).and_then(Value::as_str).unwrap_or_else(|| panic!("no {place} in {value}"))
}

/// The series of recording rules, with the labels of their sources.
pub fn recorded() -> BTreeMap<String, BTreeSet<String>> {
    let mut labels = promql::known()["fedimeter_target_up"].clone();
    labels.insert("mastodon_storage_kind".to_owned());
    rules("rules.yaml").iter().map(|rule| (text(rule, "/record").to_owned(), labels.clone())).collect()
}
