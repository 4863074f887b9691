//! The HTTP client that `opentelemetry-otlp` uses for logs and traces. It passes their
//! encoded requests to an [`Exporter`], which sends them as it sends metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::{Exporter, Report, encode};
use crate::log_once::LogOnce;

/// The first and the longest pause before waiting requests are sent again, if no new
/// request comes first.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// Sends the requests of one signal. The SDK calls it on its own threads; requests run
/// on the runtime on which it was created.
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
    /// Logs once that the receiver accepts requests with a warning.
    warning: LogOnce,
    /// Whether a task is sending waiting requests again.
    is_retrying: AtomicBool,
}

impl Carrier {
    /// Creates a carrier. Each request ends after `timeout` at the latest, including
    /// its retries.
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

    /// The exporter that sends the requests.
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

    /// Logs the end of a request, and schedules a retry if requests wait. The next
    /// request of logs may be hours away.
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

    /// Logs how a request ended, if that is news. The log lines of this module are not
    /// exported, because they would cause more of themselves.
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
    /// Always returns success: the SDK would log an error again, at each request and
    /// without its reason.
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let body = encode::plain(request)?;
        let sender = self.sender.clone();
        let sending = self.runtime.spawn(async move {
            let report = sender.exporter.carry(body, sender.deadline()).await;
            sender.ended(&report);
        });
        // If this fails, the runtime has stopped because the process is ending.
        let _ = sending.await;
        Ok(Response::new(Bytes::new()))
    }
}
