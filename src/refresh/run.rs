//! One run for a target. It requests the claimed endpoints in four steps: those that
//! say what may be requested, the documents that show whether the server is up, the
//! check of the token, and the rest.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use futures_util::stream;
use tokio::sync::OwnedSemaphorePermit;
use tracing::{Instrument, Span, field};

use crate::api::{Answer, Attempt, Verdict};
use crate::clock::{Clock, Moment};
use crate::endpoint::Endpoint;
use crate::fetch::{Client, Failure};
use crate::outcome::{ErrorType, Outcome};
use crate::snapshot::ServedFrom;
use crate::target::Target;

use super::Listener;
use super::polled::Polled;

/// Endpoints of a target that were claimed and not yet recorded. Dropping the job early
/// releases the rest.
#[derive(Debug)]
pub struct Job {
    polled: Arc<Polled>,
    claimed: Mutex<Vec<usize>>,
    began: Moment,
    /// The target's span in the collection that claimed it.
    span: Span,
    /// The endpoints that it is about, where it is not about all.
    wanted: Option<Arc<[Endpoint]>>,
    /// What it holds until its end.
    held: Option<OwnedSemaphorePermit>,
}

/// What the attempts of a run share.
struct Run<'a> {
    job: &'a Job,
    client: &'a Client,
    clock: &'a Clock,
    listener: &'a Listener,
    /// Why the server is unreachable, once that is known.
    unreachable: Mutex<Option<(ErrorType, String)>>,
    /// Endpoints that were answered with 404, and when, until it is known whether the
    /// server is up.
    missing: Mutex<Vec<(usize, Answer, Moment)>>,
    /// The numbers of attempts of this run that are running, and that have started.
    under_way: AtomicUsize,
    begun: AtomicUsize,
    /// Endpoints that were refused while another attempt was running, with the refusal,
    /// and endpoints that wait for them.
    crowded: Mutex<Vec<(usize, Option<Answer>)>>,
    /// Whether a document that shows the server up was missing.
    document_missing: AtomicBool,
    /// Whether the server was unreachable or did not answer in time.
    hanging: AtomicBool,
}

impl Job {
    /// Claims the endpoints of a target that are due.
    pub fn claim(polled: &Arc<Polled>, now: Moment) -> Option<Job> {
        Job::new(polled, now, polled.claim(now))
    }

    /// Claims what is due, and what would be due by then and may be requested already.
    pub fn claim_by(polled: &Arc<Polled>, now: Moment, by: Moment) -> Option<Job> {
        Job::new(polled, now, polled.claim_by(now, by))
    }

    /// Claims what is due of some endpoints of a target, and holds a turn until it has
    /// been asked.
    pub fn claim_of(
        polled: &Arc<Polled>,
        now: Moment,
        wanted: Arc<[Endpoint]>,
        turn: OwnedSemaphorePermit,
    ) -> Option<Job> {
        let mut job = Job::new(polled, now, polled.claim_of(now, &wanted))?;
        (job.wanted, job.held) = (Some(wanted), Some(turn));
        Some(job)
    }

    fn new(polled: &Arc<Polled>, now: Moment, claimed: Vec<usize>) -> Option<Job> {
        if claimed.is_empty() {
            return None;
        }
        // The name in the target's points, because servers behind one proxy share a
        // URL.
        let target = polled.target();
        let span = tracing::debug_span!(
            "target",
            "server.address" = target.address(),
            "server.port" = target.port(),
        );
        let (polled, claimed) = (polled.clone(), claimed.into());
        Some(Job { polled, claimed, began: now, span, wanted: None, held: None })
    }

    /// Records whether this job waits for its turn.
    pub fn set_waiting(&self, waits: bool) {
        self.polled.set_waiting(waits);
    }

    /// The target of this job.
    pub fn target(&self) -> &Target {
        self.polled.target()
    }

    /// Requests the endpoints and records the results. After a failed connection no
    /// further requests are made.
    pub async fn run(self, client: &Client, clock: &Clock, listener: &Listener, unresolved: Option<Failure>) {
        let is_lost = unresolved.as_ref().is_some_and(|failure| failure.error != ErrorType::Local);
        let run = Run {
            job: &self,
            client,
            clock,
            listener,
            unreachable: Mutex::new(unresolved.map(|failure| (failure.error, failure.reason))),
            missing: Mutex::default(),
            under_way: AtomicUsize::new(0),
            begun: AtomicUsize::new(0),
            crowded: Mutex::default(),
            document_missing: AtomicBool::new(false),
            hanging: AtomicBool::new(is_lost),
        };
        let claimed = lock(&self.claimed).clone();
        let [robots, documents, mut credentials, mut rest] = run.by_rank(claimed);
        run.each(robots).await;
        run.documents(documents).await;
        if run.document_missing.load(Relaxed) {
            let more = run.claimed(self.polled.claim_to_confirm_down(clock.now()));
            run.documents(more).await;
        }
        run.settle_missing().await;
        let more = run.claimed(self.polled.claim_after_return(clock.now(), self.wanted.as_deref()));
        let [robots, documents, more_credentials, more] = run.by_rank(more);
        run.each(robots).await;
        run.documents(documents).await;
        credentials.extend(more_credentials);
        rest.extend(more);
        run.each(credentials).await;
        run.each(rest).await;
        run.settle_missing().await;
        self.polled.note_whether_seen(clock.now());
        self.polled.set_slow(run.hanging.load(Relaxed));
    }
}

