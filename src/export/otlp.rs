//! OTLP: collected points become requests, and a receiver's answer becomes
//! something that can be said to the user.
//!
//! The messages are those of `opentelemetry-proto`, converted by its own code,
//! as in `opentelemetry-otlp`; that crate's `MetricExporter` is not in between.
//! It returns `Ok` for points that a receiver rejected, and of a failed gRPC call
//! only the code: the receiver's words are in log events alone, whose names and
//! fields are no interface. It also reads the process environment by itself,
//! with headers there replacing the ones given in code, and cannot divide a
//! request that is too large. What is left to do here is one unary call, one
//! POST, and the specification's retries. A test compares the requests of both.

mod advice;
mod answer;
mod failure;
mod grpc;
mod http;
mod secrets;
mod settings;
mod split;
mod stats;

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::FutureExt;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use tokio::time::Instant;

pub use failure::{Cause, Failure, Limit};
pub use settings::{Compression, Endpoint, EndpointError, Headers, OtlpSettings, Protocol};
pub use stats::{Operation, Outcome, PushStats, REJECTED, Round, Rounds};

use crate::tls;
use answer::Taken;
use grpc::GrpcTransport;
use http::HttpTransport;
use secrets::Secrets;
use split::{Encoding, MAX_REQUEST, Part};

const USER_AGENT: &str = concat!("fedimeter/", env!("CARGO_PKG_VERSION"));

/// The first pause before a retry. It doubles each time, up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// The longest that a receiver can keep us away with a word: one that asks for
/// a year is mistaken.
const MAX_HOLD: Duration = Duration::from_secs(600);

/// An exporter cannot be built from its settings.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// A file named by `OTEL_EXPORTER_OTLP_CERTIFICATE`, `_CLIENT_KEY` or
    /// `_CLIENT_CERTIFICATE` is not what it should be.
    #[error("{variable}: {source}")]
    Tls {
        /// The variable, or both where it takes two.
        variable: &'static str,
        /// What is wrong with it.
        source: Box<tls::TlsError>,
    },
    /// The client cannot be set up.
    #[error("the OTLP client cannot be set up: {0}")]
    Client(String),
}

/// Sends points to one receiver.
pub struct Exporter {
    transport: Transport,
    settings: OtlpSettings,
    secrets: Secrets,
    stats: Arc<PushStats>,
    /// Until when the receiver has asked to be left alone, and how.
    hold: Mutex<Option<(Instant, Failure)>>,
}

enum Transport {
    Grpc(Box<GrpcTransport>),
    Http(Box<HttpTransport>),
}

/// What became of one batch of points.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Points that the receiver took.
    pub accepted: u64,
    /// Points that the receiver refused while it took others.
    pub rejected: u64,
    /// The receiver's words about that, or a warning of its own.
    pub words: String,
    /// Points that did not arrive.
    pub lost: u64,
    /// Why; the first reason when there are several, as others often follow
    /// from it.
    pub failure: Option<Failure>,
}

impl Report {
    /// What went wrong, in words; nothing when all points arrived and the
    /// receiver had nothing to say.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let said = if self.words.is_empty() { "without saying why" } else { &self.words };
        match &self.failure {
            Some(failure) => Some(failure.to_string()),
            None if self.rejected > 0 => Some(format!("{} points are refused: {said}", self.rejected)),
            None if !self.words.is_empty() => Some(format!("all points are taken, with a warning: {said}")),
            None => None,
        }
    }

    /// Adds what became of another batch.
    pub fn merge(&mut self, other: Report) {
        self.accepted += other.accepted;
        self.rejected += other.rejected;
        self.lost += other.lost;
        if !other.words.is_empty() {
            self.words = other.words;
        }
        self.failure = self.failure.take().or(other.failure);
    }
}

