//! The units of systemd and their samples agree with the program, and systemd accepts them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use libtest_mimic::Trial;

use crate::support::program::run;
use crate::support::trial::{always, program, trial};

pub fn trials() -> Vec<Trial> {
    let plain = [
        ("the_service_is_supervised", the_service_is_supervised as fn()),
        ("exit_statuses_are_those_that_are_documented", exit_statuses_are_documented),
        ("the_sample_configuration_is_right", the_sample_configuration_is_right),
        ("the_sample_environment_is_right", the_sample_environment_is_right),
        ("the_socket_is_where_the_sample_listens", the_socket_is_where_the_sample_listens),
        ("the_head_names_files_that_there_are", the_head_names_files_that_there_are),
    ];
    let mut trials: Vec<Trial> = plain.into_iter().map(|(name, test)| always(name, test)).collect();
    let systemd = program("systemd-analyze").map_err(|e| format!("{e} (Debian's package systemd has it)"));
    trials.push(trial("systemd_finds_nothing_wrong", systemd.clone(), |()| systemd_finds_nothing_wrong()));
    trials.push(trial("systemd_finds_the_service_confined", systemd, |()| the_service_is_confined()));
    trials
}

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(root.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn service() -> String {
    read("deploy/systemd/fedimeter.service")
}

fn socket() -> String {
    read("deploy/systemd/fedimeter.socket")
}

/// The assignments of a unit.
fn assigned(unit: &str) -> BTreeMap<&str, &str> {
    let lines = unit.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once('=')).collect()
}

fn the_service_is_supervised() {
    let service = service();
    let assigned = assigned(&service);
    for (key, value) in [
        ("Type", "notify"),
        ("ExecReload", "/bin/kill -HUP $MAINPID"),
        ("Restart", "on-failure"),
        ("LimitCORE", "0"),
        ("RuntimeDirectory", "fedimeter"),
    ] {
        assert_eq!(assigned[key], value, "{key}");
    }
    let number = |key: &str| {
        let digits: String = assigned[key].chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u32>().unwrap_or_else(|_| panic!("{key}={}", assigned[key]))
    };
    assert!(number("WatchdogSec") >= 30 && number("RestartSec") >= 1);
    // Worker and blocking threads of the runtime, the log's, and those of the SDK.
    assert!(number("TasksMax") >= 64);
    assert!(assigned["MemoryMax"].ends_with('G'));
}

