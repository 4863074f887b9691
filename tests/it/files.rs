//! The commands that write files: configurations, completions and manual pages.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use crate::support::program::{Ran, fedimeter, run};
use fedimeter::cli;
use fedimeter::simulator::{Fault, Settings, Simulator};
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// An address at which nothing listens.
const DEAD: &str = "http://127.0.0.1:1";

fn simulator() -> (Runtime, Simulator) {
    let runtime = Runtime::new().unwrap();
    let settings = Settings { instances: 2, ..Settings::default() };
    let simulator = runtime.block_on(Simulator::start(settings, ([127, 0, 0, 1], 0).into())).unwrap();
    (runtime, simulator)
}

/// Runs `init` with an output file in the directory.
fn init(dir: &TempDir, servers: &[&str]) -> (Ran, String, String) {
    let path = dir.path().join("fedimeter.yaml").display().to_string();
    let ran = run(&[&["init", "--output", &path], servers].concat(), &[]);
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    (ran, path, text)
}

#[test]
fn init_writes_what_each_server_offers() {
    let (_runtime, simulator) = simulator();
    simulator.set_fault(0, "/api/v1/custom_emojis", Some(Fault::Status(503)));
    let dir = tempfile::tempdir().unwrap();
    let url = simulator.url(0);
    let (ran, path, text) = init(&dir, &[&url, "--account", "admin"]);
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    assert_eq!(ran.out, "");
    assert_eq!(ran.err, format!("wrote {path}; next: fedimeter check --config {path}\n"));
    let version = simulator.truth(0).version;
    assert!(text.contains(&format!("\n  # mastodon {version}, ")), "{text}");
    assert!(text.contains(&format!("\n  - url: {url}\n")), "{text}");
    assert!(text.contains("\n    collect: [health, timelines, peers]\n"), "{text}");
    assert!(
        text.contains("\n    # Omitted:  custom_emojis, http_5xx: HTTP 503 Service Unavailable"),
        "{text}"
    );
    assert!(text.contains("\n    # Omitted:  domain_blocks, not_offered: HTTP 404 Not Found.\n"), "{text}");
    assert!(text.contains("\n    accounts: [admin]\n    # tags: [introductions]\n"), "{text}");
    // The file is a valid configuration.
    let checked = run(&["check", "--strict", "--config", &path], &[]);
    assert_eq!((checked.status, &*checked.err), (Some(0), ""));
    assert!(checked.out.contains("collect: [health, timelines, peers]"), "{}", checked.out);
}

/// The file omits numbers that are not reported.
#[test]
fn init_names_only_users_that_are_counted() {
    let (_runtime, simulator) = simulator();
    let users = |software: &str, total: u64| {
        let software = json!({"name": software, "version": "1.0"});
        let nodeinfo = json!({"version": "2.0", "software": software, "usage": {"users": {"total": total}}});
        simulator.set_json(0, "/nodeinfo/2.0", nodeinfo.to_string());
        simulator.set_fault(0, "/api/*", Some(Fault::Status(404)));
        run(&["init", "--output", "-", &simulator.url(0)], &[]).out
    };
    for (software, total, summary) in [
        ("owncast", 1, "\n  # owncast 1.0\n"),
        ("tootik", 0, "\n  # tootik 1.0\n"),
        ("peertube", 1, "\n  # peertube 1.0, 1 user\n"),
        ("peertube", 7, "\n  # peertube 1.0, 7 users\n"),
    ] {
        let written = users(software, total);
        assert!(written.contains(summary), "{software} {total}: {written}");
    }
}

#[test]
fn init_writes_no_file_that_is_there() {
    let (_runtime, simulator) = simulator();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fedimeter.yaml");
    for other in ["mine", ""] {
        std::fs::write(&path, other).unwrap();
        let (ran, path, text) = init(&dir, &[&simulator.url(0)]);
        let message = format!(
            "fedimeter: {path} exists, and init does not overwrite files; name another with --output, or move it away\n"
        );
        assert_eq!((ran.status, &*ran.err, &*text), (Some(2), &*message, other));
    }
    assert_eq!(simulator.requests(0, "*"), 0, "it is said before anything is asked");
    // A broken link counts as an existing file.
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/nonexistent/file", &path).unwrap();
    assert_eq!(init(&dir, &[&simulator.url(0)]).0.status, Some(2));
    let nowhere = run(&["init", "--output", "/nonexistent/f.yaml", &simulator.url(0)], &[]);
    assert_eq!(nowhere.status, Some(1));
    assert!(nowhere.err.starts_with("fedimeter: cannot write /nonexistent/f.yaml: "), "{}", nowhere.err);
}

