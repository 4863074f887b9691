//! The HTTP client that `opentelemetry-otlp` gets for logs and traces: it hands
//! their encoded requests to an [`Exporter`], which sends them as it sends metrics.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::{Exporter, Report, encode};
use crate::log_once::LogOnce;

/// Carries the requests of one signal. It is called from the SDK's own threads,
/// and sends on the runtime that it was made on.
#[derive(Debug)]
pub struct Carrier {
    exporter: Arc<Exporter>,
    timeout: Duration,
    runtime: Handle,
    failing: LogOnce,
    /// The receiver takes what it gets, and warns.
    warning: LogOnce,
}

impl Carrier {
    /// Each request ends after `timeout` at the latest, its retries included.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    #[must_use]
    pub fn new(exporter: Exporter, timeout: Duration) -> Carrier {
        Carrier {
            exporter: Arc::new(exporter),
            timeout,
            runtime: Handle::current(),
            failing: LogOnce::default(),
            warning: LogOnce::default(),
        }
    }

    /// What sends the requests.
    #[must_use]
    pub fn exporter(&self) -> &Exporter {
        &self.exporter
    }

    /// Ends the exporter: see [`Exporter::end`].
    pub async fn end(&self) {
        self.exporter.end().await;
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
        let (exporter, deadline) = (self.exporter.clone(), Instant::now() + self.timeout);
        let sending = self.runtime.spawn(async move { exporter.carry(body, deadline).await });
        // Without a report the runtime is gone, and the process ends.
        if let Ok(report) = sending.await {
            self.tell(&report);
        }
        Ok(Response::new(Bytes::new()))
    }
}
