//! Explains why something is off that the variables, or the file that replaces them,
//! could turn on.

use super::OtelEnv;
use super::telemetry::EXPORTERS;
use crate::export::otlp::Signal;

impl OtelEnv {
    /// Returns what names the exporter of a signal: a variable, or a place in the file.
    #[must_use]
    pub fn exporter_of(&self, signal: Signal) -> String {
        self.origins.first(match signal {
            Signal::Metrics => &["OTEL_METRICS_EXPORTER"],
            Signal::Logs => &EXPORTERS[..1],
            Signal::Traces => &EXPORTERS[1..],
        })
    }

    /// Explains why no metrics are exported, and what to do.
    #[must_use]
    pub fn no_exporter(&self) -> String {
        match self.file() {
            Some(file) => format!(
                "{file}: meter_provider has no reader; add one with an exporter, such as pull with \
                 prometheus/development"
            ),
            None => {
                "OTEL_METRICS_EXPORTER names no exporter; unset it, or name otlp or prometheus".to_owned()
            }
        }
    }

    /// Explains why nothing is exported if `/metrics` has no address.
    #[must_use]
    pub fn no_push(&self) -> String {
        let otlp = match self.file() {
            Some(file) => format!("add a periodic reader to meter_provider in {file}"),
            None => "set OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(),
        };
        format!("/metrics listens nowhere and no push is on; give --listen ADDR, or {otlp}")
    }

    /// Explains why `/metrics` is not served.
    #[must_use]
    pub fn no_prometheus(&self) -> String {
        match self.file() {
            Some(file) => format!("{file}: meter_provider.readers has no pull with prometheus/development"),
            None => "OTEL_METRICS_EXPORTER does not name prometheus".to_owned(),
        }
    }

    /// Returns what turns off all export: a variable, or a place in the file.
    #[must_use]
    pub fn disabled_by(&self) -> String {
        self.origins.first(&["OTEL_SDK_DISABLED"])
    }
}
