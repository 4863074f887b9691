//! OTLP: turns collected points into requests, sends them, and explains the receiver's
//! answers.
//!
//! `encode` uses `opentelemetry-otlp` to build a request from what was collected. This
//! module sends it, as one unary call or one POST, with the retries of the
//! specification. The crate's own clients are not used: they return `Ok` for points
//! that a receiver rejected, report only the code of a failed call, do not end attempts
//! at their deadline, and cannot divide a request that is too large.

mod advice;
mod answer;
mod backlog;
mod carrier;
mod delivery;
mod encode;
mod failure;
mod grpc;
mod http;
mod request;
mod request_size;
mod secrets;
mod settings;
mod signal;
mod split;
mod stats;
mod store;
mod wording;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use opentelemetry_sdk::metrics::Temporality;
use tokio::time::Instant;

pub use backlog::{BacklogError, Dropped, Level};
pub use carrier::Carrier;
pub(crate) use encode::over;
pub use failure::{Cause, ERROR_TYPES, Failure, Limit, REJECTED};
pub use request::Until;
pub use request_size::MIN_REQUEST;
pub use settings::{
    Compression, DeliverySettings, Endpoint, EndpointError, Headers, OtlpSettings, Protocol, is_host,
};
pub use signal::Signal;
pub use stats::{Operation, Outcome, PushStats, Round, Rounds};

use crate::clean::Cleaner;
use crate::fetch::proxy::{Proxies, Proxy};
use crate::tls;
use backlog::Backlog;
use grpc::GrpcTransport;
use http::HttpTransport;
use request_size::RequestSize;
use split::Encoding;
use store::Store;

const USER_AGENT: &str = concat!("fedimeter/", env!("CARGO_PKG_VERSION"));

/// Why an exporter cannot be built from its settings.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// A file named by `OTEL_EXPORTER_OTLP_CERTIFICATE`, `_CLIENT_KEY` or
    /// `_CLIENT_CERTIFICATE`, or by the matching keys of a configuration file, cannot
    /// be used.
    #[error("{variable}: {source}")]
    Tls {
        /// The variable, or both variables if two belong together.
        variable: String,
        /// What is wrong with it.
        source: Box<tls::TlsError>,
    },
    /// The client cannot be created.
    #[error("failed to set up the OTLP client: {0}")]
    Client(String),
    /// The directory of the backlog cannot be used.
    #[error(transparent)]
    Backlog(#[from] BacklogError),
}

/// Sends points to one receiver.
pub struct Exporter {
    transport: Transport,
    settings: OtlpSettings,
    cleaner: Cleaner,
    stats: Arc<PushStats>,
    /// Until when nothing is sent because the receiver asked for a pause, and the
    /// failure that asked.
    hold: Mutex<Option<(Instant, Failure)>>,
    request_size: RequestSize,
    store: Store,
    /// Held while sending, so that older points arrive first.
    turn: tokio::sync::Mutex<()>,
}

enum Transport {
    Grpc(Box<GrpcTransport>),
    Http(Box<HttpTransport>),
}

/// What happened to one batch of points.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Points that the receiver accepted.
    pub accepted: u64,
    /// Points that the receiver rejected while it accepted others.
    pub rejected: u64,
    /// The receiver's message about the rejected points, or a warning from it.
    pub words: String,
    /// Points that were lost for good.
    pub lost: u64,
    /// Points that wait for the receiver, including those of earlier batches.
    pub waiting: u64,
    /// Why points are lost or waiting. Of several reasons this is the first, because
    /// later ones often follow from it.
    pub failure: Option<Failure>,
}

impl Report {
    /// Describes what went wrong. Returns `None` if all points arrived and the receiver
    /// sent no message.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.trouble_with(Signal::Metrics)
    }

    fn trouble_with(&self, signal: Signal) -> Option<String> {
        let items = signal.items();
        let reason = if self.words.is_empty() { "the receiver gave no reason" } else { &self.words };
        match &self.failure {
            Some(failure) => Some(failure.to_string()),
            None if self.rejected > 0 => Some(format!("{} {items} are refused: {reason}", self.rejected)),
            None if !self.words.is_empty() => {
                Some(format!("all {items} are accepted, with a warning: {reason}"))
            }
            None => None,
        }
    }

    /// Adds the report of another batch.
    pub fn merge(&mut self, other: Report) {
        self.accepted += other.accepted;
        self.rejected += other.rejected;
        self.lost += other.lost;
        self.waiting = other.waiting;
        if !other.words.is_empty() {
            self.words = other.words;
        }
        self.failure = self.failure.take().or(other.failure);
    }
}

