//! Wrong usage of the real program: its messages and exit statuses.

use crate::support::{otlp_sink, program};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use crate::support::program::run;
use fedimeter::cli;
use fedimeter::endpoint::{Endpoint, On};
use fedimeter::export::self_metrics::BUILD;
use fedimeter::simulator::{Settings, Simulator};
use tempfile::TempDir;

/// Wrong arguments and environments, with the complete message.
#[track_caller]
fn wrong(args: &[&str], env: &[(&str, &str)], message: &str) {
    let ran = run(args, env);
    assert_eq!(ran.err.trim_end(), message, "{args:?} {env:?}");
    assert_eq!((ran.status, ran.out.as_str()), (Some(2), ""), "{args:?} {env:?}");
}

fn written(dir: &TempDir, name: &str, content: &str) -> String {
    let path: PathBuf = dir.path().join(name);
    std::fs::write(&path, content).unwrap();
    path.into_os_string().into_string().unwrap()
}

const NO_TARGET: &str = "\
fedimeter: no target: name a server in one of these three ways:
fedimeter:   an argument:  fedimeter mastodon.social
fedimeter:   a variable:   FEDIMETER_TARGETS=mastodon.social (several with commas), or MASTODON_HOST=https://mastodon.social
fedimeter:   a file:       --config fedimeter.yaml, with the line `targets: [mastodon.social]`";

/// `init` reads no configuration file, so its message names none.
#[test]
fn init_without_a_server_names_only_the_ways_that_it_has() {
    let ran = run(&["init", "--output", "-"], &[]);
    let expected = "\
fedimeter: no server: name one in one of these two ways:
fedimeter:   an argument:  fedimeter init mastodon.social
fedimeter:   a variable:   FEDIMETER_TARGETS=mastodon.social (several with commas), or MASTODON_HOST=https://mastodon.social
";
    assert_eq!((ran.status, &*ran.out, &*ran.err), (Some(2), "", expected));
}

#[test]
fn what_is_no_command_and_no_server_is_told_with_what_was_meant() {
    for (args, meant) in [
        (&["version"][..], "`version` is not a command; did you mean `--version`?"),
        (&["onec"], "did you mean `once`?"),
        (&["cehck", "x"], "did you mean `check`?"),
        (&["status"], "`fedimeter help` lists them. A server called so is https://status"),
        (&["probe"], "`fedimeter help` lists them. A server called so is https://probe"),
        (&["fedimeter.yaml"], "did you mean --config fedimeter.yaml?"),
        (&["check", "./x.yaml"], "did you mean --config ./x.yaml?"),
    ] {
        let ran = run(args, &[]);
        assert_eq!(ran.status, Some(2), "{args:?}");
        assert!(ran.err.contains(meant), "{args:?}: {}", ran.err);
    }
    for server in ["localhost", "a.example", "https://status"] {
        assert_eq!(run(&["check", server], &[]).status, Some(0), "{server}");
    }
}

#[test]
fn every_command_says_the_version_with_the_revision() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let git = std::process::Command::new("git").args(["rev-parse", "HEAD"]).current_dir(root).output();
    let revision = if root.join(".git").exists() && git.as_ref().is_ok_and(|git| git.status.success()) {
        let head = String::from_utf8(git.unwrap().stdout).unwrap();
        assert!(head.starts_with(BUILD.revision), "{} of {head}", BUILD.revision);
        format!(" ({})", BUILD.revision)
    } else {
        String::new()
    };
    let version = run(&["--version"], &[]).out;
    if !revision.is_empty() {
        assert_eq!(version, format!("fedimeter {}{revision}\n", env!("CARGO_PKG_VERSION")));
    }
    for command in cli::command().get_subcommands().map(clap::Command::get_name) {
        assert_eq!(run(&[command, "--version"], &[]).out, version, "{command}");
    }
}

#[test]
fn a_misspelt_variable_is_a_warning() {
    let ran = run(&["once", "http://127.0.0.1:1"], &[("FEDIMETER_TARGET", "a.example")]);
    assert!(ran.err.contains("FEDIMETER_TARGET is not a variable of fedimeter"), "{}", ran.err);
    assert!(ran.err.contains("did you mean FEDIMETER_TARGETS?"), "{}", ran.err);
}

#[test]
fn without_a_target_the_three_ways_to_give_one_are_shown() {
    for args in [&[][..], &["serve"], &["once"], &["check"], &["--listen", "127.0.0.1:0"]] {
        wrong(args, &[], NO_TARGET);
    }
    wrong(&[], &[("MASTODON_HOST", ""), ("FEDIMETER_TARGETS", " ")], NO_TARGET);
}

