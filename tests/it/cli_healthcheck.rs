//! The real program: `fedimeter healthcheck` with bridges and other servers.

use std::io::{Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use crate::support::ports;
use crate::support::program::{Ran, Serving, run};

/// A target that is never reached, because these bridges are not scraped.
const TARGET: &str = "http://127.0.0.1:1";

/// Starts a bridge. Returns its port, too.
fn bridge(listen: &str) -> (Serving, u16) {
    let serving = Serving::start(&["--listen", listen, TARGET], &[]);
    let url = serving.url();
    let port = url.rsplit_once(':').unwrap().1.parse().unwrap();
    (serving, port)
}

fn check(args: &[&str], env: &[(&str, &str)]) -> Ran {
    run(&[&["healthcheck"], args].concat(), env)
}

#[track_caller]
fn healthy(args: &[&str], env: &[(&str, &str)]) {
    let ran = check(args, env);
    assert_eq!(
        (ran.status, &*ran.out, &*ran.err),
        (Some(0), "fedimeter is healthy\n", ""),
        "{args:?} {env:?}"
    );
}

/// Asserts the exit status and the only line of output.
#[track_caller]
fn says(args: &[&str], env: &[(&str, &str)], status: i32, line: &str) {
    let ran = check(args, env);
    let line = format!("fedimeter: {line}\n");
    assert_eq!((ran.status, &*ran.out, &*ran.err), (Some(status), "", &*line), "{args:?} {env:?}");
}

/// A server that sends these bytes on each connection, or keeps the connection without an
/// answer.
fn other(words: Option<&'static str>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for mut stream in listener.incoming().flatten() {
            match words {
                Some(words) => {
                    let _ = stream.read(&mut [0; 1024]);
                    let _ = stream.write_all(words.as_bytes());
                }
                None => kept.push(stream),
            }
        }
    });
    address
}

#[test]
fn a_bridge_is_found_by_what_it_was_started_with() {
    let (_bridge, port) = bridge("127.0.0.1:0");
    let at = format!("127.0.0.1:{port}");
    healthy(&["--listen", &at], &[]);
    healthy(&["--listen", &format!("0.0.0.0:{port}")], &[]);
    healthy(&["--listen", &format!(":{port}")], &[]);
    healthy(&["--url", &format!("http://{at}")], &[]);
    healthy(&["--url", &format!("http://{at}/")], &[("FEDIMETER_LISTEN", "none")]);
    healthy(&[], &[("FEDIMETER_LISTEN", &at)]);
    healthy(&[], &[("FEDIMETER_HEALTHCHECK_URL", &format!("http://{at}"))]);
    let port = port.to_string();
    let otel = ("OTEL_EXPORTER_PROMETHEUS_PORT", &*port);
    healthy(&[], &[otel]);
    healthy(&[], &[otel, ("OTEL_EXPORTER_PROMETHEUS_HOST", "0.0.0.0")]);
    // Variables that the health check ignores. A container has all of them in its
    // environment.
    healthy(&[], &[otel, ("FEDIMETER_TARGETS", "no host,"), ("FEDIMETER_TOKEN_FILE", "/nonexistent/token")]);
    // A proxy would connect to its own loopback address.
    healthy(&[], &[otel, ("http_proxy", "http://127.0.0.1:1"), ("ALL_PROXY", "http://127.0.0.1:1")]);
}

#[test]
fn a_bridge_on_all_addresses_is_asked_on_the_loopback_one() {
    let mut all = vec!["0.0.0.0:0"];
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
        all.push("[::]:0");
    }
    for listen in all {
        let (_bridge, port) = bridge(listen);
        healthy(&["--listen", &listen.replace(":0", &format!(":{port}"))], &[]);
    }
    // As in a container without ::1, where only IPv4 answers.
    let (_bridge, port) = bridge("127.0.0.1:0");
    healthy(&["--listen", &format!("[::]:{port}")], &[]);
}

#[test]
fn every_address_has_to_answer() {
    let (_bridge, port) = bridge("127.0.0.1:0");
    let at = format!("127.0.0.1:{port}");
    let dead = ports::free().to_string();
    let line = format!(
        "http://{dead}/-/healthy: Connection refused (os error 111): check that the bridge is running, with the same --listen, \
         --config and variables as this check"
    );
    says(&["--listen", &at, "--listen", &dead], &[], 1, &line);
    says(&[], &[("FEDIMETER_LISTEN", &format!("{at},{dead}"))], 1, &line);
}

#[test]
fn the_file_says_where_and_need_not_be_right_in_the_rest() {
    let (_bridge, port) = bridge("127.0.0.1:0");
    let dir = tempfile::tempdir().unwrap();
    // Errors of this key do not count, and its name is the beginning.
    let file = dir.path().join("targets.yaml");
    let path = file.to_str().unwrap();
    let rest = "defaults: {colect: 1}\ntargets: [{url: a.example, token_file: /nonexistent}, 'ftp://b']\n";
    std::fs::write(&file, format!("listen: 127.0.0.1:{port}\n{rest}")).unwrap();
    healthy(&["--config", path], &[]);
    healthy(&[], &[("FEDIMETER_CONFIG", path)]);
    says(
        &["--config", path, "--listen", "127.0.0.1:1"],
        &[],
        1,
        "http://127.0.0.1:1/-/healthy: Connection refused (os error 111): check that the bridge is running, with the same --listen, \
         --config and variables as this check",
    );
    std::fs::write(&file, format!("listn: 127.0.0.1:{port}\n{rest}")).unwrap();
    says(&["--config", path], &[], 2, &format!("{path}:1: listn: unknown key; did you mean `listen`?"));
    std::fs::remove_file(&file).unwrap();
    says(
        &["--config", path],
        &[],
        2,
        &format!(
            "{path}: cannot read the configuration: No such file or directory (os error 2); check the path of \
             --config"
        ),
    );
}