impl Drop for Job {
    /// Log lines about the target belong to its span.
    fn drop(&mut self) {
        let _entered = self.span.clone().entered();
        self.polled.finish(&lock(&self.claimed), self.began);
    }
}

impl Run<'_> {
    /// Groups endpoints by the step in which they are requested.
    fn by_rank(&self, indices: Vec<usize>) -> [Vec<usize>; 4] {
        let mut by_rank: [Vec<usize>; 4] = Default::default();
        for index in indices {
            by_rank[rank(self.job.polled.endpoint(index))].push(index);
        }
        by_rank
    }

    /// Adds endpoints that this job has to release in the end.
    fn claimed(&self, more: Vec<usize>) -> Vec<usize> {
        lock(&self.job.claimed).extend(&more);
        more
    }

    /// Requests documents: NodeInfo after its discovery, the others at the same time.
    async fn documents(&self, indices: Vec<usize>) {
        let (nodeinfo, others): (Vec<usize>, Vec<usize>) = indices.into_iter().partition(|i| {
            matches!(self.job.polled.endpoint(*i), Endpoint::NodeinfoDiscovery | Endpoint::Nodeinfo)
        });
        let chain = async {
            for index in nodeinfo {
                // The place of the document is unknown before its discovery has been
                // read.
                if self.waits_for_discovery() {
                    lock(&self.crowded).push((index, None));
                } else {
                    self.one(index).await;
                }
            }
        };
        tokio::join!(self.at_once(others), chain);
        self.alone().await;
    }

    fn waits_for_discovery(&self) -> bool {
        let is_discovery = |index: usize| self.job.polled.endpoint(index) == Endpoint::NodeinfoDiscovery;
        lock(&self.crowded).iter().any(|(index, _)| is_discovery(*index))
    }

    /// Decides about endpoints that were answered with 404. If no document that shows the
    /// server up was read since then, one is requested again. If such a document can be
    /// read, the endpoints are not offered; otherwise the 404 is a failure. An endpoint
    /// that was read before may return soon, and so may one if only a cache answered for
    /// the document.
    async fn settle_missing(&self) {
        let missing = std::mem::take(&mut *lock(&self.missing));
        let Some(since) = missing.iter().map(|(_, _, at)| *at).max() else { return };
        let indices: Vec<usize> = missing.iter().map(|(index, ..)| *index).collect();
        let polled = &self.job.polled;
        while polled.document_since(since, &indices).is_none() {
            let Some(document) = polled.claim_document(self.clock.now(), since, &indices) else { break };
            lock(&self.job.claimed).push(document);
            self.one(document).await;
        }
        let document = polled.document_since(since, &indices);
        let again = std::mem::take(&mut *lock(&self.missing));
        for (index, mut answer, _) in missing.into_iter().chain(again) {
            if let Verdict::Missing(error) = answer.verdict {
                answer.verdict = match document {
                    Some(ServedFrom::Origin) if !polled.was_read(index) => Verdict::NotOffered,
                    Some(_) => Verdict::Gone,
                    None => Verdict::Failed(error),
                };
            }
            self.enter(index, answer);
        }
    }

    /// Requests several endpoints, as many at once as a host allows.
    async fn each(&self, indices: Vec<usize>) {
        self.at_once(indices).await;
        self.alone().await;
    }

    async fn at_once(&self, indices: Vec<usize>) {
        let at_once = self.client.settings().max_requests_per_host.max(1);
        stream::iter(indices).for_each_concurrent(at_once, |index| self.one(index)).await;
    }

    /// Repeats one by one the requests that were refused while others were running:
    /// Epicyon handles one request at a time, and refuses the second with 503. If a
    /// server refuses a single request, too, the rest is not repeated.
    async fn alone(&self) {
        let crowded = std::mem::take(&mut *lock(&self.crowded));
        let mut is_away = false;
        for (index, refusal) in crowded {
            let answer = match refusal {
                Some(refusal) if is_away => refusal,
                refusal => {
                    let again = self.attempt(index).await.0;
                    // If the request was not repeated, the refusal remains the result.
                    if again.requests.asked { again } else { refusal.unwrap_or(again) }
                }
            };
            is_away |= is_refusal(&answer);
            self.take(index, answer);
        }
    }

    async fn one(&self, index: usize) {
        let (answer, is_crowded) = self.attempt(index).await;
        if is_crowded && is_refusal(&answer) {
            lock(&self.crowded).push((index, Some(answer)));
        } else {
            self.take(index, answer);
        }
    }

    /// Makes an attempt. Also returns whether another attempt was running at the same
    /// time.
    async fn attempt(&self, index: usize) -> (Answer, bool) {
        let endpoint = self.job.polled.endpoint(index);
        let known = self.job.polled.known(index);
        let attempt = Attempt {
            client: self.client,
            target: self.job.polled.target(),
            endpoint,
            known: &known.snapshot,
            pacing: self.job.polled.pacing(),
            etag: known.etag,
            with_token: known.with_token,
            clock: self.clock,
            now: self.clock.now(),
            unix: self.clock.unix(),
        };
        let unreachable = lock(&self.unreachable).clone();
        match (unreachable, known.undiscovered) {
            // Every other endpoint would fail in the same way, after the same wait.
            (Some((error, why)), _) => (attempt.fail(error, &why), false),
            (None, Some((error, why))) if endpoint == Endpoint::Nodeinfo => {
                (attempt.fail(error, &format!("its discovery failed: {why}")), false)
            }
            (None, _) => {
                let others = self.under_way.fetch_add(1, Relaxed);
                let begun = self.begun.fetch_add(1, Relaxed) + 1;
                let span = tracing::debug_span!(
                    parent: &self.job.span,
                    "endpoint",
                    "fedimeter.endpoint.name" = endpoint.name(),
                    "fedimeter.request.outcome" = field::Empty,
                    "error.type" = field::Empty,
                    "otel.status_code" = field::Empty,
                    "otel.status_description" = field::Empty,
                );
                let answer = attempt.make().instrument(span.clone()).await;
                note(&span, &answer);
                self.under_way.fetch_sub(1, Relaxed);
                let together = others > 0 || self.begun.load(Relaxed) > begun;
                // If a host allows one request at a time, attempts wait for each other.
                (answer, together && self.client.settings().max_requests_per_host > 1)
            }
        }
    }

    /// Applies an answer to the rest of the run, and records it if its meaning is
    /// already known.
    fn take(&self, index: usize, answer: Answer) {
        let endpoint = self.job.polled.endpoint(index);
        if let (true, Verdict::Failed(error)) = (answer.requests.unreachable, answer.verdict) {
            let why = answer.reason.clone().unwrap_or_default();
            lock(&self.unreachable).get_or_insert((error, why));
        }
        if matches!(answer.verdict, Verdict::Missing(_) | Verdict::Failed(_)) && endpoint.shows_up() {
            self.document_missing.store(true, Relaxed);
        }
        let is_local = answer.verdict == Verdict::Failed(ErrorType::Local);
        if (answer.requests.unreachable && !is_local) || answer.verdict == Verdict::Failed(ErrorType::Timeout)
        {
            self.hanging.store(true, Relaxed);
        }
        if matches!(answer.verdict, Verdict::Missing(_)) {
            lock(&self.missing).push((index, answer, self.clock.now()));
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
        self.listener.tell(
            self.job.polled.endpoint(index),
            answer.verdict.outcome(),
            answer.requests.elapsed,
        );
        // After it is recorded, another job may claim it, so this job must not release
        // it.
        lock(&self.job.claimed).retain(|claimed| *claimed != index);
        self.job.polled.record(index, answer, self.clock.now(), self.clock.unix(), certificate);
    }
}

/// Records on its span how an attempt ended.
fn note(span: &Span, answer: &Answer) {
    let outcome = answer.verdict.outcome();
    span.record("fedimeter.request.outcome", outcome.class());
    if let Outcome::Failed(error) = outcome {
        span.record("error.type", error.name());
        span.record("otel.status_code", "ERROR");
        span.record("otel.status_description", answer.reason.as_deref());
    }
}

/// Whether the answer is a 503 without `Retry-After`. With the header, the server has
/// said when to return.
fn is_refusal(answer: &Answer) -> bool {
    answer.verdict == Verdict::Failed(ErrorType::Http5xx)
        && answer.requests.status == Some(503)
        && answer.limits.retry_after.is_none()
}

/// The step in which an endpoint is requested. Endpoints on which others depend come
/// first.
fn rank(endpoint: Endpoint) -> usize {
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
