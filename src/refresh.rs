//! Refreshing: what is stale is asked for, once, politely, all targets at
//! once, until a deadline.

mod changes;
mod log;
mod one;
mod polled;
mod prefetch;
mod run;
mod schedule;

use std::collections::HashMap;
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
pub use self::prefetch::Prefetch;

use self::prefetch::Rhythm;

/// Keeps what is known of all targets, and refreshes it when a collection
/// asks. Requests run on the Tokio runtime that it was made on.
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

/// Is told of every attempt at an endpoint that took time.
#[derive(Default)]
struct Listener(OnceLock<Box<Listen>>);

type Listen = dyn Fn(Endpoint, Outcome, Duration) + Send + Sync;

/// Targets wait for their turn in two lanes, so that those that hang or
/// cannot be reached never hold up the others.
#[derive(Debug)]
struct Lanes {
    normal: mpsc::UnboundedSender<Job>,
    slow: mpsc::UnboundedSender<Job>,
}

impl Refresher {
    /// Starts with nothing known and nothing asked.
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
            // A quarter of all requests at most waits for dead servers.
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

    /// From now on these are the targets. Of a server that was there before everything
    /// that is known stays, and when it may be asked again; what it did not offer is
    /// asked for again.
    pub fn replace(&self, targets: Vec<Target>) -> Replaced {
        self.client.prepare_for(&targets);
        let mut current = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        let before = Known::of(&current);
        let now = self.clock.now();
        let mut replaced = Replaced::default();
        let next: Arc<[Arc<Polled>]> = targets
            .into_iter()
            .map(|target| match before.find(&target) {
                Some(polled) if **polled.target() == target => {
                    polled.is_reloaded(now);
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

    /// The targets as they are now, in the order of the configuration.
    fn current(&self) -> Arc<[Arc<Polled>]> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Calls `listener` with every attempt at an endpoint that took time: how it
    /// ended and how long it took. The first listener stays; it must not block.
    pub fn listen(&self, listener: impl Fn(Endpoint, Outcome, Duration) + Send + Sync + 'static) {
        // A second one is a mistake of ours that costs nothing.
        let _ = self.listener.0.set(Box::new(listener));
    }

    /// The targets, in the order of the configuration.
    #[must_use]
    pub fn targets(&self) -> Vec<Arc<Target>> {
        self.current().iter().map(|polled| polled.target().clone()).collect()
    }

    /// The clock that lifetimes are measured with.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Asks for what is stale and returns what is known when all has been
    /// answered, or at the deadline. What is already under way is waited for
    /// and not asked for twice; late answers serve the next collection.
    pub async fn refresh(&self, within: Duration) -> Arc<View> {
        let (started, unix) = (self.clock.now(), self.clock.unix());
        let deadline = tokio::time::Instant::now() + within;
        self.rhythm.beat(started);
        let targets = self.current();
        let mut waiting = Vec::new();
        for polled in &*targets {
            if let Some(job) = Job::claim(polled, started) {
                self.send(polled, job);
            }
            if polled.is_busy() {
                waiting.push(polled);
            }
        }
        for polled in waiting {
            if tokio::time::timeout_at(deadline, polled.idle()).await.is_err() {
                break;
            }
        }
        self.outages.tell_counted();
        Arc::new(self.view(&targets, started, unix))
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

    /// What is known now, without asking.
    #[must_use]
    pub fn known(&self) -> Arc<View> {
        Arc::new(self.view(&self.current(), self.clock.now(), self.clock.unix()))
    }

    /// What is known now, read as the collection reads it that began then:
    /// what was alive at that time still shows.
    #[must_use]
    pub fn known_since(&self, started: Moment, unix: f64) -> Arc<View> {
        Arc::new(self.view(&self.current(), started, unix))
    }

    /// Lets the next run ask for all that a token shows, whatever came of it before: the
    /// token is another.
    pub fn has_new_token(&self, target: &Arc<Target>) {
        if let Some(polled) = self.polled(target) {
            polled.has_new_token(self.clock.now());
        }
    }

    /// When the endpoints of a target are asked for again, beside what is known
    /// of it; nothing where it is no target any more.
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
    /// They stayed as they were.
    pub stayed: usize,
    /// They have other settings.
    pub changed: usize,
    /// They are new.
    pub added: usize,
    /// They have gone.
    pub removed: usize,
}

/// Targets by what they can be recognized by: what is polled, or else what their points
/// say they are.
struct Known<'a> {
    polled: HashMap<(&'a str, Option<&'a str>), &'a Arc<Polled>>,
    identities: HashMap<&'a [(Arc<str>, AttributeValue)], &'a Arc<Polled>>,
}

impl<'a> Known<'a> {
    fn of(targets: &'a [Arc<Polled>]) -> Known<'a> {
        let polled = |p: &'a Arc<Polled>| ((p.target().url.as_str(), p.target().host.as_deref()), p);
        let identity = |p: &'a Arc<Polled>| (&*p.target().identity, p);
        Known {
            polled: targets.iter().map(polled).collect(),
            identities: targets.iter().map(identity).collect(),
        }
    }

    fn find(&self, target: &Target) -> Option<&'a Arc<Polled>> {
        let polled = self.polled.get(&(target.url.as_str(), target.host.as_deref()));
        polled.or_else(|| self.identities.get(&*target.identity)).copied()
    }
}

impl Listener {
    fn tell(&self, endpoint: Endpoint, outcome: Outcome, took: Duration) {
        // Where a connection had just failed, nothing was asked.
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

/// A lane: jobs in the order of their arrival, at most `most` at once.
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
                let resolved = client.resolve(job.target()).await;
                // The semaphore is never closed.
                let Ok(_turn) = turns.acquire().await else { return };
                job.run(&client, &clock, &listener, resolved.err()).await;
            });
        }
    });
    sender
}
