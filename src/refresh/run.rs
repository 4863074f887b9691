//! One target's run: what was claimed of it is asked for, first what says what
//! may be asked, then the documents that show whether it is up, then what the
//! token may do, then the rest.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use futures_util::stream;

use crate::api::{Answer, Attempt, Verdict};
use crate::clock::{Clock, Moment};
use crate::endpoint::Endpoint;
use crate::fetch::Client;
use crate::outcome::ErrorType;

use super::Listener;
use super::polled::Polled;

/// What was claimed of a target and not yet entered. Dropped before its end, it
/// gives the rest back.
#[derive(Debug)]
pub struct Job {
    polled: Arc<Polled>,
    claimed: Mutex<Vec<usize>>,
    began: Moment,
}

/// What the attempts of a run share.
struct Run<'a> {
    job: &'a Job,
    client: &'a Client,
    clock: &'a Clock,
    listener: &'a Listener,
    /// Why the server cannot be reached at all, once that is known.
    wall: Mutex<Option<(ErrorType, String)>>,
    /// Documents that are missing, until it is known whether another is there.
    missing: Mutex<Vec<(usize, Answer)>>,
    /// A document that shows the server up was not there.
    lost: AtomicBool,
    /// The server could not be reached, or did not answer in time.
    hanging: AtomicBool,
}

impl Job {
    /// Claims what is due of a target.
    pub fn claim(polled: &Arc<Polled>, now: Moment) -> Option<Job> {
        let claimed = polled.claim(now);
        (!claimed.is_empty()).then(|| Job { polled: polled.clone(), claimed: claimed.into(), began: now })
    }

    /// Asks, and enters what comes of it.
    pub async fn run(self, client: &Client, clock: &Clock, listener: &Listener) {
        let claimed = lock(&self.claimed).clone();
        let of_rank =
            |rank| claimed.iter().copied().filter(|i| self::rank(self.polled.endpoint(*i)) == rank).collect();
        let [robots, documents, credentials, rest]: [Vec<usize>; 4] = [0, 1, 2, 3].map(of_rank);
        let run = Run {
            job: &self,
            client,
            clock,
            listener,
            wall: Mutex::default(),
            missing: Mutex::default(),
            lost: AtomicBool::new(false),
            hanging: AtomicBool::new(false),
        };
        run.each(robots).await;
        run.documents(documents).await;
        if run.lost.load(Relaxed) {
            let more = self.polled.claim_to_confirm_down(clock.now());
            lock(&self.claimed).extend(&more);
            run.documents(more).await;
        }
        run.settle_missing();
        run.each(credentials).await;
        run.each(rest).await;
        self.polled.set_suspect(run.hanging.load(Relaxed));
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.polled.finish(&lock(&self.claimed), self.began);
    }
}

impl Run<'_> {
    /// Asks for documents: NodeInfo after its discovery, the others beside it.
    async fn documents(&self, indices: Vec<usize>) {
        let (nodeinfo, others): (Vec<usize>, Vec<usize>) = indices.into_iter().partition(|i| {
            matches!(self.job.polled.endpoint(*i), Endpoint::NodeinfoDiscovery | Endpoint::Nodeinfo)
        });
        let chain = async {
            for index in nodeinfo {
                self.one(index).await;
            }
        };
        tokio::join!(self.each(others), chain);
    }

    /// 404 on one of the documents that show a server up is "not offered"
    /// while another of them is there, else a failure.
    fn settle_missing(&self) {
        let missing = std::mem::take(&mut *lock(&self.missing));
        let indices: Vec<usize> = missing.iter().map(|(index, _)| *index).collect();
        let another = self.job.polled.has_document_beside(&indices);
        for (index, mut answer) in missing {
            answer.verdict = if another { Verdict::NotOffered } else { Verdict::Failed(ErrorType::Http4xx) };
            self.enter(index, answer);
        }
    }

    /// Asks for several endpoints, as many at once as a host may be asked.
    async fn each(&self, indices: Vec<usize>) {
        let at_once = self.client.settings().max_requests_per_host.max(1);
        stream::iter(indices).for_each_concurrent(at_once, |index| self.one(index)).await;
    }

    async fn one(&self, index: usize) {
        let endpoint = self.job.polled.endpoint(index);
        let known = self.job.polled.known(index);
        let attempt = Attempt {
            client: self.client,
            target: self.job.polled.target(),
            endpoint,
            known: &known.snapshot,
            paging: self.job.polled.paging(),
            etag: known.etag,
            with_token: known.with_token,
            now: self.clock.now(),
            unix: self.clock.unix(),
        };
        let wall = lock(&self.wall).clone();
        let answer = match (wall, known.undiscovered) {
            // Every other endpoint would meet the same wall, and wait for it.
            (Some((error, why)), _) => attempt.fail(error, why),
            (None, Some((error, why))) if endpoint == Endpoint::Nodeinfo => {
                attempt.fail(error, format!("its discovery failed: {why}"))
            }
            (None, _) => attempt.make().await,
        };
        if let (true, Verdict::Failed(error)) = (answer.unreachable, answer.verdict) {
            let why = answer.reason.clone().unwrap_or_default();
            lock(&self.wall).get_or_insert((error, why));
        }
        if matches!(answer.verdict, Verdict::Missing | Verdict::Failed(_)) && endpoint.shows_up() {
            self.lost.store(true, Relaxed);
        }
        if answer.unreachable || answer.verdict == Verdict::Failed(ErrorType::Timeout) {
            self.hanging.store(true, Relaxed);
        }
        if answer.verdict == Verdict::Missing {
            lock(&self.missing).push((index, answer));
        } else {
            self.enter(index, answer);
        }
    }

    fn enter(&self, index: usize, answer: Answer) {
        let target = self.job.polled.target();
        let certificate = match target.url.scheme() {
            "https" => target.url.host_str().and_then(|host| self.client.certificate_expiry(host)),
            _ => None,
        };
        self.listener.tell(self.job.polled.endpoint(index), answer.verdict.outcome(), answer.elapsed);
        // No longer this job's to give back: once recorded, another may claim it.
        lock(&self.job.claimed).retain(|claimed| *claimed != index);
        self.job.polled.record(index, answer, self.clock.now(), self.clock.unix(), certificate);
    }
}

/// When an endpoint's turn is: what others need to know goes first.
fn rank(endpoint: Endpoint) -> u8 {
    match endpoint {
        Endpoint::Robots => 0,
        Endpoint::InstanceV2 | Endpoint::InstanceV1 | Endpoint::NodeinfoDiscovery | Endpoint::Nodeinfo => 1,
        Endpoint::Credentials => 2,
        _ => 3,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
