//! The effective OpenTelemetry settings, as `fedimeter check` prints them: in comments,
//! so that the output stays a configuration file.

use std::fmt::Write;
use std::path::PathBuf;

use super::otlp::variables;
use super::telemetry::{BLRP, BSP, EXPORTERS, SAMPLER};
use super::{EXPORT_TIMEOUT, Exporters, HistogramAggregation, INTERVAL, OtelEnv};
use crate::clean::one_line;
use crate::config::values::show_duration;
use crate::export::otlp::OtlpSettings;
use crate::export::telemetry::{BatchSettings, Sampling, SignalSettings};

/// A setting, its value without secrets, and the variables that can set it, the
/// strongest first.
type Line = (&'static str, String, &'static [&'static str]);

const TEMPORALITY: &[&str] = &["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"];
const HISTOGRAMS: &[&str] = &["OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"];
const ATTRIBUTES: &[&str] = &["OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"];

impl OtelEnv {
    /// Returns a line for each setting that has an effect, with its origin.
    #[must_use]
    pub fn effective(&self) -> String {
        let mut text = "# OpenTelemetry\n".to_owned();
        for (name, value, variables) in self.lines() {
            // The attributes of both variables are merged; of other variables the first
            // one counts.
            let origin = if variables == ATTRIBUTES {
                self.origins.all(variables)
            } else {
                self.origins.first(variables)
            };
            // A line break in a value would end the comment.
            let [value, origin] = [value, origin].map(|text| one_line(&text));
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
            lines.push(("temporality", format!("{:?}", self.otlp.temporality).to_lowercase(), TEMPORALITY));
            let histograms = match self.histograms {
                HistogramAggregation::Explicit => "explicit_bucket_histogram",
                HistogramAggregation::Exponential => "base2_exponential_bucket_histogram",
            };
            lines.push(("histograms", histograms.to_owned(), HISTOGRAMS));
        }
        if self.exporters.otlp || self.exporters.console {
            lines.push(("interval", show_duration(self.push.interval), &[INTERVAL]));
            lines.push(("export timeout", show_duration(self.push.timeout), &[EXPORT_TIMEOUT]));
        }
        let [logs, traces] = [&self.telemetry.logs, &self.telemetry.traces];
        if logs.is_on {
            lines.extend(exported(logs, &EXPORTERS[..1], &BLRP));
        }
        if traces.is_on {
            lines.extend(exported(traces, &EXPORTERS[1..], &BSP));
            lines.push(("sampler", sampler(self.telemetry.sampling), &SAMPLER));
        }
        let attributes = self.attributes.iter().map(|(key, value)| format!("{key}={value}"));
        let attributes = attributes.collect::<Vec<_>>().join(", ");
        if !attributes.is_empty() {
            lines.push(("resource attributes", attributes, ATTRIBUTES));
        }
        lines
    }
}

/// Describes the export of the bridge's own logs or traces.
fn exported(
    signal: &SignalSettings,
    exporter: &'static [&'static str],
    [delay, timeout, queue, batch]: &'static [&'static str; 4],
) -> Vec<Line> {
    let BatchSettings { delay: wait, timeout: longest, max_queue, max_batch } = signal.batch;
    let mut lines: Vec<Line> = vec![("exported, too", signal.otlp.signal.to_string(), exporter)];
    lines.extend(transport("over OTLP", &signal.otlp));
    lines.extend([
        ("batch delay", show_duration(wait), std::slice::from_ref(delay)),
        ("batch timeout", show_duration(longest), std::slice::from_ref(timeout)),
        ("batch queue", max_queue.to_string(), std::slice::from_ref(queue)),
        ("batch size", max_batch.to_string(), std::slice::from_ref(batch)),
    ]);
    lines
}

fn sampler(sampling: Sampling) -> String {
    match sampling {
        Sampling::Targets(targets) => format!("all traces, each with about {targets} targets at most"),
        Sampling::All => "always_on".to_owned(),
        Sampling::None => "always_off".to_owned(),
        Sampling::Ratio(share) => format!("traceidratio, {share}"),
    }
}