impl Exporter {
    /// Builds an exporter, which connects when it first sends. Must be called inside
    /// the Tokio runtime that will send.
    ///
    /// # Errors
    ///
    /// When a certificate or key cannot be used.
    pub fn build(settings: &OtlpSettings) -> Result<Exporter, OtlpError> {
        // If nothing answers, this leaves time to report it and to try again.
        let connect_timeout = settings.timeout / 2;
        let transport = match settings.protocol {
            Protocol::Grpc => Transport::Grpc(Box::new(GrpcTransport::build(settings, connect_timeout)?)),
            Protocol::HttpProtobuf | Protocol::HttpJson => {
                Transport::Http(Box::new(HttpTransport::build(settings, connect_timeout)?))
            }
        };
        let stats = Arc::new(PushStats::default());
        let delivery = &settings.delivery;
        // Without a backlog, only the parts of a divided request wait for each other.
        let limit = if delivery.keeps() { delivery.backlog as u64 } else { u64::MAX };
        let backlog = Backlog::in_memory(limit);
        Ok(Exporter {
            transport,
            cleaner: secrets::cleaner(settings),
            hold: Mutex::new(None),
            request_size: RequestSize::new(delivery.max_request as u64),
            store: Store::new(backlog, waiting_in_words(settings), stats.clone()),
            turn: tokio::sync::Mutex::new(()),
            stats,
            settings: settings.clone(),
        })
    }

    /// Opens the directory in which the backlog outlives the process, if one is
    /// configured. Blocks. Call it before anything is sent.
    ///
    /// # Errors
    ///
    /// When the directory cannot be used, or another bridge uses it.
    pub fn open_backlog(&mut self) -> Result<(), OtlpError> {
        let settings = &self.settings;
        let DeliverySettings { backlog, directory: Some(directory), .. } = &settings.delivery else {
            return Ok(());
        };
        if settings.delivery.keeps() {
            let receiver = format!("{} {} {}", settings.signal, settings.protocol, settings.endpoint);
            let path = directory.join(settings.signal.name());
            let (what, stats) = (waiting_in_words(settings), self.stats.clone());
            self.store = Store::in_directory(&path, receiver, *backlog as u64, what, stats)?;
        }
        Ok(())
    }

    /// Closes the backlog at the end of the process. Points that are only in memory are
    /// lost, which is logged. Returns the number of lost points and of points that wait
    /// in the directory.
    pub async fn end(&self) -> (u64, u64) {
        let lost = self.store.end().await;
        let waiting = self.stats.waiting().points;
        let what = waiting_in_words(&self.settings);
        if lost > 0 {
            tracing::warn!(
                "{lost} {what} waited in memory and are lost because the bridge is stopping; \
                 otlp_backlog_directory would keep them for the next start"
            );
        }
        if waiting > 0 {
            tracing::info!("{waiting} {what} wait for the next start of the bridge");
        }
        (lost, waiting)
    }

    /// The settings of this exporter.
    #[must_use]
    pub fn settings(&self) -> &OtlpSettings {
        &self.settings
    }

    /// The temporality that the reader for this exporter must use.
    #[must_use]
    pub fn temporality(&self) -> Temporality {
        self.settings.temporality
    }

    /// The proxy that requests go through, without its credentials.
    #[must_use]
    pub fn proxy(&self) -> Option<&Arc<str>> {
        match &self.transport {
            Transport::Grpc(grpc) => grpc.proxy(),
            Transport::Http(http) => http.proxy(),
        }
    }

    /// The statistics of this exporter.
    #[must_use]
    pub fn stats(&self) -> &Arc<PushStats> {
        &self.stats
    }

    fn encoding(&self) -> Encoding {
        match self.settings.protocol {
            Protocol::Grpc | Protocol::HttpProtobuf => Encoding::Protobuf,
            Protocol::HttpJson => Encoding::Json,
        }
    }

    fn failure(&self, cause: Cause, words: &str) -> Failure {
        let signal = self.settings.signal;
        Failure { signal, ..Failure::new(self.settings.protocol, cause, words) }
    }
}

impl std::fmt::Debug for Exporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exporter").field("settings", &self.settings).finish_non_exhaustive()
    }
}

fn waiting_in_words(settings: &OtlpSettings) -> String {
    format!("{} for {} ({})", settings.signal.items(), settings.endpoint, settings.protocol)
}

/// Returns the proxy before the receiver. It reads the environment as for proxies
/// before targets, so that `NO_PROXY=*` applies here, too.
fn proxy_of(settings: &OtlpSettings) -> Result<Option<Proxy>, OtlpError> {
    let uri = settings.endpoint.url().as_str().parse();
    match uri.ok().and_then(|uri| Proxies::of_the_system().for_uri(&uri)) {
        Some(proxy) if !proxy.is_http() => Err(OtlpError::Client(format!(
            "the proxy {proxy} is not an HTTP proxy; name one as http://HOST:PORT"
        ))),
        proxy => Ok(proxy),
    }
}

/// Trust roots and client identity, also as a rustls configuration.
struct TlsMaterial {
    roots: Arc<rustls::RootCertStore>,
    identity: Option<tls::Identity>,
    config: rustls::ClientConfig,
}

fn tls_material(settings: &OtlpSettings) -> Result<TlsMaterial, OtlpError> {
    let roots = match &settings.certificate {
        Some(path) => tls::roots_from(path).map_err(|error| OtlpError::Tls {
            variable: settings.named("OTEL_EXPORTER_OTLP_CERTIFICATE"),
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
        OtlpError::Tls { variable: settings.named(variable), source: Box::new(error) }
    };
    let identity = identity.map_err(ours)?;
    let config = tls::client_config(roots.clone(), identity.as_ref()).map_err(ours)?;
    Ok(TlsMaterial { roots, identity, config })
}
