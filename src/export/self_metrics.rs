//! The bridge's metrics about itself. They are collected once for each scrape and each
//! round of push, through separate providers, so that their number does not grow with
//! the targets.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::InstrumentationScope;
use opentelemetry::metrics::{Histogram, MeterProvider};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{Aggregation, Instrument, InstrumentKind, SdkMeterProvider, Stream};
use prometheus::Registry;
use prometheus::proto::MetricFamily;

use crate::endpoint::Endpoint;
use crate::instruments::{self, Pinned, pushed_scope};
use crate::log_once::LogOnce;
use crate::log_queue;
use crate::metrics::{BUILD_INFO, Label, Read, Timing, of, rows};
use crate::outcome::Outcome;
use crate::process;
use crate::snapshot::{BridgeFacts, Build, ClientLimit, Component, Configured, ExporterName};

use super::otlp::{Exporter, Operation, Signal};
use super::pipeline::SharedReader;
use super::probed::ProbeStats;
use super::prometheus::{PullError, reader, scope};
use super::telemetry::Exported;

/// `otel.component.type`, and `otel.component.name` of the first of this type.
macro_rules! first_of {
    ($kind:literal) => {
        ($kind, concat!($kind, "/0"))
    };
}

mod pushing;

pub use pushing::Pushing;

/// The values of `OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistogramAggregation {
    /// Buckets with explicit bounds.
    Explicit,
    /// Buckets whose bounds are powers of a base.
    Exponential,
}

/// The version and origin of this binary.
pub const BUILD: Build = Build {
    version: env!("CARGO_PKG_VERSION"),
    revision: env!("BUILT_REVISION"),
    rustc: env!("BUILT_RUSTC"),
};

/// Measures the bridge and reports the measurements.
#[derive(Debug)]
pub struct SelfMetrics {
    began: Instant,
    targets: AtomicUsize,
    configured: Mutex<Option<Configured>>,
    client_limits: [AtomicU64; ClientLimit::ALL.len()],
    pushing: Vec<Pushing>,
    probes: OnceLock<Arc<ProbeStats>>,
    pull: Option<(Output, Registry)>,
    push: Option<(Output, SharedReader)>,
}

/// What reads instruments out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// The reader for `/metrics`.
    Pull,
    /// The reader for push.
    Push,
}

impl Reader {
    /// The type and name by the semantic conventions.
    fn component(self) -> (&'static str, &'static str) {
        match self {
            Reader::Pull => first_of!("prometheus_http_text_metric_exporter"),
            Reader::Push => first_of!("periodic_metric_reader"),
        }
    }
}

/// On which sides the bridge reports itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outputs<'a> {
    /// Set if `/metrics` is served: whether series carry `otel_scope_*` labels.
    pub pull: Option<bool>,
    /// The exporter that pushes, and the kind of histograms that it receives.
    pub push: Option<(&'a Exporter, HistogramAggregation)>,
    /// The bridge's own log records and spans that are exported.
    pub telemetry: &'a [Exported],
    /// Metrics that the configuration excludes.
    pub left_out: Option<&'a BTreeSet<&'static str>>,
}

impl SelfMetrics {
    /// Starts measuring.
    ///
    /// # Errors
    ///
    /// When the Prometheus exporter cannot be created.
    pub fn new(
        resource: &Resource,
        targets: usize,
        sides: Outputs<'_>,
    ) -> Result<Arc<SelfMetrics>, PullError> {
        let pull = match sides.pull {
            Some(scope_labels) => {
                let registry = Registry::new();
                // The targets' exporter already writes `target_info`.
                let reader = reader(&registry, scope_labels, false)?;
                Some((
                    Output::new(reader, resource, scope(), HistogramAggregation::Explicit, sides.left_out),
                    registry,
                ))
            }
            None => None,
        };
        let push = sides.push.map(|(exporter, histograms)| {
            let reader = SharedReader::new(exporter.temporality());
            (Output::new(reader.clone(), resource, pushed_scope(), histograms, sides.left_out), reader)
        });
        let metrics = sides.push.map(|(exporter, _)| Pushing::new(exporter, None));
        let others = sides.telemetry.iter();
        let others = others.map(|signal| Pushing::new(signal.exporter(), Some(signal.queue().clone())));
        let pushing: Vec<Pushing> = metrics.into_iter().chain(others).collect();
        let client_limits = Default::default();
        let (began, targets, configured) = (Instant::now(), AtomicUsize::new(targets), Mutex::default());
        let probes = OnceLock::new();
        let own =
            Arc::new(SelfMetrics { began, targets, configured, client_limits, pushing, probes, pull, push });
        for Pushing { stats, component, .. } in &own.pushing {
            // A weak reference: the listener is part of the statistics that it would
            // own.
            let (listener, component) = (Arc::downgrade(&own), component.clone());
            stats.listen(move |operation| {
                if let Some(own) = listener.upgrade() {
                    own.exported(&component, operation);
                }
            });
        }
        Ok(own)
    }

