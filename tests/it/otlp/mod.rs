//! One exporter and one receiver: received points, retries, and messages.

mod answers;
mod arrival;
mod attempts;
mod backlog;
mod backlog_properties;
mod floods;
mod tls;

use crate::support::meter::Meter;
use crate::support::otlp_sink::{GrpcSink, HttpSink, Options, PATIENCE, Sink};
use fedimeter::export::otlp::{Endpoint, Exporter, OtlpSettings, Protocol, Report};
use opentelemetry_sdk::metrics::Temporality;
use tokio::time::Instant;

fn settings(protocol: Protocol, endpoint: &str) -> OtlpSettings {
    let endpoint = match protocol {
        Protocol::Grpc => endpoint.to_owned(),
        _ => format!("{endpoint}/v1/metrics"),
    };
    OtlpSettings::new(protocol, Endpoint::new(&endpoint, protocol).unwrap())
}

async fn export(exporter: &Exporter) -> Report {
    exporter.export(&Meter::new(2, Temporality::Cumulative).collect(), Instant::now() + PATIENCE).await
}

async fn export_with(settings: &OtlpSettings) -> Report {
    export(&Exporter::build(settings).unwrap()).await
}

/// A receiver for each protocol.
struct Sinks {
    grpc: GrpcSink,
    http: HttpSink,
}

impl Sinks {
    async fn start(options: Options) -> Sinks {
        Sinks { grpc: GrpcSink::start_with(options.clone()).await, http: HttpSink::start_with(options).await }
    }

    fn of(&self, protocol: Protocol) -> (&Sink, OtlpSettings) {
        match protocol {
            Protocol::Grpc => (&self.grpc, settings(protocol, &self.grpc.endpoint())),
            _ => (&self.http, settings(protocol, &self.http.endpoint())),
        }
    }
}
