//! Refreshing: asks for stale facts once, politely, for all targets in parallel, until
//! a deadline.

mod changes;
mod log;
mod one;
mod polled;
mod prefetch;
mod run;
mod schedule;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};

use crate::clock::{Clock, Moment};
use crate::endpoint::Endpoint;
use crate::fetch::Client;
use crate::outcome::Outcome;
use crate::snapshot::{Snapshot, View};
use crate::target::{AttributeValue, Target};

use self::changes::Changes;
use self::log::Outages;
use self::polled::Polled;
use self::run::Job;

pub use self::one::One;
pub use self::polled::{Next, Plan};
pub use self::prefetch::{Ahead, Prefetch};

use self::prefetch::Rhythm;

/// Holds the known facts of all targets, and refreshes them when a collection asks.
/// Requests run on the Tokio runtime on which it was created.
#[derive(Debug)]
pub struct Refresher {
    targets: Mutex<Arc<[Arc<Polled>]>>,
    client: Arc<Client>,
    clock: Clock,
    lanes: Lanes,
    listener: Arc<Listener>,
    outages: Arc<Outages>,
    changes: Arc<Changes>,
    rhythm: Rhythm,
    by_name: Mutex<one::ByName>,
}

/// Receives every attempt at an endpoint that took time.
#[derive(Default)]
struct Listener(OnceLock<Box<Listen>>);

type Listen = dyn Fn(Endpoint, Outcome, Duration) + Send + Sync;

/// Two queues of targets, so that targets that hang or are unreachable never delay the
/// others.
#[derive(Debug)]
struct Lanes {
    normal: mpsc::UnboundedSender<Job>,
    slow: mpsc::UnboundedSender<Job>,
}

impl Refresher {
    /// Starts without facts, and sends no request yet.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    #[must_use]
    pub fn new(targets: Vec<Target>, client: Client, clock: Clock) -> Refresher {
        let client = Arc::new(client);
        let listener = Arc::<Listener>::default();
        let most = client.settings().max_requests.max(1);
        let per_host = client.settings().max_requests_per_host.max(1);
        let lanes = Lanes {
            normal: lane(client.clone(), clock.clone(), listener.clone(), most),
            // At most a quarter of all requests wait for unreachable servers.
            slow: lane(client.clone(), clock.clone(), listener.clone(), most.div_ceil(4 * per_host)),
        };
        let (none, outages, changes) = Default::default();
        let targets_before = Mutex::new(none);
        let refresher = Refresher {
            targets: targets_before,
            client,
            clock,
            lanes,
            listener,
            outages,
            changes,
            rhythm: Rhythm::default(),
            by_name: Mutex::default(),
        };
        refresher.replace(targets);
        refresher
    }

    /// Replaces the targets. A server that was a target before keeps its facts and the
    /// times of its next requests. Endpoints that it did not offer are asked for again.
    pub fn replace(&self, targets: Vec<Target>) -> Replaced {
        self.take(targets, true)
    }

    /// The same after a change of a list, which says nothing of what the servers offer
    /// that stay as they were.
    pub fn relist(&self, targets: Vec<Target>) -> Replaced {
        self.take(targets, false)
    }

    fn take(&self, targets: Vec<Target>, is_reload: bool) -> Replaced {
        self.client.prepare_for(&targets);
        let mut current = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        let before = Known::of(&current, &targets);
        let now = self.clock.now();
        let mut replaced = Replaced::default();
        let next: Arc<[Arc<Polled>]> = targets
            .into_iter()
            .map(|target| match before.find(&target) {
                Some(polled) if **polled.target() == target => {
                    if is_reload {
                        polled.is_reloaded(now);
                    }
                    replaced.stayed += 1;
                    polled.clone()
                }
                Some(polled) => {
                    let next = polled.succeeded_by(target, now);
                    next.is_reloaded(now);
                    replaced.changed += 1;
                    Arc::new(next)
                }
                None => {
                    replaced.added += 1;
                    Arc::new(Polled::new(target, self.outages.clone(), self.changes.clone(), now))
                }
            })
            .collect();
        replaced.removed = current.len() - replaced.stayed - replaced.changed;
        *current = next;
        self.changes.note();
        replaced
    }

