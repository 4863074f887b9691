//! fedimeter inside another application: its instruments on the application's own
//! `MeterProvider`. `cargo run --example embed -- mastodon.example` prints a collection.

use std::time::Duration;

use fedimeter::{OnDemand, Target};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::{ResourceMetrics, ScopeMetrics};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = std::env::args().nth(1).ok_or("usage: embed SERVER, for example mastodon.example")?;
    let target = Target::builder(&server).attribute("team", "social").build()?;
    let source = OnDemand::builder([target]).deadline(Duration::from_secs(10)).build()?;

    let provider = SdkMeterProvider::builder().with_reader(PeriodicReader::builder(Printer).build()).build();
    fedimeter::register(&provider, source);
    // From here on the reader collects every minute by itself.
    provider.shutdown()?;
    Ok(())
}

/// Stands for the application's own exporter.
struct Printer;

impl PushMetricExporter for Printer {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        for metric in metrics.scope_metrics().flat_map(ScopeMetrics::metrics) {
            println!("{} {:?}", metric.name(), metric.data());
        }
        Ok(())
    }
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }
    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}