impl Exporter {
    /// An exporter that connects when it first sends. Must be called inside the
    /// Tokio runtime that will send.
    ///
    /// # Errors
    ///
    /// A certificate or key cannot be used.
    pub fn build(settings: &OtlpSettings) -> Result<Exporter, OtlpError> {
        // A connection that is not answered leaves time to say so, and to try again.
        let connect_timeout = settings.timeout / 2;
        let transport = match settings.protocol {
            Protocol::Grpc => Transport::Grpc(Box::new(GrpcTransport::build(settings, connect_timeout)?)),
            Protocol::HttpProtobuf | Protocol::HttpJson => {
                Transport::Http(Box::new(HttpTransport::build(settings, connect_timeout)?))
            }
        };
        Ok(Exporter {
            transport,
            settings: settings.clone(),
            secrets: Secrets::of(settings),
            stats: Arc::new(PushStats::default()),
            hold: Mutex::new(None),
        })
    }

    /// The settings that this was built from.
    #[must_use]
    pub fn settings(&self) -> &OtlpSettings {
        &self.settings
    }

    /// What the reader that collects for this exporter must use.
    #[must_use]
    pub fn temporality(&self) -> Temporality {
        self.settings.temporality
    }

    /// The proxy that requests go through, without its credentials. gRPC
    /// knows none.
    #[must_use]
    pub fn proxy(&self) -> Option<&Arc<str>> {
        match &self.transport {
            Transport::Grpc(_) => None,
            Transport::Http(http) => http.proxy(),
        }
    }

    /// How pushing fares.
    #[must_use]
    pub fn stats(&self) -> &Arc<PushStats> {
        &self.stats
    }

    /// Sends `metrics`, in requests of at most 3 MiB before compression, one
    /// after the other. Each has the settings' timeout for itself and its
    /// retries; all of them end at `deadline`.
    pub async fn export(&self, metrics: &ResourceMetrics, deadline: Instant) -> Report {
        let encoding = match self.settings.protocol {
            Protocol::Grpc | Protocol::HttpProtobuf => Encoding::Protobuf,
            Protocol::HttpJson => Encoding::Json,
        };
        let parts = split::parts(ExportMetricsServiceRequest::from(metrics), MAX_REQUEST, encoding);
        let mut report = Report::default();
        for part in parts {
            report.merge(self.send(part, deadline).await);
        }
        report
    }

    async fn send(&self, part: Part, deadline: Instant) -> Report {
        let Part { body, points } = part;
        tracing::trace!(bytes = body.len(), points, "an OTLP request");
        let in_flight = self.stats.start(points);
        let started = Instant::now();
        if let Some(failure) = self.unsendable(started, deadline) {
            in_flight.unsent(failure.error_type());
            return Report { lost: points, failure: Some(failure), ..Report::default() };
        }
        let body = match &self.transport {
            Transport::Grpc(_) => body.into(),
            Transport::Http(http) => http.prepare(body),
        };
        let own = started + self.settings.timeout;
        let result = if own <= deadline {
            self.deliver(&body, own, Limit::Request).await
        } else {
            self.deliver(&body, deadline, Limit::Round).await
        };
        let failure = result.as_ref().err();
        let operation = Operation {
            at: SystemTime::now(),
            duration: started.elapsed(),
            error_type: failure.map(Failure::error_type),
            grpc_code: match (failure.map(|f| f.cause), self.settings.protocol) {
                (None, Protocol::Grpc) => Some(0),
                (Some(Cause::Grpc(code)), _) => Some(code as i32),
                _ => None,
            },
            http_status: match &result {
                Ok((_, status)) => *status,
                Err(Failure { cause: Cause::Http(status), .. }) => Some(*status),
                Err(_) => None,
            },
        };
        match result {
            Ok((taken, _)) => {
                let rejected = taken.rejected.min(points);
                in_flight.end(operation, rejected);
                let words = self.secrets.clean(&taken.words);
                Report { accepted: points - rejected, rejected, words, ..Report::default() }
            }
            Err(failure) => {
                in_flight.end(operation, 0);
                Report { lost: points, failure: Some(failure), ..Report::default() }
            }
        }
    }

