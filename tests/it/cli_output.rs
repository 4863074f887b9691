//! Right usage of the real program: its output, exit statuses, and no secrets.

use crate::support::{http, samples};
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use crate::support::program::{Ran, Serving, fedimeter, run};
use fedimeter::metrics::rows;
use fedimeter::simulator::{Fault, Settings, Simulator, Switches};
use serde_json::Value;
use tokio::runtime::Runtime;

/// An address at which nothing listens.
const DEAD: &str = "http://127.0.0.1:1";

/// A simulator, and its runtime.
fn simulator(change: impl FnOnce(&mut Settings)) -> (Runtime, Simulator) {
    let runtime = Runtime::new().unwrap();
    let mut settings = Settings { instances: 4, ..Settings::default() };
    change(&mut settings);
    let simulator = runtime.block_on(Simulator::start(settings, ([127, 0, 0, 1], 0).into())).unwrap();
    (runtime, simulator)
}

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{e}: {ran:?}"))
}

#[test]
fn once_tells_by_its_status_whether_every_target_is_up() {
    let (_runtime, simulator) = simulator(|_| {});
    let (a, b) = (simulator.url(0), simulator.url(1));
    for (targets, status) in
        [(vec![&*a], 0), (vec![&*a, &*b], 0), (vec![&*a, DEAD], 1), (vec![DEAD], 1), (vec![], 2)]
    {
        for format in ["table", "prometheus", "openmetrics", "json"] {
            let ran = run(&[&["once", "--format", format], &targets[..]].concat(), &[]);
            assert_eq!(ran.status, Some(status), "{format} {targets:?}: {}", ran.err);
            assert_eq!(ran.out.is_empty(), status == 2, "{format} {targets:?}");
        }
    }
}

#[test]
fn one_of_the_configured_servers_is_asked() {
    let (_runtime, simulator) = simulator(|_| {});
    let a = simulator.url(0);
    let ran = run(&["once", "--format", "json", "--target", &a, &a, DEAD], &[]);
    assert_eq!((ran.status, json(&ran)["targets"].as_array().unwrap().len()), (Some(0), 1), "{ran:?}");
    // By the host, which alerts name.
    let host = a.strip_prefix("http://").and_then(|rest| rest.split(':').next()).unwrap();
    let ran = run(&["once", "--format", "json", "--target", host, &a], &[]);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    let ran = run(&["once", "--target", "b.example", &a], &[]);
    let expected =
        "fedimeter: --target: no server \"b.example\" is configured; `fedimeter check` lists them\n";
    assert_eq!((ran.status, &*ran.err), (Some(2), expected));
}

#[test]
fn what_hangs_until_the_deadline_has_timed_out() {
    let (_runtime, simulator) = simulator(|_| {});
    simulator.set_fault(0, "*", Some(Fault::Hang));
    let ran =
        run(&["once", "--format", "json", "--timeout", "1s", "--deadline", "1s", &simulator.url(0)], &[]);
    let printed: Value = serde_json::from_str(&ran.out).unwrap();
    for endpoint in printed["targets"][0]["endpoints"].as_array().unwrap() {
        assert_eq!(endpoint["outcome"], "timeout", "{endpoint}");
        assert!(endpoint["reason"].is_string(), "{endpoint}");
    }
    assert_eq!((ran.status, &printed["targets"][0]["up"]), (Some(1), &Value::Bool(false)));
}