#[test]
fn a_target_that_is_none_is_named_with_what_to_write() {
    for (target, message) in [
        ("ftp://a.example", "has a scheme that is neither http nor https; write https://a.example"),
        ("a.example b.example", "has a space, a control character or a backslash; write one host or URL"),
        (
            "https://me:s3cret@a.example",
            "has a user name or a password; write a.example, and give a token by token_file or token_env",
        ),
        ("https://a.example/?t=s3cret", "has a query or a fragment; write https://a.example"),
        (
            "a..example",
            "is not a host or a URL (a part between dots must have 1 to 63 characters); write one such as \
             mastodon.social",
        ),
    ] {
        for command in ["serve", "once", "check"] {
            wrong(&[command, target], &[], &format!("fedimeter: target 1 of the command line: {message}"));
        }
        wrong(&[], &[("MASTODON_HOST", target)], &format!("fedimeter: MASTODON_HOST: {message}"));
    }
}

#[test]
fn a_target_given_twice() {
    wrong(
        &["a.example", "b.example", "https://a.example:443/"],
        &[],
        "fedimeter: target 3 of the command line: a.example is given twice, first as target 1 of the command \
         line; remove one of them",
    );
    wrong(
        &[],
        &[("FEDIMETER_TARGETS", "a.example, A.example")],
        "fedimeter: FEDIMETER_TARGETS[1]: a.example is given twice, first as FEDIMETER_TARGETS[0]; remove one of \
         them",
    );
    wrong(
        &[],
        &[("FEDIMETER_TARGETS", "a.example"), ("MASTODON_HOST", "https://a.example/")],
        "fedimeter: FEDIMETER_TARGETS[0]: a.example is given twice, first as MASTODON_HOST; remove one of them",
    );
}

/// The values of `collect`.
fn known_endpoints() -> String {
    let named = Endpoint::ALL.iter().filter(|e| e.on() == On::OptIn);
    named.map(|e| format!("`{}`", e.name())).collect::<Vec<_>>().join(", ")
}

#[test]
fn a_file_says_all_that_is_wrong_with_it_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = written(
        &dir,
        "many.yaml",
        "listn: 1
defaults:
  collect: [peerz]
targets:
  - url: ftp://a.example
  - url: b.example
    token_file: /nonexistent/token
  - url: c.example
    colect: []
  - c.example
  - url: d.example
    token: s3cret
",
    );
    let known = known_endpoints();
    let message = format!(
        "\
fedimeter: {file}:1: listn: unknown key; did you mean `listen`?
fedimeter: {file}:3: defaults.collect[0]: no endpoint `peerz`; did you mean `peers`? Known are {known}
fedimeter: {file}:5: targets[0].url: has a scheme that is neither http nor https; write https://a.example
fedimeter: {file}:7: targets[1].token_file: cannot read /nonexistent/token: No such file or directory (os error 2); create it or correct the path, and let the user that runs fedimeter read it
fedimeter: {file}:9: targets[2].colect: unknown key; did you mean `collect`?
fedimeter: {file}:10: targets[3]: c.example is given twice, first as {file}:8: targets[2]; remove one of them
fedimeter: {file}:12: targets[4].token: a token must not be in the configuration; name its file in `token_file` or its variable in `token_env`"
    );
    for command in ["serve", "once", "check"] {
        wrong(&[command, "--config", &file], &[], &message);
        wrong(&[command], &[("FEDIMETER_CONFIG", &file)], &message);
    }
    let missing = dir.path().join("missing.yaml").display().to_string();
    wrong(
        &["--config", &missing],
        &[],
        &format!(
            "fedimeter: {missing}: cannot read the configuration: No such file or directory (os error 2); check \
             the path of --config"
        ),
    );
    let broken = written(&dir, "broken.yaml", "targets: [\n");
    let ran = run(&["check", "--config", &broken], &[]);
    assert!(ran.err.starts_with(&format!("fedimeter: {broken}:2: not YAML: ")), "{}", ran.err);
    assert_eq!(ran.status, Some(2));
}

#[test]
fn a_token_that_cannot_be_read() {
    wrong(
        &["--token-file", "/nonexistent/token", "a.example"],
        &[],
        "fedimeter: --token-file: cannot read /nonexistent/token: No such file or directory (os error 2); create \
         it or correct the path, and let the user that runs fedimeter read it",
    );
    wrong(
        &["a.example"],
        &[("FEDIMETER_TOKEN_ENV", "TOKEN")],
        "fedimeter: FEDIMETER_TOKEN_ENV: there is no environment variable `TOKEN`; set it to the token, or give the name \
         of one that is set",
    );
    let dir = tempfile::tempdir().unwrap();
    let empty = written(&dir, "empty", "\n");
    wrong(
        &["--token-file", &empty, "a.example"],
        &[],
        &format!("fedimeter: --token-file: {empty} is empty; write an access token into it"),
    );
    let folder = dir.path().to_str().unwrap();
    wrong(
        &["--token-file", folder, "a.example"],
        &[],
        &format!(
            "fedimeter: --token-file: cannot read {folder}: Is a directory (os error 21); create it or correct \
             the path, and let the user that runs fedimeter read it"
        ),
    );
}

