//! The price of a number: `just price`. The bridge, as a process of its own, beside
//! programs that do the least that there is to do: nginx, which sends a file with the
//! bytes of the page, and clients that only read the documents that the bridge reads.
//! Ratios are of CPU time in one run, from /proc (Linux only). `just price documents tls`
//! takes some of the figures alone.

#[path = "../support/bridge.rs"]
mod bridge;
mod documents;
mod nginx;
#[path = "../../tests/support/ports.rs"]
mod ports;
mod reader;
#[path = "../support/tls.rs"]
mod tls;

use std::time::{Duration, Instant};

use bridge::{Bridge, Failure, fleet, instances, write};
use nginx::Nginx;

/// Scrapes of one figure.
const SCRAPES: usize = 3000;
/// Scrapes with a second between them.
const SECONDS: usize = 20;
/// Clients that scrape without a pause, and for how long.
const CLIENTS: usize = 50;
const TOGETHER: Duration = Duration::from_secs(5);
/// Probes a second, each of another server, and for how long.
const PROBES: usize = 500;
const PROBING: usize = 10;

fn main() -> Result<(), Failure> {
    if !cfg!(target_os = "linux") {
        println!("the prices are read from /proc, which needs Linux");
        return Ok(());
    }
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if let [mode, reads, urls] = &args[..]
        && mode == "read"
    {
        return runtime.block_on(reader::run(reads, urls.split(',')));
    }
    println!("| what | measured | beside it | ratio |");
    println!("|---|---:|---:|---:|");
    let is_wanted = |name: &str| args.is_empty() || args.iter().any(|arg| arg == name);
    runtime.block_on(async {
        if is_wanted("page") {
            one_target().await?;
            together().await?;
        }
        let ways = [("documents", false), ("tls", true)];
        documents::run(ways.into_iter().filter(|(name, _)| is_wanted(name)).map(|(_, tls)| tls)).await?;
        if is_wanted("probes") {
            probes().await?;
        }
        Ok(())
    })
}

/// The page of one target, fresh, beside a file of the same bytes.
async fn one_target() -> Result<(), Failure> {
    let (_simulator, config) = fleet(1).await?;
    let bridge = Bridge::start(config.path())?;
    let url = format!("http://{}/metrics", bridge.address);
    let page = client(false)?.get(&url).send().await?.bytes().await?;
    let nginx = Nginx::start(&page)?;
    for (gzip, what) in [(false, "page of one target, CPU µs a scrape"), (true, "the same with gzip")] {
        let ours = spent(|| bridge.cpu(), &url, gzip).await?;
        let Some(nginx) = &nginx else {
            println!("| {what} | {ours:.0} | no nginx here | |");
            continue;
        };
        let theirs = spent(|| nginx.cpu(), &nginx.url, gzip).await?;
        println!("| {what} | {ours:.0} | nginx: {theirs:.0} | {:.1} |", ours / theirs);
    }
    // Between two scrapes caches grow cold, and the processor sleeps. The health page is what
    // the server takes without any metrics.
    let ours = each_second(|| bridge.cpu(), &url).await?;
    let health = each_second(|| bridge.cpu(), &url.replace("/metrics", "/-/healthy")).await?;
    let beside = match &nginx {
        Some(nginx) => format!("nginx: {:.2}, ", each_second(|| nginx.cpu(), &nginx.url).await?),
        None => String::new(),
    };
    println!("| a scrape each second, CPU ms | {ours:.2} | {beside}health page: {health:.2} | |");
    println!("| resident with one target, MiB | {:.1} | | |", bridge.status("VmRSS")? / 1024.0);
    Ok(())
}

/// CPU µs that a scrape costs a process, many of them one after the other.
async fn spent(cpu: impl Fn() -> Result<f64, Failure>, url: &str, gzip: bool) -> Result<f64, Failure> {
    let client = client(gzip)?;
    let before = cpu()?;
    for _ in 0..SCRAPES {
        client.get(url).send().await?.error_for_status()?.bytes().await?;
    }
    Ok((cpu()? - before) * 1e6 / SCRAPES as f64)
}

