//! The effect of OpenTelemetry variables and log settings on the real program.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::support::program::{Serving, fedimeter, finish, run};
use serde_json::Value;

/// A target that does not exist.
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
        let expected = format!("fedimeter: {name}: its value is not UTF-8; set it again, or unset it\n");
        assert_eq!((ran.status, ran.err), (Some(2), expected));
    }
}

/// An error names the variable if only the variable is set. A flag takes precedence over a
/// variable.
#[test]
fn a_wrong_value_stands_under_the_name_that_it_was_given_by() {
    let deadline = [("FEDIMETER_DEADLINE", "soon")];
    let listen = [("FEDIMETER_LISTEN", "here")];
    for (args, env, named) in [
        (&["check", DEAD][..], &deadline, "FEDIMETER_DEADLINE=soon: is not a duration"),
        (&["check", "--deadline", "late", DEAD], &deadline, "--deadline=late: is not a duration"),
        (&["check", "--deadline=late", DEAD], &deadline, "--deadline=late: is not a duration"),
        (&["check", DEAD], &listen, "FEDIMETER_LISTEN=here: "),
        (&["check", "-lthere", DEAD], &listen, "--listen=there: "),
    ] {
        let ran = run(args, env);
        assert_eq!(ran.status, Some(2));
        assert!(ran.err.contains(named), "{args:?}: {}", ran.err);
    }
}

/// The file sets the address and the logs. What it does not name is off, whatever other
/// variables say.
#[test]
fn a_configuration_file_of_opentelemetry_holds_in_place_of_the_variables() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("otel.yaml");
    let path = file.to_str().unwrap();
    let write = |text: &str| std::fs::write(&file, format!("file_format: \"1.0\"\n{text}")).unwrap();
    let env = [
        ("OTEL_CONFIG_FILE", path),
        ("OTEL_METRICS_EXPORTER", "console"),
        ("OTEL_LOG_LEVEL", "none"),
        ("HOST", "127.0.0.1"),
    ];
    write(
        "log_level: info\nmeter_provider:\n  readers:\n    - pull:\n        exporter:\n          \
         prometheus/development: {host: \"${HOST}\", port: 0}\n",
    );
    let bridge = Serving::start(&["serve", DEAD], &env);
    assert!(bridge.url().starts_with("http://127.0.0.1:"));
    assert!(!bridge.log().contains("printing metrics"), "{}", bridge.log());
    assert_eq!(bridge.end("TERM").0, Some(0));

    write("meter_provider:\n  views: []\n");
    for command in ["serve", "once", "check"] {
        let ran = run(&[command, DEAD], &env);
        assert_eq!(ran.status, Some(2), "{command}");
        let expected = format!("fedimeter: {path}: meter_provider.views: is not supported");
        assert!(ran.err.starts_with(&expected), "{}", ran.err);
    }
}

/// Errors name the keys of the file.
#[test]
fn under_a_file_messages_name_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("otel.yaml");
    let path = file.to_str().unwrap();
    let run_with = |args: &[&str], text: &str| {
        std::fs::write(&file, format!("file_format: \"1.0\"\n{text}")).unwrap();
        run(args, &[("OTEL_CONFIG_FILE", path)])
    };
    let logs = "logger_provider:\n  processors: [batch: {exporter: {otlp_http: {endpoint: \"http://127.0.0.1:1/v1/logs\"}}}]\n";
    let ran = run_with(&[DEAD], logs);
    assert_eq!(ran.status, Some(2));
    assert!(
        ran.err.contains(&format!("nothing to do: {path}: meter_provider has no reader; add one")),
        "{}",
        ran.err
    );
    assert!(!ran.err.contains("OTEL_METRICS"), "{}", ran.err);
    let healthy = run_with(&["healthcheck"], logs);
    assert!(healthy.err.contains(&format!("{path}: meter_provider.readers has no pull")), "{}", healthy.err);

    let exporter = |of_exporter: &str| {
        format!(
            "meter_provider:\n  readers:\n    - periodic:\n        interval: 1000\n        exporter: {{otlp_http: {of_exporter}}}\n"
        )
    };
    let tls = exporter("{endpoint: \"https://127.0.0.1:1/v1/metrics\", tls: {ca_file: /no/such/ca.pem}}");
    let ran = run_with(&["check", DEAD], &tls);
    assert!(ran.err.contains(&format!("tls.ca_file (in {path}): ")), "{}", ran.err);
    let ran = run_with(&["check", DEAD], &exporter("{endpoint: \"http://127.0.0.1:1/v1/metrics\"}"));
    let place = format!("{path}: meter_provider.readers[0].periodic");
    assert!(ran.out.contains(&format!("# interval: 1s  # {place}.interval\n")), "{}", ran.out);
    assert!(ran.out.contains("# compression: none  # default\n"), "{}", ran.out);
    let pushes = Serving::start(&["--listen", "127.0.0.1:0", DEAD], &[("OTEL_CONFIG_FILE", path)]);
    let line = pushes.line(|line| line.contains("no connection").then(|| line.to_owned()));
    assert!(line.contains(&format!("or set endpoint to its address (in {path})")), "{line}");
}

