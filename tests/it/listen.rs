//! The real program on Unix sockets, and on several addresses.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use reqwest::{Client, StatusCode};
use tempfile::TempDir;

use crate::support::program::{Serving, run};
use crate::support::samples::{only, samples};
use crate::support::{http, ports};
use fedimeter::simulator::{Settings, Simulator};

/// A target that is never reached.
const TARGET: &str = "http://127.0.0.1:1";

struct Place {
    _directory: TempDir,
    path: PathBuf,
    listen: String,
}

fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fedimeter.sock");
    let listen = format!("unix:{}", path.display());
    Place { _directory: directory, path, listen }
}

/// A bridge that already listens there.
fn bridge(listen: &str, more: &[&str]) -> Serving {
    let bridge = Serving::start(&[&["--listen", listen], more, &[TARGET]].concat(), &[]);
    bridge.line(|line| line.contains(" on unix:").then_some(()));
    bridge
}

fn client(path: &Path) -> Client {
    http::client();
    Client::builder().no_proxy().unix_socket(path).build().unwrap()
}

async fn answered(path: &Path) -> bool {
    let asked = client(path).get("http://localhost/-/healthy").send().await;
    asked.is_ok_and(|response| response.status() == StatusCode::OK)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unix_socket_serves_what_an_address_serves() {
    let simulator = Simulator::start(Settings::default(), ([127, 0, 0, 1], 0).into()).await.unwrap();
    let place = place();
    let serving =
        Serving::start(&["--listen", "127.0.0.1:0", "--listen", &place.listen, &simulator.url(0)], &[]);
    let told = serving.line(|line| line.split_once("1 target on unix:").map(|(_, at)| at.to_owned()));
    assert_eq!(told, format!("{} (/metrics)", place.path.display()));
    let over_socket = client(&place.path);
    // With any host name of the client.
    for host in ["localhost", "metrics.example", "socket"] {
        let metrics = http::body(over_socket.get(format!("http://{host}/metrics"))).await;
        assert_eq!(only(&samples(&metrics), "fedimeter_target_up"), Some(1.0), "{host}");
    }
    let page = http::body(over_socket.get("http://localhost/")).await;
    assert!(page.contains(&simulator.url(0)), "{page}");
    let metrics = http::body(http::client().get(format!("{}/metrics", serving.url()))).await;
    assert_eq!(only(&samples(&metrics), "fedimeter_target_up"), Some(1.0), "the other address, too");
    assert_eq!(mode(&place.path), 0o660);

    let path = place.path.clone();
    assert_eq!(tokio::task::spawn_blocking(move || serving.end("TERM").0).await.unwrap(), Some(0));
    assert!(!path.exists(), "it is removed at the end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_names_and_the_mode_are_settings() {
    let place = place();
    let file = place.path.with_file_name("fedimeter.yaml");
    let text = format!(
        "targets: ['{TARGET}']\nlisten: {}\nlisten_socket_mode: 0606\nlisten_hosts: metrics.example\n",
        place.listen
    );
    fs::write(&file, text).unwrap();
    let serving = Serving::start(&["--config", file.to_str().unwrap()], &[]);
    serving.line(|line| line.contains(" on unix:").then_some(()));
    assert_eq!(mode(&place.path), 0o606);
    for (host, status) in [("metrics.example", 200), ("localhost", 200), ("other.example", 421)] {
        let response = client(&place.path).get(format!("http://{host}/metrics")).send().await.unwrap();
        assert_eq!(response.status(), status, "{host}");
    }
    let shown = run(&["check", "--config", file.to_str().unwrap()], &[]);
    assert!(shown.out.contains("listen_socket_mode: \"0606\""), "{shown:?}");
    assert!(shown.out.contains(&format!("listen: [{}]", place.listen)), "{shown:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_bridge_left_is_replaced() {
    let place = place();
    drop(bridge(&place.listen, &[]));
    assert!(place.path.exists(), "a killed process removes nothing");
    assert!(UnixStream::connect(&place.path).is_err());
    let second = bridge(&place.listen, &[]);
    second.line(|line| line.contains("left behind by a dead process").then_some(()));
    assert!(answered(&place.path).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lives_is_never_replaced() {
    let place = place();
    let first = bridge(&place.listen, &[]);
    let second = run(&["--listen", &place.listen, TARGET], &[]);
    let why = "Address already in use (os error 98); another process listens there: stop that process, or choose \
               another path with --listen";
    assert_eq!(second.status, Some(3), "{second:?}");
    assert!(
        second.err.ends_with(&format!("fedimeter: cannot listen on {}: {why}\n", place.listen)),
        "{second:?}"
    );
    assert!(answered(&place.path).await, "the first one goes on");
    drop(first);
    fs::remove_file(&place.path).unwrap();

    // A socket of another program, which accepts nothing.
    let other = UnixListener::bind(&place.path).unwrap();
    assert_eq!(run(&["--listen", &place.listen, TARGET], &[]).status, Some(3));
    assert!(place.path.exists());
    drop(other);
    fs::remove_file(&place.path).unwrap();

    fs::write(&place.path, "precious").unwrap();
    let refused = run(&["--listen", &place.listen, TARGET], &[]);
    assert_eq!(refused.status, Some(3), "{refused:?}");
    assert!(
        refused.err.contains("a file that is not a socket exists there; remove that file"),
        "{refused:?}"
    );
    assert_eq!(fs::read_to_string(&place.path).unwrap(), "precious");
}

#[test]
fn what_cannot_be_listened_on_says_what_to_do() {
    let refused = run(&["--listen", "unix:/nonexistent/fedimeter.sock", TARGET], &[]);
    assert_eq!(refused.status, Some(3), "{refused:?}");
    assert!(refused.err.contains("create its directory (RuntimeDirectory= of systemd does)"), "{refused:?}");
    for (listen, why) in [
        ("unix:fedimeter.sock", "is not the path of a Unix socket; write it from / on, such as unix:/run/"),
        ("unix:/run/a.sock,unix:///run/a.sock", "unix:/run/a.sock is given twice; remove one of them"),
        ("unix:/run/a.sock,none", "none cannot be combined with an address; remove one of them"),
    ] {
        let refused = run(&["--listen", listen, TARGET], &[]);
        assert_eq!(refused.status, Some(2), "{refused:?}");
        assert!(refused.err.contains(why), "{listen}: {refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_health_check_asks_over_the_socket() {
    let place = place();
    let check =
        |listen: &str, timeout: &str| run(&["healthcheck", "--listen", listen, "--timeout", timeout], &[]);
    let serving = bridge(&place.listen, &[]);
    let healthy = check(&place.listen, "10s");
    assert_eq!((healthy.status, &*healthy.out), (Some(0), "fedimeter is healthy\n"), "{healthy:?}");
    drop(serving);
    let dead = check(&place.listen, "10s");
    let place_of = format!("fedimeter: {} (/-/healthy): ", place.listen);
    let line = format!(
        "{place_of}Connection refused (os error 111): check that the bridge is running, with the same --listen, --config and \
         variables as this check\n"
    );
    assert_eq!((dead.status, &*dead.err), (Some(1), &*line));
    fs::remove_file(&place.path).unwrap();

    // A socket that never answers, and one that is not a bridge.
    let other = UnixListener::bind(&place.path).unwrap();
    let hung = check(&place.listen, "200ms");
    assert!(hung.err.starts_with(&format!("{place_of}no answer within 200ms: the bridge hangs")), "{hung:?}");
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        for mut stream in other.incoming().flatten() {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK");
        }
    });
    let foreign = check(&place.listen, "10s");
    assert_eq!(foreign.status, Some(1), "{foreign:?}");
    assert!(
        foreign.err.contains("the answer does not come from a bridge: another program answers there"),
        "{foreign:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ipv4_and_ipv6_are_served_side_by_side() {
    // Not every machine has IPv6.
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return;
    }
    let port = ports::free().port();
    // `[::]` alone would accept IPv4, too.
    let listen = format!("0.0.0.0:{port},[::]:{port}");
    let serving = Serving::start(&["--listen", &listen, TARGET], &[]);
    serving.line(|line| line.contains(&format!("on http://[::]:{port}/metrics")).then_some(()));
    for address in ["127.0.0.1", "[::1]"] {
        let health = http::body(http::client().get(format!("http://{address}:{port}/-/healthy"))).await;
        assert_eq!(health, "fedimeter is healthy\n", "{address}");
    }
    let check = run(&["healthcheck", "--listen", &listen, "--timeout", "10s"], &[]);
    assert_eq!(check.status, Some(0), "{check:?}");
}
