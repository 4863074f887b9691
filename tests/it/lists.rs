//! Lists of targets outside the configuration.

use std::path::Path;

use fedimeter::config::{Config, Flags, Loaded, Sources, effective_yaml};
use tempfile::TempDir;

/// A directory with these files.
fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    directory
}

/// Loads `f.yaml` of a directory. Errors omit the directory.
fn load(directory: &Path) -> Result<Loaded, String> {
    let file = directory.join("f.yaml");
    let sources =
        Sources { file: Some(&file), text: None, targets: &[], flags: Flags::default(), env: &|_| None };
    let prefix = format!("{}/", directory.display());
    Config::load_with_origins(&sources).map_err(|e| e.to_string().replace(&prefix, ""))
}

fn names(loaded: &Loaded) -> Vec<&str> {
    loaded.config.targets.iter().map(|target| &*target.name).collect()
}

#[test]
fn files_list_targets_in_both_forms() {
    let lists = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/config/lists");
    let text = format!("targets: [own.example]\ntargets_file: ['{lists}/good.*']\n");
    let directory = directory(&[("f.yaml", &text)]);
    let loaded = load(directory.path()).unwrap();
    // The files are read in the order of their names.
    let expected = [
        "own.example",
        "three.example",
        "listed.example",
        "other.example",
        "one.example",
        "https://two.example:8443",
    ];
    assert_eq!(names(&loaded), expected);
    let attributes = |i: usize| {
        let target = &loaded.config.targets[i];
        target.attributes().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",")
    };
    assert_eq!(
        [0, 1, 2, 3, 4, 5].map(attributes),
        ["", "env=live", "", "team=art", "env=staging", "env=staging"]
    );
    let sources: Vec<bool> = loaded.config.targets.iter().map(|target| target.source.is_some()).collect();
    assert_eq!(sources, [false, true, true, true, true, true]);
    assert!(loaded.config.targets[3].endpoints.iter().any(|endpoint| endpoint.name() == "peers"));

    // The effective configuration loads again: listed targets are comments.
    let effective = effective_yaml(&loaded.config);
    std::fs::write(directory.path().join("f.yaml"), &effective).unwrap();
    assert_eq!(names(&load(directory.path()).unwrap()), expected, "{effective}");
}

#[test]
fn defaults_hold_for_listed_targets() {
    let files = [
        (
            "f.yaml",
            "defaults: {attributes: {env: usual, team: social}, collect: [peers]}\ntargets_file: a.yaml\n",
        ),
        ("a.yaml", "- targets: [a.example]\n  labels: {env: special}\n- b.example\n"),
    ];
    let loaded = load(directory(&files).path()).unwrap();
    let effective = effective_yaml(&loaded.config);
    assert!(effective.contains("env: special") && effective.contains("team: social"), "{effective}");
    assert!(loaded.config.targets.iter().all(|target| target.endpoints.iter().any(|e| e.name() == "peers")));
}

#[test]
fn what_is_wrong_in_a_list_is_told_with_its_place() {
    for (list, expected) in [
        ("targets: [a.example]\n", "l/a.yaml:1: expected a list of targets, found a map"),
        ("- targets: a.example\n", "l/a.yaml:1: [0].targets: expected a list of hosts, found text"),
        (
            "- targets: [a.example]\n  label: {a: b}\n",
            "l/a.yaml:2: [0].label: unknown key; did you mean `labels`?",
        ),
        (
            "- targets: [a.example]\n  labels: {Env: b}\n",
            "l/a.yaml:2: [0].labels.Env: is not the name of an attribute; ",
        ),
        ("- a.example\n- b.example/path\n", "l/a.yaml:2: [1]: "),
        (
            "- c.example\n- own.example\n",
            "l/a.yaml:2: [1]: own.example is given twice, first as f.yaml:1: targets[0]; remove one of them",
        ),
        ("- {\n", "l/a.yaml:2: not YAML: "),
    ] {
        let directory =
            directory(&[("f.yaml", "targets: [own.example]\ntargets_file: l/*.yaml\n"), ("l/a.yaml", list)]);
        let error = load(directory.path()).unwrap_err();
        assert!(error.starts_with(expected), "{error:?} of {list:?}");
    }
}

