//! The facts of a release are the same in all places: its version, its home page, and the
//! oldest Rust. Its files are valid.

use std::fs;
use std::path::Path;
use std::process::Command;

use libtest_mimic::Trial;

use crate::support::trial::{always, trial};
use crate::support::{venv, yaml};

const HOME: &str = env!("CARGO_PKG_HOMEPAGE");
const VERSION: &str = env!("CARGO_PKG_VERSION");

pub fn trials() -> Vec<Trial> {
    let venv = venv::venv("deploy", &super::deploy::PACKAGES).map(|python| python.with_file_name(""));
    vec![
        always("the_version_is_the_same_everywhere", the_version_is_the_same_everywhere),
        always("the_home_on_the_web_is_the_same_everywhere", the_home_is_the_same_everywhere),
        always("the_oldest_rust_is_the_same_everywhere", the_oldest_rust_is_the_same_everywhere),
        always("the_metadata_of_the_crates_is_whole", the_metadata_is_whole),
        always("what_the_package_installs_is_there", what_the_package_installs_is_there),
        always("recipes_and_their_table_agree", recipes_and_their_table_agree),
        trial("the_sbom_lists_what_is_linked", python(), |()| the_sbom_lists_what_is_linked()),
        trial("workflow_and_forms_follow_their_schemas", venv, |bin| {
            workflow_and_forms_follow_their_schemas(&bin);
        }),
    ]
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Every `[section]` of a manifest as its lines.
fn section<'t>(manifest: &'t str, name: &str) -> &'t str {
    let (_, rest) = manifest.split_once(&format!("[{name}]\n")).unwrap_or_else(|| panic!("no [{name}]"));
    rest.split("\n[").next().unwrap()
}

fn the_version_is_the_same_everywhere() {
    let line = format!("version = \"{VERSION}\"");
    for (file, text) in [
        ("Cargo.toml", section(&read("Cargo.toml"), "package").to_owned()),
        ("simulator/Cargo.toml", read("simulator/Cargo.toml")),
    ] {
        assert!(text.contains(&line), "{file}: no {line}");
    }
    assert!(
        read("Cargo.toml").contains(&format!("path = \"simulator\", {line}")),
        "the dependency on the simulator"
    );
    assert!(read("CHANGELOG.md").contains(&format!("\n## {VERSION} (")), "CHANGELOG.md has no {VERSION}");
    let chart = yaml::file("deploy/helm/fedimeter/Chart.yaml");
    assert_eq!((&chart["version"], &chart["appVersion"]), (&VERSION.into(), &VERSION.into()));
}

/// The source is one line of Cargo.toml. If this test fails, copy it to the named place.
fn the_home_is_the_same_everywhere() {
    let manifest = read("Cargo.toml");
    assert!(section(&manifest, "workspace.package").contains(&format!("\nhomepage = \"{HOME}\"")));
    assert_eq!(fedimeter::fetch::Http::default().contact, HOME, "src/fetch/manners.rs");
    assert_eq!(yaml::file("deploy/helm/fedimeter/Chart.yaml")["home"], HOME, "Chart.yaml");
    for label in ["url", "documentation"] {
        let label = format!("org.opencontainers.image.{label}=\"{HOME}\"");
        assert!(read("Dockerfile").contains(&label), "Dockerfile: no {label}");
    }
    let runbook = read("dashboards/mixin/config.libsonnet");
    let line = runbook.lines().find(|line| line.trim_start().starts_with("runbookUrl:")).unwrap();
    assert!(line.contains(&format!("'{HOME}/")), "dashboards/mixin/config.libsonnet: {line}");
}

fn the_oldest_rust_is_the_same_everywhere() {
    let oldest = env!("CARGO_PKG_RUST_VERSION");
    for (file, text) in [
        ("README.md", format!("[Rust](https://rustup.rs) {oldest} or later")),
        (".ci/run", format!("install Rust {oldest} or later")),
        ("Dockerfile", format!("FROM rust:{oldest}.")),
    ] {
        assert!(read(file).contains(&text), "{file}: no \"{text}\"");
    }
    // The job that tests this promise uses the version in Cargo.toml.
    assert!(read(".github/workflows/release.yml").contains("s/^rust-version = "));
}

