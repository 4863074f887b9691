//! The messages of the real program to a service manager.

use crate::support::http;
use crate::support::manager::Manager;
use crate::support::program::Serving;
use fedimeter::simulator::{Fault, Settings, Simulator};

async fn simulator() -> Simulator {
    Simulator::start(Settings::default(), ([127, 0, 0, 1], 0).into()).await.unwrap()
}

/// A bridge of a service manager that expects five signs of life each second.
fn bridge(manager: &Manager, args: &[&str], env: &[(&str, &str)]) -> Serving {
    let socket = manager.socket();
    let supervised = [("NOTIFY_SOCKET", &*socket), ("WATCHDOG_USEC", "200000")];
    Serving::start(&[&["serve", "--listen", "127.0.0.1:0"], args].concat(), &[&supervised, env].concat())
}

async fn status(bridge: &Serving, path: &str) -> u16 {
    http::client().get(format!("{}{path}", bridge.url())).send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ready_alive_and_stopping_are_told() {
    let simulator = simulator().await;
    let manager = Manager::start();
    let bridge = bridge(&manager, &[&simulator.url(0), "http://127.0.0.1:1"], &[]);
    manager.wait_for("READY=1", 1);
    assert_eq!(status(&bridge, "/-/ready").await, 200, "ready means the same to all");
    manager.wait_for("WATCHDOG=1", 3);
    bridge.signal("HUP");
    manager.wait_for("READY=1", 2);
    let metrics = format!("{}/metrics", bridge.url());
    let (ended, told) = tokio::task::spawn_blocking(move || {
        let ended = bridge.end("TERM").0;
        (ended, manager.wait_for("STOPPING=1", 1))
    })
    .await
    .unwrap();
    assert_eq!(ended, Some(0));
    let mut rest = told.iter();
    for expected in [
        "STATUS=The first collection is under way",
        "READY=1",
        &format!("STATUS=2 targets, 1 up; {metrics}"),
        "WATCHDOG=1",
        "RELOADING=1",
        "READY=1",
        "STOPPING=1",
    ] {
        assert!(rest.any(|line| line == expected), "no {expected}, or not in this order: {told:?}");
    }
    assert!(told.iter().any(|line| line.starts_with("EXTEND_TIMEOUT_USEC=")), "{told:?}");
    assert_eq!(told.iter().filter(|line| *line == "READY=1").count(), 2, "{told:?}");
    assert!(told.iter().any(|line| line.starts_with("MONOTONIC_USEC=")), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_is_alive_and_not_ready_while_it_first_collects() {
    let simulator = simulator().await;
    simulator.set_fault(0, "*", Some(Fault::Hang));
    let manager = Manager::start();
    let bridge = bridge(&manager, &["--deadline", "5m", "--timeout", "5m", &simulator.url(0)], &[]);
    // A unit may expect signs of life without waiting for readiness.
    manager.wait_for("WATCHDOG=1", 3);
    assert_eq!(status(&bridge, "/-/ready").await, 503);
    // The end of a reload is not the end of the start.
    bridge.signal("HUP");
    bridge.line(|line| line.contains("the configuration was reloaded").then_some(()));
    manager.wait_for("WATCHDOG=1", 6);
    let told = tokio::task::spawn_blocking(move || {
        assert_eq!(bridge.end("TERM").0, Some(0));
        manager.wait_for("STOPPING=1", 1)
    });
    let told = told.await.unwrap();
    assert!(!told.contains(&"READY=1".to_owned()), "{told:?}");
}

#[test]
fn a_bridge_that_is_switched_off_is_ready() {
    let manager = Manager::start();
    let bridge = bridge(&manager, &["http://127.0.0.1:1"], &[("OTEL_SDK_DISABLED", "true")]);
    manager.wait_for("READY=1", 1);
    let told = manager.wait_for("WATCHDOG=1", 2);
    let status = "STATUS=OTEL_SDK_DISABLED is true: nothing is collected and nothing is served";
    assert!(told.contains(&status.to_owned()), "{told:?}");
    assert_eq!(bridge.end("TERM").0, Some(0));
    manager.wait_for("STOPPING=1", 1);
}

/// As when the program is started by hand in the environment of a unit.
#[test]
fn a_manager_that_is_gone_keeps_nobody_from_serving() {
    let env = [("NOTIFY_SOCKET", "/nonexistent/notify"), ("WATCHDOG_USEC", "soon")];
    let bridge = Serving::start(&["--listen", "127.0.0.1:0", "http://127.0.0.1:1"], &env);
    bridge.line(|line| line.contains("cannot tell the service manager").then_some(()));
    bridge.url();
    assert_eq!(bridge.end("TERM").0, Some(0));
}

#[test]
fn the_watchdog_of_another_process_is_not_ours() {
    let manager = Manager::start();
    let bridge = bridge(&manager, &["http://127.0.0.1:1"], &[("WATCHDOG_PID", "1")]);
    manager.wait_for("READY=1", 1);
    assert_eq!(bridge.end("TERM").0, Some(0));
    let told = manager.wait_for("STOPPING=1", 1);
    assert!(!told.contains(&"WATCHDOG=1".to_owned()), "{told:?}");
}
