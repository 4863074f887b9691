//! fedimeter inside another application: its instruments on the application's
//! own `MeterProvider`, here with the SDK's `PeriodicReader`.
//!
//! ```sh
//! cargo run --example embed -- mastodon.example
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use fedimeter::OnDemand;
use fedimeter::config::Http;
use fedimeter::target::Target;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::{ResourceMetrics, ScopeMetrics};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};

/// Where an application has its own exporter: this one prints names.
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

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let host = std::env::args().nth(1).ok_or("usage: embed HOST, for example mastodon.example")?;
    let url = if host.contains("://") { host } else { format!("https://{host}") };
    let target = Target::new(url.parse()?, None, None, &BTreeMap::new());
    let source = OnDemand::new(vec![target], Http::default(), Duration::from_secs(10))?;

    let reader = PeriodicReader::builder(Printer).with_interval(Duration::from_secs(60)).build();
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    fedimeter::register(&provider.meter("my-application"), source);

    provider.force_flush()?;
    provider.shutdown()?;
    Ok(())
}
