//! The bridge's own logs and traces over OTLP. Events and spans of `tracing` become
//! records and spans of the SDK, whose batches use the same transport as metrics.

mod queue;
mod sampler;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::InstrumentationScope;
use opentelemetry::trace::TracerProvider;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_http::HttpClient;
use opentelemetry_otlp::{
    HttpExporterBuilderSet, LogExporter, LogExporterBuilder, SpanExporter, SpanExporterBuilder,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{BatchLogProcessor, SdkLoggerProvider};
use opentelemetry_sdk::trace::{BatchSpanProcessor, Sampler, SdkTracerProvider, SpanLimits};
use opentelemetry_sdk::{logs, trace};
use tracing::Metadata;
use tracing_subscriber::filter::{EnvFilter, FilterExt, FilterFn};
use tracing_subscriber::{Layer, Registry};

use super::otlp::{Carrier, DeliverySettings, Exporter, OtlpError, OtlpSettings, over};
use crate::instruments::SCOPE;
use crate::metrics::SCHEMA_URL;
use queue::{Queued, QueuedLogs};
use sampler::TargetSampler;

pub use queue::Queue;
pub use settings::{BatchSettings, Sampling, SignalSettings, TelemetrySettings};

/// Only events and spans of this program are exported. Those of the libraries that send
/// them would cause further ones without end, and so would those of our own OTLP code.
const EXPORTED: &str = "fedimeter";
const CARRIES: &str = "fedimeter::export::otlp";

/// How long closing the backlogs may take, after everything else.
const BACKLOG_CLOSE_TIMEOUT: Duration = Duration::from_millis(80);

/// A layer that receives the events and spans of `tracing`.
pub type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// The providers of logs and traces that are exported.
#[derive(Debug, Default, Clone)]
pub struct Telemetry {
    logs: Option<SdkLoggerProvider>,
    traces: Option<SdkTracerProvider>,
    signals: Vec<Exported>,
}

/// A signal that is exported.
#[derive(Debug, Clone)]
pub struct Exported {
    /// Sends its batches.
    carrier: Arc<Carrier>,
    /// The items that are not in a batch yet.
    queue: Arc<Queue>,
}

impl Exported {
    /// The exporter that sends its items.
    #[must_use]
    pub fn exporter(&self) -> &Exporter {
        self.carrier.exporter()
    }

    /// The queue before the exporter.
    #[must_use]
    pub fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }
}

impl Telemetry {
    /// Starts a thread for each exported signal, which builds batches. The batches are
    /// sent on the current Tokio runtime.
    ///
    /// # Errors
    ///
    /// When a certificate, a key or the directory of the backlog cannot be used.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    pub fn start(
        settings: &TelemetrySettings,
        delivery: &DeliverySettings,
        resource: &Resource,
        targets: usize,
    ) -> Result<Telemetry, OtlpError> {
        let TelemetrySettings { logs, traces, sampling } = settings;
        let mut telemetry = Telemetry::default();
        if logs.is_on {
            let signal = telemetry.exported(logs, delivery)?;
            telemetry.logs = Some(start_logs(logs, &signal, resource)?);
        }
        if traces.is_on {
            let signal = telemetry.exported(traces, delivery)?;
            telemetry.traces = Some(start_traces(traces, &signal, *sampling, resource, targets)?);
        }
        Ok(telemetry)
    }

    /// The exported signals.
    #[must_use]
    pub fn signals(&self) -> &[Exported] {
        &self.signals
    }

    fn exported(
        &mut self,
        settings: &SignalSettings,
        delivery: &DeliverySettings,
    ) -> Result<Exported, OtlpError> {
        let otlp = OtlpSettings { delivery: delivery.clone(), ..settings.otlp.clone() };
        let mut exporter = Exporter::build(&otlp)?;
        exporter.open_backlog()?;
        let carrier = Arc::new(Carrier::new(exporter, settings.batch.timeout));
        let signal = Exported { carrier, queue: Queue::new(settings.batch.max_queue) };
        self.signals.push(signal.clone());
        Ok(signal)
    }

    /// The layers that pass events and spans on. Events are limited to those that the
    /// filter and these directives allow.
    #[must_use]
    pub fn layers(&self, directives: &str) -> Vec<BoxedLayer> {
        let logs = self.logs.as_ref().map(|provider| {
            // `tracing::enabled!` asks without an event, and `tracing` reuses the
            // answer for the event that follows.
            let of_ours = FilterFn::new(|metadata| !metadata.is_span() && is_exported(metadata));
            OpenTelemetryTracingBridge::new(provider)
                .with_filter(EnvFilter::new(directives).and(of_ours))
                .boxed()
        });
        let traces = self.traces.as_ref().map(|provider| {
            tracing_opentelemetry::layer()
                .with_tracer(provider.tracer_with_scope(scope()))
                .with_location(false)
                .with_threads(false)
                .with_target(false)
                .with_tracked_inactivity(false)
                .with_filter(FilterFn::new(|metadata| metadata.is_span() && is_exported(metadata)))
                .boxed()
        });
        traces.into_iter().chain(logs).collect()
    }

    /// Starts sending the waiting items, without waiting for the result.
    pub fn flush(&self) {
        self.each(|logs| drop(logs.force_flush()), |traces| drop(traces.force_flush()));
    }

    /// Sends the waiting items within this time, and stops. The rest is lost.
    pub async fn end(&self, within: Duration) {
        // The carrier and this function log failures. The SDK gets a longer limit so
        // that it does not log them, too.
        let limit = within * 10;
        let ended = self.each(
            move |logs| drop(logs.shutdown_with_timeout(limit)),
            move |traces| drop(traces.shutdown_with_timeout(limit)),
        );
        let ended = futures_util::future::join_all(ended);
        if tokio::time::timeout(within, ended).await.is_err() {
            tracing::warn!(
                "the last log records or spans are lost: they were not accepted within {within:?} of the \
                 shutdown"
            );
        }
        let ends = futures_util::future::join_all(self.signals.iter().map(|signal| signal.carrier.end()));
        let _ = tokio::time::timeout(BACKLOG_CLOSE_TIMEOUT, ends).await;
    }

    /// Runs a blocking function with each provider, on blocking threads.
    fn each(
        &self,
        to_logs: impl FnOnce(&SdkLoggerProvider) + Send + 'static,
        to_traces: impl FnOnce(&SdkTracerProvider) + Send + 'static,
    ) -> Vec<tokio::task::JoinHandle<()>> {
        let logs = self.logs.clone().map(|logs| tokio::task::spawn_blocking(move || to_logs(&logs)));
        let traces = self.traces.clone();
        let traces = traces.map(|traces| tokio::task::spawn_blocking(move || to_traces(&traces)));
        logs.into_iter().chain(traces).collect()
    }
}

