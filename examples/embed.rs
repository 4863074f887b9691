//! fedimeter inside another application: its instruments on the application's own
//! `MeterProvider`. `cargo run --example embed -- mastodon.example` prints a collection.

use std::time::Duration;

use fedimeter::{OnDemand, Target};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_stdout::MetricExporter;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = std::env::args().nth(1).ok_or("usage: embed SERVER, for example mastodon.example")?;
    let target = Target::builder(&server).attribute("team", "social").build()?;
    let source = OnDemand::builder([target]).deadline(Duration::from_secs(10)).build()?;

    // The application's own exporter stands here.
    let provider = SdkMeterProvider::builder().with_periodic_exporter(MetricExporter::default()).build();
    fedimeter::register(&provider, source);
    // From here on the provider collects every minute by itself, and once at its end.
    provider.shutdown()?;
    Ok(())
}
