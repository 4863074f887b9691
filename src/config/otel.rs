//! The environment variables of the OpenTelemetry specification.
//!
//! Only this module reads them. The SDK's own reading has no effect, because the SDK
//! knows only some of the variables and reads some differently.

mod effective;
mod file;
mod origins;
mod otlp;
mod reader;
mod reasons;
mod table;
mod telemetry;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use uuid::Uuid;

pub use reader::Warning;
pub use table::{VARIABLES, Variable, markdown};

pub use crate::export::self_metrics::HistogramAggregation;

use crate::export::otlp::{OtlpSettings, Signal};
use crate::export::push::PushSettings;
use crate::export::telemetry::TelemetrySettings;
use origins::Origins;
use reader::{Reader, entries};

/// The values of the `OTEL_*` variables, with the specification's defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct OtelEnv {
    /// `OTEL_SDK_DISABLED`: nothing is exported.
    pub disabled: bool,
    /// The exporters of metrics; none if [`disabled`](Self::disabled).
    pub exporters: Exporters,
    /// Where and how to push. It is valid even if nothing is pushed.
    pub otlp: OtlpSettings,
    /// How the bridge's own logs and traces are exported; not at all if
    /// [`disabled`](Self::disabled).
    pub telemetry: TelemetrySettings,
    /// `OTEL_METRIC_EXPORT_INTERVAL` and `OTEL_METRIC_EXPORT_TIMEOUT`.
    pub push: PushSettings,
    /// The kind of pushed histograms.
    pub histograms: HistogramAggregation,
    /// `OTEL_EXPORTER_PROMETHEUS_HOST`, if it is set and valid.
    pub prometheus_host: Option<IpAddr>,
    /// `OTEL_EXPORTER_PROMETHEUS_PORT`, if it is set and valid.
    pub prometheus_port: Option<u16>,
    /// `OTEL_LOG_LEVEL`, if it is set.
    pub log_level: Option<LevelFilter>,
    /// `OTEL_METRICS_EXEMPLAR_FILTER`.
    pub exemplars: ExemplarFilter,
    /// `OTEL_RESOURCE_ATTRIBUTES` together with `OTEL_SERVICE_NAME`.
    attributes: Vec<(String, String)>,
    /// The origin of each value.
    origins: Origins,
}

/// The exporters of metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exporters {
    /// Push over OTLP.
    pub otlp: bool,
    /// `/metrics`.
    pub prometheus: bool,
    /// Printing on standard output.
    pub console: bool,
}

/// `OTEL_METRICS_EXEMPLAR_FILTER`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExemplarFilter {
    /// Every measurement may become an exemplar.
    AlwaysOn,
    /// No measurement may become an exemplar.
    AlwaysOff,
    /// Measurements within a sampled trace may become exemplars.
    TraceBased,
}

/// An invalid variable that prevents the start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {message}")]
pub struct OtelEnvError {
    /// The variable.
    pub variable: String,
    /// What is wrong, and what to do.
    pub message: String,
}

const INTERVAL: &str = "OTEL_METRIC_EXPORT_INTERVAL";
const EXPORT_TIMEOUT: &str = "OTEL_METRIC_EXPORT_TIMEOUT";
/// A shorter interval was probably meant in seconds, but the specification uses
/// milliseconds.
const MIN_USUAL_INTERVAL: Duration = Duration::from_millis(1000);

/// The namespace of `service.instance.id`, from the semantic conventions.
const INSTANCE_ID_NAMESPACE: Uuid = Uuid::from_u128(0x4d63_009a_8d0f_11ee_aad7_4c79_6ed8_e320);

