//! The bridge's metrics about itself: once a scrape and once a round of push,
//! from providers of their own, so that no number of targets multiplies them.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter, MeterProvider};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{Aggregation, Instrument, InstrumentKind, SdkMeterProvider, Stream};
use prometheus::Registry;
use prometheus::proto::MetricFamily;

use crate::config::otel::HistogramAggregation;
use crate::endpoint::Endpoint;
use crate::instruments::{SCOPE, key_value};
use crate::logging::Spell;
use crate::metrics::bridge::{COLLECTION_DURATION, OPERATION_DURATION, REQUEST_DURATION, of};
use crate::metrics::{Kind, Label, Read, Row, rows};
use crate::outcome::Outcome;
use crate::process;
use crate::snapshot::{BridgeFacts, Build, Component, ExporterName, PushFacts};

use super::otlp::{Endpoint as OtlpEndpoint, Exporter, Operation, OtlpSettings, Protocol, PushStats};
use super::pipeline::SharedReader;
use super::prometheus::{PullError, reader};

/// What this binary was built from.
pub const BUILD: Build = Build {
    version: env!("CARGO_PKG_VERSION"),
    revision: env!("FEDIMETER_REVISION"),
    rustc: env!("FEDIMETER_RUSTC"),
};

/// Bounds of buckets in seconds: those that the semantic conventions give to
/// durations of HTTP requests.
const BOUNDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Measures the bridge, and reports it.
#[derive(Debug)]
pub struct Own {
    began: Instant,
    targets: usize,
    pushing: Option<Pushing>,
    pull: Option<(Side, Registry)>,
    push: Option<(Side, SharedReader)>,
}

/// An exporter that pushes, and how it fares.
#[derive(Debug)]
pub struct Pushing {
    /// As the semantic conventions describe it.
    pub component: Component,
    /// Where it sends to; it shows without what may be secret in it.
    pub endpoint: OtlpEndpoint,
    /// What it speaks.
    pub protocol: Protocol,
    /// What became of its points.
    pub stats: Arc<PushStats>,
}

/// On which sides the bridge reports itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sides<'a> {
    /// `/metrics`, and whether it carries `otel_scope_*` labels.
    pub pull: Option<bool>,
    /// The exporter that pushes, and the kind of histograms that it gets.
    pub push: Option<(&'a Exporter, HistogramAggregation)>,
}

impl Own {
    /// Begins to measure.
    ///
    /// # Errors
    ///
    /// The Prometheus exporter cannot be set up.
    pub fn new(resource: &Resource, targets: usize, sides: Sides<'_>) -> Result<Arc<Own>, PullError> {
        let pull = match sides.pull {
            Some(scope_labels) => {
                let registry = Registry::new();
                // The targets' side tells `target_info`.
                let reader = reader(&registry, scope_labels, false)?;
                Some((Side::new(reader, resource, HistogramAggregation::Explicit), registry))
            }
            None => None,
        };
        let push = sides.push.map(|(exporter, histograms)| {
            let reader = SharedReader::new(exporter.temporality());
            (Side::new(reader.clone(), resource, histograms), reader)
        });
        let pushing = sides.push.map(|(exporter, _)| Pushing {
            component: component(exporter.settings()),
            endpoint: exporter.settings().endpoint.clone(),
            protocol: exporter.settings().protocol,
            stats: exporter.stats().clone(),
        });
        let own = Arc::new(Own { began: Instant::now(), targets, pushing, pull, push });
        if let Some(Pushing { stats, .. }) = &own.pushing {
            // Weakly: the statistics are in what listens to them.
            let listener = Arc::downgrade(&own);
            stats.listen(move |operation| {
                if let Some(own) = listener.upgrade() {
                    own.exported(operation);
                }
            });
        }
        Ok(own)
    }

    /// For `/metrics`. Blocks: not for an async thread.
    #[must_use]
    pub fn gather(&self) -> Vec<MetricFamily> {
        let gather = |(side, registry): &(Side, Registry)| {
            let families = side.with(self.facts(), || registry.gather());
            // The build is always there.
            side.went(&if families.is_empty() { Err("it gave nothing") } else { Ok(()) });
            families
        };
        self.pull.as_ref().map(gather).unwrap_or_default()
    }

    /// For push. Blocks: not for an async thread.
    #[must_use]
    pub fn collect(&self) -> Option<ResourceMetrics> {
        let (side, reader) = self.push.as_ref()?;
        let mut metrics = ResourceMetrics::default();
        side.went(&side.with(self.facts(), || reader.collect(&mut metrics))).then_some(metrics)
    }

    /// A collection took so long.
    pub fn collected(&self, exporter: ExporterName, took: Duration) {
        self.record(
            COLLECTION_DURATION,
            took,
            &[("fedimeter.exporter.name", Label::Static(exporter.name()))],
        );
    }

