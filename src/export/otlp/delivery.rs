//! The order of delivery: waiting requests go first, oldest first, and a request that
//! cannot be delivered now waits.

use bytes::Bytes;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use tokio::sync::MutexGuard;
use tokio::time::Instant;

use super::backlog::Record;
use super::request::{Request, Sent, Until};
use super::settings::Compression;
use super::split::{self, Part};
use super::{Cause, Exporter, Failure, Limit, Report, Transport, encode};

impl Exporter {
    /// Sends `metrics` like [`Exporter::export_all`].
    pub async fn export(&self, metrics: &ResourceMetrics, until: impl Into<Until>) -> Report {
        self.export_all(std::slice::from_ref(metrics), until).await
    }

    /// Sends the waiting requests and then `batches`, one request after the other. The
    /// size of a request is limited before compression. Each request has the configured
    /// timeout for itself and its retries, within the limits of `until`. If the
    /// receiver may accept a request later, that request and all younger ones wait.
    pub async fn export_all(&self, batches: &[ResourceMetrics], until: impl Into<Until>) -> Report {
        let mut delivery = Delivery::begin(self, until.into()).await;
        for metrics in batches {
            let limit = usize::try_from(self.request_size.now()).unwrap_or(usize::MAX);
            let bodies = encode::encode(metrics).await.and_then(|whole| {
                split::bodies(whole, limit, self.encoding()).map_err(|error| error.to_string())
            });
            match bodies {
                Ok(bodies) => {
                    for part in bodies {
                        delivery.take(part).await;
                    }
                }
                Err(why) => delivery.fail(self.failure(Cause::Internal, &why)),
            }
        }
        delivery.end().await
    }

    /// Sends the waiting requests, by `deadline`.
    pub(super) async fn deliver_waiting(&self, deadline: Instant) -> Report {
        Delivery::begin(self, deadline.into()).await.end().await
    }

    /// Sends an encoded request of logs or traces, by `deadline`.
    pub(super) async fn carry(&self, body: Bytes, deadline: Instant) -> Report {
        let mut delivery = Delivery::begin(self, deadline.into()).await;
        match self.settings.signal.part(body, self.encoding()) {
            Ok(part) => delivery.take(part).await,
            Err(error) => delivery.fail(self.failure(Cause::Internal, &error.to_string())),
        }
        delivery.end().await
    }

    /// Divides a request into parts of at most `limit` bytes. A request that cannot be
    /// divided stays whole.
    fn divided(&self, part: Part, limit: u64) -> Vec<Part> {
        if part.points < 2 || part.body.len() as u64 <= limit {
            return vec![part];
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        self.settings.signal.smaller(&part, limit, self.encoding()).unwrap_or_else(|| vec![part])
    }
}

/// Requests that are sent one after the other.
struct Delivery<'a> {
    exporter: &'a Exporter,
    _turn: MutexGuard<'a, ()>,
    until: Until,
    report: Report,
    /// Whether requests were waiting at the start.
    is_behind: bool,
    /// Whether sending has stopped for this round.
    is_stopped: bool,
}

