//! Sends one request, with its retries.

use std::panic::AssertUnwindSafe;
use std::sync::PoisonError;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::time::Instant;

use super::answer::Acceptance;
use super::failure::MAX_WORDS;
use super::stats::Operation;
use super::{Cause, Exporter, Failure, Limit, OtlpSettings, Protocol, Report, Signal, Transport};

/// The first pause before a retry. It doubles each time, up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// The longest pause that a receiver can impose. A receiver that asks for a year is
/// mistaken.
const MAX_HOLD: Duration = Duration::from_secs(600);

/// A request in the form in which it is sent.
pub(super) struct Request {
    pub body: Bytes,
    /// The size of the body before compression, in bytes.
    pub size: u64,
    pub points: u64,
    /// Whether the request stays in the backlog until this attempt ends.
    pub is_stored: bool,
}

/// The time limits for sending.
#[derive(Debug, Clone, Copy)]
pub struct Until {
    /// When all requests must have ended.
    pub deadline: Instant,
    /// When retries stop. Requests that can wait then wait.
    pub retries: Instant,
}

impl From<Instant> for Until {
    fn from(deadline: Instant) -> Until {
        Until { deadline, retries: deadline }
    }
}

/// The result of a request.
pub(super) enum Sent {
    /// The receiver accepted it or rejected it for good, and the points are counted.
    Ended(Report),
    /// The receiver may accept it later.
    Later(Failure),
    /// The receiver may accept parts of at most `limit` bytes.
    TooLarge { failure: Failure, limit: u64 },
}

impl Exporter {
    /// Sends a request. It has the configured timeout for itself and its retries, and
    /// ends at `deadline`.
    pub(super) async fn send(&self, request: Request, until: Until) -> Sent {
        let Until { deadline, retries } = until;
        let Request { body, size, points, is_stored } = request;
        tracing::trace!(bytes = body.len(), size, points, "an OTLP request");
        let keeps = self.settings.delivery.keeps();
        let in_flight = self.stats.start(points, is_stored);
        let started = Instant::now();
        if let Some(failure) = self.unsendable(started, deadline) {
            return if keeps {
                in_flight.waits(None);
                Sent::Later(failure)
            } else {
                in_flight.unsent(failure.error_type());
                Sent::Ended(Report { lost: points, failure: Some(failure), ..Report::default() })
            };
        }
        let own = started + self.settings.timeout;
        let (deadline, limit) =
            if own <= deadline { (own, Limit::Request) } else { (deadline, Limit::Round) };
        let retries = if keeps { retries.min(deadline) } else { deadline };
        let result = self.deliver(&body, Until { deadline, retries }, limit).await;
        let operation = self.operation(started, &result);
        match result {
            Ok((taken, _)) => {
                self.request_size.accepted();
                let rejected = taken.rejected.min(points);
                in_flight.end(operation, rejected);
                let words = self.cleaner.clean(&taken.words, MAX_WORDS);
                Sent::Ended(Report { accepted: points - rejected, rejected, words, ..Report::default() })
            }
            Err(failure) if keeps && failure.may_pass() => {
                in_flight.waits(Some(operation));
                Sent::Later(failure)
            }
            Err(failure) => {
                let is_divisible = points > 1 && self.settings.signal == Signal::Metrics;
                if failure.is_too_large()
                    && is_divisible
                    && let Some(limit) = self.request_size.refused(size)
                {
                    in_flight.waits(Some(operation));
                    return Sent::TooLarge { failure, limit };
                }
                in_flight.end(operation, 0);
                Sent::Ended(Report { lost: points, failure: Some(failure), ..Report::default() })
            }
        }
    }

    fn operation(&self, started: Instant, result: &Result<(Acceptance, Option<u16>), Failure>) -> Operation {
        let failure = result.as_ref().err();
        Operation {
            at: SystemTime::now(),
            duration: started.elapsed(),
            error_type: failure.map(Failure::error_type),
            grpc_code: match (failure.map(|f| f.cause), self.settings.protocol) {
                (None, Protocol::Grpc) => Some(0),
                (Some(Cause::Grpc(code)), _) => Some(code as i32),
                _ => None,
            },
            http_status: match result {
                Ok((_, status)) => *status,
                Err(Failure { cause: Cause::Http(status), .. }) => Some(*status),
                Err(_) => None,
            },
        }
    }

