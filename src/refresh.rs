//! Refreshing: what is stale is asked for, once, politely, all targets at
//! once, until a deadline.

mod log;
mod polled;
mod run;
mod schedule;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};

use crate::clock::{Clock, Moment};
use crate::endpoint::Endpoint;
use crate::fetch::Client;
use crate::outcome::Outcome;
use crate::snapshot::{Snapshot, View};
use crate::target::Target;

use self::log::Outages;
use self::polled::Polled;
use self::run::Job;

pub use self::polled::{Next, Plan};

/// Keeps what is known of all targets, and refreshes it when a collection
/// asks. Requests run on the Tokio runtime that it was made on.
#[derive(Debug)]
pub struct Refresher {
    targets: Vec<Arc<Polled>>,
    clock: Clock,
    lanes: Lanes,
    listener: Arc<Listener>,
    outages: Arc<Outages>,
}

/// Is told of every attempt at an endpoint that took time.
#[derive(Default)]
struct Listener(OnceLock<Box<Listen>>);

type Listen = dyn Fn(Endpoint, Outcome, Duration) + Send + Sync;

/// Targets wait for their turn in two lanes, so that those that hang or
/// cannot be reached never hold up the others.
#[derive(Debug)]
struct Lanes {
    usual: mpsc::UnboundedSender<Job>,
    suspect: mpsc::UnboundedSender<Job>,
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
        for target in targets.iter().filter(|target| target.url.scheme() == "https") {
            client.prepare_for(target);
        }
        let lanes = Lanes {
            usual: lane(client.clone(), clock.clone(), listener.clone(), most),
            // A quarter of all requests at most waits for dead servers.
            suspect: lane(client, clock.clone(), listener.clone(), most.div_ceil(4 * per_host)),
        };
        let outages = Arc::<Outages>::default();
        let targets = targets.into_iter().map(|t| Arc::new(Polled::new(t, outages.clone()))).collect();
        Refresher { targets, clock, lanes, listener, outages }
    }

    /// Calls `listener` with every attempt at an endpoint that took time: how it
    /// ended and how long it took. The first listener stays; it must not block.
    pub fn listen(&self, listener: impl Fn(Endpoint, Outcome, Duration) + Send + Sync + 'static) {
        // A second one is a mistake of ours that costs nothing.
        let _ = self.listener.0.set(Box::new(listener));
    }

    /// The targets, in the order of the configuration.
    #[must_use]
    pub fn targets(&self) -> impl ExactSizeIterator<Item = &Arc<Target>> {
        self.targets.iter().map(|polled| polled.target())
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
        let mut waiting = Vec::new();
        for polled in &self.targets {
            if let Some(job) = Job::claim(polled, started) {
                let lane = if polled.is_suspect() { &self.lanes.suspect } else { &self.lanes.usual };
                // The lane ends with the runtime; then nothing is refreshed any
                // more, and dropping the job frees what it had claimed.
                let _ = lane.send(job);
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
        Arc::new(self.view(started, unix))
    }

    /// What is known now, without asking.
    #[must_use]
    pub fn known(&self) -> Arc<View> {
        Arc::new(self.view(self.clock.now(), self.clock.unix()))
    }

    /// What is known now, read as the collection reads it that began then:
    /// what was alive at that time still shows.
    #[must_use]
    pub fn known_since(&self, started: Moment, unix: f64) -> Arc<View> {
        Arc::new(self.view(started, unix))
    }

    /// Lets the next run ask for all that a token shows, whatever came of it before: the
    /// token is another.
    pub fn has_new_token(&self, index: usize) {
        if let Some(polled) = self.targets.get(index) {
            polled.has_new_token(self.clock.now());
        }
    }

    /// When the endpoints of a target are asked for again, beside what is known
    /// of it; nothing where there is no such target.
    #[must_use]
    pub fn planned(&self, index: usize) -> Option<(Arc<Snapshot>, Plan)> {
        Some(self.targets.get(index)?.planned())
    }

    fn view(&self, started: Moment, unix: f64) -> View {
        let targets = self.targets.iter().map(|p| (p.target().clone(), p.snapshot())).collect();
        View { started, unix, targets }
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