#[test]
fn once_prints_the_same_numbers_in_every_format() {
    let (_runtime, simulator) = simulator(|_| {});
    simulator.set_truth(0, Some(simulator.truth(0)));
    let users = simulator.truth(0).users;
    let url = simulator.url(0);
    let printed = |format: &str| run(&["once", "--format", format, &url], &[]).out;

    let table = printed("table");
    assert!(table.starts_with(&format!("{url}  up\n")), "{table}");
    let words = |name: &str| -> Vec<String> {
        let line = table.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
        line.split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(words("mastodon.instance.users"), ["mastodon.instance.users", &*with_commas(users), "user"]);
    assert_eq!(words("instance_v1")[..2], ["instance_v1", "ok"]);

    let text = printed("prometheus");
    assert_eq!(samples::only(&samples::samples(&text), "mastodon_instance_users"), Some(users as f64));
    assert!(!text.contains("# EOF"));
    let openmetrics = printed("openmetrics");
    assert_eq!(samples::only(&samples::samples(&openmetrics), "mastodon_instance_users"), Some(users as f64));
    assert!(openmetrics.ends_with("\n# EOF\n"));
    let printed: Value = serde_json::from_str(&printed("json")).unwrap();
    let metrics = printed["targets"][0]["metrics"].as_array().unwrap();
    let found = metrics.iter().find(|m| m["name"] == "mastodon.instance.users").unwrap();
    assert_eq!((&found["value"], &found["unit"]), (&users.into(), &"{user}".into()));
}

/// A number with commas.
fn with_commas(n: impl std::fmt::Display) -> String {
    let digits = n.to_string();
    let parts: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|part| str::from_utf8(part).unwrap()).collect();
    parts.join(",")
}

/// A server with invalid answers is down, with a reason, and without metrics.
#[test]
fn once_against_garbage() {
    let (_runtime, simulator) = simulator(|_| {});
    for (fault, outcome) in [
        (Fault::NotJson, "decode"),
        (Fault::HtmlChallenge, "decode"),
        (Fault::WrongTop, "decode"),
        (Fault::ErrorObject, "decode"),
        (Fault::Truncated, "connect"),
        (Fault::Reset, "connect"),
        (Fault::TooLarge(2 << 20), "too_large"),
        (Fault::StatusHtml(502), "http_5xx"),
    ] {
        simulator.set_fault(0, "*", Some(fault));
        down(&simulator.url(0), outcome);
    }
    for words in
        [&b"SSH-2.0-OpenSSH_9.9\r\n"[..], b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", b"\0\xff\0", b""]
    {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.read(&mut [0; 1024]);
                let _ = stream.write_all(words);
            }
        });
        down(&url, "connect");
    }
}

#[test]
fn a_port_that_speaks_plain_http_is_told_once() {
    let (_runtime, simulator) = simulator(|_| {});
    let url = simulator.url(0).replace("http://", "https://");
    let ran = run(&["once", "-q", "--collect", "health,peers", &url], &[]);
    assert_eq!((ran.status, ran.err.lines().count()), (Some(1), 1), "{}", ran.err);
    assert!(
        ran.err.contains("that port does not speak TLS: try http:// in place of https://"),
        "{}",
        ran.err
    );
    assert_eq!(ran.out.matches("does not speak TLS").count(), 1, "{}", ran.out);
    assert!(!ran.err.contains("InvalidContentType") && !ran.out.contains("InvalidContentType"), "{ran:?}");
}

#[track_caller]
fn down(url: &str, outcome: &str) {
    assert_eq!(run(&["once", "--format", "json", url], &[]).err, "", "the table says it");
    let ran = run(&["once", "-q", "--format", "json", url], &[]);
    assert_eq!(ran.status, Some(1), "{ran:?}");
    let target = &json(&ran)["targets"][0];
    assert_eq!(target["up"], false);
    for endpoint in target["endpoints"].as_array().unwrap() {
        assert_eq!(endpoint["outcome"], outcome, "{url} {endpoint}");
        let reason = endpoint["reason"].as_str().unwrap();
        assert!(!reason.is_empty());
    }
    let [line] = ran.err.lines().collect::<Vec<_>>()[..] else {
        panic!("one line for the server:\n{}", ran.err)
    };
    assert!(
        line.contains(&format!("WARN {url} is down: ")) && line.contains(&format!("({outcome}): ")),
        "{line}"
    );
    for metric in target["metrics"].as_array().unwrap() {
        let name = metric["name"].as_str().unwrap();
        // The rate limit comes from headers, which are missing.
        let about_asking = name.starts_with("fedimeter.") || name.starts_with("mastodon.rate_limit.");
        assert!(about_asking && name != "fedimeter.target.info", "{metric}");
    }
    assert!(!ran.err.contains("panicked"), "{}", ran.err);
}

