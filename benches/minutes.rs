//! Minutes of a fleet: `just minutes`. A bridge in this process asks simulated instances
//! for simulated minutes, ahead of a scrape a minute. What some of them say changes each
//! minute, and has to be on the page; memory is told minute by minute.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fedimeter::bridge::{Bridge, Exporters};
use fedimeter::clock::Clock;
use fedimeter::config::Config;
use fedimeter::export::exposition::Format;
use fedimeter::refresh::Prefetch;
use fedimeter::simulator::{Settings, Simulator};
use fedimeter::target::Target;
use opentelemetry_sdk::Resource;

type Failure = Box<dyn std::error::Error>;

/// One of so many instances is looked at.
const SAMPLE: usize = 97;
/// The clock moves by this, and the bridge has so long for what has become due.
const STEP: (Duration, Duration) = (Duration::from_secs(5), Duration::from_millis(500));

fn main() -> Result<(), Failure> {
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|arg| arg.parse().ok()).collect();
    let (targets, minutes) =
        (numbers.first().copied().unwrap_or(1000), numbers.get(1).copied().unwrap_or(10));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(run(targets, minutes))
}

async fn run(targets: usize, minutes: usize) -> Result<(), Failure> {
    let settings = Settings {
        instances: targets,
        versions: vec!["4.2".to_owned()],
        cache_headers: false,
        rate_limit: Some(1_000_000),
        request_log: 0,
        ..Settings::default()
    };
    let simulator = Simulator::start(settings, ([127, 0, 0, 1], 0).into()).await?;
    let requests = || (0..targets).map(|i| simulator.requests(i, "*")).sum::<usize>();
    let target = |url: String| {
        let mut target = Target::new(url.parse()?, None, None, &BTreeMap::default());
        target.endpoint_details = false;
        Ok::<_, url::ParseError>(target)
    };
    let mut config = Config {
        targets: simulator.urls().into_iter().map(target).collect::<Result<_, _>>()?,
        ..Config::default()
    };
    config.http.max_requests_per_host = 1;
    config.http.kept_per_host = 1;
    // The simulated instances are in this process, and have as many connections.
    let (files, _) = rlimit::getrlimit(rlimit::Resource::NOFILE)?;
    config.http.most_open = usize::try_from(files / 2)?.saturating_sub(1000);
    let exporters = Exporters { pull: true, push: None };
    let clock = Clock::default();
    let bridge = Arc::new(Bridge::new(&config, &Resource::builder().build(), exporters, clock.clone())?);
    let ahead = bridge.clone();
    tokio::spawn(async move { ahead.refresher().prefetch(Prefetch::Always).await });
    tokio::spawn(bridge.clone().write_ahead());

    println!("| minute | requests ahead | requests of the scrape | looked at | wrong | RSS MiB |");
    println!("|---:|---:|---:|---:|---:|---:|");
    let mut wrong_in_all = 0;
    for minute in 0..=minutes {
        let before = requests();
        let mut expected = Vec::new();
        for i in (0..targets).step_by(SAMPLE) {
            let mut truth = simulator.truth(i);
            truth.users += 1;
            expected.push((simulator.url(i), truth.users));
            simulator.set_truth(i, Some(truth));
        }
        if minute > 0 {
            for _ in 0..60 / STEP.0.as_secs() {
                clock.advance(STEP.0);
                tokio::time::sleep(STEP.1).await;
            }
        }
        let ahead = requests() - before;
        let page = bridge.scrape(Duration::from_secs(120), Format::Text004).await?;
        let page = String::from_utf8(page.text().into_owned())?;
        let shown = users(&page);
        let is_wrong = |(url, users): &&(String, i64)| shown.get(host(url)) != Some(users);
        let wrong: Vec<_> = expected.iter().filter(is_wrong).collect();
        if let Some((url, users)) = wrong.first() {
            eprintln!("{url} has {users} users, and the page says {:?}", shown.get(host(url)));
        }
        let wrong = wrong.len();
        wrong_in_all += wrong;
        println!(
            "| {minute} | {ahead} | {} | {} | {wrong} | {:.0} |",
            requests() - before - ahead,
            expected.len(),
            resident()?
        );
    }
    if wrong_in_all > 0 {
        return Err(format!("{wrong_in_all} numbers were not what the servers said").into());
    }
    Ok(())
}

/// Users by host, from the page: the instances share a port.
fn users(page: &str) -> BTreeMap<&str, i64> {
    let lines = page.lines().filter(|line| line.starts_with("mastodon_instance_users{"));
    lines
        .filter_map(|line| {
            let (_, rest) = line.split_once("server_address=\"")?;
            Some((rest.split_once('"')?.0, rest.rsplit_once(' ')?.1.parse().ok()?))
        })
        .collect()
}

fn host(url: &str) -> &str {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    rest.split_once(':').map_or(rest, |(host, _)| host)
}

/// MiB of this process, the simulated instances included.
fn resident() -> Result<f64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.split_whitespace().next().ok_or("an odd VmRSS")?.parse::<f64>()? / 1024.0)
}
