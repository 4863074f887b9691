//! The queue between log records or spans and their batches. The SDK's processors drop
//! items when their queue is full, and provide no count of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::logs::LogRecord;
use opentelemetry::trace::SpanId;
use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter, LogProcessor, SdkLogRecord};
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};

/// Room that is reserved for root spans, because a root span says what its trace is
/// about.
const RESERVED_FOR_ROOTS: u64 = 16;

/// Counts the items between the program and its batches.
#[derive(Debug)]
pub struct Queue {
    max: u64,
    held: AtomicU64,
    handed_over: AtomicU64,
    dropped: AtomicU64,
}

impl Queue {
    /// Creates a queue for `max` items, the size of the SDK's own queue.
    #[must_use]
    pub fn new(max: usize) -> Arc<Queue> {
        Arc::new(Queue {
            max: max as u64,
            held: AtomicU64::new(0),
            handed_over: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        })
    }

    /// Items that were handed to the exporter since the start.
    #[must_use]
    pub fn handed_over(&self) -> u64 {
        self.handed_over.load(Ordering::Relaxed)
    }

    /// Items that were lost since the start because the queue was full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Takes a place in the queue. Returns false if the queue is full.
    fn takes(&self, has_reserve: bool) -> bool {
        let limit = if has_reserve { self.max } else { self.max - self.max / RESERVED_FOR_ROOTS };
        let one_more = |held: u64| (held < limit).then_some(held + 1);
        let takes = self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok();
        if !takes {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        takes
    }

    fn hands_over(&self, items: usize) {
        let items = items as u64;
        self.handed_over.fetch_add(items, Ordering::Relaxed);
        let less = |held: u64| Some(held.saturating_sub(items));
        let _ = self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

/// A processor before the queue, or an exporter behind it.
#[derive(Debug)]
pub struct Queued<T> {
    pub inner: T,
    pub queue: Arc<Queue>,
}

impl<P: SpanProcessor> SpanProcessor for Queued<P> {
    fn on_start(&self, span: &mut Span, cx: &Context) {
        self.inner.on_start(span, cx);
    }

    fn on_end(&self, span: SpanData) {
        if self.queue.takes(span.parent_span_id == SpanId::INVALID) {
            self.inner.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl<E: SpanExporter> SpanExporter for Queued<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.queue.hands_over(batch.len());
        self.inner.export(batch).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// A processor of log records before the queue. It sets this program's scope.
#[derive(Debug)]
pub struct QueuedLogs<P> {
    pub inner: P,
    pub queue: Arc<Queue>,
    pub scope: InstrumentationScope,
}

impl<P: LogProcessor> LogProcessor for QueuedLogs<P> {
    fn emit(&self, record: &mut SdkLogRecord, _: &InstrumentationScope) {
        if self.queue.takes(true) {
            // `tracing` names an event by its place in the source, but OpenTelemetry by
            // what happened.
            record.set_event_name("");
            self.inner.emit(record, &self.scope);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl<E: LogExporter> LogExporter for Queued<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        self.queue.hands_over(batch.iter().count());
        self.inner.export(batch).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_drops_and_counts_but_has_room_for_roots() {
        let queue = Queue::new(32);
        let taken = |is_root| (0..100).filter(|_| queue.takes(is_root)).count();
        assert_eq!((taken(false), queue.dropped()), (30, 70));
        assert_eq!((taken(true), queue.dropped()), (2, 168));
        queue.hands_over(20);
        assert_eq!((taken(true), queue.handed_over()), (20, 20));
    }
}