    /// Tries until the receiver accepts the request or rejects it for good, or until
    /// the next attempt would start after the end of retries. `limit` names the source
    /// of the deadline. The result includes the HTTP status of the last answer.
    async fn deliver(
        &self,
        body: &Bytes,
        until: Until,
        limit: Limit,
    ) -> Result<(Acceptance, Option<u16>), Failure> {
        let Until { deadline, retries } = until;
        let started = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut attempts = 0;
        let mut last: Option<Failure> = None;
        loop {
            attempts += 1;
            // Other crates decode the receiver's answer here. A panic in them must cost
            // only this export: tonic panics if `grpc-status-details-bin` is not
            // base64.
            let attempt = AssertUnwindSafe(self.attempt(body.clone())).catch_unwind();
            let mut failure = match tokio::time::timeout_at(deadline, attempt).await {
                Ok(Ok(Ok(answer))) => return Ok(answer),
                Ok(Ok(Err(failure))) => failure.clean(&self.cleaner),
                Ok(Err(_panic)) => self.failure(Cause::Internal, "its answer could not be decoded"),
                Err(_elapsed) => {
                    self.reset();
                    last.take().unwrap_or_else(|| {
                        let words = format!("within {:.1?}", started.elapsed());
                        Failure { limit: Some(limit), ..self.failure(Cause::Timeout, &words) }
                    })
                }
            };
            failure.attempts = attempts;
            failure.signal = self.settings.signal;
            failure.encrypted = self.settings.endpoint.is_https();
            failure.proxy = self.proxy().cloned();
            failure.file.clone_from(&self.settings.file);
            let now = Instant::now();
            if !failure.is_retryable() || now >= deadline {
                return Err(failure);
            }
            // The receiver's pause is a minimum. A random part keeps many clients of
            // one receiver from returning at the same time.
            let asked = failure.retry_after.unwrap_or_default().min(MAX_HOLD);
            let wait = asked.max(pause.mul_f64(0.5 + random() / 2.0)) + pause.mul_f64(random() / 4.0);
            if now + wait >= retries {
                if !asked.is_zero() {
                    failure.held = Some(asked);
                    *self.hold.lock().unwrap_or_else(PoisonError::into_inner) =
                        Some((now + asked, failure.clone()));
                }
                return Err(failure);
            }
            tracing::debug!(attempts, ?wait, %failure, "OTLP export failed, trying again");
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(MAX_PAUSE);
            last = Some(failure);
        }
    }

    async fn attempt(&self, body: Bytes) -> Result<(Acceptance, Option<u16>), Failure> {
        match &self.transport {
            Transport::Grpc(grpc) => grpc.send(body).await.map(|taken| (taken, None)),
            Transport::Http(http) => http.send(body).await.map(|(taken, status)| (taken, Some(status))),
        }
    }

    fn reset(&self) {
        match &self.transport {
            Transport::Grpc(grpc) => grpc.reset(),
            // Dropping a request closes its HTTP/1.1 connection.
            Transport::Http(_) => {}
        }
    }

    /// Returns why a request must not be sent at `now`: the receiver's pause still
    /// lasts, or the round is over.
    fn unsendable(&self, now: Instant, deadline: Instant) -> Option<Failure> {
        let mut hold = self.hold.lock().unwrap_or_else(PoisonError::into_inner);
        hold.take_if(|(until, _)| *until <= now);
        if let Some((until, failure)) = &*hold {
            return Some(Failure { held: Some(*until - now), ..failure.clone() });
        }
        let OtlpSettings { signal, protocol, file, .. } = &self.settings;
        let unsent = || Failure { signal: *signal, file: file.clone(), ..Failure::unsent(*protocol) };
        (now >= deadline).then(unsent)
    }
}

/// Returns a number from 0 to 1, random enough to spread retries.
fn random() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    // The standard library seeds its hash maps at random, so no other source is needed.
    RandomState::new().hash_one(0u8) as f64 / u64::MAX as f64
}
