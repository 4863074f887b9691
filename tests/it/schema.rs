//! The JSON Schema of the configuration: which files it accepts and rejects.

use std::path::{Path, PathBuf};

use crate::support::program::run;
use crate::support::yaml;
use fedimeter::config;
use jsonschema::Validator;
use serde_json::Value;

/// Invalid files that a schema cannot reject, with the reason.
const BEYOND: [(&str, &str); 19] = [
    ("attribute-labels", "two names become one label"),
    ("attribute-names", "a key is no text"),
    ("dada-targets", "a number of targets"),
    ("duplicate-key", "is not YAML"),
    ("empty", "targets may be arguments"),
    ("identity-twice", "two targets"),
    ("labels-twice", "two targets"),
    ("listen-none-beside", "two addresses"),
    ("listen-twice", "two addresses"),
    ("no-target", "targets may be arguments"),
    ("not-yaml", "is not YAML"),
    ("tags", "a tag"),
    ("target-twice", "two targets"),
    ("token-env-unset", "the environment"),
    ("token-file-contents", "another file"),
    ("token-file-is-token", "another file"),
    ("token-file-missing", "another file"),
    ("two-documents", "is not one document"),
    ("unknown-alias", "is not YAML"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn validator() -> Validator {
    jsonschema::draft7::new(&config::schema()).expect("it is a schema")
}

fn errors(validator: &Validator, file: &Value) -> Vec<String> {
    validator.iter_errors(file).map(|e| format!("{}: {e}", e.instance_path())).collect()
}

#[test]
fn the_schema_is_up_to_date() {
    let printed = run(&["schema"], &[]).out;
    let path = root().join("docs/fedimeter.schema.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &printed).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == printed,
        "docs/fedimeter.schema.json is out of date: UPDATE_GOLDEN=1 cargo test --test it schema"
    );
}

/// The configuration files of this project.
fn samples() -> Vec<PathBuf> {
    let samples = ["examples/fedimeter.yaml", "tests/fixtures/config/full.yaml"];
    samples.iter().map(|path| root().join(path)).collect()
}

#[test]
fn samples_pass_and_name_the_schema() {
    let validator = validator();
    for path in samples() {
        let text = std::fs::read_to_string(&path).unwrap();
        let file = yaml::parse(&text).unwrap();
        assert_eq!(errors(&validator, &file), [""; 0], "{}", path.display());
        let (_, rest) = text.split_once("# yaml-language-server: $schema=").expect("a modeline");
        let schema = path.parent().unwrap().join(rest.lines().next().unwrap());
        let schema = schema.canonicalize().unwrap();
        assert_eq!(schema, root().join("docs/fedimeter.schema.json").canonicalize().unwrap());
    }
    // The .deb installs this file, and the schema at that path.
    let text = std::fs::read_to_string(root().join("deploy/systemd/fedimeter.yaml")).unwrap();
    assert!(text.starts_with("# yaml-language-server: $schema=/usr/share/fedimeter/fedimeter.schema.json\n"));
    assert_eq!(errors(&validator, &yaml::parse(&text).unwrap()), [""; 0]);
    // Configurations in pages.
    let mut read = 0;
    for page in ["README.md", "docs/config.md", "docs/guides/managed-host.md", "docs/tokens.md"] {
        let text = std::fs::read_to_string(root().join(page)).unwrap();
        for block in text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            let file = yaml::parse(block).unwrap();
            if file.get("targets").is_some() {
                read += 1;
                assert_eq!(errors(&validator, &file), [""; 0], "{page}");
            }
        }
    }
    assert!(read >= 4, "{read}");
}

#[test]
fn what_one_value_gets_wrong_is_caught() {
    let validator = validator();
    let folder = root().join("tests/fixtures/config/bad");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "yaml"));
    let is_right = |path: &PathBuf| match yaml::parse(&std::fs::read_to_string(path).unwrap()) {
        Ok(file) => errors(&validator, &file).is_empty(),
        Err(_) => true,
    };
    let mut passed: Vec<String> = files
        .iter()
        .filter(|path| is_right(path))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    passed.sort();
    assert_eq!(passed, BEYOND.map(|(name, _)| name));
}

#[test]
fn the_effective_configuration_passes() {
    let validator = validator();
    let ran = run(&["check", "--listen", "127.0.0.1:1,[::1]:1", "a.example"], &[]);
    let file = yaml::parse(&ran.out).unwrap();
    assert_eq!(errors(&validator, &file), [""; 0], "{}", ran.out);
}