#[test]
fn a_file_that_is_not_there_is_an_error_and_a_pattern_without_files_is_none() {
    let missing = directory(&[("f.yaml", "targets_file: [none.yaml, 'l/*.yaml']\n")]);
    let error = load(missing.path()).unwrap_err();
    assert!(error.starts_with("none.yaml: cannot read the targets: No such file"), "{error}");
    assert!(error.ends_with("create it or correct targets_file"), "{error}");
    let empty = directory(&[("f.yaml", "targets_file: 'l/*.yaml'\n")]);
    assert_eq!(names(&load(empty.path()).unwrap()), [""; 0]);
    let wrong = directory(&[("f.yaml", "targets_file: 'l/[.yaml'\n")]);
    let error = load(wrong.path()).unwrap_err();
    assert!(error.starts_with("f.yaml:1: targets_file: l/[.yaml: is not a valid pattern: "), "{error}");
}

#[test]
fn a_url_lists_hosts_and_labels_and_nothing_else() {
    let loaded = load(directory(&[("f.yaml", "targets_url: https://inventory.example/l\n")]).path()).unwrap();
    assert_eq!(names(&loaded), [""; 0]);
    let source = "https://inventory.example/l".into();
    let read = |text: &str| loaded.defaults.behind_url(text, &source, true);
    let listed =
        read(r#"[{"targets": ["a.example", "b.example"], "labels": {"env": "live", "__x": "y"}}]"#).unwrap();
    assert_eq!(listed.wrong, []);
    let found: Vec<_> =
        listed.targets.iter().map(|(_, target)| (&*target.name, target.only_public)).collect();
    assert_eq!(found, [("a.example", true), ("b.example", true)]);
    // An error affects only its own entry.
    let listed = read(r#"[{"targets": ["a.example", "no host"]}, {"targets": 5}, "c.example"]"#).unwrap();
    assert_eq!(listed.targets.len(), 1);
    assert_eq!(listed.wrong.len(), 3, "{:?}", listed.wrong);
    // The answer of a URL cannot name files and variables of this machine.
    let listed = read(r#"[{"url": "a.example", "token_env": "HOME"}]"#).unwrap();
    assert_eq!((listed.targets.len(), listed.wrong.len()), (0, 2), "{listed:?}");
    let listed = read(r#"[{"targets": ["a.example"], "token_file": "/etc/hostname"}]"#).unwrap();
    assert_eq!(listed.wrong.len(), 1, "{listed:?}");
    assert!(listed.targets[0].1.token.is_none());
    for (text, error) in [
        (
            "",
            "https://inventory.example/l:1: expected a list of groups of targets, at least [], found nothing",
        ),
        ("{}", "https://inventory.example/l:1: expected a list of groups of targets, found a map"),
        ("<html>", "https://inventory.example/l:1: expected a list of groups of targets, found text"),
    ] {
        assert_eq!(read(text).unwrap_err().to_string(), error);
    }
    assert_eq!(read("[]").unwrap().targets.len(), 0);
}

#[test]
fn urls_that_would_show_a_password_are_refused() {
    for (url, expected) in [
        ("inventory.example/l", "is not a URL; write it in full"),
        ("ftp://inventory.example/l", "is not a URL; write it in full"),
        ("https://user:secret@inventory.example/l", "names a user or a password"),
    ] {
        let error = load(directory(&[("f.yaml", &format!("targets_url: '{url}'\n"))]).path()).unwrap_err();
        assert!(error.starts_with("f.yaml:1: targets_url: ") && error.contains(expected), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}
