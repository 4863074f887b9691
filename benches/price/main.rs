//! The price of a number: `just price`. The bridge, as a process of its own, beside
//! programs that do the least that there is to do: nginx, which sends a file with the
//! bytes of the page, and a bare client, which reads the documents that the bridge reads.
//! Ratios are of CPU time in one run, from /proc (Linux only). `just price documents tls`
//! takes some of the figures alone.

#[path = "../support/bridge.rs"]
mod bridge;
mod nginx;
#[path = "../../tests/support/ports.rs"]
mod ports;
#[path = "../support/tls.rs"]
mod tls;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bridge::{Bridge, Failure, configuration, cpu_of, fleet, instances, write};
use nginx::Nginx;
use tls::Front;

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
/// After this, everything but the activity is due again; connections are kept.
const DUE: Duration = Duration::from_secs(58);
/// The part of an interval in which servers are asked ahead of the next collection.
const AHEAD: f64 = 0.96;
/// What a bridge asks a server for each minute.
const DOCUMENTS: [&str; 4] =
    ["/api/v2/instance", "/api/v1/instance", "/.well-known/nodeinfo", "/nodeinfo/2.0"];

fn main() -> Result<(), Failure> {
    if !cfg!(target_os = "linux") {
        println!("the prices are read from /proc, which needs Linux");
        return Ok(());
    }
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if let [mode, urls] = &args[..]
        && mode == "read"
    {
        return runtime.block_on(read(urls.split(',')));
    }
    println!("| what | measured | beside it | ratio |");
    println!("|---|---:|---:|---:|");
    let is_wanted = |name: &str| args.is_empty() || args.iter().any(|arg| arg == name);
    runtime.block_on(async {
        if is_wanted("page") {
            one_target().await?;
            together().await?;
        }
        for (name, over_tls) in [("documents", false), ("tls", true)] {
            if is_wanted(name) {
                documents(over_tls).await?;
            }
        }
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

/// What reading an endpoint costs, beside a client that only reads the bytes.
async fn documents(over_tls: bool) -> Result<(), Failure> {
    const TARGETS: usize = 1000;
    let simulator = if over_tls { Front::instances(TARGETS).await? } else { instances(TARGETS).await? };
    let (mut urls, mut defaults, mut front) = (simulator.urls(), String::new(), None);
    if over_tls {
        let tls = front.insert(Front::start(&simulator, "http/1.1").await?);
        urls = (0..TARGETS).map(|i| Front::url(&simulator, i)).collect();
        defaults = tls.defaults()?;
    }
    let config = configuration(&defaults, &urls)?;
    let bridge = Bridge::start(config.path())?;
    let requests = || (0..TARGETS).map(|i| simulator.requests(i, "*")).sum::<usize>();
    bridge.scrape().await?;
    tokio::time::sleep(DUE).await;
    let each = |before: (f64, usize)| -> Result<f64, Failure> {
        Ok((bridge.cpu()? - before.0) * 1e6 / (requests() - before.1).max(1) as f64)
    };
    let before = (bridge.cpu()?, requests());
    bridge.scrape().await?;
    let asked = requests() - before.1;
    let at_once = each(before)?;
    // Now the interval is known: servers are asked one by one.
    let before = (bridge.cpu()?, requests());
    tokio::time::sleep(DUE.mul_f64(AHEAD)).await;
    let ahead = each(before)?;
    let page = page_alone(&bridge, requests).await? * 1e6 / asked.max(1) as f64;
    let read = Command::new(std::env::current_exe()?)
        .args(["read", &urls.join(",")])
        .stdout(Stdio::piped())
        .spawn()?;
    let told = tokio::task::spawn_blocking(|| read.wait_with_output()).await??;
    let theirs: Vec<f64> =
        String::from_utf8(told.stdout)?.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let how = if over_tls { " over TLS" } else { "" };
    let [at_once_theirs, ahead_theirs] = theirs[..] else { return Err("odd figures of the client".into()) };
    for (ours, theirs, what) in [
        (at_once - page, at_once_theirs, "all at once"),
        (at_once, at_once_theirs, "all at once, with its part of the page"),
        (ahead, ahead_theirs, "ahead, one by one"),
    ] {
        println!(
            "| an endpoint read{how}, {what}: CPU µs | {ours:.0} | bare reqwest: {theirs:.0} | {:.2} |",
            ours / theirs
        );
    }
    Ok(())
}

/// CPU seconds of writing a fleet's page: in a format of which nothing is kept, and where
/// no server is asked meanwhile.
async fn page_alone(bridge: &Bridge, requests: impl Fn() -> usize) -> Result<f64, Failure> {
    for escaping in ["underscores", "dots", "values"] {
        let (cpu, asked) = (bridge.cpu()?, requests());
        let page = client(true)?.get(format!("http://{}/metrics", bridge.address));
        let format = format!("application/openmetrics-text;version=1.0.0;escaping={escaping}");
        page.header("accept", format).send().await?.error_for_status()?.bytes().await?;
        if requests() == asked {
            return Ok(bridge.cpu()? - cpu);
        }
    }
    Err("servers were asked while each page was written".into())
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

/// Reads documents as a bare client; prints the CPU µs of one, of all at once and one by
/// one.
async fn read(bases: impl Iterator<Item = &str>) -> Result<(), Failure> {
    let bases: Vec<&str> = bases.map(|base| base.trim_end_matches('/')).collect();
    // A bare client asks the system for names, which may not know those below localhost.
    // The handshakes are over before the time that counts.
    let mut builder = builder(false)?.tls_danger_accept_invalid_certs(true);
    for base in &bases {
        let host = url::Url::parse(base)?.host_str().unwrap_or_default().to_owned();
        builder = builder.resolve(&host, ([127, 0, 0, 1], 0).into());
    }
    let client = builder.build()?;
    // Makes the connections, and leaves out what a version does not have.
    let mut there = Vec::new();
    for base in &bases {
        let mut documents = Vec::new();
        for path in DOCUMENTS {
            let answer = client.get(format!("{base}{path}")).send().await?;
            if answer.status() == 200 {
                documents.push(answer.url().clone());
            }
            answer.bytes().await?;
        }
        there.push(documents);
    }
    // As the bridge does: after a wait, all servers at the same time, or spread over an
    // interval; and of each one document at a time.
    let reads = there.iter().map(Vec::len).sum::<usize>().max(1) as f64;
    for over in [Duration::ZERO, DUE.mul_f64(AHEAD)] {
        tokio::time::sleep(DUE.saturating_sub(over)).await;
        let before = cpu_of(std::process::id())?;
        let mut servers = tokio::task::JoinSet::new();
        for (place, documents) in there.iter().cloned().enumerate() {
            let (client, wait) = (client.clone(), over.mul_f64(place as f64 / there.len() as f64));
            servers.spawn(async move {
                tokio::time::sleep(wait).await;
                for document in documents {
                    client.get(document).send().await?.error_for_status()?.bytes().await?;
                }
                Ok::<_, reqwest::Error>(())
            });
        }
        servers.join_all().await.into_iter().collect::<Result<(), _>>()?;
        println!("{}", (cpu_of(std::process::id())? - before) * 1e6 / reads);
    }
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
