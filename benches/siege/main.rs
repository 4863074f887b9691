//! The siege: `just siege`. The bridge, as a process of its own, asks simulated
//! instances; a client scrapes it each second as Prometheus does, first alone, then
//! beside each kind of hostile clients. Times are the good client's, memory, threads
//! and descriptors the bridge's, read from /proc (Linux only).
//!
//! Each run has a bridge of its own, which has collected once: within the run
//! everything is fresh. Hostile clients are a process of their own, with the lowest
//! priority: elsewhere they would have processors of their own.

#[path = "../support/bridge.rs"]
mod bridge;
mod hostile;

use std::net::SocketAddr;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use bridge::{Bridge, Failure, fleet};
use hostile::KINDS;

/// Between two scrapes.
const SCRAPE_INTERVAL: Duration = Duration::from_secs(1);
/// What Prometheus would wait.
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two looks at the bridge's process.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(100);

fn main() -> Result<(), Failure> {
    if !cfg!(target_os = "linux") {
        println!("the siege reads /proc and needs Linux");
        return Ok(());
    }
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    // The good client's.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if let [mode, kind, address] = &args[..]
        && mode == "hostile"
    {
        return runtime.block_on(hostile::attack(kind, address.parse()?));
    }
    let mut numbers = args.iter().filter_map(|arg| arg.parse::<u64>().ok());
    let (targets, seconds) = (numbers.next().unwrap_or(1000), numbers.next().unwrap_or(20));
    runtime.block_on(siege(targets as usize, Duration::from_secs(seconds)))
}

async fn siege(targets: usize, time: Duration) -> Result<(), Failure> {
    let (_simulator, config) = fleet(targets).await?;
    println!(
        "| beside the good client | answered | median ms | p99 ms | peak MiB | threads | descriptors | p99, ratio | peak, ratio |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|");
    let quiet = run(config.path(), None, time).await?;
    println!("| nobody | {} | 1.0 | 1.0 |", quiet.row());
    for (kind, words) in KINDS {
        let seen = run(config.path(), Some(kind), time).await?;
        let ratios = (seen.p99() / quiet.p99(), seen.peak / quiet.peak);
        println!("| {words} | {} | {:.1} | {:.1} |", seen.row(), ratios.0, ratios.1);
    }
    Ok(())
}

async fn run(config: &std::path::Path, kind: Option<&str>, time: Duration) -> Result<Seen, Failure> {
    let bridge = Bridge::start(config)?;
    let client = reqwest::Client::builder().no_proxy().no_gzip().timeout(SCRAPE_TIMEOUT).build()?;
    // Collects.
    bridge.scrape().await?;
    scrape(&client, bridge.address).await?;
    let _hostile = kind.map(|kind| Hostile::start(kind, bridge.address)).transpose()?;
    tokio::time::sleep(SCRAPE_INTERVAL).await;

    let mut seen = Seen::default();
    let end = Instant::now() + time;
    let scrapes = async {
        let mut ticks = tokio::time::interval(SCRAPE_INTERVAL);
        let mut times = Vec::new();
        while Instant::now() < end {
            ticks.tick().await;
            let began = Instant::now();
            let answered = scrape(&client, bridge.address).await;
            times.push(answered.map(|()| began.elapsed()).ok());
        }
        times
    };
    let samples = async {
        loop {
            seen.threads = seen.threads.max(bridge.status("Threads")?);
            seen.descriptors = seen.descriptors.max(bridge.descriptors()?);
            tokio::time::sleep(SAMPLE_INTERVAL).await;
        }
    };
    let times = tokio::select! {
        times = scrapes => times,
        failed = samples => return failed,
    };
    seen.asked = times.len();
    seen.times = times.into_iter().flatten().collect();
    seen.times.sort();
    seen.peak = bridge.status("VmHWM")? / 1024.0;
    Ok(seen)
}

/// One scrape as Prometheus makes it, on a kept connection.
async fn scrape(client: &reqwest::Client, address: SocketAddr) -> Result<(), Failure> {
    let accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3";
    let get = client.get(format!("http://{address}/metrics"));
    let get = get.header("accept", accept).header("accept-encoding", "gzip");
    let get = get.header("x-prometheus-scrape-timeout-seconds", SCRAPE_TIMEOUT.as_secs());
    get.send().await?.error_for_status()?.bytes().await?;
    Ok(())
}

/// What a run saw.
#[derive(Debug, Default)]
struct Seen {
    asked: usize,
    /// Of the scrapes that were answered, sorted.
    times: Vec<Duration>,
    peak: f64,
    threads: f64,
    descriptors: usize,
}

impl Seen {
    /// Milliseconds that this part of all scrapes took at most; what was not answered
    /// took for ever.
    fn quantile(&self, part: f64) -> f64 {
        let place = (self.asked as f64 * part).ceil() as usize;
        self.times.get(place.saturating_sub(1)).map_or(f64::INFINITY, |time| time.as_secs_f64() * 1e3)
    }

    fn p99(&self) -> f64 {
        self.quantile(0.99)
    }

    fn row(&self) -> String {
        format!(
            "{} of {} | {:.0} | {:.0} | {:.0} | {} | {}",
            self.times.len(),
            self.asked,
            self.quantile(0.5),
            self.p99(),
            self.peak,
            self.threads,
            self.descriptors
        )
    }
}

/// Hostile clients, until they are dropped.
struct Hostile(Child);

impl Hostile {
    fn start(kind: &str, address: SocketAddr) -> Result<Hostile, Failure> {
        let program = std::env::current_exe()?;
        let mut command = Command::new("nice");
        command.args(["-n", "19"]).arg(program).args(["hostile", kind, &address.to_string()]);
        Ok(Hostile(command.spawn()?))
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
