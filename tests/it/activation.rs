//! Sockets that a service manager passes to the real program (sd_listen_fds(3)).

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use crate::support::program::{PATIENCE, Ran, Serving, fedimeter, finish};

/// A target that is never reached.
const TARGET: &str = "http://127.0.0.1:1";
/// A documentation address, at which nobody can listen.
const ELSEWHERE: &str = "192.0.2.1:9464";

/// The program, started as a manager does that passes a socket. Here the socket is its
/// standard input.
fn command(passed: impl Into<OwnedFd>, args: &[&str]) -> Command {
    let program = fedimeter().get_program().to_owned();
    let mut command = Command::new("sh");
    let script = r#"exec 3<&0 </dev/null; export LISTEN_PID="${LISTEN_PID:-$$}"; exec "$@""#;
    command.env_clear().args(["-c", script, "sh"]).arg(program).args(args);
    command.env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", "web").stdin(Stdio::from(passed.into()));
    command
}

fn serving(passed: impl Into<OwnedFd>) -> Serving {
    Serving::with(&mut command(passed, &["serve", "--listen", ELSEWHERE, TARGET]))
}

fn refused(command: Command) -> Ran {
    let ran = finish(command);
    assert_eq!(ran.status, Some(2), "{ran:?}");
    ran
}

/// Sends a request on a new connection. Returns the status and the end of the response, or
/// an error.
fn ask(mut stream: impl Read + Write, path: &str) -> Result<String, String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(|e| format!("asking: {e}"))?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(|e| format!("reading: {e}"))?;
    if answer.starts_with("HTTP/1.1 200") { Ok(answer) } else { Err(format!("answered {answer:?}")) }
}

fn bound() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[test]
fn a_socket_that_is_handed_over_takes_the_place_of_listen() {
    let (listener, address) = bound();
    let bridge = serving(listener);
    bridge.line(|line| {
        line.contains(&format!("{address} is passed by the service manager (web)")).then_some(())
    });
    assert_eq!(bridge.url(), format!("http://{address}"));
    let metrics = ask(TcpStream::connect(address).unwrap(), "/metrics").unwrap();
    assert!(metrics.contains("fedimeter_target_up"), "{metrics}");
    assert_eq!(bridge.end("TERM").0, Some(0));
}

#[test]
fn a_unix_socket_that_is_handed_over_stays_where_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fedimeter.sock");
    let bridge = serving(UnixListener::bind(&path).unwrap());
    bridge.line(|line| line.contains(&format!("on unix:{}", path.display())).then_some(()));
    ask(UnixStream::connect(&path).unwrap(), "/metrics").unwrap();
    assert_eq!(bridge.end("TERM").0, Some(0));
    assert!(path.exists(), "its file is the manager's");
}

#[test]
fn what_is_for_another_process_or_for_nobody_is_not_taken() {
    let (listener, _) = bound();
    let mut other = command(listener, &["serve", "--listen", "127.0.0.1:0", TARGET]);
    let bridge = Serving::with(other.env("LISTEN_PID", "1"));
    bridge.url();
    assert!(!bridge.log().contains("passed by"), "{}", bridge.log());
    drop(bridge);

    let (listener, address) = bound();
    let mut off = command(listener, &["serve", "--listen", "none", TARGET]);
    let bridge = Serving::with(off.env("OTEL_METRICS_EXPORTER", "console"));
    bridge.line(|line| {
        line.contains(&format!("{address}, passed by the service manager (web), is closed")).then_some(())
    });
    // The command has a copy, too.
    drop(off);
    // A program that another test starts has a copy until it is executed.
    let start = Instant::now();
    while TcpStream::connect(address).is_ok() {
        assert!(start.elapsed() < PATIENCE, "{address} is still listened on");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_cannot_be_served_on_is_refused() {
    let serve = |passed: OwnedFd| command(passed, &["serve", TARGET]);
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (listener, address) = bound();
    let connection = TcpStream::connect(address).unwrap();
    for passed in [udp.into(), connection.into(), File::open("/dev/null").unwrap().into()] {
        let ran = refused(serve(passed));
        let why = "fedimeter: cannot serve on web, which LISTEN_FDS names: in the socket unit, use ListenStream= and \
                   Accept=no\n";
        assert_eq!(ran.err, why);
    }
    for (name, value, why) in [
        ("LISTEN_FDNAMES", "web:other", "invalid LISTEN_FDNAMES"),
        ("LISTEN_FDS", "many", "invalid LISTEN_FDS"),
        ("LISTEN_PID", "me", "invalid LISTEN_PID"),
    ] {
        let mut wrong = serve(listener.try_clone().unwrap().into());
        wrong.env(name, value);
        let ran = refused(wrong);
        assert!(
            ran.err.contains(&format!("cannot take over the sockets that LISTEN_FDS promises: {why};")),
            "{ran:?}"
        );
    }
    let mut missing = serve(listener.try_clone().unwrap().into());
    missing.env("LISTEN_FDS", "90").env_remove("LISTEN_FDNAMES");
    assert!(refused(missing).err.contains("Bad file descriptor"));
}

/// The manager keeps the socket, in which connections wait.
#[test]
fn a_restart_refuses_no_connection() {
    let (listener, address) = bound();
    let start = || {
        let bridge = serving(listener.try_clone().unwrap());
        bridge.url();
        bridge
    };
    let mut bridge = start();
    let is_over = AtomicBool::new(false);
    let asked = std::thread::scope(|scope| {
        let ask_again = || {
            let mut asked = 0;
            while !is_over.load(SeqCst) {
                let stream =
                    TcpStream::connect(address).unwrap_or_else(|e| panic!("refused after {asked}: {e}"));
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                ask(stream, "/-/healthy").unwrap_or_else(|e| panic!("{e} after {asked}"));
                asked += 1;
            }
            asked
        };
        let clients: Vec<_> = (0..3).map(|_| scope.spawn(ask_again)).collect();
        for _ in 0..5 {
            std::thread::sleep(Duration::from_millis(50));
            assert_eq!(bridge.end("TERM").0, Some(0));
            bridge = start();
        }
        is_over.store(true, SeqCst);
        clients.into_iter().map(|client| client.join().unwrap()).sum::<u32>()
    });
    assert!(asked > 10, "{asked}");
}
