//! The bridge as a process of its own, its cost as `/proc` has it, and the simulated
//! instances that it asks.

#![allow(dead_code, reason = "not every run needs everything")]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use fedimeter::simulator::{Settings, Simulator};
use tempfile::NamedTempFile;

/// Kernel ticks a second in /proc/PID/stat; 100 on every Linux that we know.
const TICKS: f64 = 100.0;

pub type Failure = Box<dyn std::error::Error>;

/// So many instances, and a configuration that asks them.
pub async fn fleet(size: usize) -> Result<(Simulator, NamedTempFile), Failure> {
    let simulator = instances(size).await?;
    let file = configuration("", &simulator.urls())?;
    Ok((simulator, file))
}

/// So many instances.
pub async fn instances(size: usize) -> Result<Simulator, Failure> {
    instances_at([127, 0, 0, 1], size).await
}

/// So many instances at this address.
pub async fn instances_at(address: [u8; 4], size: usize) -> Result<Simulator, Failure> {
    let settings = Settings {
        instances: size,
        cache_headers: false,
        rate_limit: Some(1_000_000),
        request_log: 0,
        ..Settings::default()
    };
    Ok(Simulator::start(settings, (address, 0).into()).await?)
}

/// A configuration that asks these servers, with these lines more among `defaults`.
pub fn configuration(defaults: &str, urls: &[String]) -> Result<NamedTempFile, Failure> {
    let mut config =
        format!("listen: 127.0.0.1:0\ndefaults:\n  endpoint_details: false\n{defaults}targets:\n");
    for url in urls {
        writeln!(config, "  - {url}")?;
    }
    write(&config)
}

/// A configuration in a file.
pub fn write(config: &str) -> Result<NamedTempFile, Failure> {
    let file = NamedTempFile::new()?;
    file.as_file().write_all(config.as_bytes())?;
    Ok(file)
}

/// CPU seconds of a process, user and system: of its threads in nanoseconds where the
/// kernel counts them, and otherwise in ticks. No thread of ours ends before its process.
pub fn cpu_of(pid: u32) -> Result<f64, Failure> {
    let mut nanos = 0.0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        match std::fs::read_to_string(task?.path().join("schedstat")) {
            Ok(times) => nanos += times.split_whitespace().next().ok_or("odd schedstat")?.parse::<f64>()?,
            Err(_) => return ticks_of(pid),
        }
    }
    Ok(nanos / 1e9)
}

fn ticks_of(pid: u32) -> Result<f64, Failure> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit_once(')').ok_or("odd stat")?.1.split_whitespace().collect();
    Ok((fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) / TICKS)
}

/// The bridge as a process.
pub struct Bridge {
    child: Child,
    pub address: SocketAddr,
}

impl Bridge {
    /// Starts it and waits until it says where it listens.
    pub fn start(config: &Path) -> Result<Bridge, Failure> {
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
    pub async fn scrape(&self) -> Result<usize, Failure> {
        let address = self.address;
        let scrape = move || -> std::io::Result<usize> {
            let mut stream = TcpStream::connect(address)?;
            stream.write_all(
                b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Prometheus-Scrape-Timeout-Seconds: 120\r\n\r\n",
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
    pub fn cpu(&self) -> Result<f64, Failure> {
        cpu_of(self.child.id())
    }

    /// A number of /proc/PID/status; of memory (`VmRSS`, `VmHWM`) it is KiB.
    pub fn status(&self, name: &str) -> Result<f64, Failure> {
        let status = std::fs::read_to_string(self.proc("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        Ok(line.and_then(|line| line.split_whitespace().next()).ok_or("an odd status")?.parse()?)
    }

    /// Open file descriptors.
    pub fn descriptors(&self) -> Result<usize, Failure> {
        Ok(std::fs::read_dir(self.proc("fd"))?.count())
    }

    fn proc(&self, name: &str) -> PathBuf {
        ["/proc", &self.child.id().to_string(), name].iter().collect()
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
