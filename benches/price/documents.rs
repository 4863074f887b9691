//! What reading an endpoint costs, beside clients that do less.

use std::time::Duration;

use fedimeter::simulator::Simulator;

use crate::bridge::{Bridge, Failure, configuration, instances, write};
use crate::client;
use crate::reader::{Reader, Reads};
use crate::tls::Front;

const TARGETS: usize = 1000;
/// Rounds of everything at once.
const ROUNDS: usize = 3;
/// Rounds one by one: as long as a connection lives, because of those whose age ends.
const CYCLE: usize = 5;
/// After this, everything but the activity is due again; connections are kept.
const DUE: Duration = Duration::from_secs(58);
/// The time between two scrapes of a bridge that polls ahead of them, and the rounds
/// after which each server is polled at its own time.
const INTERVAL: Duration = Duration::from_secs(60);
const SETTLED: usize = 4;
/// The part of it over which the client reads, and what is left before the next scrape.
const READ: f64 = 0.95;
const MARGIN: Duration = Duration::from_millis(300);

/// A fleet, reached with or without TLS, and the clients that read the same.
struct Side {
    how: &'static str,
    simulator: Simulator,
    front: Option<Front>,
    urls: Vec<String>,
    readers: [Reader; 2],
}

impl Side {
    async fn start(over_tls: bool) -> Result<Side, Failure> {
        let simulator = if over_tls { Front::instances(TARGETS).await? } else { instances(TARGETS).await? };
        let front = if over_tls { Some(Front::start(&simulator, "http/1.1").await?) } else { None };
        let how = if over_tls { " over TLS" } else { "" };
        let urls = match front {
            Some(_) => (0..TARGETS).map(|i| Front::url(&simulator, i)).collect(),
            None => simulator.urls(),
        };
        let readers = [Reader::start(Reads::Bytes, &urls)?, Reader::start(Reads::Json, &urls)?];
        Ok(Side { how, simulator, front, urls, readers })
    }

    /// A bridge of its own for the fleet.
    fn bridge(&self, prefetch: &str) -> Result<Bridge, Failure> {
        let defaults = self.front.as_ref().map_or(Ok(String::new()), Front::defaults)?;
        let targets = configuration(&defaults, &self.urls)?;
        let config = write(&format!("prefetch: {prefetch}\n{}", std::fs::read_to_string(targets.path())?))?;
        Bridge::start(config.path())
    }

    /// Connections that have been made, where something counts them.
    fn connections(&self) -> usize {
        self.front.as_ref().map_or(0, Front::accepted)
    }

    fn requests(&self) -> usize {
        (0..TARGETS).map(|i| self.simulator.requests(i, "*")).sum()
    }
}

/// With these ways to reach servers (`true`: over TLS). In each round, bridge and clients
/// take turns, or read one by one at the same time, so that all have the same machine.
pub async fn run(ways: impl Iterator<Item = bool>) -> Result<(), Failure> {
    let mut sides = Vec::new();
    for over_tls in ways {
        sides.push(Side::start(over_tls).await?);
    }
    if sides.is_empty() {
        return Ok(());
    }
    let at_once = at_once(&mut sides).await?;
    let ahead = ahead(&mut sides).await?;
    for ((side, at_once), ahead) in sides.iter().zip(at_once).zip(ahead) {
        let of = |i: usize| at_once.iter().map(|round: &[Round; 3]| round[i]).collect::<Vec<_>>();
        print(side, "all at once", &of(0));
        print(side, "all at once, with its part of the page", &of(1));
        print(side, "what the page takes, for an endpoint", &of(2));
        print(side, "ahead, one by one, with its part of the page", &ahead);
    }
    Ok(())
}

/// What bridge and clients have taken in a round, and how many connections were made in it.
#[derive(Debug, Clone, Copy)]
struct Round {
    ours: Cost,
    theirs: [Cost; 2],
    connected: usize,
}

/// CPU seconds of reading documents.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    pub cpu: f64,
    pub documents: usize,
}

impl Cost {
    /// The µs of a document.
    fn each(self) -> f64 {
        self.cpu * 1e6 / self.documents.max(1) as f64
    }

    fn of_all(costs: impl Iterator<Item = Cost>) -> Cost {
        costs.fold(Cost::default(), |sum, cost| Cost {
            cpu: sum.cpu + cost.cpu,
            documents: sum.documents + cost.documents,
        })
    }
}

