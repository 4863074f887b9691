//! YAML files as JSON values.

use std::path::Path;

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value};

/// The only document of a file below the project's root.
pub fn file(path: impl AsRef<Path>) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    parse(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The only document of a text.
///
/// # Errors
///
/// If the text is not YAML, or not exactly one document.
pub fn parse(text: &str) -> Result<Value, String> {
    let documents = Yaml::load_from_str(text).map_err(|e| e.to_string())?;
    match &*documents {
        [document] => value(document),
        others => Err(format!("{} documents", others.len())),
    }
}

fn value(yaml: &Yaml<'_>) -> Result<Value, String> {
    Ok(match yaml {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(boolean)) => (*boolean).into(),
        Yaml::Value(Scalar::Integer(integer)) => (*integer).into(),
        Yaml::Value(Scalar::FloatingPoint(float)) => float.into_inner().into(),
        Yaml::Value(Scalar::String(text)) => text.as_ref().into(),
        Yaml::Sequence(items) => items.iter().map(value).collect::<Result<Vec<_>, _>>()?.into(),
        Yaml::Mapping(entries) => {
            let mut own = Map::new();
            let mut merged = Map::new();
            for (key, entry) in entries {
                let key = key.as_str().ok_or("a key that is no text")?;
                match (key, value(entry)?) {
                    ("<<", Value::Object(entries)) => merged.extend(entries),
                    (key, entry) => drop(own.insert(key.to_owned(), entry)),
                }
            }
            merged.extend(own);
            merged.into()
        }
        other => return Err(format!("{other:?} is neither plain nor a collection")),
    })
}