#[test]
fn init_says_which_server_did_not_answer() {
    let (_runtime, simulator) = simulator();
    let dir = tempfile::tempdir().unwrap();
    let (ran, path, text) = init(&dir, &[DEAD, &simulator.url(1)]);
    assert_eq!(ran.status, Some(1));
    assert!(ran.err.contains(&format!("{DEAD} did not answer; {path} says why")), "{}", ran.err);
    assert!(text.contains("  # The server did not answer when this file was written: connect: "), "{text}");
    assert!(
        text.contains(&format!("  - url: {DEAD}\n    # More endpoints:\n    # collect: [health")),
        "{text}"
    );
    assert_eq!(run(&["check", "--config", &path], &[]).status, Some(0));
    // To standard output, and from there to `check`.
    let printed = run(&["init", "--output", "-", &simulator.url(1)], &[]);
    assert_eq!((printed.status, &*printed.err), (Some(0), ""));
    let checked = with_input(&["check", "--config", "-"], printed.out.as_bytes());
    assert_eq!(checked.status, Some(0), "{}", checked.err);
    assert!(checked.out.contains("  # standard input:"), "{}", checked.out);
}

fn with_input(args: &[&str], input: &[u8]) -> Ran {
    let mut command = fedimeter();
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { status: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

#[test]
fn a_configuration_comes_from_standard_input() {
    let (_runtime, simulator) = simulator();
    let once = with_input(
        &["once", "--format", "json", "--config", "-"],
        format!("targets: ['{}']\n", simulator.url(0)).as_bytes(),
    );
    assert_eq!(once.status, Some(0), "{}", once.err);
    let wrong = with_input(&["check", "-c", "-"], b"targets: [a.example]\ncolour: 5s\n");
    assert!(wrong.err.starts_with("fedimeter: standard input:2: colour: unknown key; "), "{}", wrong.err);
    assert_eq!(wrong.status, Some(2));
    let binary = with_input(&["check", "-c", "-"], b"\xff");
    assert!(binary.err.starts_with("fedimeter: standard input: is not UTF-8"), "{}", binary.err);
    // Paths are relative to the working directory.
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("t.token"), "secret").unwrap();
    let mut command = fedimeter();
    command.current_dir(dir.path()).args(["check", "--config", "-"]);
    let file = dir.path().join("f.yaml");
    std::fs::write(&file, "targets: [{url: a.example, token_file: t.token}]\n").unwrap();
    command.stdin(std::fs::File::open(&file).unwrap());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn completions_know_every_command_and_flag() {
    let names: Vec<String> = cli::command().get_subcommands().map(|c| c.get_name().to_owned()).collect();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ran = run(&["completions", shell], &[]);
        assert_eq!((ran.status, &*ran.err), (Some(0), ""), "{shell}");
        for word in names.iter().map(String::as_str).chain(["token-file", "otlp-backlog-size"]) {
            assert!(ran.out.contains(word), "{shell}: {word}");
        }
    }
    assert_eq!(run(&["completions", "csh"], &[]).status, Some(2));
}

/// bash completes with its script.
#[test]
fn bash_completes() {
    let script = run(&["completions", "bash"], &[]).out;
    let ask = "COMP_WORDS=(fedimeter he); COMP_CWORD=1; _fedimeter fedimeter he fedimeter; echo \"${COMPREPLY[@]}\"";
    let bash = std::process::Command::new("bash").args(["-c", &format!("{script}\n{ask}")]).output().unwrap();
    let said = String::from_utf8(bash.stdout).unwrap();
    let words: Vec<&str> = said.split_whitespace().collect();
    assert_eq!(words, ["healthcheck", "help"], "{}", String::from_utf8_lossy(&bash.stderr));
}

#[test]
fn manual_pages_are_written_for_every_command() {
    let page = run(&["man"], &[]).out;
    assert!(page.contains(".TH fedimeter 1") && page.contains("once"), "{page}");
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("man1");
    let ran = run(&["man", "--directory", folder.to_str().unwrap()], &[]);
    assert_eq!((ran.status, &*ran.out, &*ran.err), (Some(0), "", ""));
    let read =
        |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert!(read("fedimeter.1").contains(".SH SUBCOMMANDS"));
    for command in cli::command().get_subcommands() {
        let page = read(&format!("fedimeter-{}.1", command.get_name()));
        assert!(page.contains(".SH SYNOPSIS"), "{page}");
    }
    // They contain no values of the environment.
    let ran = run(&["man"], &[("FEDIMETER_CONFIG", "/home/someone/secret.yaml")]);
    assert_eq!(ran.out, page);
    let blocked = Path::new("/dev/null/man1").to_str().unwrap();
    let ran = run(&["man", "--directory", blocked], &[]);
    assert_eq!(ran.status, Some(1));
    assert!(ran.err.starts_with("fedimeter: cannot write manual pages to /dev/null/man1: "), "{}", ran.err);
}