/// The metadata that the registry requires and shows.
fn the_metadata_is_whole() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--locked", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for package in metadata["packages"].as_array().unwrap() {
        let name = &package["name"];
        for key in ["description", "license", "homepage", "rust_version"] {
            assert!(package[key].as_str().is_some_and(|text| !text.is_empty()), "{name}: no {key}");
        }
        let count = |key: &str| package[key].as_array().unwrap().len();
        assert!((1..=5).contains(&count("keywords")) && (1..=5).contains(&count("categories")), "{name}");
    }
}

fn what_the_package_installs_is_there() {
    let manifest = read("Cargo.toml");
    let assets = section(&manifest, "package.metadata.deb");
    let mut found = 0;
    for line in assets.lines().filter(|line| line.starts_with("  [\"")) {
        let parts: Vec<&str> = line.split('"').collect();
        let (from, to) = (parts[1], parts[3]);
        assert!(!to.starts_with('/'), "{to}");
        // deploy/package/build creates these files.
        if from.starts_with("target/dist/") {
            continue;
        }
        let matches = glob::glob(&root().join(from).display().to_string()).unwrap().count();
        assert!(matches > 0, "{from} is not there");
        found += matches;
    }
    assert!(found > 10, "{found}");
    for script in ["deploy/package/debian/postinst", "deploy/package/debian/postrm"] {
        let text = read(script);
        assert!(text.contains("\nset -e\n") && text.contains("\n#DEBHELPER#\n"), "{script}");
    }
    let unit = read("deploy/systemd/fedimeter.service");
    assert!(unit.contains("ExecStart=/usr/local/bin/fedimeter\n"), "deploy/package/build replaces this path");
}

/// A Python with the TOML parser that the SBOM script needs.
fn python() -> Result<(), String> {
    let output = Command::new("python3").args(["-c", "import tomllib"]).output();
    let is_there = output.is_ok_and(|output| output.status.success());
    if is_there { Ok(()) } else { Err("python3 is older than 3.11, or not installed".to_owned()) }
}

fn the_sbom_lists_what_is_linked() {
    let mut command = Command::new(root().join("deploy/package/third-party"));
    let output = command.arg("--sbom").current_dir(root()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!text.contains(&root().display().to_string()), "it names a path of this machine");
    let sbom: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(sbom["metadata"]["component"]["version"], VERSION);
    let components = sbom["components"].as_array().unwrap();
    let named = |name: &str| components.iter().find(|component| component["name"] == name);
    let tokio = named("tokio").unwrap();
    assert_eq!(tokio["hashes"][0]["content"].as_str().unwrap().len(), 64);
    // These are used only by tests and the compiler, so the program does not contain them.
    for absent in ["proptest", "criterion", "syn"] {
        assert!(named(absent).is_none(), "{absent}");
    }
}

fn recipes_and_their_table_agree() {
    let recipes = read("justfile");
    let line = recipes.lines().find_map(|line| line.strip_prefix("release-check: ")).unwrap();
    let table = read("RELEASE.md");
    let loops = ["fuzz", "load", "siege"];
    for recipe in line.split(' ').chain(loops) {
        assert!(table.contains(&format!("`just {recipe}`")), "RELEASE.md: no `just {recipe}`");
        assert!(
            recipes
                .lines()
                .any(|l| l.starts_with(&format!("{recipe}:")) || l.starts_with(&format!("{recipe} ")))
        );
    }
    for file in
        ["deploy/package/build", "deploy/package/try-deb", "deploy/package/image", "deploy/helm/check"]
    {
        assert!(recipes.contains(file), "{file} is not run");
    }
}

fn workflow_and_forms_follow_their_schemas(bin: &Path) {
    let check = |schema: &str, file: &str| {
        let mut command = Command::new(bin.join("check-jsonschema"));
        let output = command.args(["--builtin-schema", schema]).arg(root().join(file)).output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{file}: {said}");
    };
    check("vendor.github-workflows", ".github/workflows/release.yml");
    for form in ["bug.yml", "number.yml"] {
        check("vendor.github-issue-forms", &format!(".github/ISSUE_TEMPLATE/{form}"));
    }
}
