//! What the OpenTelemetry variables and the log's settings do to the program
//! that people run.

#[path = "support/program.rs"]
mod program;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use program::{Serving, fedimeter, finish, run};
use serde_json::Value;

/// A server that nobody is.
const DEAD: &str = "http://127.0.0.1:1";

#[test]
#[cfg(feature = "simulator")]
fn a_disabled_sdk_is_named_and_waits_for_its_end() {
    for args in [&["serve", "--listen", "127.0.0.1:0", DEAD][..], &["demo", "--listen", "127.0.0.1:0"]] {
        let bridge = Serving::start(args, &[("OTEL_SDK_DISABLED", "True")]);
        bridge.line(|line| line.contains("OTEL_SDK_DISABLED is true: nothing is collected").then_some(()));
        let log = bridge.log();
        assert!(!log.contains("/metrics"), "{log}");
        assert_eq!(bridge.end("TERM").0, Some(0), "{args:?}");
    }
}

#[test]
fn a_variable_that_cannot_be_read_is_an_error() {
    for name in ["OTEL_CONFIG_FILE", "OTEL_SERVICE_NAME", "MASTODON_HOST"] {
        let mut command = fedimeter();
        command.args(["check", DEAD]).env(name, OsStr::from_bytes(b"/etc/\xff.yaml"));
        let ran = finish(command);
        let expected = format!("fedimeter: {name}: its value is not UTF-8; write it anew, or unset it\n");
        assert_eq!((ran.status, ran.err), (Some(2), expected));
    }
}

/// Who set a variable may never have seen the flag; who gave both means the flag.
#[test]
fn a_wrong_value_stands_under_the_name_that_it_was_given_by() {
    let deadline = [("FEDIMETER_DEADLINE", "soon")];
    let listen = [("FEDIMETER_LISTEN", "here")];
    for (args, env, named) in [
        (&["check", DEAD][..], &deadline, "'soon' for 'FEDIMETER_DEADLINE': is not a duration"),
        (&["check", "--deadline", "late", DEAD], &deadline, "'late' for '--deadline <DURATION>'"),
        (&["check", "--deadline=late", DEAD], &deadline, "'late' for '--deadline <DURATION>'"),
        (&["check", DEAD], &listen, "'here' for 'FEDIMETER_LISTEN'"),
        (&["check", "-lthere", DEAD], &listen, "'there' for '--listen <ADDR>'"),
    ] {
        let ran = run(args, env);
        assert_eq!(ran.status, Some(2));
        assert!(ran.err.contains(named), "{args:?}: {}", ran.err);
    }
}

#[test]
fn a_configuration_file_of_opentelemetry_is_refused() {
    for command in ["serve", "once", "check"] {
        let ran = run(&[command, DEAD], &[("OTEL_CONFIG_FILE", "/etc/otel.yaml")]);
        assert_eq!(ran.status, Some(2), "{command}");
        assert!(ran.err.contains("OTEL_CONFIG_FILE: declarative configuration is not supported yet"));
    }
}

#[test]
fn only_the_exporters_that_are_named_are_there() {
    let ran = run(&[DEAD], &[("OTEL_METRICS_EXPORTER", "none")]);
    assert_eq!(ran.status, Some(2));
    assert!(ran.err.contains("OTEL_METRICS_EXPORTER names no exporter; unset it, or name"), "{}", ran.err);

    let console = Serving::start(&["--listen", "127.0.0.1:0", DEAD], &[("OTEL_METRICS_EXPORTER", "Console")]);
    console.line(|line| line.contains("/metrics is off").then_some(()));
    console.line(|line| (line == format!("{DEAD}  down")).then_some(()));
    assert_eq!(console.end("TERM").0, Some(0));

    let both = [("OTEL_METRICS_EXPORTER", "console,prometheus")];
    let both = Serving::start(&["--listen", "127.0.0.1:0", DEAD], &both);
    both.url();
    both.line(|line| (line == format!("{DEAD}  down")).then_some(()));
    assert_eq!(both.end("TERM").0, Some(0));
}

/// The lines of a run's log.
fn log(args: &[&str], env: &[(&str, &str)]) -> Vec<String> {
    let ran = run(&[&["once", DEAD], args].concat(), env);
    assert_eq!(ran.status, Some(1), "{}", ran.err);
    ran.err.lines().map(str::to_owned).collect()
}

#[test]
fn each_format_of_the_log_can_be_read() {
    let text = log(&[], &[]);
    assert!(!text.is_empty());
    assert!(text.iter().all(|line| line.contains(" WARN http://127.0.0.1:1: ")), "{text:?}");

    let logfmt = log(&["--log-format", "logfmt"], &[]);
    assert!(!logfmt.is_empty());
    for line in &logfmt {
        let message = line.split_once("message=\"").and_then(|(_, rest)| rest.strip_suffix('"'));
        assert!(line.starts_with("ts=") && line.contains(" level=warn "), "{line}");
        assert!(message.is_some_and(|m| m.starts_with("http://127.0.0.1:1: ")), "{line}");
    }

    let json = log(&[], &[("FEDIMETER_LOG_FORMAT", "json")]);
    assert!(!json.is_empty());
    for line in &json {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&line["level"], &line["target"]), (&"WARN".into(), &"fedimeter::refresh::said".into()));
        assert!(line["fields"]["message"].as_str().unwrap().starts_with("http://127.0.0.1:1: "));
    }
}

#[test]
fn modules_have_levels_of_their_own() {
    for (level, said) in [
        ("warn", true),
        ("error", false),
        ("info,fedimeter::refresh=off", false),
        ("off,fedimeter::refresh=warn", true),
        ("off,fedimeter::fetch=trace", false),
    ] {
        let lines = log(&["--log-level", level], &[]);
        assert_eq!(lines.iter().any(|line| line.contains("cannot be read")), said, "{level}: {lines:?}");
    }
    assert!(log(&[], &[("OTEL_LOG_LEVEL", "none")]).is_empty());
}
