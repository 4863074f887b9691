//! The `OTEL_*` variables that fedimeter supports: one row for each, for the tests of
//! the readers and for docs/environment.md.

use std::fmt::Write;

/// One variable of the OpenTelemetry specification.
#[derive(Debug)]
pub struct Variable {
    /// The name. `{SIGNAL_}` stands for four variables: with `METRICS_`, `LOGS_` or
    /// `TRACES_` for one signal, which takes precedence, and without it for all.
    pub name: &'static str,
    /// The form of the value.
    pub kind: &'static str,
    /// The default.
    pub default: &'static str,
    /// The meaning, and how fedimeter differs from the specification.
    pub meaning: &'static str,
}

macro_rules! variables {
    ($( $name:literal, $kind:literal, $default:literal, $meaning:literal; )*) => {
        /// All variables, in the order of the documentation.
        pub const VARIABLES: &[Variable] =
            &[$( Variable { name: $name, kind: $kind, default: $default, meaning: $meaning }, )*];
    };
}

variables! {
    "OTEL_SDK_DISABLED", "boolean", "`false`",
        "`true` turns all export off: push, console, `/metrics`, logs and traces over OTLP. The bridge logs this at its start.";
    "OTEL_CONFIG_FILE", "path", "",
        "A file with the [declarative configuration](#declarative-configuration), which replaces all other variables on this page.";
    "OTEL_EXPERIMENTAL_CONFIG_FILE", "path", "",
        "The earlier name of `OTEL_CONFIG_FILE`, which takes precedence over it.";
    "OTEL_METRICS_EXPORTER", "list of `otlp`, `prometheus`, `console`, `none`", "`prometheus`, and `otlp` where an OTLP endpoint is set",
        "The exporters of metrics. If it is set, only the named ones are on.";
    "OTEL_LOGS_EXPORTER", "list of `otlp`, `none`", "`none`",
        "`otlp` sends the bridge's own log over OTLP as well as to standard error: the lines of the same level, with their fields as attributes. Lines of the libraries underneath, and those about OTLP requests, stay on standard error.";
    "OTEL_TRACES_EXPORTER", "list of `otlp`, `none`", "`none`",
        "`otlp` sends the bridge's own traces over OTLP: one for each collection, with its targets, their endpoints and each HTTP request, and one for each push. No header about them is sent to any server.";
    "OTEL_TRACES_SAMPLER", "`always_on`, `always_off`, `traceidratio`, `parentbased_always_on`, `parentbased_always_off` or `parentbased_traceidratio`", "all traces, and in each the requests to about 100 targets",
        "Which spans are exported. By default a bridge with up to 100 targets exports all spans. A larger bridge exports about 2,000 a minute: each trace contains all spans of about 100 targets, which differ from trace to trace. Every trace begins in the bridge, so `parentbased_` changes nothing.";
    "OTEL_TRACES_SAMPLER_ARG", "number from 0 to 1", "`1`",
        "The share of traces that `traceidratio` exports. Each exported trace is complete.";
    "OTEL_SERVICE_NAME", "string", "`fedimeter`",
        "`service.name` of the bridge itself. It overrides `OTEL_RESOURCE_ATTRIBUTES`.";
    "OTEL_RESOURCE_ATTRIBUTES", "list of `key=value`, percent-encoded", "",
        "Attributes of the bridge's resource. An error makes the whole value invalid, and it is ignored. `service.instance.id` is by default a UUID made from the machine's name and id, the addresses listened on, and the configuration file, or the targets where there is none; `service.version` and `telemetry.sdk.*` cannot be set.";
    "OTEL_LOG_LEVEL", "`none`, `error`, `warn`, `info`, `debug` or `trace`", "`info`",
        "The level of the bridge's log. `--log-level`, its variable and the file override it.";
    "OTEL_EXPORTER_OTLP_{SIGNAL_}ENDPOINT", "URL", "`http://localhost:4318`; for gRPC `http://localhost:4317`",
        "The URL to push to. The general variable, or that for metrics, turns push of metrics on. For HTTP, `v1/metrics`, `v1/logs` or `v1/traces` is appended to the general one. The variable of a signal is used unchanged. Without a scheme (gRPC only) `OTEL_EXPORTER_OTLP_INSECURE` decides.";
    "OTEL_EXPORTER_OTLP_{SIGNAL_}PROTOCOL", "`grpc`, `http/protobuf` or `http/json`", "`http/protobuf`; `grpc` where the endpoint's port is 4317",
        "The protocol. The bridge logs which one it uses. Requests go through the proxy that `HTTP_PROXY`, `HTTPS_PROXY` or `ALL_PROXY` names, except to the hosts in `NO_PROXY`; gRPC through a tunnel (`CONNECT`).";
    "OTEL_EXPORTER_OTLP_{SIGNAL_}HEADERS", "list of `key=value`, percent-encoded", "",
        "Headers of every request. They are treated as secrets and shown nowhere. Headers that the protocol sets itself, such as `content-type`, are omitted with a warning.";
    "OTEL_EXPORTER_OTLP_{SIGNAL_}COMPRESSION", "`none` or `gzip`", "`none`",
        "How requests are compressed.";
    "OTEL_EXPORTER_OTLP_{SIGNAL_}TIMEOUT", "milliseconds", "`10000`",
        "The timeout of one request, including its retries.";
    "OTEL_EXPORTER_OTLP_{SIGNAL_}INSECURE", "boolean", "`false`",
        "For a gRPC endpoint without a scheme: `true` means `http`, otherwise `https`.";
    "OTEL_EXPORTER_OTLP_{SIGNAL_}CERTIFICATE", "path", "the system's authorities, or bundled ones where it has none",
        "PEM file with the only authorities that are trusted for the receiver's certificate. This variable and the two below apply only to `https`.";
    "OTEL_EXPORTER_OTLP_{SIGNAL_}CLIENT_CERTIFICATE", "path", "",
        "PEM file with the client certificate and its chain.";
    "OTEL_EXPORTER_OTLP_{SIGNAL_}CLIENT_KEY", "path", "",
        "PEM file with the client certificate's key.";
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "`cumulative`, `delta` or `lowmemory`", "`cumulative`",
        "The temporality of pushed counters and histograms. It does not affect gauges, such as the numbers of servers.";
    "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "`explicit_bucket_histogram` or `base2_exponential_bucket_histogram`", "`explicit_bucket_histogram`",
        "The kind of pushed histograms.";
    "OTEL_METRIC_EXPORT_INTERVAL", "milliseconds", "`60000`",
        "The time from the start of one push to the start of the next. The first push starts at once.";
    "OTEL_METRIC_EXPORT_TIMEOUT", "milliseconds", "`30000`",
        "The timeout of a push, including collection and requests.";
    "OTEL_BLRP_SCHEDULE_DELAY", "milliseconds", "`1000`",
        "The longest time that a log record waits for others before they are sent.";
    "OTEL_BLRP_EXPORT_TIMEOUT", "milliseconds", "`30000`",
        "The timeout for sending a batch of log records.";
    "OTEL_BLRP_MAX_QUEUE_SIZE", "whole number from 1 to 65536", "`2048`",
        "The maximum number of waiting log records. Further ones are lost, and counted in `otel.sdk.processor.log.processed`.";
    "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "whole number from 1 to 2048", "`512`",
        "The maximum number of log records in a request.";
    "OTEL_BSP_SCHEDULE_DELAY", "milliseconds", "`5000`",
        "The longest time that a span waits for others before they are sent.";
    "OTEL_BSP_EXPORT_TIMEOUT", "milliseconds", "`30000`",
        "The timeout for sending a batch of spans.";
    "OTEL_BSP_MAX_QUEUE_SIZE", "whole number from 1 to 65536", "`8192`",
        "The maximum number of waiting spans. Further ones are lost, and counted in `otel.sdk.processor.span.processed`. The default exceeds the specification's 2048, because a collection of 100 targets makes more spans.";
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "whole number from 1 to 2048", "`512`",
        "The maximum number of spans in a request.";
    "OTEL_METRICS_EXEMPLAR_FILTER", "`always_on`, `always_off` or `trace_based`", "`trace_based`",
        "Accepted without effect, because no exemplars are recorded.";
    "OTEL_EXPORTER_PROMETHEUS_HOST", "IP address or `localhost`", "`localhost`",
        "The address of `/metrics`. `--listen` overrides it.";
    "OTEL_EXPORTER_PROMETHEUS_PORT", "port", "`9464`",
        "The port of `/metrics`. `--listen` overrides it.";
}

