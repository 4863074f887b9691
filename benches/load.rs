//! The load run: `just load 1 1000 10000`. The bridge, as a process of its
//! own, against simulated instances in this process; CPU and memory are the
//! bridge's alone, read from /proc (Linux only).
//!
//! For each number of targets: a first collection (cold: every connection is
//! made), scrapes that find everything fresh, and a collection after a minute
//! (every endpoint due again but the activity, over kept connections).

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fedimeter::simulator::{Settings, Simulator};

/// Kernel ticks a second in /proc/PID/stat; 100 on every Linux that we know.
const TICKS: f64 = 100.0;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    if !cfg!(target_os = "linux") {
        println!("the load run reads /proc and needs Linux");
        return Ok(());
    }
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let mut sizes: Vec<usize> = std::env::args().skip(1).filter_map(|arg| arg.parse().ok()).collect();
    if sizes.is_empty() {
        sizes = vec![1, 100];
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    println!(
        "| targets | ready ms | cold s | requests | CPU ms/request, cold | CPU ms/request, kept | RSS MiB | RSS KiB/target | fresh scrape ms | CPU ms/fresh scrape | bytes |"
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    for size in sizes {
        println!("{}", runtime.block_on(async { run(size).await })?);
    }
    Ok(())
}

async fn run(size: usize) -> Result<String, Failure> {
    let settings = Settings {
        instances: size,
        cache_headers: false,
        rate_limit: Some(1_000_000),
        request_log: 0,
        ..Settings::default()
    };
    let simulator = Simulator::start(settings, ([127, 0, 0, 1], 0).into()).await?;
    let requests = || (0..size).map(|i| simulator.requests(i, "*")).sum::<usize>();
    let mut config = String::from("listen: 127.0.0.1:0\ndefaults:\n  endpoint_details: false\ntargets:\n");
    for url in simulator.urls() {
        writeln!(config, "  - {url}")?;
    }
    let file = tempfile::NamedTempFile::new()?;
    file.as_file().write_all(config.as_bytes())?;

    let started = Instant::now();
    let bridge = Bridge::start(file.path())?;
    let ready = started.elapsed();
    let idle = bridge.resident()?;

    let before = (bridge.cpu()?, requests());
    let began = Instant::now();
    let bytes = bridge.scrape().await?;
    let cold = began.elapsed();
    let after = (bridge.cpu()?, requests());
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
    let resident = bridge.resident()?;
    Ok(format!(
        "| {size} | {:.0} | {:.2} | {} | {cold_each:.3} | {kept_each:.3} | {:.1} | {:.1} | {fresh:.2} | {fresh_cpu:.2} | {bytes} |",
        ready.as_secs_f64() * 1e3,
        cold.as_secs_f64(),
        after.1,
        resident / 1024.0,
        (resident - idle).max(0.0) / size as f64,
    ))
}

/// The bridge as a process.
struct Bridge {
    child: Child,
    address: SocketAddr,
}

impl Bridge {
    /// Starts it and waits until it says where it listens.
    fn start(config: &std::path::Path) -> Result<Bridge, Failure> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_fedimeter"))
            .args(["serve", "--log-level", "info", "--config"])
            .arg(config)
            .stderr(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(child.stderr.take().ok_or("no standard error")?);
        let mut line = String::new();
        while lines.read_line(&mut line)? > 0 {
            if let Some((_, at)) = line.split_once(" on http://") {
                let address = at.split_once("/metrics").ok_or("an odd log line")?.0.parse()?;
                // What it says later must not fill the pipe.
                std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
                return Ok(Bridge { child, address });
            }
            line.clear();
        }
        Err("the bridge ended at once".into())
    }

    /// One scrape; the bytes of its body.
    async fn scrape(&self) -> Result<usize, Failure> {
        let address = self.address;
        let scrape = move || -> std::io::Result<usize> {
            let mut stream = TcpStream::connect(address)?;
            stream.write_all(
                b"GET /metrics HTTP/1.1\r\nHost: bridge\r\nConnection: close\r\nX-Prometheus-Scrape-Timeout-Seconds: 120\r\n\r\n",
            )?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer)?;
            let head = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(0);
            if !answer.starts_with(b"HTTP/1.1 200") {
                return Err(std::io::Error::other("no 200"));
            }
            Ok(answer.len() - head - 4)
        };
        Ok(tokio::task::spawn_blocking(scrape).await??)
    }

    /// CPU seconds, user and system.
    fn cpu(&self) -> Result<f64, Failure> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields: Vec<&str> = stat.rsplit_once(')').ok_or("odd stat")?.1.split_whitespace().collect();
        Ok((fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) / TICKS)
    }

    /// Resident KiB.
    fn resident(&self) -> Result<f64, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|l| l.starts_with("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.split_whitespace().nth(1).ok_or("odd VmRSS")?.parse()?)
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