impl OtelEnv {
    /// Reads the variables from `environment`, or the file that `OTEL_CONFIG_FILE`
    /// names. Errors that can be ignored become warnings.
    ///
    /// # Errors
    ///
    /// All other errors: the file is invalid or contains something unsupported, or push
    /// is on and its endpoint is not a URL.
    pub fn read(
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(OtelEnv, Vec<Warning>), Vec<OtelEnvError>> {
        let Some(file) = file::named(environment) else { return OtelEnv::of_variables(environment) };
        let overridden = file.overridden(environment);
        Ok((file.read()?, overridden.into_iter().collect()))
    }

    /// The configuration file that replaces the variables, if there is one.
    #[must_use]
    pub fn file(&self) -> Option<&Arc<str>> {
        self.origins.file()
    }

    /// Reads the text of a file in the same way.
    pub(crate) fn of_file(
        text: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<OtelEnv, Vec<OtelEnvError>> {
        file::File::parse("otel.yaml", text, environment).read()
    }

    fn of_variables(
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(OtelEnv, Vec<Warning>), Vec<OtelEnvError>> {
        let mut reader = Reader::new(environment);
        let reader = &mut reader;
        let mut errors = Vec::new();
        let disabled = reader.boolean(&["OTEL_SDK_DISABLED"]);
        let exporters = exporters(reader);
        let exporters = if disabled { Exporters::default() } else { exporters };
        let otlp = otlp::settings(reader, Signal::Metrics, exporters.otlp, &mut errors);
        let telemetry = telemetry::settings(reader, disabled, &mut errors);
        let defaults = PushSettings::default();
        let interval = reader.milliseconds(&[INTERVAL], defaults.interval);
        if interval < MIN_USUAL_INTERVAL {
            let millis = interval.as_millis();
            let meant =
                if millis == 1 { "a millisecond".to_owned() } else { format!("{millis} milliseconds") };
            reader.warn(INTERVAL, format!("is taken as {meant}; write 60000 for a minute"));
        }
        let env = OtelEnv {
            disabled,
            exporters,
            otlp,
            telemetry,
            push: PushSettings {
                interval,
                timeout: reader.milliseconds(&[EXPORT_TIMEOUT], defaults.timeout),
            },
            histograms: reader
                .choice(
                    &["OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"],
                    &[
                        ("explicit_bucket_histogram", HistogramAggregation::Explicit),
                        ("base2_exponential_bucket_histogram", HistogramAggregation::Exponential),
                    ],
                )
                .unwrap_or(HistogramAggregation::Explicit),
            prometheus_host: prometheus_host(reader),
            prometheus_port: prometheus_port(reader),
            log_level: level(reader),
            exemplars: reader
                .choice(
                    &["OTEL_METRICS_EXEMPLAR_FILTER"],
                    &[
                        ("always_on", ExemplarFilter::AlwaysOn),
                        ("always_off", ExemplarFilter::AlwaysOff),
                        ("trace_based", ExemplarFilter::TraceBased),
                    ],
                )
                .unwrap_or(ExemplarFilter::TraceBased),
            attributes: attributes(reader),
            origins: Origins::of_variables(environment, &reader.ignored),
        };
        if errors.is_empty() { Ok((env, std::mem::take(&mut reader.warnings))) } else { Err(errors) }
    }

    /// Returns the attributes of the bridge's own resource, sorted by key: those of the
    /// user, and by default `service.name` and `service.instance.id`. The latter is
    /// derived from `identity`, which must stay the same across restarts and differ
    /// between bridges. Where a backend makes it a label, a new one would start every
    /// series again. `service.version` is this program's, and `telemetry.sdk.*` are
    /// left to the SDK.
    #[must_use]
    pub fn resource(&self, identity: &str) -> Vec<(String, String)> {
        let mut all = vec![
            ("service.name".to_owned(), "fedimeter".to_owned()),
            (
                "service.instance.id".to_owned(),
                Uuid::new_v5(&INSTANCE_ID_NAMESPACE, identity.as_bytes()).to_string(),
            ),
        ];
        for (key, value) in &self.attributes {
            all.retain(|(other, _)| other != key);
            if key != "service.version" && !key.starts_with("telemetry.sdk.") {
                all.push((key.clone(), value.clone()));
            }
        }
        all.push(("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()));
        all.sort();
        all
    }
}

/// Reads only `OTEL_LOG_LEVEL`, if it is set and valid. Reading all variables gives a
/// warning for an invalid value.
pub(super) fn log_level(environment: &dyn Fn(&str) -> Option<String>) -> Option<LevelFilter> {
    with_file(environment, level)
}

/// Returns the address of `/metrics` by `OTEL_EXPORTER_PROMETHEUS_*`. Reading all
/// variables gives a warning for invalid values.
pub(super) fn prometheus(environment: &dyn Fn(&str) -> Option<String>) -> (Option<IpAddr>, Option<u16>) {
    with_file(environment, |reader| (prometheus_host(reader), prometheus_port(reader)))
}

/// Returns the origin of a variable's value: the variable itself, or its place in the
/// file.
pub(super) fn origin(environment: &dyn Fn(&str) -> Option<String>, variable: &str) -> String {
    file::named(environment).and_then(|file| file.place_of(variable)).unwrap_or_else(|| variable.to_owned())
}

/// Reads single variables, or their replacements in the file.
fn with_file<T>(environment: &dyn Fn(&str) -> Option<String>, read: impl FnOnce(&mut Reader<'_>) -> T) -> T {
    match file::named(environment) {
        Some(file) => read(&mut Reader::new(&|name| file.get(name))),
        None => read(&mut Reader::new(environment)),
    }
}

/// Other names are refused, because reading variables must not use the network.
fn prometheus_host(reader: &mut Reader<'_>) -> Option<IpAddr> {
    const NAME: &str = "OTEL_EXPORTER_PROMETHEUS_HOST";
    let host = reader.text(NAME)?;
    if host.eq_ignore_ascii_case("localhost") {
        return Some(Ipv4Addr::LOCALHOST.into());
    }
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
    if ip.is_none() {
        reader
            .warn(NAME, format!("{host:?} is neither an IP address such as 0.0.0.0 nor localhost: ignored"));
    }
    ip
}

fn prometheus_port(reader: &mut Reader<'_>) -> Option<u16> {
    reader.number(&["OTEL_EXPORTER_PROMETHEUS_PORT"], "a port from 0 to 65535", |_: u16| true)
}

fn level(reader: &mut Reader<'_>) -> Option<LevelFilter> {
    reader.choice(
        &["OTEL_LOG_LEVEL"],
        &[
            ("none", LevelFilter::OFF),
            ("error", LevelFilter::ERROR),
            ("warn", LevelFilter::WARN),
            ("info", LevelFilter::INFO),
            ("debug", LevelFilter::DEBUG),
            ("trace", LevelFilter::TRACE),
            ("off", LevelFilter::OFF),
            ("warning", LevelFilter::WARN),
        ],
    )
}

fn attributes(reader: &mut Reader<'_>) -> Vec<(String, String)> {
    let mut attributes = reader.attributes("OTEL_RESOURCE_ATTRIBUTES");
    if let Some(name) = reader.string(&["OTEL_SERVICE_NAME"]) {
        attributes.retain(|(key, _)| key != "service.name");
        attributes.push(("service.name".to_owned(), name));
    }
    attributes
}

/// Without `OTEL_METRICS_EXPORTER`, `/metrics` is served, and an endpoint turns push
/// on. With the variable only the named exporters are on, because the endpoint may be
/// meant for the traces of other programs.
fn exporters(reader: &mut Reader<'_>) -> Exporters {
    const NAME: &str = "OTEL_METRICS_EXPORTER";
    let endpoint = reader.string(otlp::variables(Signal::Metrics, "ENDPOINT")).is_some();
    let unset = Exporters { otlp: endpoint, prometheus: true, console: false };
    let Some(list) = reader.text(NAME) else { return unset };
    let mut named = Exporters::default();
    let mut none = false;
    for (_, entry) in entries(&list) {
        match entry.to_ascii_lowercase().as_str() {
            "otlp" => named.otlp = true,
            "prometheus" => named.prometheus = true,
            "console" => named.console = true,
            "none" => none = true,
            _ => {
                reader
                    .warn(NAME, format!("{entry:?} is not one of otlp, prometheus, console, none: ignored"));
            }
        }
    }
    let some = named != Exporters::default();
    if some && none {
        reader.warn(NAME, "none cannot be combined with other exporters: ignored");
    }
    let is_for_others = telemetry::EXPORTERS.iter().any(|name| reader.text(name).is_some());
    if endpoint && some && !named.otlp && !is_for_others {
        reader.warn(NAME, "otlp is not named: nothing is pushed to the OTLP endpoint that is set");
    }
    if some || none {
        return named;
    }
    reader.ignored.insert(NAME.to_owned());
    unset
}
