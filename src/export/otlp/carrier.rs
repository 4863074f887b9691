//! The HTTP client that `opentelemetry-otlp` gets for logs and traces: it hands
//! their encoded requests to an [`Exporter`], which sends them as it sends metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::{Exporter, Report, encode};
use crate::log_once::LogOnce;

/// How long something waits for the receiver before it is tried again, without a newer
/// request: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// Carries the requests of one signal. It is called from the SDK's own threads,
/// and sends on the runtime that it was made on.
#[derive(Debug)]
pub struct Carrier {
    sender: Arc<Sender>,
    runtime: Handle,
}

#[derive(Debug)]
struct Sender {
    exporter: Exporter,
    timeout: Duration,
    failing: LogOnce,
    /// The receiver takes what it gets, and warns.
    warning: LogOnce,
    /// What waits is being tried again.
    is_retrying: AtomicBool,
}

impl Carrier {
    /// Each request ends after `timeout` at the latest, its retries included.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    #[must_use]
    pub fn new(exporter: Exporter, timeout: Duration) -> Carrier {
        let sender = Sender {
            exporter,
            timeout,
            failing: LogOnce::default(),
            warning: LogOnce::default(),
            is_retrying: AtomicBool::new(false),
        };
        Carrier { sender: Arc::new(sender), runtime: Handle::current() }
    }

    /// What sends the requests.
    #[must_use]
    pub fn exporter(&self) -> &Exporter {
        &self.sender.exporter
    }

    /// Ends the exporter: see [`Exporter::end`].
    pub async fn end(&self) {
        self.sender.exporter.end().await;
    }
}

impl Sender {
    fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// Tells of a request, and tries again what waits. Of logs no other request may
    /// follow for hours.
    fn ended(self: &Arc<Sender>, report: &Report) {
        self.tell(report);
        if report.waiting == 0 || self.is_retrying.swap(true, Ordering::Relaxed) {
            return;
        }
        let sender = Arc::downgrade(self);
        tokio::spawn(async move {
            let mut pause = FIRST_PAUSE;
            loop {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(MAX_PAUSE);
                let Some(sender) = sender.upgrade() else { return };
                let report = sender.exporter.deliver_waiting(sender.deadline()).await;
                sender.tell(&report);
                if report.waiting == 0 {
                    sender.is_retrying.store(false, Ordering::Relaxed);
                    return;
                }
            }
        });
    }

    /// Says how a request ended, where that is news. The lines of this module are
    /// not exported: they would follow from themselves.
    fn tell(&self, report: &Report) {
        let settings = self.exporter.settings();
        let (items, endpoint) = (settings.signal.items(), &settings.endpoint);
        let trouble = report.trouble_with(settings.signal);
        let is_lacking = report.failure.is_some() || report.rejected > 0;
        match &trouble {
            Some(trouble) if is_lacking => {
                if self.failing.begins() {
                    let (lost, waiting) = (report.lost + report.rejected, report.waiting);
                    tracing::warn!(lost, waiting, "{items} do not arrive at {endpoint}: {trouble}");
                }
                return;
            }
            Some(warning) if self.warning.begins() => {
                tracing::warn!("{items} arrive at {endpoint}: {warning}");
            }
            Some(_) => {}
            None => drop(self.warning.ends()),
        }
        if self.failing.ends() {
            tracing::info!("{items} arrive at {endpoint} again");
        }
    }
}

#[async_trait::async_trait]
impl HttpClient for Carrier {
    /// Always a success: an error would be logged once more by the SDK, at each
    /// request and without its reason.
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let body = encode::plain(request)?;
        let sender = self.sender.clone();
        let sending = self.runtime.spawn(async move {
            let report = sender.exporter.carry(body, sender.deadline()).await;
            sender.ended(&report);
        });
        // If it failed, the runtime is gone, and the process ends.
        let _ = sending.await;
        Ok(Response::new(Bytes::new()))
    }
}