    /// Tries until the receiver has taken the request, refuses it for good, or
    /// the next attempt would come after `deadline`, which is that of `limit`. With what it then said comes
    /// the HTTP status that it said it with.
    async fn deliver(
        &self,
        body: &Bytes,
        deadline: Instant,
        limit: Limit,
    ) -> Result<(Taken, Option<u16>), Failure> {
        let started = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut attempts = 0;
        let mut last: Option<Failure> = None;
        loop {
            attempts += 1;
            // What a receiver sends is decoded in there by other people's code: it must
            // not be able to end more than this export (tonic panics over a
            // `grpc-status-details-bin` that is no base64).
            let attempt = AssertUnwindSafe(self.attempt(body.clone())).catch_unwind();
            let mut failure = match tokio::time::timeout_at(deadline, attempt).await {
                Ok(Ok(Ok(answer))) => return Ok(answer),
                Ok(Ok(Err(failure))) => failure.clean(&self.secrets),
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
            failure.encrypted = self.settings.endpoint.is_https();
            failure.proxy = self.proxy().cloned();
            let now = Instant::now();
            if !failure.is_retryable() || now >= deadline {
                return Err(failure);
            }
            // The receiver's wish is a minimum; a random part keeps many clients of one
            // receiver from coming back together.
            let asked = failure.retry_after.unwrap_or_default().min(MAX_HOLD);
            let wait = asked.max(pause.mul_f64(0.5 + random() / 2.0)) + pause.mul_f64(random() / 4.0);
            if now + wait >= deadline {
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

    async fn attempt(&self, body: Bytes) -> Result<(Taken, Option<u16>), Failure> {
        match &self.transport {
            Transport::Grpc(grpc) => grpc.send(body).await.map(|taken| (taken, None)),
            Transport::Http(http) => http.send(body).await.map(|(taken, status)| (taken, Some(status))),
        }
    }

    fn reset(&self) {
        match &self.transport {
            Transport::Grpc(grpc) => grpc.reset(),
            // A request that is given up takes its HTTP/1.1 connection with it.
            Transport::Http(_) => {}
        }
    }

    /// Why a request that is about to leave at `now` must not: the receiver has
    /// asked to be left alone, and that lasts, or the round is over.
    fn unsendable(&self, now: Instant, deadline: Instant) -> Option<Failure> {
        let mut hold = self.hold.lock().unwrap_or_else(PoisonError::into_inner);
        hold.take_if(|(until, _)| *until <= now);
        if let Some((until, failure)) = &*hold {
            return Some(Failure { held: Some(*until - now), ..failure.clone() });
        }
        (now >= deadline).then(|| Failure::unsent(self.settings.protocol))
    }

    fn failure(&self, cause: Cause, words: &str) -> Failure {
        Failure::new(self.settings.protocol, cause, words)
    }
}

impl std::fmt::Debug for Exporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exporter").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Whom this side trusts, who it says it is, and both as rustls has it.
struct TlsMaterial {
    roots: Arc<rustls::RootCertStore>,
    identity: Option<tls::Identity>,
    config: rustls::ClientConfig,
}

fn tls_material(settings: &OtlpSettings) -> Result<TlsMaterial, OtlpError> {
    let roots = match &settings.certificate {
        Some(path) => tls::roots_from(path).map_err(|error| OtlpError::Tls {
            variable: "OTEL_EXPORTER_OTLP_CERTIFICATE",
            source: Box::new(error),
        })?,
        None => tls::roots(),
    };
    let identity =
        tls::Identity::read(settings.client_certificate.as_deref(), settings.client_key.as_deref());
    let ours = |error: tls::TlsError| {
        let of = |file: &Option<PathBuf>| file.is_some() && error.file() == file.as_deref();
        let variable = if of(&settings.client_key) {
            "OTEL_EXPORTER_OTLP_CLIENT_KEY"
        } else if of(&settings.client_certificate) {
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"
        } else {
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY"
        };
        OtlpError::Tls { variable, source: Box::new(error) }
    };
    let identity = identity.map_err(ours)?;
    let config = tls::client_config(roots.clone(), identity.as_ref()).map_err(ours)?;
    Ok(TlsMaterial { roots, identity, config })
}

/// A number from 0 to 1, good enough to spread retries.
fn random() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    // The standard library seeds its hash maps at random; no other source is needed.
    RandomState::new().hash_one(0u8) as f64 / u64::MAX as f64
}