    /// An endpoint of a target was asked for, and that took so long.
    pub fn requested(&self, endpoint: Endpoint, outcome: Outcome, took: Duration) {
        let mut labels = vec![
            ("fedimeter.endpoint.name", Label::Static(endpoint.name())),
            ("fedimeter.request.outcome", Label::Static(outcome.class())),
        ];
        if let Outcome::Failed(error) = outcome {
            labels.push(("error.type", Label::Static(error.name())));
        }
        self.record(REQUEST_DURATION, took, &labels);
    }

    fn exported(&self, operation: &Operation) {
        let Some(Pushing { component, .. }) = &self.pushing else { return };
        let mut labels = of(component).to_vec();
        let text = |key, value: Option<&'static str>| value.map(|value| (key, Label::Static(value)));
        labels.extend(text("error.type", operation.error_type));
        labels.extend(text("rpc.status_code", operation.grpc_code_name()));
        let status = operation.http_status.map(i64::from);
        labels.extend(status.map(|status| ("http.response.status_code", Label::Int(status))));
        self.record(OPERATION_DURATION, operation.duration, &labels);
    }

    fn record(&self, row: &str, took: Duration, labels: &[(&'static str, Label)]) {
        let attributes = attributes(labels);
        let sides = self.pull.iter().map(|(side, _)| side).chain(self.push.iter().map(|(side, _)| side));
        for histogram in sides.filter_map(|side| side.histograms.get(row)) {
            histogram.record(took.as_secs_f64(), &attributes);
        }
    }

    /// The exporter that pushes, where one does.
    #[must_use]
    pub fn pushing(&self) -> Option<&Pushing> {
        self.pushing.as_ref()
    }

    /// The bridge as it is now.
    #[must_use]
    pub fn facts(&self) -> BridgeFacts {
        BridgeFacts {
            build: BUILD,
            targets: self.targets,
            push: self.pushing.as_ref().map(|Pushing { component, stats, .. }| PushFacts {
                component: component.clone(),
                in_flight: stats.in_flight(),
                points: stats.outcomes().into_iter().map(|(error, o)| (error, o.points)).collect(),
            }),
            process: process::facts(self.began),
        }
    }
}

fn component(settings: &OtlpSettings) -> Component {
    let (kind, name) = match settings.protocol {
        Protocol::Grpc => ("otlp_grpc_metric_exporter", "otlp_grpc_metric_exporter/0"),
        Protocol::HttpProtobuf => ("otlp_http_metric_exporter", "otlp_http_metric_exporter/0"),
        Protocol::HttpJson => ("otlp_http_json_metric_exporter", "otlp_http_json_metric_exporter/0"),
    };
    let url = settings.endpoint.url();
    let address = url.host_str().unwrap_or_default().trim_matches(['[', ']']).into();
    Component { kind, name, address, port: url.port_or_known_default().unwrap_or_default() }
}

/// A provider: each side has one, because they differ in their histograms.
#[derive(Debug)]
struct Side {
    /// What the callbacks read while a collection runs.
    facts: Facts,
    /// One collection at a time.
    turn: Mutex<()>,
    failing: Spell,
    histograms: HashMap<&'static str, Histogram<f64>>,
    /// Readers know their provider only weakly.
    _provider: SdkMeterProvider,
}

type Facts = Arc<Mutex<Option<Arc<BridgeFacts>>>>;

impl Side {
    fn new(reader: impl MetricReader, resource: &Resource, histograms: HistogramAggregation) -> Side {
        let builder = SdkMeterProvider::builder().with_resource(resource.clone()).with_reader(reader);
        let provider = match histograms {
            HistogramAggregation::Explicit => builder.build(),
            HistogramAggregation::Exponential => builder.with_view(exponential).build(),
        };
        let meter = provider.meter(SCOPE);
        let facts = Facts::default();
        let mut histograms = HashMap::new();
        for row in rows().filter(|row| row.is_own()) {
            if row.kind == Kind::Histogram {
                let builder = meter.f64_histogram(row.name).with_unit(row.unit);
                let builder = builder.with_description(row.description).with_boundaries(BOUNDS.to_vec());
                histograms.insert(row.name, builder.build());
            } else {
                observe(&meter, row, &facts);
            }
        }
        Side { facts, turn: Mutex::default(), failing: Spell::default(), histograms, _provider: provider }
    }

    /// Runs `read` with these facts in the callbacks' sight.
    fn with<T>(&self, facts: BridgeFacts, read: impl FnOnce() -> T) -> T {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        *self.facts.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(facts));
        read()
    }

    /// Says how a collection ended, where that is news; whether it went well.
    fn went(&self, ended: &Result<(), impl std::fmt::Display>) -> bool {
        match ended {
            Err(e) if self.failing.begins() => tracing::error!(
                "the bridge's own metrics are lost, the SDK does not collect them: {e}; restart fedimeter, and please report this"
            ),
            Ok(()) if self.failing.ends() => tracing::info!("the bridge's own metrics are collected again"),
            _ => {}
        }
        ended.is_ok()
    }
}

/// The aggregation of the specification's `base2_exponential_bucket_histogram`,
/// with its default size and scale.
fn exponential(instrument: &Instrument) -> Option<Stream> {
    let aggregation =
        Aggregation::Base2ExponentialHistogram { max_size: 160, max_scale: 20, record_min_max: true };
    let histogram = instrument.kind() == InstrumentKind::Histogram;
    histogram.then(|| Stream::builder().with_aggregation(aggregation).build().ok()).flatten()
}

/// Makes a row's observable instrument.
fn observe(meter: &Meter, row: &'static Row, facts: &Facts) {
    let call = Call { row, facts: facts.clone(), panics: Spell::default() };
    let (name, unit, says) = (row.name, row.unit, row.description);
    match (row.kind, row.read) {
        (Kind::Gauge, Read::OwnInts(read)) => {
            let builder = meter.i64_observable_gauge(name).with_unit(unit).with_description(says);
            builder.with_callback(move |to| call.run(read, |n, a| to.observe(n, a))).build();
        }
        (Kind::Gauge, Read::OwnFloats(read)) => {
            let builder = meter.f64_observable_gauge(name).with_unit(unit).with_description(says);
            builder.with_callback(move |to| call.run(read, |n, a| to.observe(n, a))).build();
        }
        (Kind::Counter, Read::OwnInts(read)) => {
            let builder = meter.u64_observable_counter(name).with_unit(unit).with_description(says);
            builder.with_callback(move |to| call.run(read, |n, a| to.observe(n.max(0) as u64, a))).build();
        }
        (Kind::Counter, Read::OwnFloats(read)) => {
            let builder = meter.f64_observable_counter(name).with_unit(unit).with_description(says);
            builder.with_callback(move |to| call.run(read, |n, a| to.observe(n, a))).build();
        }
        (Kind::UpDownCounter, Read::OwnInts(read)) => {
            let builder = meter.i64_observable_up_down_counter(name).with_unit(unit).with_description(says);
            builder.with_callback(move |to| call.run(read, |n, a| to.observe(n, a))).build();
        }
        // The table has no other rows about the bridge; a test of this module says so.
        _ => tracing::error!("{name} has no instrument; please report this"),
    }
}

/// What a row's callback needs.
struct Call {
    row: &'static Row,
    facts: Facts,
    panics: Spell,
}

type Reader<N> = fn(&BridgeFacts, &mut dyn FnMut(N, &[(&'static str, Label)]));

impl Call {
    /// A panic must not leave the callback: it would poison the SDK's pipeline.
    fn run<N>(&self, read: Reader<N>, mut to: impl FnMut(N, &[KeyValue])) {
        let facts = self.facts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(facts) = facts else { return };
        let walk = AssertUnwindSafe(|| read(&facts, &mut |value, labels| to(value, &attributes(labels))));
        match catch_unwind(walk) {
            Err(_) if self.panics.begins() => {
                tracing::error!("{} has no points: reading it panicked; please report this", self.row.name);
            }
            Ok(()) if self.panics.ends() => tracing::info!("{} is read again", self.row.name),
            _ => {}
        }
    }
}

/// Sorted by key: the SDK would keep an unsorted set twice.
fn attributes(labels: &[(&'static str, Label)]) -> Vec<KeyValue> {
    let mut all: Vec<KeyValue> = labels.iter().map(key_value).collect();
    all.sort_by(|a, b| a.key.cmp(&b.key));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_costs_the_remaining_points_of_its_row() {
        let row = rows().find(|row| row.is_own()).unwrap();
        let facts =
            BridgeFacts { build: BUILD, targets: 1, push: None, process: process::facts(Instant::now()) };
        let call = Call { row, facts: Arc::new(Mutex::new(Some(Arc::new(facts)))), panics: Spell::default() };
        for _ in 0..2 {
            let mut seen = Vec::new();
            let read: Reader<i64> = |facts, to| {
                to(facts.targets as i64, &[]);
                panic!("on purpose");
            };
            call.run(read, |value, _| seen.push(value));
            assert_eq!(seen, [1]);
            let mut after = Vec::new();
            call.run(|_, to| to(2_i64, &[]), |value, _| after.push(value));
            assert_eq!(after, [2], "the next row is whole");
        }
    }
}