    /// The current targets, in the order of the configuration.
    fn current(&self) -> Arc<[Arc<Polled>]> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Calls `listener` after every attempt at an endpoint that took time, with its
    /// outcome and duration. Only the first listener is kept; it must not block.
    pub fn listen(&self, listener: impl Fn(Endpoint, Outcome, Duration) + Send + Sync + 'static) {
        // A second listener is a harmless mistake in our code.
        let _ = self.listener.0.set(Box::new(listener));
    }

    /// The targets, in the order of the configuration.
    #[must_use]
    pub fn targets(&self) -> Vec<Arc<Target>> {
        self.current().iter().map(|polled| polled.target().clone()).collect()
    }

    /// The clock that measures lifetimes.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Asks for stale facts, and returns what is known when all answers are there or at
    /// the deadline. Requests that are already running are awaited, not repeated. Late
    /// answers serve the next collection.
    pub async fn refresh(&self, within: Duration) -> Arc<View> {
        let (started, unix) = (self.clock.now(), self.clock.unix());
        let deadline = tokio::time::Instant::now() + within;
        self.rhythm.beat(started);
        let targets = self.current();
        let claim = |polled| Some((polled, Job::claim(polled, started)?));
        let mut due: Vec<(&Arc<Polled>, Job)> = targets.iter().filter_map(claim).collect();
        // What servers let live for the same time becomes due in this order again: that of
        // the slices, each of which is written when all of its answers have come.
        due.sort_by_cached_key(|(polled, _)| polled.target().turn().to_bits());
        for (polled, job) in due {
            self.send(polled, job);
        }
        let waiting: Vec<_> = targets.iter().filter(|polled| polled.is_busy()).collect();
        for polled in waiting {
            if tokio::time::timeout_at(deadline, polled.idle()).await.is_err() {
                break;
            }
        }
        self.outages.tell_counted();
        Arc::new(self.view(&targets, started, unix))
    }

    /// Returns what is known, for a collection that begins now, if it has to ask for
    /// nothing and wait for nothing, and if these are few targets.
    #[must_use]
    pub fn fresh(&self) -> Option<Arc<View>> {
        /// So few that their page is written in a millisecond.
        const FEW: usize = 16;

        let (started, unix) = (self.clock.now(), self.clock.unix());
        let targets = self.current();
        let is_fresh = |polled: &Arc<Polled>| !polled.is_busy() && !polled.is_due(started, None);
        if targets.len() > FEW || !targets.iter().all(is_fresh) {
            return None;
        }
        self.rhythm.beat(started);
        self.outages.tell_counted();
        Some(Arc::new(self.view(&targets, started, unix)))
    }

    fn send(&self, polled: &Polled, job: Job) {
        let lane = if polled.is_slow() { &self.lanes.slow } else { &self.lanes.normal };
        // The lane ends with the runtime; then nothing is refreshed any
        // more, and dropping the job frees what it had claimed.
        let _ = lane.send(job);
    }

    /// Whether the same is known as when this view was made, and nothing is being asked.
    #[must_use]
    pub fn knows_no_more_than(&self, changes: u64) -> bool {
        self.changes.none_since(changes)
    }

    /// Returns what is known now, without asking any server.
    #[must_use]
    pub fn known(&self) -> Arc<View> {
        Arc::new(self.view(&self.current(), self.clock.now(), self.clock.unix()))
    }

    /// Returns what is known now for a collection that began at that time: facts that
    /// were fresh then are included.
    #[must_use]
    pub fn known_since(&self, started: Moment, unix: f64) -> Arc<View> {
        Arc::new(self.view(&self.current(), started, unix))
    }

    /// Makes the next run ask for everything that needs a token, whatever the last
    /// result was, because the token has changed.
    pub fn has_new_token(&self, target: &Arc<Target>) {
        if let Some(polled) = self.polled(target) {
            polled.has_new_token(self.clock.now());
        }
    }

    /// Returns what is known of a target, and when its endpoints are asked for again.
    /// Returns `None` if it is no longer a target.
    #[must_use]
    pub fn planned(&self, target: &Arc<Target>) -> Option<(Arc<Snapshot>, Plan)> {
        Some(self.polled(target)?.planned())
    }

    fn view(&self, targets: &[Arc<Polled>], started: Moment, unix: f64) -> View {
        // Before the snapshots: what changes meanwhile is a change since.
        let changes = self.changes.count();
        let targets = targets.iter().map(|p| (p.target().clone(), p.snapshot())).collect();
        View::new(started, unix, targets).after(changes)
    }