    /// Collects for `/metrics`. Blocks: do not call it on an async thread.
    #[must_use]
    pub fn gather(&self) -> Vec<MetricFamily> {
        let gather = |(side, registry): &(Output, Registry)| {
            let families = side.with(self.facts(), || registry.gather());
            let is_lost = families.is_empty() && side.tells_build;
            side.record_outcome(&if is_lost { Err("the SDK returned nothing") } else { Ok(()) });
            families
        };
        self.pull.as_ref().map(gather).unwrap_or_default()
    }

    /// Collects for push. Blocks: do not call it on an async thread.
    #[must_use]
    pub fn collect(&self) -> Option<ResourceMetrics> {
        let (side, reader) = self.push.as_ref()?;
        let mut metrics = ResourceMetrics::default();
        side.record_outcome(&side.with(self.facts(), || reader.collect(&mut metrics))).then_some(metrics)
    }

    /// Records the duration of a collection.
    pub fn collected(&self, exporter: ExporterName, took: Duration) {
        self.record(Timing::Collection, took, &[("fedimeter.exporter.name", Label::Static(exporter.name()))]);
    }

    /// Records how long a reader took to read the targets' instruments, or how it
    /// failed.
    pub fn read_out(&self, reader: Reader, took: Duration, error_type: Option<&'static str>) {
        let (kind, name) = reader.component();
        let mut labels =
            vec![("otel.component.name", Label::Static(name)), ("otel.component.type", Label::Static(kind))];
        labels.extend(error_type.map(|error| ("error.type", Label::Static(error))));
        self.record(Timing::Reading, took, &labels);
    }

    /// Records a request for an endpoint of a target, with its duration.
    pub fn requested(&self, endpoint: Endpoint, outcome: Outcome, took: Duration) {
        let mut labels = vec![
            ("fedimeter.endpoint.name", Label::Static(endpoint.name())),
            ("fedimeter.request.outcome", Label::Static(outcome.class())),
        ];
        if let Outcome::Failed(error) = outcome {
            labels.push(("error.type", Label::Static(error.name())));
        }
        self.record(Timing::Request, took, &labels);
    }

