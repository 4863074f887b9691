//! Collected metrics of a real provider.

use fedimeter::export::pipeline::SharedReader;
use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{SdkMeterProvider, Stream, Temporality};

/// Users of `targets` servers as an observable gauge and as an observable
/// up-down counter, and a counter and a histogram of the bridge itself.
pub struct Meter {
    provider: SdkMeterProvider,
    reader: SharedReader,
}

impl Meter {
    pub fn new(targets: u64, temporality: Temporality) -> Meter {
        let reader = SharedReader::new(temporality);
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

    /// Adds to a counter and to a histogram.
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