    fn polled(&self, target: &Arc<Target>) -> Option<Arc<Polled>> {
        self.current().iter().find(|polled| Arc::ptr_eq(polled.target(), target)).cloned()
    }
}

/// What a change of targets did, in numbers of targets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replaced {
    /// Targets that stayed the same.
    pub stayed: usize,
    /// Targets whose settings changed.
    pub changed: usize,
    /// New targets.
    pub added: usize,
    /// Removed targets.
    pub removed: usize,
}

/// Targets by their identity: by what is polled, or else by the attributes of their
/// points. Each becomes at most one of the next targets.
struct Known<'a> {
    polled: HashMap<(&'a str, Option<&'a str>), &'a Arc<Polled>>,
    /// Only those of which none of the next targets polls the same.
    identities: HashMap<&'a [(Arc<str>, AttributeValue)], &'a Arc<Polled>>,
}

impl<'a> Known<'a> {
    fn of(targets: &'a [Arc<Polled>], next: &[Target]) -> Known<'a> {
        let stays: HashSet<_> = next.iter().map(polled_at).collect();
        let polled = targets.iter().map(|p| (polled_at(p.target()), p)).collect();
        let others = targets.iter().filter(|p| !stays.contains(&polled_at(p.target())));
        Known { polled, identities: others.map(|p| (&*p.target().identity, p)).collect() }
    }

    fn find(&self, target: &Target) -> Option<&'a Arc<Polled>> {
        let polled = self.polled.get(&polled_at(target));
        polled.or_else(|| self.identities.get(&*target.identity)).copied()
    }
}

/// What is polled for a target.
fn polled_at(target: &Target) -> (&str, Option<&str>) {
    (target.url.as_str(), target.host.as_deref())
}

impl Listener {
    fn tell(&self, endpoint: Endpoint, outcome: Outcome, took: Duration) {
        // After a failed connection other endpoints fail without a request.
        if let Some(listener) = self.0.get().filter(|_| !took.is_zero()) {
            listener(endpoint, outcome, took);
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Listener").field(&self.0.get().is_some()).finish()
    }
}

/// Creates a lane: it runs jobs in order of arrival, at most `most` at once.
fn lane(
    client: Arc<Client>,
    clock: Clock,
    listener: Arc<Listener>,
    most: usize,
) -> mpsc::UnboundedSender<Job> {
    let (sender, mut jobs) = mpsc::unbounded_channel::<Job>();
    let turns = Arc::new(Semaphore::new(most));
    tokio::spawn(async move {
        while let Some(job) = jobs.recv().await {
            let (client, clock, listener) = (client.clone(), clock.clone(), listener.clone());
            let turns = turns.clone();
            tokio::spawn(async move {
                let resolved = client.resolve(job.target(), |waits| job.set_waiting(waits)).await;
                job.set_waiting(true);
                // The semaphore is never closed.
                let Ok(_turn) = turns.acquire().await else { return };
                job.set_waiting(false);
                // In a box of its own, because a whole fleet may wait for its turn, and the
                // requests of a server need many times the memory of the wait.
                Box::pin(job.run(&client, &clock, &listener, resolved.err())).await;
            });
        }
    });
    sender
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::fetch::Http;

    fn target(url: &str, host: Option<&str>, zone: &str) -> Target {
        let attributes = BTreeMap::from([("zone".to_owned(), zone.to_owned())]);
        let proto = host.map(|_| "https".to_owned());
        Target::new(url.parse().unwrap(), host.map(str::to_owned), proto, &attributes)
    }

    #[tokio::test]
    async fn a_target_becomes_one_of_the_next_targets() {
        let before = || target("https://a.example", None, "1");
        let other_zone = || target("https://a.example", None, "2");
        // Its points have the attributes of the first.
        let other_way = || target("http://192.0.2.1", Some("a.example"), "1");
        for (next, changed, added) in [
            (vec![other_zone()], 1, 0),
            (vec![other_way()], 1, 0),
            (vec![other_zone(), other_way()], 1, 1),
            (vec![other_way(), other_zone()], 1, 1),
        ] {
            let client = Client::without_proxy(Http::default()).unwrap();
            let refresher = Refresher::new(vec![before()], client, Clock::default());
            let replaced = refresher.replace(next);
            assert_eq!(replaced, Replaced { changed, added, ..Replaced::default() });
        }
    }
}