    /// Counts that a client of the bridge reached a limit.
    pub fn client_reached(&self, limit: ClientLimit) {
        self.client_limits[limit as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// The time since measuring started.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// Sets the number of targets.
    pub fn has_targets(&self, targets: usize) {
        self.targets.store(targets, Ordering::Relaxed);
    }

    /// Sets what the bridge reports about its configuration.
    pub fn configured(&self, with: Configured) {
        *self.configured.lock().unwrap_or_else(PoisonError::into_inner) = Some(with);
    }

    /// From now on probing is reported, too.
    pub fn has_probes(&self, stats: Arc<ProbeStats>) {
        // There is one prober.
        let _ = self.probes.set(stats);
    }

    fn exported(&self, component: &Component, operation: &Operation) {
        let mut labels = of(component).to_vec();
        let text = |key, value: Option<&'static str>| value.map(|value| (key, Label::Static(value)));
        labels.extend(text("error.type", operation.error_type));
        labels.extend(text("rpc.status_code", operation.grpc_code_name()));
        let status = operation.http_status.map(i64::from);
        labels.extend(status.map(|status| ("http.response.status_code", Label::Int(status))));
        self.record(Timing::Export, operation.duration, &labels);
    }

    fn record(&self, timing: Timing, took: Duration, labels: &[(&'static str, Label)]) {
        let attributes = instruments::attributes(labels);
        let sides = self.pull.iter().map(|(side, _)| side).chain(self.push.iter().map(|(side, _)| side));
        for histogram in sides.filter_map(|side| side.histograms.get(&timing)) {
            histogram.record(took.as_secs_f64(), &attributes);
        }
    }

    /// The exporter that pushes this signal, if there is one.
    #[must_use]
    pub fn pushing(&self, signal: Signal) -> Option<&Pushing> {
        self.pushing.iter().find(|pushing| pushing.signal == signal)
    }

    /// The current state of the bridge.
    #[must_use]
    pub fn facts(&self) -> BridgeFacts {
        let facts = |signal| self.pushing(signal).map(Pushing::facts);
        BridgeFacts {
            build: BUILD,
            targets: self.targets.load(Ordering::Relaxed),
            configured: self.configured.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            push: facts(Signal::Metrics),
            logs: facts(Signal::Logs),
            spans: facts(Signal::Traces),
            client_limits: self.pull.is_some().then(|| {
                let count = |limit: ClientLimit| self.client_limits[limit as usize].load(Ordering::Relaxed);
                ClientLimit::ALL.map(|limit| (limit, count(limit)))
            }),
            probes: self.probes.get().map(|probes| probes.facts()),
            lost_log_lines: log_queue::lost(),
            process: process::facts(self.began),
        }
    }
}

/// A provider: each side has one, because they differ in their histograms.
#[derive(Debug)]
struct Output {
    /// What the callbacks read while a collection runs.
    facts: Arc<Pinned<BridgeFacts>>,
    /// Allows one collection at a time.
    turn: Mutex<()>,
    failing: LogOnce,
    /// The build is always there, where it is wanted.
    tells_build: bool,
    histograms: HashMap<Timing, Histogram<f64>>,
    /// Keeps the provider alive: readers hold it only weakly.
    _provider: SdkMeterProvider,
}

impl Output {
    fn new(
        reader: impl MetricReader,
        resource: &Resource,
        scope: InstrumentationScope,
        histograms: HistogramAggregation,
        left_out: Option<&BTreeSet<&'static str>>,
    ) -> Output {
        let builder = SdkMeterProvider::builder().with_resource(resource.clone()).with_reader(reader);
        let provider = match histograms {
            HistogramAggregation::Explicit => builder.build(),
            HistogramAggregation::Exponential => builder.with_view(exponential).build(),
        };
        let meter = provider.meter_with_scope(scope);
        let facts = Arc::<Pinned<BridgeFacts>>::default();
        let mut histograms = HashMap::new();
        let is_wanted = |name: &str| !left_out.is_some_and(|names| names.contains(name));
        for row in rows().filter(|row| row.is_own() && is_wanted(row.name)) {
            if let Read::Recorded(timing) = row.read {
                histograms.insert(timing, instruments::histogram(&meter, row, timing));
                continue;
            }
            let facts = facts.clone();
            instruments::observable(&meter, row, row.description, move |observe| {
                let Some(facts) = facts.get() else { return };
                row.own_points(&facts, &mut |value, labels| observe(value, &instruments::attributes(labels)));
            });
        }
        Output {
            facts,
            turn: Mutex::default(),
            failing: LogOnce::default(),
            tells_build: is_wanted(BUILD_INFO),
            histograms,
            _provider: provider,
        }
    }

    /// Runs `read` while the callbacks see these facts.
    fn with<T>(&self, facts: BridgeFacts, read: impl FnOnce() -> T) -> T {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.facts.with(Arc::new(facts), read)
    }

    /// Logs a change in the outcome of collections. Returns whether this one succeeded.
    fn record_outcome(&self, ended: &Result<(), impl std::fmt::Display>) -> bool {
        match ended {
            Err(e) if self.failing.begins() => tracing::error!(
                "the bridge's own metrics are lost, the SDK does not collect them: {e}; restart fedimeter, \
                 and please report this"
            ),
            Ok(()) if self.failing.ends() => tracing::info!("the bridge's own metrics are collected again"),
            _ => {}
        }
        ended.is_ok()
    }
}

/// The aggregation `base2_exponential_bucket_histogram` of the specification, with its
/// default size and scale.
fn exponential(instrument: &Instrument) -> Option<Stream> {
    let aggregation =
        Aggregation::Base2ExponentialHistogram { max_size: 160, max_scale: 20, record_min_max: true };
    let histogram = instrument.kind() == InstrumentKind::Histogram;
    histogram.then(|| Stream::builder().with_aggregation(aggregation).build().ok()).flatten()
}