impl Variable {
    /// The names of a row, in order of precedence.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        match self.name.split_once("{SIGNAL_}") {
            None => vec![self.name.to_owned()],
            Some((start, end)) => {
                ["METRICS_", "LOGS_", "TRACES_", ""].map(|signal| format!("{start}{signal}{end}")).to_vec()
            }
        }
    }
}

/// The section about `OTEL_CONFIG_FILE`.
const FILE: &str = r#"
## Declarative configuration

`OTEL_CONFIG_FILE` names a YAML file of OpenTelemetry's [declarative configuration](https://opentelemetry.io/docs/specs/otel/configuration/), schema 1.0 or 1.1. The file is then complete: the other variables on this page have no effect, and what the file does not name is off. fedimeter's own flags, variables and file override it, as they override the variables.

```yaml
file_format: "1.0"
log_level: info
resource:
  attributes:
    - name: deployment.environment.name
      value: ${ENVIRONMENT:-production}
meter_provider:
  readers:
    - periodic:
        interval: 30000
        exporter:
          otlp_http:
            endpoint: https://collector.example/v1/metrics
            compression: gzip
            headers:
              - name: authorization
                value: Bearer ${KEY}
    - pull:
        exporter:
          prometheus/development:
            port: 9464
logger_provider:
  processors:
    - batch:
        exporter:
          otlp_grpc:
            endpoint: http://localhost:4317
tracer_provider:
  processors:
    - batch:
        exporter:
          otlp_http:
            encoding: json
  sampler:
    parent_based:
      root:
        trace_id_ratio_based:
          ratio: 0.1
```

