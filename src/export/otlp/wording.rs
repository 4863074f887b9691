//! Translates settings in failure messages: the messages name variables, and a
//! configuration file (`OTEL_CONFIG_FILE`) can replace those.

/// Variables and the keys that replace them. Of two with the same beginning, the longer
/// one comes first.
const KEYS: [(&str, &str); 14] = [
    ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "tls.cert_file"),
    ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "tls.key_file"),
    ("OTEL_EXPORTER_OTLP_CERTIFICATE", "tls.ca_file"),
    ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "endpoint"),
    ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "endpoint"),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "endpoint"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "endpoint"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "headers"),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "timeout"),
    ("OTEL_METRIC_EXPORT_TIMEOUT", "periodic.timeout"),
    ("OTEL_METRIC_EXPORT_INTERVAL", "periodic.interval"),
    ("_EXPORT_TIMEOUT", "batch.export_timeout"),
    ("_SCHEDULE_DELAY", "batch.schedule_delay"),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "the kind of the exporter"),
];

/// Phrases that differ between variables and a file.
const PHRASES: [(&str, &str); 3] = [
    ("set OTEL_EXPORTER_OTLP_PROTOCOL to http/protobuf", "write otlp_http in place of otlp_grpc"),
    ("set OTEL_EXPORTER_OTLP_PROTOCOL to one that it accepts", "set encoding to one that it accepts"),
    ("see OTEL_EXPORTER_OTLP_PROTOCOL", "otlp_http speaks HTTP and otlp_grpc gRPC"),
];

/// Replaces the variables in a text with the keys of the file, and adds the file's
/// name.
pub fn in_file(text: &str, file: &str) -> String {
    let mut named = text.replace("OTEL_BLRP_", "_").replace("OTEL_BSP_", "_");
    // A file contains each endpoint whole.
    if let (Some(start), Some(end)) =
        (named.find("OTEL_EXPORTER_OTLP_ENDPOINT gets "), named.find(" is used as it is"))
        && start < end
    {
        named.replace_range(start..end, "OTEL_EXPORTER_OTLP_ENDPOINT");
    }
    for (from, to) in PHRASES.iter().chain(&KEYS) {
        named = named.replace(from, to);
    }
    if named == text { named } else { format!("{named} (in {file})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_stands_for_its_variables() {
        for (text, expected) in [
            (
                "check the credentials in OTEL_EXPORTER_OTLP_HEADERS",
                "check the credentials in headers (in f)",
            ),
            (
                "check the path: OTEL_EXPORTER_OTLP_ENDPOINT gets /v1/logs appended, \
                 OTEL_EXPORTER_OTLP_LOGS_ENDPOINT is used as it is",
                "check the path: endpoint is used as it is (in f)",
            ),
            (
                "OTEL_BSP_EXPORT_TIMEOUT allows a batch more time",
                "batch.export_timeout allows a batch more time (in f)",
            ),
            (
                "4317 usually is, or set OTEL_EXPORTER_OTLP_PROTOCOL to http/protobuf",
                "4317 usually is, or write otlp_http in place of otlp_grpc (in f)",
            ),
            ("the receiver is not ready", "the receiver is not ready"),
        ] {
            assert_eq!(in_file(text, "f"), expected);
        }
    }
}