/// The unit does not restart after a wrong configuration, but after an address in use.
fn exit_statuses_are_documented() {
    let page = read("docs/troubleshooting.md");
    let (_, table) = page.split_once("## Exit statuses").unwrap();
    let meaning = |status: &str| {
        table.lines().find(|line| line.starts_with(&format!("| {status} |"))).unwrap_or_default().to_owned()
    };
    assert!(meaning("2").contains("Wrong usage or configuration"));
    assert!(meaning("3").contains("cannot be listened on"));
    assert_eq!(assigned(&service())["RestartPreventExitStatus"], "2");
    let wrong = run(&["--config", "/nonexistent.yaml"], &[]);
    assert_eq!(wrong.status, Some(2), "{wrong:?}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let taken = run(&["--listen", &address, "http://127.0.0.1:1"], &[]);
    assert_eq!(taken.status, Some(3), "{taken:?}");
}

fn check(text: &str, env: &[(&str, &str)]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("fedimeter.yaml");
    fs::write(&file, text).unwrap();
    let ran = run(&["check", "--strict", "--config", file.to_str().unwrap()], env);
    assert_eq!((ran.status, &*ran.err), (Some(0), ""), "{ran:?}");
    ran.out
}

/// Also with everything that is commented out.
fn the_sample_configuration_is_right() {
    let sample = read("deploy/systemd/fedimeter.yaml");
    check(&sample, &[]);
    let all = uncommented(&sample);
    assert_ne!(all, sample);
    let tokens = tempfile::tempdir().unwrap();
    let credentials = "/run/credentials/fedimeter.service/tokens_";
    assert!(all.contains(credentials));
    fs::write(tokens.path().join("social.token"), "hush").unwrap();
    fs::set_permissions(tokens.path().join("social.token"), fs::Permissions::from_mode(0o400)).unwrap();
    let shown = check(&all.replace(credentials, &format!("{}/", tokens.path().display())), &[]);
    assert!(shown.contains("url: https://social.example"), "{shown}");
    // The names that systemd gives to files of LoadCredential=tokens:…
    assert!(service().contains("LoadCredential=tokens:/etc/fedimeter/tokens"));
    assert!(all.contains("otlp_backlog_directory: /var/lib/fedimeter/"));
    assert_eq!(assigned(&service())["StateDirectory"], "fedimeter");
}

fn the_sample_environment_is_right() {
    let all = uncommented(&read("deploy/systemd/environment"));
    let variables: Vec<(&str, &str)> = all.lines().filter_map(|line| line.split_once('=')).collect();
    let variables: Vec<_> = variables.into_iter().filter(|(name, _)| !name.contains(' ')).collect();
    assert!(variables.len() >= 4, "{variables:?}");
    let known = read("docs/environment.md") + &read("docs/config.md");
    for (name, _) in &variables {
        assert!(known.contains(&format!("`{name}`")), "{name} is no variable");
    }
    check(&read("deploy/systemd/fedimeter.yaml"), &variables);
    assert!(service().contains("EnvironmentFile=-/etc/fedimeter/environment"));
}

/// Settings in comments: `#key: value`.
fn uncommented(sample: &str) -> String {
    let line = |line: &str| {
        let (indent, rest) = line.split_at(line.len() - line.trim_start().len());
        match rest.strip_prefix('#') {
            Some(text) if !text.starts_with(' ') || rest.starts_with("#  ") => format!("{indent}{text}\n"),
            _ => format!("{line}\n"),
        }
    };
    sample.lines().map(line).collect()
}

fn the_socket_is_where_the_sample_listens() {
    let socket = socket();
    let listen = assigned(&socket)["ListenStream"];
    assert!(read("deploy/systemd/fedimeter.yaml").contains(&format!("\nlisten: {listen}\n")), "{listen}");
}

fn the_head_names_files_that_there_are() {
    for unit in [service(), socket()] {
        let words = unit.lines().take_while(|line| line.starts_with('#')).flat_map(str::split_whitespace);
        let named: Vec<&str> = words.filter(|word| word.starts_with("deploy/")).collect();
        assert!(!named.is_empty());
        for file in named {
            read(file);
        }
    }
}

/// The units, with this build instead of the installed program.
fn written(service: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let local = service.replace("/usr/local/bin/fedimeter", env!("CARGO_BIN_EXE_fedimeter"));
    assert_ne!(service, local);
    fs::write(directory.path().join("fedimeter.service"), local).unwrap();
    fs::write(directory.path().join("fedimeter.socket"), socket()).unwrap();
    directory
}

fn analyze(arguments: &[&str], directory: &Path, units: &[&str]) -> (bool, String) {
    let mut command = Command::new("systemd-analyze");
    command.args(arguments).args(units.iter().map(|unit| directory.join(unit)));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (output.status.success(), said)
}

fn systemd_finds_nothing_wrong() {
    let verify = |service: &str| {
        let directory = written(service);
        let units = ["fedimeter.service", "fedimeter.socket"];
        analyze(&["verify", "--recursive-errors=no"], directory.path(), &units)
    };
    let (passed, said) = verify(&service());
    assert!(passed && said.is_empty(), "{said}");
    for (right, wrong, expected) in [
        ("ProtectSystem=", "ProtectSistem=", "ProtectSistem"),
        ("Type=notify", "Type=notifies", "notifies"),
        ("WatchdogSec=60s", "WatchdogSec=soon", "soon"),
    ] {
        let (_, said) = verify(&service().replace(right, wrong));
        assert!(said.contains(expected), "it finds what is wrong: {wrong}: {said}");
    }
}

fn the_service_is_confined() {
    let exposure = |service: &str| {
        let directory = written(service);
        // In tenths: systemd calls an exposure of 2.0 "ok".
        let security = ["security", "--offline=true", "--no-pager", "--threshold=20"];
        analyze(&security, directory.path(), &["fedimeter.service"])
    };
    let (passed, said) = exposure(&service());
    assert!(passed, "{said}");
    let bare: String = service()
        .lines()
        .filter(|line| !line.starts_with("Protect"))
        .fold(String::new(), |all, line| all + line + "\n");
    let (passed, said) = exposure(&bare);
    assert!(!passed, "it finds what is exposed: {said}");
}