#[test]
fn flags_that_make_no_sense() {
    let help = "\n\nFor more information, try '--help'.";
    wrong(
        &["--collect", "peerz", "a.example"],
        &[],
        &format!(
            "fedimeter: --collect=peerz: no endpoint `peerz`; did you mean `peers`? Known are {}",
            known_endpoints()
        ),
    );
    wrong(
        &["--listen", "nowhere", "a.example"],
        &[],
        "fedimeter: --listen=nowhere: is not an address to listen on; write an IP address and a port such as \
         127.0.0.1:9464, 0.0.0.0:9464 or [::]:9464, unix:/run/fedimeter/fedimeter.sock, or none",
    );
    wrong(
        &["once", "--format", "xml", "a.example"],
        &[],
        &format!(
            "error: invalid value 'xml' for '--format <FORMAT>'\n  [possible values: table, prometheus, \
             openmetrics, json]{help}"
        ),
    );
    wrong(
        &["--frobnicate", "a.example"],
        &[],
        &format!(
            "error: unexpected argument '--frobnicate' found\n\n  tip: to pass '--frobnicate' as a value, use \
             '-- --frobnicate'\n\nUsage: fedimeter serve [OPTIONS] [TARGET]...{help}"
        ),
    );
    wrong(
        &["a.example", "once"],
        &[],
        "fedimeter: target 2 of the command line: `once` is a command; write it first: fedimeter once …, or \
         https://once for a host of that name",
    );
    wrong(
        &["--compat", "dada", "a.example", "b.example"],
        &[],
        "fedimeter: --compat: dada has no label to tell targets apart, and there are 2; use systemli, or one \
         bridge for each target",
    );
    wrong(
        &["--listen", "none", "a.example"],
        &[],
        "fedimeter: nothing to do: /metrics listens nowhere and no push is on; give --listen ADDR, or set \
         OTEL_EXPORTER_OTLP_ENDPOINT",
    );
}

#[test]
fn environment_that_makes_no_sense() {
    for command in ["serve", "once", "check"] {
        wrong(
            &[command, "a.example"],
            &[("OTEL_CONFIG_FILE", "/no/such/otel.yaml")],
            "fedimeter: OTEL_CONFIG_FILE: cannot read /no/such/otel.yaml: No such file or directory (os error 2); \
             check the path and its permissions",
        );
        wrong(
            &[command, "a.example"],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "nowhere")],
            "fedimeter: OTEL_EXPORTER_OTLP_ENDPOINT: the value, of 7 characters, is not a URL of the form http://HOST:PORT or \
             https://HOST:PORT",
        );
    }
}

/// If the port is in use, the program ends before any request.
#[test]
fn a_port_in_use_starts_nothing() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let sink = runtime.block_on(otlp_sink::GrpcSink::start());
    let simulator = runtime.block_on(Simulator::start(Settings::default(), ([127, 0, 0, 1], 0).into()));
    let simulator = simulator.unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let endpoint = sink.endpoint();
    let env = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")];
    let message = |flag: &str| {
        format!(
            "fedimeter: cannot listen on {address}: Address already in use (os error 98); another program uses \
             it: stop that program, or choose another address with {flag}"
        )
    };
    let url = simulator.url(0);
    let bridge = ["--listen", "127.0.0.1:0", "--listen", &address, &url];
    for args in [&bridge[..], &["demo", "--listen", &address]] {
        let ran = run(args, &env);
        // Another status than for a wrong configuration, because the address may be free
        // later.
        assert_eq!((ran.status, &*ran.out, ran.err.trim_end()), (Some(3), "", &*message("--listen")));
    }
    let ran = run(&["simulate", "--listen", &address], &env);
    assert_eq!((ran.status, ran.out.as_str()), (Some(3), ""));
    assert_eq!(
        ran.err,
        format!(
            "fedimeter: cannot listen on {address}: Address already in use (os error 98); choose another \
             address with --listen\n"
        )
    );
    assert_eq!(simulator.requests(0, "*"), 0);
    assert_eq!(sink.requests().len(), 0);
}

/// If nothing can be written, the exit status still reports the error.
#[test]
fn standard_error_that_cannot_be_written() {
    for args in [&["check"][..], &["once", "--frobnicate"], &["once", "http://127.0.0.1:1"]] {
        for full in [true, false] {
            let mut command = program::fedimeter();
            command.args(args).stdout(std::process::Stdio::null());
            let status =
                if full { command.stderr(full_disk()) } else { command.stderr(closed_pipe()) }.status();
            let expected = if args.contains(&"http://127.0.0.1:1") { 1 } else { 2 };
            assert_eq!(status.unwrap().code(), Some(expected), "{args:?}");
        }
    }
}

fn full_disk() -> std::fs::File {
    std::fs::File::options().write(true).open(Path::new("/dev/full")).unwrap()
}

fn closed_pipe() -> std::io::PipeWriter {
    std::io::pipe().unwrap().1
}