| Part | Supported |
|---|---|
| top level | `file_format`, `disabled`, `log_level`, `resource`, `meter_provider`, `logger_provider`, `tracer_provider` |
| `resource` | `attributes` of type string, `attributes_list` |
| `meter_provider` | `exemplar_filter`; `readers`: one `periodic` with `otlp_http` or `otlp_grpc`, one with `console`, one `pull` with `prometheus/development` (`host`, `port`) |
| `periodic` | `interval`, `timeout`, which are the same for all readers, and `exporter` |
| `logger_provider`, `tracer_provider` | `processors`: one `batch` with `otlp_http` or `otlp_grpc`; for traces also `sampler`: `always_on`, `always_off`, `trace_id_ratio_based`, `parent_based` with its `root` |
| `otlp_http`, `otlp_grpc` | `endpoint`, `tls`, `headers`, `headers_list`, `compression`, `timeout`; over HTTP `encoding`; for metrics `temporality_preference`, `default_histogram_aggregation` |

Everything else is an error with its path, and fedimeter does not start. This includes values that would only cause a warning in a variable. A file of a later minor version is read in the same way; what that version adds is an error.

`${NAME}`, `${env:NAME}` and `${NAME:-default}` in values are replaced by environment variables, and `$$` is a dollar sign. A variable cannot change the structure of the file. In a header, a variable that is not set is an error, because the receiver would get an empty password; `${NAME:-}` allows it.

A warning names `OTEL_*` variables that are set in addition to the file. Messages name the file and its keys: `tls.ca_file (in otel.yaml)`.
"#;

/// Returns docs/environment.md.
#[must_use]
pub fn markdown() -> String {
    let mut page = String::from(
        "<!-- Generated from src/config/otel/table.rs: UPDATE_GOLDEN=1 cargo test otel -->\n\
         # OpenTelemetry environment variables\n\n\
         fedimeter follows the variables of the OpenTelemetry specification. An empty variable counts as \
         missing. Booleans are true for `true` in any case, and false for everything else. Choices may be \
         written in any case. An invalid value is ignored with a warning, except that fedimeter does not start \
         with an invalid endpoint, because no data could arrive. A variable with `METRICS_`, `LOGS_` or \
         `TRACES_` applies to that signal, and takes precedence over the general one.\n\n\
         Some defaults differ from the specification's, which are `otlp` and `http/protobuf` in all cases. \
         Without `OTEL_METRICS_EXPORTER`, `OTEL_LOGS_EXPORTER` and `OTEL_TRACES_EXPORTER` nothing is pushed \
         to a receiver that you did not name. Port 4317 means gRPC, because nothing answers HTTP there. \
         Without `OTEL_TRACES_SAMPLER` a bridge with more than 100 targets exports only a part of its spans.\n\n\
         | Variable | Value | Default | Meaning |\n|---|---|---|---|\n",
    );
    for variable in VARIABLES {
        let names: Vec<String> = variable.names().iter().map(|name| format!("`{name}`")).collect();
        let default = if variable.default.is_empty() { "none" } else { variable.default };
        // Writing to a string cannot fail.
        let _ = writeln!(
            page,
            "| {} | {} | {default} | {} |",
            names.join("<br>"),
            variable.kind,
            variable.meaning
        );
    }
    page.push_str(FILE);
    page
}