#[test]
fn a_host_in_the_older_exporters_variable_may_end_in_a_slash() {
    let shown = |host: &str| run(&["check"], &[("MASTODON_HOST", host)]);
    let ran = shown("https://mastodon.example");
    assert_eq!((ran.status, ran.err.as_str()), (Some(0), ""));
    assert!(ran.out.contains("  - url: https://mastodon.example  # MASTODON_HOST\n"), "{}", ran.out);
    assert_eq!(shown("https://mastodon.example/").out, ran.out);
    assert_eq!(shown("mastodon.example").out, ran.out);
    let dada = run(&["check", "--compat", "dada", "mastodon.example"], &[]).out;
    assert!(dada.contains("listen: [127.0.0.1:9410]  # default\n"), "{dada}");
    assert!(ran.out.contains("listen: [127.0.0.1:9464]  # default\n"), "{}", ran.out);
}

#[test]
fn the_catalogue_in_every_format_has_every_metric() {
    let printed = |format: &str| {
        let ran = run(&["metrics", "--format", format], &[]);
        assert_eq!((ran.status, ran.err.as_str()), (Some(0), ""));
        ran.out
    };
    let (table, markdown) = (printed("table"), printed("markdown"));
    let parsed: Value = serde_json::from_str(&printed("json")).unwrap();
    let names: Vec<&str> =
        parsed["metrics"].as_array().unwrap().iter().map(|m| m["name"].as_str().unwrap()).collect();
    assert_eq!(names, rows().map(|row| row.name).collect::<Vec<_>>());
    for name in names {
        assert!(table.lines().any(|line| line.starts_with(&format!("{name} "))), "{name}");
        assert!(markdown.contains(&format!("\n### `{name}`\n")), "{name}");
    }
}

/// All commands that print. All except the last end by themselves.
fn printing(url: &str) -> Vec<Vec<&str>> {
    let once =
        ["table", "prometheus", "openmetrics", "json"].map(|format| vec!["once", "--format", format, url]);
    let mut all = once.to_vec();
    all.extend([vec!["check", url], vec!["metrics"], vec!["simulate", "--listen", "127.0.0.1:0"]]);
    all
}