/// Variables without effect get a warning, and `--strict` fails.
#[test]
fn what_has_no_effect_fails_a_strict_check() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("otel.yaml");
    let text = "file_format: \"1.0\"\nlog_level: error\nmeter_provider:\n  readers: [pull: {exporter: {prometheus/development: }}]\n";
    std::fs::write(&file, text).unwrap();
    let path = file.to_str().unwrap();
    for (env, named) in [
        (
            &[("OTEL_CONFIG_FILE", path), ("OTEL_TRACES_EXPORTER", "otlp")][..],
            "OTEL_TRACES_EXPORTER: without effect",
        ),
        (&[("OTEL_METRICS_EXPORTR", "otlp")], "did you mean OTEL_METRICS_EXPORTER?"),
        (&[("OTEL_TRACES_SAMPLER_ARG", "0.5")], "OTEL_TRACES_SAMPLER_ARG: without effect"),
        (&[("OTEL_METRIC_EXPORT_TIMEOUT", "soon")], "OTEL_METRIC_EXPORT_TIMEOUT: \"soon\" is not"),
    ] {
        let ran = run(&["check", "-q", DEAD], env);
        assert_eq!((ran.status, ran.err.contains(named)), (Some(0), true), "{env:?}: {}", ran.err);
        let strict = run(&["check", "--strict", DEAD], env);
        assert_eq!(strict.status, Some(2), "{env:?}: {}", strict.out);
    }
    let ran = run(&["check", "--strict", DEAD], &[("OTEL_CONFIG_FILE", path)]);
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    assert!(ran.out.contains(&format!("log_level: error  # {path}: log_level\n")), "{}", ran.out);
}

#[test]
fn once_says_what_it_does_not_send() {
    let ran = run(&["once", DEAD], &[("OTEL_TRACES_EXPORTER", "otlp"), ("OTEL_LOGS_EXPORTER", "otlp")]);
    for (variable, what) in [("OTEL_TRACES_EXPORTER", "traces"), ("OTEL_LOGS_EXPORTER", "logs")] {
        let expected = format!("{variable}: without effect: once sends no {what} over OTLP");
        assert!(ran.err.contains(&expected), "{}", ran.err);
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

/// The log lines of a run.
fn log(args: &[&str], env: &[(&str, &str)]) -> Vec<String> {
    let ran = run(&[&["once", DEAD], args].concat(), env);
    assert_eq!(ran.status, Some(1), "{}", ran.err);
    ran.err.lines().map(str::to_owned).collect()
}

#[test]
fn each_format_of_the_log_can_be_read() {
    let text = log(&["-q"], &[]);
    assert!(!text.is_empty());
    // One line for each server, without duplicates.
    let [line] = &text[..] else { panic!("{text:?}") };
    assert!(
        line.contains(" WARN http://127.0.0.1:1 is down: instance_v2 cannot be read (connect): "),
        "{line}"
    );
    assert!(!line.contains("server=") && line.contains(" elapsed="), "{line}");

    let logfmt = log(&["-q", "--log-format", "logfmt"], &[]);
    assert!(!logfmt.is_empty());
    for line in &logfmt {
        let message = line.split_once("message=\"").map(|(_, rest)| rest);
        assert!(line.starts_with("ts=") && line.contains(" level=warn "), "{line}");
        assert!(message.is_some_and(|m| m.starts_with("http://127.0.0.1:1 is down: ")), "{line}");
        assert!(line.contains(" server=http://127.0.0.1:1 endpoint=instance_v2 outcome=connect "), "{line}");
    }

    let json = log(&["-q"], &[("FEDIMETER_LOG_FORMAT", "json")]);
    assert!(!json.is_empty());
    for line in &json {
        let line: Value = serde_json::from_str(line).unwrap();
        let of = |key: &str| line[key].as_str().unwrap_or_default();
        assert_eq!((of("level"), of("module_path")), ("WARN", "fedimeter::refresh::log"), "{line}");
        assert_eq!((of("server"), of("endpoint")), ("http://127.0.0.1:1", "instance_v2"), "{line}");
        assert_eq!((of("outcome"), of("elapsed").is_empty()), ("connect", false), "{line}");
        assert!(of("message").starts_with("http://127.0.0.1:1 is down: "), "{line}");
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