/// CPU ms that a request a second costs a process.
async fn each_second(cpu: impl Fn() -> Result<f64, Failure>, url: &str) -> Result<f64, Failure> {
    let client = client(true)?;
    let before = cpu()?;
    for _ in 0..SECONDS {
        tokio::time::sleep(Duration::from_secs(1)).await;
        client.get(url).send().await?.error_for_status()?.bytes().await?;
    }
    Ok((cpu()? - before) * 1e3 / SECONDS as f64)
}

/// Many clients at once, of a fleet's page.
async fn together() -> Result<(), Failure> {
    let (_simulator, config) = fleet(1000).await?;
    let bridge = Bridge::start(config.path())?;
    bridge.scrape().await?;
    let before = bridge.status("VmRSS")?;
    let url = format!("http://{}/metrics", bridge.address);
    let end = Instant::now() + TOGETHER;
    let clients = (0..CLIENTS).map(|_| {
        let url = url.clone();
        tokio::spawn(async move {
            let (client, mut scrapes) = (client(true).map_err(|e| e.to_string())?, 0);
            while Instant::now() < end {
                let answer = client.get(&url).send().await.map_err(|e| e.to_string())?;
                scrapes += usize::from(answer.status() == 200);
                answer.bytes().await.map_err(|e| e.to_string())?;
            }
            Ok::<usize, String>(scrapes)
        })
    });
    let mut scrapes = 0;
    for client in clients.collect::<Vec<_>>() {
        scrapes += client.await??;
    }
    let more = (bridge.status("VmHWM")? - before) / 1024.0;
    let rate = scrapes as f64 / TOGETHER.as_secs_f64();
    println!("| {CLIENTS} clients at once, 1,000 targets, gzip: scrapes a second | {rate:.0} | | |");
    println!("| the same: memory beyond that of the bridge, MiB | {more:.0} | | |");
    Ok(())
}

/// Probes of servers that nobody has probed before, at a steady rate.
async fn probes() -> Result<(), Failure> {
    let simulator = instances(PROBES * PROBING).await?;
    let config = write(
        "listen: 127.0.0.1:0\nprobe:\n  enabled: true\n  allow: [.localhost, 127.0.0.0/8, '::1/128']\n  modules:\n    \
         default:\n      endpoint_details: false\ntargets: []\n",
    )?;
    let bridge = Bridge::start(config.path())?;
    let client = client(false)?;
    let (cpu, began) = (bridge.cpu()?, Instant::now());
    let mut clock = tokio::time::interval(Duration::from_secs(1) / PROBES as u32);
    let mut probes = tokio::task::JoinSet::new();
    for url in simulator.urls() {
        clock.tick().await;
        let probe = client.get(format!("http://{}/probe?target={url}", bridge.address));
        probes.spawn(async move {
            let page = probe.send().await.ok()?.text().await.ok()?;
            Some(page.lines().any(|line| line.starts_with("fedimeter_target_up{") && line.ends_with(" 1")))
        });
    }
    let up = probes.join_all().await.into_iter().filter(|up| *up == Some(true)).count();
    let took = began.elapsed().as_secs_f64();
    let (asked, cores) = (PROBES * PROBING, (bridge.cpu()? - cpu) / took);
    println!("| {PROBES} probes a second of distinct servers: cores | {cores:.2} | | |");
    println!("| the same: answered with a server that is up | {up} of {asked} | in {took:.1} s | |");
    Ok(())
}

/// One kept connection to each place.
fn client(gzip: bool) -> Result<reqwest::Client, Failure> {
    Ok(builder(gzip)?.build()?)
}

fn builder(gzip: bool) -> Result<reqwest::ClientBuilder, Failure> {
    let mut headers = http::HeaderMap::new();
    if gzip {
        // Without the crate's decoding: its cost is not the server's.
        headers.insert("accept-encoding", "gzip".parse()?);
    }
    let builder = reqwest::Client::builder().no_proxy().no_gzip().default_headers(headers);
    Ok(builder.timeout(Duration::from_secs(30)))
}