impl<'a> Delivery<'a> {
    async fn begin(exporter: &'a Exporter, until: Until) -> Delivery<'a> {
        let turn = exporter.turn.lock().await;
        exporter.store.tell_opened();
        let is_behind = !exporter.store.is_empty();
        let report = Report::default();
        let mut delivery = Delivery { exporter, _turn: turn, until, report, is_behind, is_stopped: false };
        delivery.drain().await;
        delivery
    }

    /// Sends a request, or lets it wait.
    async fn take(&mut self, part: Part) {
        let Exporter { store, request_size, settings, .. } = self.exporter;
        let settings = &settings.delivery;
        // With a directory, every request is written before it is sent, so that it
        // survives a kill.
        let is_direct = !self.is_stopped && settings.directory.is_none() && store.is_empty();
        if is_direct && part.body.len() as u64 <= request_size.now() {
            let body = match &self.exporter.transport {
                Transport::Grpc(_) => part.body.clone(),
                Transport::Http(http) => http.prepare(part.body.clone()),
            };
            let size = part.body.len() as u64;
            let request = Request { body, size, points: part.points, is_stored: false };
            match self.exporter.send(request, self.until).await {
                Sent::Ended(report) => return self.report.merge(report),
                Sent::Later(failure) => self.stop(failure),
                Sent::TooLarge { failure, limit } => self.tell_too_large(&failure, size, limit),
            }
        }
        for part in self.exporter.divided(part, request_size.now()) {
            self.report.lost += store.push(part).await;
        }
        // A round must not push its own requests out of the backlog.
        if store.level().bytes > settings.backlog as u64 / 2 {
            self.drain().await;
        }
    }

    /// Sends the waiting requests, oldest first.
    async fn drain(&mut self) {
        let Exporter { store, request_size, .. } = self.exporter;
        while !self.is_stopped {
            let (front, dropped) = store.front().await;
            self.report.lost += dropped;
            let Some((name, record)) = front else { return };
            let limit = request_size.now();
            if record.size > limit && self.divide(&name, &record, limit).await {
                continue;
            }
            let body = if self.leaves_compressed() {
                record.body.clone()
            } else {
                match self.plain(&name, &record).await {
                    Some(part) => part.body,
                    None => continue,
                }
            };
            let request = Request { body, size: record.size, points: record.points, is_stored: true };
            match self.exporter.send(request, self.until).await {
                Sent::Ended(report) => {
                    self.report.merge(report);
                    store.settle(name).await;
                }
                Sent::Later(failure) => self.stop(failure),
                Sent::TooLarge { failure, limit } => {
                    self.tell_too_large(&failure, record.size, limit);
                    if !self.divide(&name, &record, limit).await {
                        self.exporter.stats.lost(failure.error_type(), record.points);
                        self.report.lost += record.points;
                        self.fail(failure);
                        store.settle(name).await;
                    }
                }
            }
        }
    }

    /// Whether a record is sent in the form in which it waits.
    fn leaves_compressed(&self) -> bool {
        self.exporter.settings.compression == Compression::Gzip
            && matches!(self.exporter.transport, Transport::Http(_))
    }

    /// Returns the oldest record as it was before compression. A damaged record is
    /// dropped.
    async fn plain(&mut self, name: &str, record: &Record) -> Option<Part> {
        let part = self.exporter.store.plain(record).await;
        if part.is_none() {
            self.report.lost += self.exporter.store.discard(name.to_owned()).await;
        }
        part
    }

    /// Replaces the oldest record with parts of at most `limit` bytes. Returns whether
    /// the record was replaced or dropped; it may be too small to divide.
    async fn divide(&mut self, name: &str, record: &Record, limit: u64) -> bool {
        let Some(part) = self.plain(name, record).await else { return true };
        let parts = self.exporter.divided(part, limit);
        if parts.len() < 2 {
            return false;
        }
        self.report.lost += self.exporter.store.divide(name.to_owned(), parts, record.at).await;
        true
    }

    async fn end(mut self) -> Report {
        self.drain().await;
        self.report.waiting = self.exporter.store.level().points;
        self.report
    }

    fn fail(&mut self, failure: Failure) {
        self.report.failure.get_or_insert(failure);
    }

    fn stop(&mut self, failure: Failure) {
        self.is_stopped = true;
        // A backlog that takes more than one round is not a failure.
        let is_late = failure.attempts == 0 && failure.limit == Some(Limit::Round);
        if !(is_late && self.is_behind && self.report.accepted > 0) {
            self.fail(failure);
        }
    }

    fn tell_too_large(&self, failure: &Failure, size: u64, limit: u64) {
        let settings = &self.exporter.settings;
        tracing::warn!(
            "{} ({}) finds a request of {size} bytes too large: {failure}. Requests have {limit} bytes at \
             most from now on; otlp_max_request_size sets that from the start",
            settings.endpoint,
            settings.protocol
        );
    }
}
