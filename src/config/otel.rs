//! The OpenTelemetry specification's environment variables.
//!
//! They are read here alone, and the SDK's own reading has no say: it knows only
//! some of them, and some differently.

mod reader;
mod table;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr};

use opentelemetry_sdk::metrics::Temporality;
use tracing::level_filters::LevelFilter;
use url::Url;
use uuid::Uuid;

pub use reader::Warning;
pub use table::{VARIABLES, Variable, markdown};

use crate::export::otlp::{Compression, Endpoint, OtlpSettings, Protocol};
use crate::export::push::PushSettings;
use reader::{Reader, entries};

/// What the `OTEL_*` variables say, with the specification's defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct OtelEnv {
    /// `OTEL_SDK_DISABLED`: nothing is exported at all.
    pub disabled: bool,
    /// Who gets the metrics; nobody when [`disabled`](Self::disabled).
    pub exporters: Exporters,
    /// Where and how to push. Right in itself even when nothing is pushed.
    pub otlp: OtlpSettings,
    /// `OTEL_METRIC_EXPORT_INTERVAL` and `OTEL_METRIC_EXPORT_TIMEOUT`.
    pub push: PushSettings,
    /// The kind of pushed histograms.
    pub histograms: HistogramAggregation,
    /// `OTEL_EXPORTER_PROMETHEUS_HOST`, if set and right.
    pub prometheus_host: Option<IpAddr>,
    /// `OTEL_EXPORTER_PROMETHEUS_PORT`, if set and right.
    pub prometheus_port: Option<u16>,
    /// `OTEL_LOG_LEVEL`, if set.
    pub log_level: Option<LevelFilter>,
    /// `OTEL_METRICS_EXEMPLAR_FILTER`.
    pub exemplars: ExemplarFilter,
    /// `OTEL_RESOURCE_ATTRIBUTES` with `OTEL_SERVICE_NAME`.
    attributes: Vec<(String, String)>,
}

/// Who gets the metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exporters {
    /// Push over OTLP.
    pub otlp: bool,
    /// `/metrics`.
    pub prometheus: bool,
    /// Print on standard output.
    pub console: bool,
}

/// `OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistogramAggregation {
    /// Buckets with given bounds.
    Explicit,
    /// Buckets with bounds of powers of two.
    Exponential,
}

/// `OTEL_METRICS_EXEMPLAR_FILTER`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExemplarFilter {
    /// Every measurement may become an exemplar.
    AlwaysOn,
    /// None may.
    AlwaysOff,
    /// Those within a sampled trace may.
    TraceBased,
}

/// A variable with which the bridge cannot start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {message}")]
pub struct OtelEnvError {
    /// The variable.
    pub variable: String,
    /// What is wrong, and what to do.
    pub message: String,
}

/// A variable for metrics, and the one for all signals that it goes before.
macro_rules! otlp {
    ($name:literal) => {
        &[concat!("OTEL_EXPORTER_OTLP_METRICS_", $name), concat!("OTEL_EXPORTER_OTLP_", $name)]
    };
}

/// Namespace of `service.instance.id`, from the semantic conventions.
const INSTANCE_ID_NAMESPACE: Uuid = Uuid::from_u128(0x4d63_009a_8d0f_11ee_aad7_4c79_6ed8_e320);