/// The default port is that of the bridge. Nothing listens there, and the message names the
/// address.
#[test]
fn the_default_address_is_the_bridges() {
    for (args, env, url) in [
        (&[][..], &[][..], "http://127.0.0.1:9464/-/healthy: "),
        (&["--compat", "dada"], &[], "http://127.0.0.1:9410/-/healthy: "),
        (&["--compat", "systemli"], &[], "http://127.0.0.1:9464/-/healthy: "),
        (
            &[],
            &[("FEDIMETER_COMPAT", "dada"), ("OTEL_EXPORTER_PROMETHEUS_HOST", "0.0.0.0")],
            "http://127.0.0.1:9410",
        ),
    ] {
        let ran = check(args, env);
        // A bridge may run there on a developer's machine.
        if ran.status != Some(0) {
            assert!(ran.err.starts_with(&format!("fedimeter: {url}")), "{ran:?}");
            assert_eq!(ran.status, Some(1));
        }
    }
}

#[test]
fn what_answers_and_is_no_healthy_bridge() {
    let advice = "another program answers there, or a proxy: correct --listen, or name the bridge in --url";
    for (words, reason) in [
        ("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n", "HTTP 500 Internal Server Error"),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "HTTP 404 Not Found"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK", "the answer does not come from a bridge"),
        ("HTTP/1.1 204 No Content\r\n\r\n", "the answer does not come from a bridge"),
    ] {
        let address = other(Some(words)).to_string();
        says(&["--listen", &address], &[], 1, &format!("http://{address}/-/healthy: {reason}: {advice}"));
    }
    let address = other(Some("SSH-2.0-OpenSSH_9.9\r\n")).to_string();
    let ran = check(&["--listen", &address], &[]);
    assert_eq!((ran.status, ran.err.lines().count()), (Some(1), 1), "{ran:?}");
    assert!(ran.err.starts_with(&format!("fedimeter: http://{address}/-/healthy: ")), "{ran:?}");
}

#[test]
fn a_server_that_hangs_is_given_up() {
    let address = other(None).to_string();
    let line = |time: &str| {
        format!(
            "http://{address}/-/healthy: no answer within {time}: the bridge hangs: check its log and \
             restart it, or allow more time with --timeout"
        )
    };
    let began = Instant::now();
    says(&["--listen", &address, "--timeout", "200ms"], &[], 1, &line("200ms"));
    says(&["--listen", &address], &[("FEDIMETER_HEALTHCHECK_TIMEOUT", "300ms")], 1, &line("300ms"));
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[test]
fn where_there_is_nothing_to_ask() {
    let off = "nothing to ask: /metrics is off (--listen none), and the health page with it; let the bridge listen \
               for this check alone, with FEDIMETER_LISTEN=127.0.0.1:9464, or turn the check off (docker run \
               --no-healthcheck)";
    says(&["--listen", "none"], &[], 2, off);
    says(&[], &[("FEDIMETER_LISTEN", "none"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")], 2, off);
    says(
        &[],
        &[("OTEL_METRICS_EXPORTER", "otlp")],
        2,
        "nothing to ask: OTEL_METRICS_EXPORTER does not name prometheus, so nothing is served; add it, \
         or turn the check off (docker run --no-healthcheck)",
    );
    says(
        &[],
        &[("OTEL_SDK_DISABLED", "true")],
        2,
        "nothing to ask: OTEL_SDK_DISABLED is true, so nothing is served; remove it, or turn the check off (docker \
         run --no-healthcheck)",
    );
    says(
        &["--listen", "127.0.0.1:0"],
        &[],
        2,
        "nothing to ask: port 0 of 127.0.0.1:0 is another port at each start; give the bridge a port, or name it in \
         --url",
    );
}

#[test]
fn wrong_usage() {
    for url in ["nowhere", "ftp://a.example", "http://", "http://me:s3cret@a.example", "http://a.example/?q"]
    {
        let ran = check(&["--url", url], &[]);
        assert_eq!((ran.status, &*ran.out), (Some(2), ""), "{ran:?}");
        assert!(ran.err.contains("is not a URL to ask; write one such as http://127.0.0.1:9464"), "{ran:?}");
    }
    for args in [&["--timeout", "never"][..], &["--timeout", "0s"], &["a.example"], &["--listen", "nowhere"]]
    {
        let ran = check(args, &[]);
        assert_eq!((ran.status, &*ran.out), (Some(2), ""), "{ran:?}");
    }
    let ran = run(&["a.example", "healthcheck"], &[]);
    assert_eq!(ran.status, Some(2));
    assert!(ran.err.contains("`healthcheck` is a command; write it first: fedimeter healthcheck"), "{ran:?}");
}
