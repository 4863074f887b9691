//! The pages that are written by hand name only existing commands, flags, variables,
//! metrics and outcomes, and all scopes of tokens.

use std::collections::HashSet;
use std::path::Path;

use fedimeter::config::otel;
use fedimeter::endpoint::{Endpoint, On};
use fedimeter::metrics::rows;
use fedimeter::outcome::ErrorType;
use fedimeter::{catalogue, cli};

const PAGES: [&str; 15] = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/numbers.md",
    "docs/servers.md",
    "docs/tokens.md",
    "docs/troubleshooting.md",
    "docs/guides/prometheus.md",
    "docs/guides/collector.md",
    "docs/guides/grafana-cloud.md",
    "docs/guides/otlp-backends.md",
    "docs/guides/managed-host.md",
    "docs/guides/coming-from.md",
    "deploy/README.md",
];

/// Flags of cargo, docker and Prometheus.
const FOREIGN: [&str; 17] = [
    "--release",
    "--locked",
    "--path",
    "--bench",
    "--test",
    "--sanitizer",
    "--build",
    "--build-arg",
    "--cap-drop",
    "--no-healthcheck",
    "--read-only",
    "--security-opt",
    "--short",
    "--unix-socket",
    "--volumes",
    "--wait",
    "--web",
];
/// Variables without a flag: of the exporter of 2018, of the build, and of compose.yaml.
const OTHER_VARIABLES: [&str; 3] = ["MASTODON_HOST", "FEDIMETER_REVISION", "FEDIMETER_PORT"];

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The words of a text that consist of these characters.
fn words(text: &str, part: impl Fn(char) -> bool) -> impl Iterator<Item = &str> {
    text.split(move |c| !part(c)).filter(|word| !word.is_empty())
}

#[test]
fn commands_and_flags_are_there() {
    let command = cli::command();
    let mut flags: HashSet<String> = ["--help".to_owned(), "--version".to_owned()].into();
    flags.extend(command.get_arguments().filter_map(|a| a.get_long()).map(|long| format!("--{long}")));
    let mut commands: HashSet<String> = ["help".to_owned()].into();
    for sub in command.get_subcommands() {
        commands.insert(sub.get_name().to_owned());
        flags.extend(sub.get_arguments().filter_map(|a| a.get_long()).map(|long| format!("--{long}")));
    }
    for name in PAGES {
        let text = page(name);
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        for flag in words(&text, is_part).filter(|w| w.starts_with("--") && w.len() > 3) {
            if !flag.trim_matches('-').is_empty() {
                let known = flags.contains(flag) || FOREIGN.contains(&flag);
                assert!(known, "{name}: there is no flag {flag}");
            }
        }
        for code in code(&text).filter_map(|code| code.trim().strip_prefix("fedimeter ")) {
            let word = code.split_whitespace().next().unwrap_or_default();
            let is_word = word.chars().all(|c| c.is_ascii_lowercase());
            assert!(!is_word || commands.contains(word), "{name}: there is not a command {word}");
        }
    }
}

/// Lines of code blocks, and text between backticks elsewhere.
fn code(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines().flat_map(move |line| {
        let fence = line.starts_with("```");
        fenced ^= fence;
        let (skip, step) = if fenced { (0, 1) } else { (1, 2) };
        line.split(if fenced { '\0' } else { '`' }).skip(skip).step_by(step)
    })
}

#[test]
fn variables_are_there() {
    let mut known: HashSet<String> = OTHER_VARIABLES.iter().map(|v| (*v).to_owned()).collect();
    let command = cli::command();
    for sub in command.get_subcommands().chain([&command]) {
        let variables = sub.get_arguments().filter_map(clap::Arg::get_env);
        known.extend(variables.map(|v| v.to_string_lossy().into_owned()));
    }
    for variable in otel::VARIABLES {
        known.extend(variable.names());
    }
    for name in PAGES {
        let text = page(name);
        let is_part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || matches!(c, '_' | '*');
        let ours = |w: &&str| ["FEDIMETER_", "OTEL_", "MASTODON_"].iter().any(|p| w.starts_with(p));
        for variable in words(&text, is_part).filter(ours).filter(|w| !w.contains('*')) {
            assert!(known.contains(variable), "{name}: there is no variable {variable}");
        }
    }
}

#[test]
fn metrics_are_there() {
    let names: HashSet<&str> = rows().map(|row| row.name).collect();
    let catalogue = catalogue::markdown(&catalogue::without(&std::collections::BTreeSet::default()));
    for name in PAGES {
        let text = page(name);
        let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_');
        for word in code(&text) {
            let whole = word.chars().all(is_part) && word.split('.').count() > 2;
            let ours = ["fedimeter.", "mastodon.", "nodeinfo."].iter().any(|space| word.starts_with(space));
            let attribute =
                catalogue.contains(&format!("`{word}`")) || word.starts_with("fedimeter.push.points.");
            assert!(!(whole && ours) || names.contains(word) || attribute, "{name}: no metric {word}");
        }
    }
}

/// Without `--locked`, cargo uses untested versions of dependencies.
#[test]
fn programs_are_installed_with_tested_versions() {
    let mut read = 0;
    for name in PAGES {
        let text = page(name);
        for command in code(&text).filter(|code| code.trim().starts_with("cargo install ")) {
            assert!(command.contains(" --locked"), "{name}: {command}");
            read += 1;
        }
    }
    assert!(read >= 2, "{read} commands");
}

#[test]
fn every_outcome_has_a_way_out() {
    let text = page("docs/troubleshooting.md");
    for error in ErrorType::ALL {
        assert!(text.contains(&format!("\n| `{}` |", error.name())), "{} is missing", error.name());
    }
}

#[test]
fn every_need_of_a_token_is_told() {
    let text = page("docs/tokens.md");
    for endpoint in Endpoint::ALL.iter().filter(|e| e.on() == On::Token) {
        let row = text.lines().find(|line| line.contains(&format!("| `{}` |", endpoint.name())));
        let row = row.unwrap_or_else(|| panic!("{} is missing", endpoint.name()));
        if let Some(needs) = endpoint.needs() {
            assert!(row.starts_with(&format!("| `{}` | {} |", needs.scope, needs.permission)), "{row}");
        }
    }
}
