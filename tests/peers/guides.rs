//! The guides: their commands and configurations are valid.
//!
//! Without `promtool` its test is ignored, and the reason is printed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::trial::{always, program, trial};
use fedimeter::cli::{self, Command as Sub};
use fedimeter::config::otel::OtelEnv;
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    vec![
        always("their_commands_are_understood", their_commands_are_understood),
        always("fedimeter_takes_what_they_configure", fedimeter_takes_what_they_configure),
        trial("prometheus_takes_what_they_configure", program("promtool"), |()| {
            prometheus_takes_what_they_configure();
        }),
    ]
}

/// The code blocks of a language in the guides and in deploy/README.md, with their pages.
fn blocks(language: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let guides = fs::read_dir(root.join("docs/guides")).unwrap().map(|entry| entry.unwrap().path());
    let pages = guides.chain(["README.md", "deploy/README.md", "docs/tokens.md"].map(|page| root.join(page)));
    let mut blocks = Vec::new();
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        let mut block: Option<String> = None;
        for line in text.lines() {
            match (&mut block, line.trim_start().strip_prefix("```")) {
                (None, Some(found)) if found == language => block = Some(String::new()),
                (Some(_), Some(_)) => blocks.push((page.display().to_string(), block.take().unwrap())),
                (Some(block), None) => {
                    block.push_str(line);
                    block.push('\n');
                }
                (None, _) => {}
            }
        }
    }
    blocks
}

/// A line as a shell reads it: variables before the command, and its words.
fn words(line: &str) -> (BTreeMap<String, String>, Vec<String>) {
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (c, quote) {
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, Some(open)) if c == open => quote = None,
            ('#', None) if word.is_none() => break,
            ('|' | '>' | '&' | ';', None) => break,
            (' ', None) => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    let is_variable = |word: &String| {
        word.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        })
    };
    let commands = words.iter().position(|word| !is_variable(word)).unwrap_or(words.len());
    let rest = words.split_off(commands);
    let variables = words.iter().filter_map(|word| word.split_once('='));
    (variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(), rest)
}

fn their_commands_are_understood() {
    assert_eq!(
        words("A=1 B='2 3' fedimeter --x \"y z\" | grep 'no # comment' # yes"),
        (
            [("A", "1"), ("B", "2 3")].map(|(n, v)| (n.to_owned(), v.to_owned())).into(),
            ["fedimeter", "--x", "y z"].map(str::to_owned).to_vec()
        )
    );
    let mut understood = 0;
    for (page, block) in blocks("sh") {
        // Exported variables apply until the end of the block.
        let mut exported = BTreeMap::new();
        for line in block.replace("\\\n", " ").lines() {
            if let Some(export) = line.strip_prefix("export ") {
                exported.extend(words(export).0);
                continue;
            }
            let (variables, command) = words(line);
            if command.first().is_none_or(|program| program != "fedimeter") {
                continue;
            }
            understood += 1;
            let parsed = cli::parse(command.iter().map(Into::into));
            let parsed = parsed.unwrap_or_else(|e| panic!("{page}: {line}: {e}"));
            let mut environment = exported.clone();
            environment.extend(variables);
            let env = |name: &str| environment.get(name).cloned();
            let (_, warnings) = OtelEnv::read(&env).unwrap_or_else(|e| panic!("{page}: {line}: {e:?}"));
            assert!(warnings.is_empty(), "{page}: {line}: {warnings:?}");
            // The files are the reader's.
            if let Sub::Serve(args) = &parsed.command
                && args.config.is_none()
                && args.settings.flags.get("token_file").is_none()
            {
                args.load(&env).unwrap_or_else(|e| panic!("{page}: {line}: {e}"));
            }
        }
    }
    assert!(understood > 15, "{understood} commands");
}

fn fedimeter_takes_what_they_configure() {
    let directory = tempfile::tempdir().unwrap();
    for token in ["token", "social.token"] {
        fs::write(directory.path().join(token), "secret").unwrap();
    }
    let mut taken = 0;
    for (page, block) in blocks("yaml").into_iter().filter(|(_, block)| block.contains("\ntargets:")) {
        let file = directory.path().join("fedimeter.yaml");
        fs::write(&file, &block).unwrap();
        let args = ["fedimeter".into(), "check".into(), "--config".into(), file.into_os_string()];
        let Sub::Check(args) = cli::parse(args).unwrap().command else { unreachable!("it is check") };
        let args = args.common;
        args.load(&|_| None).unwrap_or_else(|e| panic!("{page}: {e}\n{block}"));
        taken += 1;
    }
    assert!(taken >= 2, "{taken} configurations");
}

fn prometheus_takes_what_they_configure() {
    let directory = tempfile::tempdir().unwrap();
    let mut taken = 0;
    let ours = ["scrape_configs:", "rule_files:", "storage:"];
    for (page, block) in blocks("yaml").into_iter().filter(|(_, b)| ours.iter().any(|key| b.starts_with(key)))
    {
        let file = directory.path().join("prometheus.yml");
        fs::write(&file, &block).unwrap();
        let check = ["check", "config", "--syntax-only"];
        let checked = Command::new("promtool").args(check).arg(&file).output().unwrap();
        assert!(checked.status.success(), "{page}: {}\n{block}", String::from_utf8_lossy(&checked.stderr));
        taken += 1;
    }
    assert!(taken >= 5, "{taken} configurations");
}
