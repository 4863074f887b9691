//! The `OTEL_EXPORTER_OTLP_*` variables of one signal.

use opentelemetry_sdk::metrics::Temporality;
use url::Url;

use super::OtelEnvError;
use super::reader::Reader;
use crate::export::otlp::{Compression, Endpoint, OtlpSettings, Protocol, Signal, is_host};

/// Lists a variable's name for each signal, followed by the one for all signals.
macro_rules! variables {
    ($($name:literal)*) => {
        /// Returns the names of a setting: that of the signal first, then the general
        /// one.
        pub(super) fn variables(signal: Signal, name: &str) -> &'static [&'static str; 2] {
            match (signal, name) {
                $(
                    (Signal::Metrics, $name) => {
                        &[concat!("OTEL_EXPORTER_OTLP_METRICS_", $name), concat!("OTEL_EXPORTER_OTLP_", $name)]
                    }
                    (Signal::Logs, $name) => {
                        &[concat!("OTEL_EXPORTER_OTLP_LOGS_", $name), concat!("OTEL_EXPORTER_OTLP_", $name)]
                    }
                    (Signal::Traces, $name) => {
                        &[concat!("OTEL_EXPORTER_OTLP_TRACES_", $name), concat!("OTEL_EXPORTER_OTLP_", $name)]
                    }
                )*
                _ => unreachable!("{name} is no setting of an OTLP exporter"),
            }
        }
    };
}

variables! {
    "ENDPOINT" "PROTOCOL" "HEADERS" "COMPRESSION" "TIMEOUT" "INSECURE" "CERTIFICATE" "CLIENT_CERTIFICATE"
    "CLIENT_KEY"
}

/// Returns the settings of a signal's exporter. An invalid endpoint is an error only if
/// something is sent to it.
pub(super) fn settings(
    reader: &mut Reader<'_>,
    signal: Signal,
    is_on: bool,
    errors: &mut Vec<OtelEnvError>,
) -> OtlpSettings {
    let settings = read(reader, signal).unwrap_or_else(|error| {
        if !is_on {
            reader.warn(&error.variable, error.message);
        } else if !errors.contains(&error) {
            errors.push(error);
        }
        OtlpSettings { signal, ..OtlpSettings::new(Protocol::Grpc, default_endpoint(Protocol::Grpc, signal)) }
    });
    if is_on && !settings.endpoint.is_https() {
        for name in ["CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"] {
            reader.unused(variables(signal, name), "the endpoint is http://, which is not encrypted");
        }
    }
    settings
}

fn read(reader: &mut Reader<'_>, signal: Signal) -> Result<OtlpSettings, OtelEnvError> {
    let protocol = reader.choice(variables(signal, "PROTOCOL"), &Protocol::ALL.map(|p| (p.name(), p)));
    let insecure = reader.boolean(variables(signal, "INSECURE"));
    let names = variables(signal, "ENDPOINT");
    let endpoint = names.iter().find_map(|name| Some((*name, reader.text(name)?)));
    let (protocol, endpoint) = match endpoint {
        None => {
            let protocol = protocol.unwrap_or(Protocol::HttpProtobuf);
            (protocol, default_endpoint(protocol, signal))
        }
        Some((name, text)) => {
            let protocol = protocol.unwrap_or_else(|| default_protocol(&text));
            let text = complete(&text, protocol, insecure, (name == names[1]).then_some(signal));
            let endpoint = Endpoint::new(&text, protocol)
                .map_err(|error| OtelEnvError { variable: name.to_owned(), message: error.to_string() })?;
            (protocol, endpoint)
        }
    };
    let mut settings = OtlpSettings { signal, ..OtlpSettings::new(protocol, endpoint) };
    settings.headers = reader.headers(variables(signal, "HEADERS"), protocol);
    settings.compression = reader
        .choice(variables(signal, "COMPRESSION"), &[("none", Compression::None), ("gzip", Compression::Gzip)])
        .unwrap_or(settings.compression);
    settings.timeout = reader.milliseconds(variables(signal, "TIMEOUT"), settings.timeout);
    settings.certificate = reader.string(variables(signal, "CERTIFICATE")).map(Into::into);
    settings.client_certificate = reader.string(variables(signal, "CLIENT_CERTIFICATE")).map(Into::into);
    settings.client_key = reader.string(variables(signal, "CLIENT_KEY")).map(Into::into);
    if signal == Signal::Metrics {
        settings.temporality = temporality(reader).unwrap_or(settings.temporality);
    }
    Ok(settings)
}

/// The specification's default is `http/protobuf`, but port 4317 is registered for
/// gRPC, and nothing would answer HTTP there.
fn default_protocol(endpoint: &str) -> Protocol {
    let with_scheme =
        if endpoint.contains("://") { endpoint.to_owned() } else { format!("http://{endpoint}") };
    match Url::parse(&with_scheme).ok().and_then(|url| url.port()) {
        Some(4317) => Protocol::Grpc,
        _ => Protocol::HttpProtobuf,
    }
}

/// Adds a scheme for gRPC. For HTTP, adds the path of the signal to the general
/// endpoint.
fn complete(text: &str, protocol: Protocol, insecure: bool, general: Option<Signal>) -> String {
    if protocol == Protocol::Grpc {
        return match text {
            // A word without a port is more likely a secret in the wrong variable.
            _ if text.contains("://") || !is_host(text) || !text.contains(['.', ':']) => text.to_owned(),
            _ if insecure => format!("http://{text}"),
            _ => format!("https://{text}"),
        };
    }
    match (Url::parse(text), general) {
        (Ok(mut url), Some(signal)) if url.has_host() => {
            let path = format!("{}/v1/{signal}", url.path().trim_end_matches('/'));
            url.set_path(&path);
            url.into()
        }
        _ => text.to_owned(),
    }
}

fn default_endpoint(protocol: Protocol, signal: Signal) -> Endpoint {
    let text = match protocol {
        Protocol::Grpc => "http://localhost:4317".to_owned(),
        Protocol::HttpProtobuf | Protocol::HttpJson => format!("http://localhost:4318/v1/{signal}"),
    };
    Endpoint::new(&text, protocol).expect("a URL that was written here")
}

fn temporality(reader: &mut Reader<'_>) -> Option<Temporality> {
    reader.choice(
        &["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"],
        &[
            ("cumulative", Temporality::Cumulative),
            ("delta", Temporality::Delta),
            ("lowmemory", Temporality::LowMemory),
        ],
    )
}