impl OtelEnv {
    /// Reads the variables from `environment`. What is wrong and can be ignored
    /// is in the warnings.
    ///
    /// # Errors
    ///
    /// `OTEL_CONFIG_FILE` is set, or push is on and its endpoint is no URL; all
    /// errors at once.
    pub fn read(
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(OtelEnv, Vec<Warning>), Vec<OtelEnvError>> {
        let mut reader = Reader::new(environment);
        let reader = &mut reader;
        let mut errors = Vec::new();
        if reader.text("OTEL_CONFIG_FILE").is_some() {
            errors.push(OtelEnvError {
                variable: "OTEL_CONFIG_FILE".to_owned(),
                message: "declarative configuration is not supported yet; unset it and use --config FILE, \
                          flags or the other OTEL_* variables"
                    .to_owned(),
            });
        }
        let disabled = reader.boolean(&["OTEL_SDK_DISABLED"]);
        let exporters = exporters(reader);
        let exporters = if disabled { Exporters::default() } else { exporters };
        let otlp = otlp_settings(reader).unwrap_or_else(|error| {
            if exporters.otlp {
                errors.push(error);
            } else {
                reader.warn(&error.variable, error.message);
            }
            OtlpSettings::new(Protocol::Grpc, default_endpoint(Protocol::Grpc))
        });
        if exporters.otlp && !otlp.endpoint.is_https() {
            for names in [otlp!("CERTIFICATE"), otlp!("CLIENT_CERTIFICATE"), otlp!("CLIENT_KEY")] {
                reader.unused(names, "the endpoint is http://, which is not encrypted");
            }
        }
        let defaults = PushSettings::default();
        let env = OtelEnv {
            disabled,
            exporters,
            otlp,
            push: PushSettings {
                interval: reader.milliseconds(&["OTEL_METRIC_EXPORT_INTERVAL"], defaults.interval),
                timeout: reader.milliseconds(&["OTEL_METRIC_EXPORT_TIMEOUT"], defaults.timeout),
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
        };
        if errors.is_empty() { Ok((env, std::mem::take(&mut reader.warnings))) } else { Err(errors) }
    }

    /// The attributes of the bridge's own resource, sorted by key: what the user
    /// set, and where that is missing `service.name` and `service.instance.id`.
    /// The latter is made from `identity`, which has to be the same from start to
    /// start and another one for each bridge: where a backend makes it a label, a
    /// new one would begin every series anew. `service.version` is this
    /// program's, and `telemetry.sdk.*` are left to the SDK.
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

/// `OTEL_LOG_LEVEL` alone, if it is set and right. Reading all variables has a
/// warning where it is wrong.
pub(super) fn log_level(environment: &dyn Fn(&str) -> Option<String>) -> Option<LevelFilter> {
    level(&mut Reader::new(environment))
}

/// Where `OTEL_EXPORTER_PROMETHEUS_*` say that `/metrics` listens. Reading all
/// variables has a warning where they are wrong.
pub(super) fn prometheus(environment: &dyn Fn(&str) -> Option<String>) -> (Option<IpAddr>, Option<u16>) {
    let mut reader = Reader::new(environment);
    (prometheus_host(&mut reader), prometheus_port(&mut reader))
}

/// No other names: reading the variables touches no network.
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

/// Without `OTEL_METRICS_EXPORTER`, `/metrics` is served, and an endpoint turns
/// push on. With it, what it names holds and nothing else: an endpoint may be
/// there for the traces of other programs.
fn exporters(reader: &mut Reader<'_>) -> Exporters {
    const NAME: &str = "OTEL_METRICS_EXPORTER";
    let endpoint = reader.string(otlp!("ENDPOINT")).is_some();
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
        reader.warn(NAME, "none stands beside other exporters: ignored");
    }
    if endpoint && some && !named.otlp {
        reader.warn(NAME, "otlp is not named: nothing is pushed to the OTLP endpoint that is set");
    }
    if some || none { named } else { unset }
}

fn otlp_settings(reader: &mut Reader<'_>) -> Result<OtlpSettings, OtelEnvError> {
    let protocol = reader.choice(otlp!("PROTOCOL"), &Protocol::ALL.map(|p| (p.name(), p)));
    let insecure = reader.boolean(otlp!("INSECURE"));
    let names = otlp!("ENDPOINT");
    let endpoint = names.iter().find_map(|name| Some((*name, reader.text(name)?)));
    let (protocol, endpoint) = match endpoint {
        None => {
            let protocol = protocol.unwrap_or(Protocol::HttpProtobuf);
            (protocol, default_endpoint(protocol))
        }
        Some((name, text)) => {
            let protocol = protocol.unwrap_or_else(|| default_protocol(&text));
            let text = complete(&text, protocol, insecure, name == names[1]);
            let endpoint = Endpoint::new(&text, protocol)
                .map_err(|error| OtelEnvError { variable: name.to_owned(), message: error.to_string() })?;
            (protocol, endpoint)
        }
    };
    let temporality = reader.choice(
        &["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"],
        &[
            ("cumulative", Temporality::Cumulative),
            ("delta", Temporality::Delta),
            ("lowmemory", Temporality::LowMemory),
        ],
    );
    let mut settings = OtlpSettings::new(protocol, endpoint);
    settings.headers = reader.headers(otlp!("HEADERS"), protocol);
    settings.compression = reader
        .choice(otlp!("COMPRESSION"), &[("none", Compression::None), ("gzip", Compression::Gzip)])
        .unwrap_or(settings.compression);
    settings.timeout = reader.milliseconds(otlp!("TIMEOUT"), settings.timeout);
    settings.certificate = reader.string(otlp!("CERTIFICATE")).map(Into::into);
    settings.client_certificate = reader.string(otlp!("CLIENT_CERTIFICATE")).map(Into::into);
    settings.client_key = reader.string(otlp!("CLIENT_KEY")).map(Into::into);
    settings.temporality = temporality.unwrap_or(settings.temporality);
    Ok(settings)
}

/// The specification's default is `http/protobuf`, and port 4317 is gRPC's by
/// registration: nothing would ever answer HTTP there.
fn default_protocol(endpoint: &str) -> Protocol {
    let with_scheme =
        if endpoint.contains("://") { endpoint.to_owned() } else { format!("http://{endpoint}") };
    match Url::parse(&with_scheme).ok().and_then(|url| url.port()) {
        Some(4317) => Protocol::Grpc,
        _ => Protocol::HttpProtobuf,
    }
}

/// A scheme for gRPC, and for HTTP the path of the signal where the endpoint is
/// the general one.
fn complete(text: &str, protocol: Protocol, insecure: bool, general: bool) -> String {
    if protocol == Protocol::Grpc {
        return match text {
            _ if text.contains("://") => text.to_owned(),
            _ if insecure => format!("http://{text}"),
            _ => format!("https://{text}"),
        };
    }
    match Url::parse(text) {
        Ok(mut url) if general && url.has_host() => {
            let path = format!("{}/v1/metrics", url.path().trim_end_matches('/'));
            url.set_path(&path);
            url.into()
        }
        _ => text.to_owned(),
    }
}

fn default_endpoint(protocol: Protocol) -> Endpoint {
    let text = match protocol {
        Protocol::Grpc => "http://localhost:4317",
        Protocol::HttpProtobuf | Protocol::HttpJson => "http://localhost:4318/v1/metrics",
    };
    Endpoint::new(text, protocol).expect("a URL that was written here")
}
