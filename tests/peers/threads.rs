//! A bridge with a limit on threads: it works, or explains why it does not start.

use std::process::{Command, Stdio};

use libtest_mimic::Trial;

use crate::support::program::{Serving, fedimeter, finish};
use crate::support::samples::{only, samples};
use crate::support::{http, trial};
use fedimeter::simulator::{Settings, Simulator};

/// A user id of this run and test alone, because the limit counts all threads of a user.
fn user(test: u32) -> String {
    (61_000 + std::process::id() % 2_000 * 2 + test).to_string()
}

pub fn trials() -> Vec<Trial> {
    vec![
        trial::trial("few_threads_are_no_panic", limits(), |()| few_threads_are_no_panic()),
        trial::trial("enough_threads_are_always_enough", limits(), |()| {
            enough_threads_are_always_enough();
        }),
    ]
}

/// The limit does not apply to root, so another user is needed, and only root can switch to
/// it.
fn limits() -> Result<(), String> {
    let out = Command::new("setpriv")
        .args(["--reuid", &user(0), "--clear-groups", "prlimit", "--nproc=1", "true"])
        .stderr(Stdio::piped())
        .output()
        .map_err(|e| format!("setpriv: {e}"))?;
    if out.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&out.stderr).into_owned()) }
}

/// The program in this test with this limit on threads, including the first one.
fn limited(test: u32, threads: usize, args: &[&str]) -> Command {
    let program = fedimeter().get_program().to_owned();
    let mut command = Command::new("setpriv");
    command.env("HOME", "/").args(["--reuid", &user(test), "--clear-groups", "prlimit"]);
    command.arg(format!("--nproc={threads}")).arg(program).args(args);
    command
}

fn few_threads_are_no_panic() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let settings = Settings { instances: 1, ..Settings::default() };
        let simulator = Simulator::start(settings, ([127, 0, 0, 1], 0).into()).await.unwrap();
        let url = simulator.url(0);
        let args = ["serve", "--listen", "127.0.0.1:0", &url];
        let (mut refused, mut served) = (0, 0);
        for threads in 1..=8 {
            let once = finish(limited(0, threads, &["once", "--format", "prometheus", &url]));
            assert!(!once.err.contains("panicked"), "{threads}: {}", once.err);
            if once.status == Some(0) {
                assert_eq!(only(&samples(&once.out), "fedimeter_target_up"), Some(1.0), "{threads}");
                let bridge = Serving::with(&mut limited(0, threads, &args));
                for _ in 0..5 {
                    let text = http::body(http::client().get(format!("{}/metrics", bridge.url()))).await;
                    assert_eq!(only(&samples(&text), "fedimeter_target_up"), Some(1.0), "{threads}");
                }
                assert!(!bridge.log().contains("panicked"), "{threads}: {}", bridge.log());
                served += 1;
            } else {
                let ran = finish(limited(0, threads, &args));
                let reason = format!("needs 4 threads beside its first and can start {}", threads - 1);
                assert!(ran.status == Some(1) && ran.err.contains(&reason), "{threads}: {ran:?}");
                refused += 1;
            }
        }
        assert_eq!((refused, served), (4, 4));
    });
}

/// The threads that the program starts to count how many it may have are still counted for
/// a moment after they have ended.
fn enough_threads_are_always_enough() {
    for start in 0..100 {
        let ran = finish(limited(1, 5, &["metrics"]));
        assert_eq!(ran.status, Some(0), "{start}: {}", ran.err);
    }
}
