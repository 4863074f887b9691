//! Signals, and a blocked log.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use crate::support::program::{PATIENCE, fedimeter, signal};
use crate::support::samples::{only, samples};
use crate::support::{http, ports};
use fedimeter::simulator::{Settings, Simulator};

async fn simulator() -> Simulator {
    let settings = Settings { instances: 1, ..Settings::default() };
    Simulator::start(settings, ([127, 0, 0, 1], 0).into()).await.unwrap()
}

/// Standard error is a full pipe, so the first line would block.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_nobody_reads_blocks_nothing() {
    const SIZE_OF_A_PIPE: usize = 64 << 10;
    let simulator = simulator().await;
    let (mut unread, mut full) = std::io::pipe().unwrap();
    full.write_all(&vec![b'x'; SIZE_OF_A_PIPE]).unwrap();
    let listen = ports::free().to_string();
    let args = ["serve", "--listen", &listen, &simulator.url(0)];
    let mut program = fedimeter().args(args).stderr(full).spawn().unwrap();
    let client = http::client();
    let began = Instant::now();
    while client.get(format!("http://{listen}/-/healthy")).send().await.is_err() {
        assert!(began.elapsed() < PATIENCE, "it does not listen");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for _ in 0..3 {
        let shown = samples(&http::body(client.get(format!("http://{listen}/metrics"))).await);
        assert_eq!(only(&shown, "fedimeter_target_up"), Some(1.0));
        assert_eq!(only(&shown, "fedimeter_log_lines_lost_total"), Some(0.0), "they wait");
        signal(program.id(), "HUP");
    }
    let began = Instant::now();
    signal(program.id(), "TERM");
    let ended = tokio::task::spawn_blocking(move || program.wait()).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    let mut rest = Vec::new();
    unread.read_to_end(&mut rest).unwrap();
    assert_eq!(rest.len(), SIZE_OF_A_PIPE, "it was full all the time");
}