#[test]
fn a_full_disk_is_a_failure() {
    let (_runtime, simulator) = simulator(|_| {});
    for args in printing(&simulator.url(0)) {
        let mut command = fedimeter();
        command.args(&args).stdout(File::options().write(true).open("/dev/full").unwrap());
        let output = command.stderr(Stdio::piped()).output().unwrap();
        assert_eq!(
            String::from_utf8(output.stderr).unwrap(),
            "fedimeter: cannot write to standard output: No space left on device (os error 28)\n",
            "{args:?}"
        );
        assert_eq!(output.status.code(), Some(1), "{args:?}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let (_runtime, simulator) = simulator(|_| {});
    for args in printing(&simulator.url(0)).into_iter().filter(|args| args[0] != "simulate") {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = fedimeter().args(&args).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{args:?}");
        assert_eq!(output.status.code(), Some(0), "{args:?}");
    }
}

/// A bridge continues to serve if its output cannot be written.
#[test]
fn a_bridge_outlives_its_standard_output() {
    let (runtime, simulator) = simulator(|_| {});
    let url = simulator.url(0);
    for (args, env) in [
        (vec!["demo", "--listen", "127.0.0.1:0"], None),
        (vec!["--listen", "127.0.0.1:0", &*url], Some(("OTEL_METRICS_EXPORTER", "console,prometheus"))),
    ] {
        let mut script = Command::new("sh");
        script.env_clear().envs(env);
        let bridge = Serving::with(
            script.args(["-c", r#"exec "$@" >/dev/full"#, "sh", env!("CARGO_BIN_EXE_fedimeter")]).args(&args),
        );
        bridge.line(|line| line.contains("No space left on device").then_some(()));
        if env.is_some() {
            let text = runtime.block_on(http::body(http::client().get(format!("{}/metrics", bridge.url()))));
            assert!(samples::only(&samples::samples(&text), "mastodon_instance_users").is_some());
        }
        assert!(!bridge.log().contains("panicked"), "{}", bridge.log());
        assert_eq!(bridge.end("TERM").0, Some(0));
    }
}

/// Tokens and passwords are in no output of any command, at any log level, even if the
/// server repeats them.
#[test]
fn secrets_are_never_shown() {
    const SECRET: &str = "s3cret-0123456789-abcdefghijklmnopqrstuvwxyz";
    let (runtime, simulator) = simulator(|s| s.token = Some(SECRET.to_owned()));
    simulator.switch(1, |s: &mut Switches| s.limited_federation = true);
    let repeated = format!(r#"{{"error":"The access token {SECRET} is not good enough"}}"#);
    simulator.set_json(1, "/api/v1/instance/activity", repeated);
    let url = simulator.url(1);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, SECRET).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let file = file.to_str().unwrap();
    let sources = [
        (["--token-file", file], vec![]),
        (["--token-env", "TOKEN"], vec![("TOKEN", SECRET)]),
        // Mistakes: the secret itself instead of its file or variable.
        (["--token-file", SECRET], vec![]),
        (["--token-env", SECRET], vec![]),
    ];
    let receiver = format!("http://me:{SECRET}@127.0.0.1:1");
    let header = format!("authorization=Basic%20{SECRET}");
    let mut shown_to_the_server = 0;
    for (source, mut env) in sources {
        env.extend([("OTEL_EXPORTER_OTLP_ENDPOINT", &*receiver), ("OTEL_EXPORTER_OTLP_HEADERS", &*header)]);
        let common = [source[0], source[1], "--log-level", "trace", &url];
        for command in [
            vec!["check"],
            vec!["once", "--format", "table"],
            vec!["once", "--format", "json"],
            vec!["once", "--format", "prometheus"],
            vec!["once", "--help"],
        ] {
            let ran = run(&[&command[..], &common].concat(), &env);
            assert!(
                !ran.out.contains(SECRET) && !ran.err.contains(SECRET),
                "{command:?} {common:?}: {ran:#?}"
            );
        }
        if source[1] == SECRET {
            continue;
        }
        let bridge = Serving::start(&[&["serve", "--listen", "127.0.0.1:0"], &common[..]].concat(), &env);
        let own = format!("/target?name={}", url.replace(':', "%3A").replace('/', "%2F"));
        for path in ["/metrics", "/", &own, "/target?name=nothing", "/nothing"] {
            let get = http::client().get(format!("{}{path}", bridge.url()));
            let text = runtime.block_on(async { get.send().await.unwrap().text().await.unwrap() });
            assert!(!text.contains(SECRET), "{path}: {text}");
        }
        bridge.line(|line| line.contains("push").then_some(()));
        assert!(!bridge.log().contains(SECRET), "{}", bridge.log());
        shown_to_the_server += 1;
    }
    assert_eq!(shown_to_the_server, 2);
    let asked = simulator.request_log();
    let with_token = asked.iter().filter(|r| r.headers.get("authorization").is_some());
    assert!(with_token.count() >= 4, "the secret was of use");
    let bad_header = [("OTEL_EXPORTER_OTLP_HEADERS", SECRET)];
    let ran = run(&["check", "a.example"], &bad_header);
    assert!(!ran.out.contains(SECRET) && !ran.err.contains(SECRET), "{ran:#?}");
}

/// `check` shows the OTLP settings, and `--strict` rejects ignored ones.
#[test]
fn check_shows_otlp_and_can_refuse_what_is_ignored() {
    let right = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")];
    let ran = run(&["check", "--strict", "a.example"], &right);
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    let line = "# metrics over OTLP: http://127.0.0.1:4318/v1/metrics  # OTEL_EXPORTER_OTLP_ENDPOINT\n";
    assert!(ran.out.contains(line), "{}", ran.out);
    for wrong in [
        ("OTEL_METRICS_EXPORTER", "otpl"),
        ("FEDIMETER_TARGET", "b.example"),
        ("ALL_PROXY", "socks5h://127.0.0.1:1"),
        ("NO_PROXY", "a.example:8080"),
    ] {
        assert_eq!(run(&["check", "a.example"], &[wrong]).status, Some(0));
        let strict = run(&["check", "--strict", "a.example"], &[wrong]);
        assert_eq!(strict.status, Some(2), "{wrong:?}: {}", strict.err);
        assert!(strict.err.contains(wrong.0) && strict.err.contains("--strict: correct"), "{}", strict.err);
    }
}