fn is_exported(metadata: &Metadata<'_>) -> bool {
    let is_within = |module: &str| {
        metadata.target().strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    is_within(EXPORTED) && !is_within(CARRIES)
}

fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(SCOPE)
        .with_version(env!("CARGO_PKG_VERSION"))
        .with_schema_url(SCHEMA_URL)
        .build()
}

fn unusable(error: impl std::fmt::Display) -> OtlpError {
    OtlpError::Client(error.to_string())
}

fn start_logs(
    settings: &SignalSettings,
    signal: &Exported,
    resource: &Resource,
) -> Result<SdkLoggerProvider, OtlpError> {
    let carrier: Arc<dyn HttpClient> = signal.carrier.clone();
    let exporter = over(
        &carrier,
        || LogExporter::builder().with_http(),
        LogExporterBuilder::<HttpExporterBuilderSet>::build,
    );
    let BatchSettings { delay, max_queue, max_batch, .. } = settings.batch;
    let batch = logs::BatchConfigBuilder::default()
        .with_scheduled_delay(delay)
        .with_max_queue_size(max_queue)
        .with_max_export_batch_size(max_batch)
        .build();
    let queue = signal.queue.clone();
    let exporter = Queued { inner: exporter.map_err(unusable)?, queue: queue.clone() };
    let inner = BatchLogProcessor::builder(exporter).with_batch_config(batch).build();
    let processor = QueuedLogs { inner, queue, scope: scope() };
    Ok(SdkLoggerProvider::builder().with_resource(resource.clone()).with_log_processor(processor).build())
}

fn start_traces(
    settings: &SignalSettings,
    signal: &Exported,
    sampling: Sampling,
    resource: &Resource,
    targets: usize,
) -> Result<SdkTracerProvider, OtlpError> {
    let carrier: Arc<dyn HttpClient> = signal.carrier.clone();
    let exporter = over(
        &carrier,
        || SpanExporter::builder().with_http(),
        SpanExporterBuilder::<HttpExporterBuilderSet>::build,
    );
    let BatchSettings { delay, max_queue, max_batch, .. } = settings.batch;
    let batch = trace::BatchConfigBuilder::default()
        .with_scheduled_delay(delay)
        .with_max_queue_size(max_queue)
        .with_max_export_batch_size(max_batch)
        .build();
    let queue = signal.queue.clone();
    let exporter = Queued { inner: exporter.map_err(unusable)?, queue: queue.clone() };
    let inner = BatchSpanProcessor::builder(exporter).with_batch_config(batch).build();
    let processor = Queued { inner, queue };
    let builder = SdkTracerProvider::builder()
        .with_resource(resource.clone())
        // Without explicit limits the SDK would read the environment.
        .with_span_limits(SpanLimits::default())
        .with_span_processor(processor);
    Ok(match sampling {
        Sampling::Targets(kept) => builder.with_sampler(TargetSampler::new(kept, targets)),
        Sampling::All => builder.with_sampler(Sampler::AlwaysOn),
        Sampling::None => builder.with_sampler(Sampler::AlwaysOff),
        Sampling::Ratio(share) => {
            builder.with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(share))))
        }
    }
    .build())
}
