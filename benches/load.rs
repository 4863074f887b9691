//! The load run: `just load 1 1000 10000`. The bridge, as a process of its
//! own, against simulated instances in this process; CPU and memory are the
//! bridge's alone, read from /proc (Linux only).
//!
//! For each number of targets: a first collection (cold: every connection is
//! made), scrapes that find everything fresh, and a collection after a minute
//! (every endpoint due again but the activity, over kept connections).
//!
//! `tls:1000` are instances over TLS with HTTP/1.1, `h2:1000` with HTTP/2.

#[path = "support/bridge.rs"]
mod bridge;
#[path = "support/tls.rs"]
mod tls;

use std::time::{Duration, Instant};

use bridge::{Bridge, Failure, configuration, instances};
use tls::Front;

/// How many instances, and which protocol is offered by TLS.
#[derive(Debug, Clone, Copy)]
struct Fleet {
    size: usize,
    over_tls: Option<&'static str>,
}

impl Fleet {
    fn parse(arg: &str) -> Option<Fleet> {
        let (over_tls, size) = match arg.split_once(':') {
            Some(("tls", size)) => (Some("http/1.1"), size),
            Some(("h2", size)) => (Some("h2"), size),
            _ => (None, arg),
        };
        Some(Fleet { size: size.parse().ok()?, over_tls })
    }
}

fn main() -> Result<(), Failure> {
    if !cfg!(target_os = "linux") {
        println!("the load run reads /proc and needs Linux");
        return Ok(());
    }
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let mut fleets: Vec<Fleet> = std::env::args().skip(1).filter_map(|arg| Fleet::parse(&arg)).collect();
    if fleets.is_empty() {
        fleets = [1, 100].map(|size| Fleet { size, over_tls: None }).into();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    println!(
        "| targets | ready ms | cold s | requests | CPU ms/request, cold | CPU ms/request, kept | RSS MiB | RSS KiB/target | fresh scrape ms | CPU ms/fresh scrape | bytes | connections, cold and after |"
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    for fleet in fleets {
        println!("{}", runtime.block_on(async { run(fleet).await })?);
    }
    Ok(())
}

async fn run(Fleet { size, over_tls }: Fleet) -> Result<String, Failure> {
    let simulator = if over_tls.is_some() { Front::instances(size).await? } else { instances(size).await? };
    let front = match over_tls {
        Some(protocol) => Some(Front::start(&simulator, protocol).await?),
        None => None,
    };
    let file = match &front {
        Some(front) => {
            let urls: Vec<String> = (0..size).map(|i| Front::url(&simulator, i)).collect();
            configuration(&front.defaults()?, &urls)?
        }
        None => configuration("", &simulator.urls())?,
    };
    let connections = || front.as_ref().map_or(0, Front::accepted);
    let requests = || (0..size).map(|i| simulator.requests(i, "*")).sum::<usize>();

    let started = Instant::now();
    let bridge = Bridge::start(file.path())?;
    let ready = started.elapsed();
    let idle = bridge.status("VmRSS")?;

    let before = (bridge.cpu()?, requests());
    let began = Instant::now();
    let bytes = bridge.scrape().await?;
    let cold = began.elapsed();
    let after = (bridge.cpu()?, requests());
    let connected = connections();
    let cold_each = (after.0 - before.0) * 1e3 / (after.1 - before.1) as f64;

    // As many fresh scrapes as take measurable CPU time.
    let rounds = (2000 / size).clamp(3, 500);
    let (cpu, began) = (bridge.cpu()?, Instant::now());
    for _ in 0..rounds {
        bridge.scrape().await?;
    }
    let fresh = began.elapsed().as_secs_f64() * 1e3 / rounds as f64;
    let fresh_cpu = (bridge.cpu()? - cpu) * 1e3 / rounds as f64;
    if requests() != after.1 {
        return Err("a fresh scrape asked a server: the cold collection took too long for this figure".into());
    }

    tokio::time::sleep(Duration::from_secs(60).saturating_sub(started.elapsed().saturating_sub(ready))).await;
    let before = (bridge.cpu()?, requests());
    bridge.scrape().await?;
    let after = (bridge.cpu()?, requests());
    let kept_each = ((after.0 - before.0) * 1e3 - fresh_cpu) / (after.1 - before.1) as f64;
    let resident = bridge.status("VmRSS")?;
    let again = connections() - connected;
    let connected = if front.is_some() { format!("{connected}, {again}") } else { String::new() };
    let label = over_tls.map_or(String::new(), |protocol| format!(", TLS, {protocol}"));
    Ok(format!(
        "| {size}{label} | {:.0} | {:.2} | {} | {cold_each:.3} | {kept_each:.3} | {:.1} | {:.1} | {fresh:.2} | {fresh_cpu:.2} | {bytes} | {connected} |",
        ready.as_secs_f64() * 1e3,
        cold.as_secs_f64(),
        after.1,
        resident / 1024.0,
        (resident - idle).max(0.0) / size as f64,
    ))
}