/// Everything is due when a scrape comes: what reading takes, without the page and with it,
/// and what the page takes.
async fn at_once(sides: &mut [Side]) -> Result<Vec<Vec<[Round; 3]>>, Failure> {
    let bridges = sides.iter().map(|side| side.bridge("never")).collect::<Result<Vec<_>, _>>()?;
    for bridge in &bridges {
        bridge.scrape().await?;
    }
    let mut rounds = vec![Vec::new(); sides.len()];
    for _ in 0..ROUNDS {
        // Bridge and clients have slept as long, and the processor with them.
        let mut theirs = vec![[Cost::default(); 2]; sides.len()];
        for reader in 0..2 {
            tokio::time::sleep(DUE / 3).await;
            for (side, theirs) in sides.iter_mut().zip(&mut theirs) {
                theirs[reader] = side.readers[reader].read(Duration::ZERO)?;
            }
        }
        tokio::time::sleep(DUE / 3).await;
        for (((side, bridge), rounds), theirs) in sides.iter().zip(&bridges).zip(&mut rounds).zip(theirs) {
            let (cpu, before, connections) = (bridge.cpu()?, side.requests(), side.connections());
            bridge.scrape().await?;
            let (both, asked) = (bridge.cpu()? - cpu, side.requests() - before);
            let connected = side.connections() - connections;
            // In a format of its own, of which nothing is kept that still holds.
            let (cpu, before) = (bridge.cpu()?, side.requests());
            let page = client(true)?.get(format!("http://{}/metrics", bridge.address));
            let page = page.header("accept", "application/openmetrics-text;version=1.0.0;escaping=dots");
            page.send().await?.error_for_status()?.bytes().await?;
            let page = bridge.cpu()? - cpu;
            if side.requests() != before {
                return Err("servers were asked while the page was written".into());
            }
            rounds.push([both - page, both, page].map(|cpu| Round {
                ours: Cost { cpu, documents: asked },
                theirs,
                connected,
            }));
        }
    }
    Ok(rounds)
}

/// Each server is polled at its own time, ahead of the next scrape.
async fn ahead(sides: &mut [Side]) -> Result<Vec<Vec<Round>>, Failure> {
    let bridges = sides.iter().map(|side| side.bridge("auto")).collect::<Result<Vec<_>, _>>()?;
    let mut rounds = vec![Vec::new(); sides.len()];
    let mut scrapes = tokio::time::interval(INTERVAL);
    for round in 0..=SETTLED + CYCLE {
        scrapes.tick().await;
        for bridge in &bridges {
            bridge.scrape().await?;
        }
        if round <= SETTLED {
            continue;
        }
        // The scrape is not part of it, but all that is written ahead of the next one.
        let before: Vec<(f64, usize, usize)> = sides
            .iter()
            .zip(&bridges)
            .map(|(side, bridge)| Ok((bridge.cpu()?, side.requests(), side.connections())))
            .collect::<Result<_, Failure>>()?;
        for reader in sides.iter_mut().flat_map(|side| &mut side.readers) {
            reader.begin(INTERVAL.mul_f64(READ))?;
        }
        let mut theirs = Vec::new();
        for Side { readers: [bytes, json], .. } in &mut *sides {
            theirs.push([bytes.end()?, json.end()?]);
        }
        tokio::time::sleep(INTERVAL.mul_f64(1.0 - READ).saturating_sub(MARGIN)).await;
        for (i, (side, theirs)) in sides.iter().zip(theirs).enumerate() {
            let (cpu, requests, connections) = before[i];
            let read: usize = theirs.iter().map(|theirs| theirs.documents).sum();
            let documents = (side.requests() - requests).saturating_sub(read);
            let ours = Cost { cpu: bridges[i].cpu()? - cpu, documents };
            rounds[i].push(Round { ours, theirs, connected: side.connections() - connections });
        }
    }
    Ok(rounds)
}

/// All rounds together, and the lowest and the highest ratio of one.
fn print(side: &Side, what: &str, rounds: &[Round]) {
    let ours = Cost::of_all(rounds.iter().map(|round| round.ours)).each();
    let beside = |client: usize| {
        let theirs = Cost::of_all(rounds.iter().map(|round| round.theirs[client])).each();
        let ratios = rounds.iter().map(|round| round.ours.each() / round.theirs[client].each());
        let (least, most) =
            ratios.fold((f64::MAX, f64::MIN), |(least, most), ratio| (least.min(ratio), most.max(ratio)));
        (theirs, format!("{:.2} ({least:.2} to {most:.2})", ours / theirs))
    };
    let ((bytes, to_bytes), (json, to_json)) = (beside(0), beside(1));
    let made: Vec<String> = rounds.iter().map(|round| round.connected.to_string()).collect();
    let made =
        side.front.as_ref().map_or(String::new(), |_| format!("; connections made: {}", made.join(", ")));
    let how = side.how;
    println!(
        "| an endpoint read{how}, {what}: CPU µs | {ours:.0} | bare reqwest: {bytes:.0}, which unpacks and parses: {json:.0} | {to_bytes}, {to_json}{made} |",
    );
}
