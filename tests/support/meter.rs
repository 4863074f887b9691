//! Collected metrics, made by a real provider.

#![allow(dead_code, reason = "each test crate uses a part of it")]

use std::sync::{Arc, Weak};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{
    InstrumentKind, ManualReader, Pipeline, SdkMeterProvider, Stream, Temporality,
};

/// A reader that can be kept beside the provider that owns it.
#[derive(Debug, Clone)]
struct SharedReader(Arc<ManualReader>);

impl MetricReader for SharedReader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}

/// Users of `targets` servers as an observable gauge and as an observable
/// up-down counter, and a counter and a histogram of the bridge itself.
pub struct Meter {
    provider: SdkMeterProvider,
    reader: SharedReader,
}

impl Meter {
    pub fn new(targets: u64, temporality: Temporality) -> Meter {
        let reader = SharedReader(Arc::new(ManualReader::builder().with_temporality(temporality).build()));
        let provider = SdkMeterProvider::builder()
            .with_reader(reader.clone())
            .with_resource(
                Resource::builder_empty().with_attribute(KeyValue::new("service.name", "test")).build(),
            )
            .with_view(|_: &opentelemetry_sdk::metrics::Instrument| {
                Stream::builder().with_cardinality_limit(1 << 17).build().ok()
            })
            .build();
        let meter = provider.meter("fedimeter");
        let address = |n: u64| [KeyValue::new("server.address", format!("a{n}.example"))];
        meter
            .i64_observable_gauge("test.age")
            .with_unit("s")
            .with_description("Age.")
            .with_callback(move |o| (0..targets).for_each(|n| o.observe(n as i64, &address(n))))
            .build();
        meter
            .i64_observable_up_down_counter("test.users")
            .with_unit("{user}")
            .with_callback(move |o| (0..targets).for_each(|n| o.observe(n as i64 + 5, &address(n))))
            .build();
        Meter { provider, reader }
    }

    /// Counts in a counter and in a histogram.
    pub fn record(&self) {
        let meter = self.provider.meter("fedimeter");
        meter.u64_counter("test.requests").build().add(1, &[]);
        meter.f64_histogram("test.duration").with_unit("s").build().record(0.5, &[]);
    }

    pub fn collect(&self) -> ResourceMetrics {
        let mut metrics = ResourceMetrics::default();
        self.reader.collect(&mut metrics).unwrap();
        metrics
    }
}