/// Describes how one signal is sent. Defaults without an effect are omitted.
fn transport(name: &'static str, otlp: &OtlpSettings) -> Vec<Line> {
    let variables = |setting: &str| -> &'static [&'static str] { variables(otlp.signal, setting) };
    let mut lines: Vec<Line> = vec![
        (name, otlp.endpoint.to_string(), variables("ENDPOINT")),
        ("protocol", otlp.protocol.to_string(), variables("PROTOCOL")),
        ("request timeout", show_duration(otlp.timeout), variables("TIMEOUT")),
        ("compression", format!("{:?}", otlp.compression).to_lowercase(), variables("COMPRESSION")),
    ];
    // The names are secret, too: a token without a name is taken for one.
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
        OtelEnv::read(&environment).unwrap().0.effective()
    }

    #[test]
    fn each_value_has_its_origin_and_shows_no_secret() {
        let text = effective(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c.example:4318"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=hush"),
            ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "3000"),
            ("OTEL_TRACES_EXPORTER", "otlp"),
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.5"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
            ("OTEL_RESOURCE_ATTRIBUTES", "team=infra%0Alisten: x"),
        ]);
        for line in [
            "# metrics exporters: prometheus, otlp  # default",
            "# metrics over OTLP: http://c.example:4318/v1/metrics  # OTEL_EXPORTER_OTLP_ENDPOINT",
            "# protocol: http/protobuf  # default",
            "# request timeout: 3s  # OTEL_EXPORTER_OTLP_METRICS_TIMEOUT",
            "# headers: 1, which are secret  # OTEL_EXPORTER_OTLP_HEADERS",
            "# interval: 1m  # default",
            "# export timeout: 30s  # default",
            "# temporality: cumulative  # default",
            "# histograms: explicit_bucket_histogram  # default",
            "# batch delay: 5s  # default",
            "# batch timeout: 30s  # default",
            "# batch queue: 100  # OTEL_BSP_MAX_QUEUE_SIZE",
            "# batch size: 100  # default",
            "# sampler: traceidratio, 0.5  # OTEL_TRACES_SAMPLER",
            "# exported, too: traces  # OTEL_TRACES_EXPORTER",
            "# over OTLP: http://c.example:4318/v1/traces  # OTEL_EXPORTER_OTLP_ENDPOINT",
            "# request timeout: 10s  # default",
            "# resource attributes: team=infra listen: x  # OTEL_RESOURCE_ATTRIBUTES",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("hush") && text.lines().all(|line| line.starts_with("# ")), "{text}");
    }

    /// An ignored variable is not an origin.
    #[test]
    fn an_ignored_variable_is_no_origin() {
        let text = effective(&[
            ("OTEL_METRICS_EXPORTER", "otpl"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c.example:4318"),
            ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
        ]);
        for line in [
            "# metrics exporters: prometheus, otlp  # default",
            "# protocol: http/json  # OTEL_EXPORTER_OTLP_PROTOCOL",
            "# compression: none  # default",
            "# request timeout: 10s  # default",
            "# interval: 1m  # default",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn of_a_file_the_paths_are_the_origins() {
        let file = "file_format: \"1.0\"\nmeter_provider:\n  readers:\n    - periodic:\n        interval: \
                    5000\n        exporter: {otlp_http: {endpoint: \"http://c.example/v1/metrics\"}}\n";
        let environment = |name: &str| (name == "OTEL_EXPORTER_OTLP_TIMEOUT").then(|| "7".to_owned());
        let text = OtelEnv::of_file(file, &environment).unwrap().effective();
        for line in [
            "# metrics exporters: otlp  # otel.yaml: meter_provider",
            "# metrics over OTLP: http://c.example:80/v1/metrics  # otel.yaml: \
             meter_provider.readers[0].periodic.exporter.otlp_http.endpoint",
            "# request timeout: 10s  # default",
            "# interval: 5s  # otel.yaml: meter_provider.readers[0].periodic.interval",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn what_is_off_has_no_lines() {
        assert_eq!(effective(&[]), "# OpenTelemetry\n# metrics exporters: prometheus  # default\n");
        assert!(effective(&[("OTEL_SDK_DISABLED", "true")]).ends_with("traces  # OTEL_SDK_DISABLED\n"));
    }
}
