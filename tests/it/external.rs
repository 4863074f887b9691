//! The real program behind proxies that pass on the original path and host.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::program::{Serving, run};

/// A target that is never reached.
const TARGET: &str = "http://127.0.0.1:1";

fn bridge(more: &[&str]) -> Serving {
    Serving::start(&[&["serve", "--listen", "127.0.0.1:0"], more, &[TARGET]].concat(), &[])
}

/// The status, the `Location`, and the whole response.
fn ask(bridge: &Serving, host: &str, path: &str) -> (u16, Option<String>, String) {
    let mut stream = TcpStream::connect(bridge.url().trim_start_matches("http://")).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let to = answer.lines().find_map(|line| line.strip_prefix("location: ")).map(str::to_owned);
    (status, to, answer)
}

#[test]
fn paths_below_that_of_the_external_url_are_served_as_those_without_it() {
    let bridge = bridge(&["--external-url", "https://metrics.example/tools/fedimeter"]);
    let host = "metrics.example";
    for path in ["/metrics", "/", "/-/healthy", "/style.css", "/api/v1/targets", "/?q=a&sort=users"] {
        for prefix in ["", "/tools/fedimeter"] {
            let (status, _, answer) = ask(&bridge, host, &format!("{prefix}{path}"));
            assert_eq!(status, 200, "{prefix}{path}: {answer}");
        }
    }
    let (_, _, metrics) = ask(&bridge, host, "/tools/fedimeter/metrics");
    assert!(metrics.contains("fedimeter_target_up"), "{metrics}");
    let page = format!("/tools/fedimeter/target?name={}", TARGET.replace(':', "%3A").replace('/', "%2F"));
    assert!(ask(&bridge, host, &page).2.contains(TARGET));

    // Links are relative, so the slash is needed.
    for (path, to) in [("/tools/fedimeter", "fedimeter/"), ("/tools/fedimeter?q=a", "fedimeter/?q=a")] {
        let (status, location, _) = ask(&bridge, host, path);
        assert_eq!((status, location.as_deref()), (308, Some(to)), "{path}");
    }
    let (status, location, _) = ask(&bridge, host, "/tools/fedimeter/targets/a.example");
    assert_eq!((status, location.as_deref()), (308, Some("../target?name=a.example")));
    for path in ["/tools/fedimeterx", "/tools/", "/tools", "/fedimeter/", "/tools/fedimeter/nothing"] {
        assert_eq!(ask(&bridge, host, path).0, 404, "{path}");
    }
}

#[test]
fn the_external_host_is_one_of_those_that_are_answered_to() {
    let host = |bridge: &Serving, host: &str| ask(bridge, host, "/metrics").0;
    let external = ["--external-url", "https://Metrics.example:8443/"];
    let only = bridge(&external);
    assert_eq!(
        ["metrics.example", "localhost", "other.example"].map(|name| host(&only, name)),
        [200, 200, 421]
    );
    let beside = bridge(&[&external[..], &["--listen-host", "other.example"]].concat());
    let names = ["metrics.example", "other.example", "evil.example"];
    assert_eq!(names.map(|name| host(&beside, name)), [200, 200, 421]);
    // A path outside the public URL.
    assert_eq!(ask(&only, "localhost", "/fedimeter/metrics").0, 404);
}

#[test]
fn an_external_url_is_checked() {
    for (url, why) in [
        (
            "metrics.example",
            "is not a URL; write it as people open it, such as https://metrics.example.org/fedimeter/",
        ),
        ("ftp://metrics.example/", "is not a URL; write it"),
        ("https://me:s3cret@metrics.example/", "is not a URL; write it"),
        ("https://metrics.example/?a=b", "is not a URL; write it"),
        (
            "https://metrics.example/metrics",
            "has a path that begins with one of fedimeter's own; choose another",
        ),
        ("https://metrics.example/-/x", "has a path that begins with one of fedimeter's own; choose another"),
    ] {
        let ran = run(&["check", "--external-url", url, TARGET], &[]);
        assert_eq!(ran.status, Some(2), "{ran:?}");
        assert!(ran.err.contains(why) && !ran.err.contains("s3cret"), "{url}: {ran:?}");
    }
    let shown = run(&["check", "--external-url", "https://Metrics.example/a", TARGET], &[]);
    assert!(shown.out.contains("\nexternal_url: https://metrics.example/a/ "), "{shown:?}");
}
