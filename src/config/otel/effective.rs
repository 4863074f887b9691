//! What the OpenTelemetry variables or the file in their place come to, as
//! `fedimeter check` prints it: comments, so that the output stays a configuration file.

use std::fmt::Write;
use std::path::PathBuf;

use super::file;
use super::otlp::variables;
use super::telemetry::EXPORTERS;
use super::{Exporters, INTERVAL, OtelEnv};
use crate::clean::one_line;
use crate::config::values::show_duration;
use crate::export::otlp::OtlpSettings;
use crate::export::telemetry::TelemetrySettings;

/// A setting, its value without secrets, and the variables that can set it, the
/// strongest first.
type Line = (&'static str, String, &'static [&'static str]);

impl OtelEnv {
    /// A line for each setting that has an effect, with its origin.
    #[must_use]
    pub fn effective(&self, environment: &dyn Fn(&str) -> Option<String>) -> String {
        let file = file::variable(environment);
        let is_set = |name: &&str| environment(name).is_some_and(|value| !value.trim().is_empty());
        let mut text = "# OpenTelemetry\n".to_owned();
        for (name, value, variables) in self.lines() {
            let origin = file.or_else(|| variables.iter().copied().find(is_set)).unwrap_or("default");
            // A line break in a value would end the comment.
            let value = one_line(&value);
            // Writing into memory cannot fail.
            let _ = writeln!(text, "# {name}: {value}  # {origin}");
        }
        text
    }

    fn lines(&self) -> Vec<Line> {
        if self.disabled {
            return vec![("everything is off", "no metrics, logs or traces".into(), &["OTEL_SDK_DISABLED"])];
        }
        let mut lines: Vec<Line> =
            vec![("metrics exporters", self.exporters.to_string(), &["OTEL_METRICS_EXPORTER"])];
        if self.exporters.otlp {
            lines.extend(transport("metrics over OTLP", &self.otlp));
            lines.push(("interval", show_duration(self.push.interval), &[INTERVAL]));
        }
        let TelemetrySettings { logs, traces, .. } = &self.telemetry;
        for (signal, variables) in [logs, traces].into_iter().zip(EXPORTERS.chunks(1)) {
            if signal.is_on {
                lines.push(("exported, too", signal.otlp.signal.to_string(), variables));
                lines.extend(transport("over OTLP", &signal.otlp));
            }
        }
        let attributes = self.attributes.iter().map(|(key, value)| format!("{key}={value}"));
        let attributes = attributes.collect::<Vec<_>>().join(", ");
        if !attributes.is_empty() {
            let variables = &["OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"];
            lines.push(("resource attributes", attributes, variables));
        }
        lines
    }
}

/// How one signal leaves. What is usual and changes nothing has no line.
fn transport(name: &'static str, otlp: &OtlpSettings) -> Vec<Line> {
    let variables = |setting: &str| -> &'static [&'static str] { variables(otlp.signal, setting) };
    let mut lines: Vec<Line> = vec![
        (name, otlp.endpoint.to_string(), variables("ENDPOINT")),
        ("protocol", otlp.protocol.to_string(), variables("PROTOCOL")),
        ("timeout", show_duration(otlp.timeout), variables("TIMEOUT")),
        ("compression", format!("{:?}", otlp.compression).to_lowercase(), variables("COMPRESSION")),
    ];
    // Not even their names: a token that was given without one is taken for it.
    let headers = otlp.headers.map().len();
    if headers > 0 {
        lines.push(("headers", format!("{headers}, which are secret"), variables("HEADERS")));
    }
    let mut file = |name, path: &Option<PathBuf>, setting| {
        if let Some(path) = path {
            lines.push((name, path.display().to_string(), variables(setting)));
        }
    };
    file("authority", &otlp.certificate, "CERTIFICATE");
    file("client certificate", &otlp.client_certificate, "CLIENT_CERTIFICATE");
    file("client key", &otlp.client_key, "CLIENT_KEY");
    lines
}

impl std::fmt::Display for Exporters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all = [(self.prometheus, "prometheus"), (self.otlp, "otlp"), (self.console, "console")];
        let names: Vec<&str> = all.into_iter().filter_map(|(is_on, name)| is_on.then_some(name)).collect();
        f.write_str(if names.is_empty() { "none".to_owned() } else { names.join(", ") }.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effective(variables: &[(&str, &str)]) -> String {
        let environment = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        OtelEnv::read(&environment).unwrap().0.effective(&environment)
    }

    #[test]
    fn each_value_has_its_origin_and_shows_no_secret() {
        let text = effective(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c.example:4318"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=hush"),
            ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "3000"),
            ("OTEL_TRACES_EXPORTER", "otlp"),
            ("OTEL_RESOURCE_ATTRIBUTES", "team=infra%0Alisten: x"),
        ]);
        for line in [
            "# metrics exporters: prometheus, otlp  # default",
            "# metrics over OTLP: http://c.example:4318/v1/metrics  # OTEL_EXPORTER_OTLP_ENDPOINT",
            "# protocol: http/protobuf  # default",
            "# timeout: 3s  # OTEL_EXPORTER_OTLP_METRICS_TIMEOUT",
            "# headers: 1, which are secret  # OTEL_EXPORTER_OTLP_HEADERS",
            "# interval: 1m  # default",
            "# exported, too: traces  # OTEL_TRACES_EXPORTER",
            "# over OTLP: http://c.example:4318/v1/traces  # OTEL_EXPORTER_OTLP_ENDPOINT",
            "# timeout: 10s  # default",
            "# resource attributes: team=infra listen: x  # OTEL_RESOURCE_ATTRIBUTES",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("hush") && text.lines().all(|line| line.starts_with("# ")), "{text}");
    }

    #[test]
    fn what_is_off_has_no_lines() {
        assert_eq!(effective(&[]), "# OpenTelemetry\n# metrics exporters: prometheus  # default\n");
        assert!(effective(&[("OTEL_SDK_DISABLED", "true")]).ends_with("traces  # OTEL_SDK_DISABLED\n"));
    }
}
