//! The `OTEL_*` variables that fedimeter knows: one row each, for the reader's
//! tests and for docs/environment.md.

use std::fmt::Write;

/// One variable of the OpenTelemetry specification.
#[derive(Debug)]
pub struct Variable {
    /// Its name. `{SIGNAL_}` stands for four variables: with `METRICS_`, `LOGS_` or
    /// `TRACES_` for that signal alone, which goes first, and without for all.
    pub name: &'static str,
    /// What its value looks like.
    pub kind: &'static str,
    /// What holds without it.
    pub default: &'static str,
    /// What it means, and what it does here where that is special.
    pub meaning: &'static str,
}

macro_rules! variables {
    ($( $name:literal, $kind:literal, $default:literal, $meaning:literal; )*) => {
        /// Every variable, in the order in which they are shown.
        pub const VARIABLES: &[Variable] =
            &[$( Variable { name: $name, kind: $kind, default: $default, meaning: $meaning }, )*];
    };
}

variables! {
    "OTEL_SDK_DISABLED", "boolean", "`false`",
        "`true` turns all export off: push, console, `/metrics`, logs and traces over OTLP. A line in the log says so.";
    "OTEL_CONFIG_FILE", "path", "",
        "A file of the [declarative configuration](#declarative-configuration) in place of all other variables of this page.";
    "OTEL_EXPERIMENTAL_CONFIG_FILE", "path", "",
        "The earlier name of `OTEL_CONFIG_FILE`, which goes before it.";
    "OTEL_METRICS_EXPORTER", "list of `otlp`, `prometheus`, `console`, `none`", "`prometheus`, and `otlp` where an OTLP endpoint is set",
        "Who gets the metrics. If it is set, only those that it names.";
    "OTEL_LOGS_EXPORTER", "list of `otlp`, `none`", "`none`",
        "`otlp` sends the bridge's own log over OTLP as well as to standard error: the lines of the same level, with their fields as attributes. Lines of the libraries underneath, and those about OTLP requests, stay on standard error.";
    "OTEL_TRACES_EXPORTER", "list of `otlp`, `none`", "`none`",
        "`otlp` sends the bridge's own traces over OTLP: one for each collection, with its targets, their endpoints and each HTTP request, and one for each push. No header about them is sent to any server.";
    "OTEL_TRACES_SAMPLER", "`always_on`, `always_off`, `traceidratio`, `parentbased_always_on`, `parentbased_always_off` or `parentbased_traceidratio`", "all traces, and in each the requests to about 100 targets",
        "Which spans are exported. By default a bridge with up to 100 targets exports all spans. A larger bridge exports about 2,000 a minute: each trace has all spans of about 100 targets, chosen anew for each trace. Every trace begins in the bridge, so `parentbased_` changes nothing.";
    "OTEL_TRACES_SAMPLER_ARG", "number from 0 to 1", "`1`",
        "The share of the traces that `traceidratio` exports, each whole.";
    "OTEL_SERVICE_NAME", "string", "`fedimeter`",
        "`service.name` of the bridge itself. Beats `OTEL_RESOURCE_ATTRIBUTES`.";
    "OTEL_RESOURCE_ATTRIBUTES", "list of `key=value`, percent-encoded", "",
        "Attributes of the bridge's resource. With an error in it the whole value is ignored. `service.instance.id` is by default a UUID made from the machine's name and id, the addresses listened on, and the configuration file, or the targets where there is none; `service.version` and `telemetry.sdk.*` cannot be set.";
    "OTEL_LOG_LEVEL", "`none`, `error`, `warn`, `info`, `debug` or `trace`", "`info`",
        "How much the bridge logs; `--log-level`, its variable and the file beat it.";
    "OTEL_EXPORTER_OTLP_{SIGNAL_}ENDPOINT", "URL", "`http://localhost:4318`; for gRPC `http://localhost:4317`",
        "Where to push; setting the general one or that for metrics turns push of metrics on. For HTTP, `v1/metrics`, `v1/logs` or `v1/traces` is appended to the general one; that of a signal is used as it is. Without a scheme (gRPC only) `OTEL_EXPORTER_OTLP_INSECURE` decides.";
    "OTEL_EXPORTER_OTLP_{SIGNAL_}PROTOCOL", "`grpc`, `http/protobuf` or `http/json`", "`http/protobuf`; `grpc` where the endpoint's port is 4317",
        "What is spoken. A line in the log says what was chosen. Requests go through the proxy that `HTTP_PROXY`, `HTTPS_PROXY` or `ALL_PROXY` names, except to the hosts in `NO_PROXY`; gRPC through a tunnel (`CONNECT`).";
    "OTEL_EXPORTER_OTLP_{SIGNAL_}HEADERS", "list of `key=value`, percent-encoded", "",
        "Sent with every request. They are secrets: they show nowhere. Those that the protocol sets itself, as `content-type`, are left out with a warning.";
    "OTEL_EXPORTER_OTLP_{SIGNAL_}COMPRESSION", "`none` or `gzip`", "`none`",
        "How requests are compressed.";
    "OTEL_EXPORTER_OTLP_{SIGNAL_}TIMEOUT", "milliseconds", "`10000`",
        "The longest that one request may take, its retries included.";
    "OTEL_EXPORTER_OTLP_{SIGNAL_}INSECURE", "boolean", "`false`",
        "For a gRPC endpoint without a scheme: `true` means `http`, otherwise `https`.";
    "OTEL_EXPORTER_OTLP_{SIGNAL_}CERTIFICATE", "path", "the system's authorities, or bundled ones where it has none",
        "PEM file with the authorities, and no others, that a receiver's certificate must come from. It and the two below are for `https` alone.";
    "OTEL_EXPORTER_OTLP_{SIGNAL_}CLIENT_CERTIFICATE", "path", "",
        "PEM file with the client certificate and its chain.";
    "OTEL_EXPORTER_OTLP_{SIGNAL_}CLIENT_KEY", "path", "",
        "PEM file with the client certificate's key.";
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "`cumulative`, `delta` or `lowmemory`", "`cumulative`",
        "What pushed counters and histograms count from. What is measured on servers is the same under each.";
    "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "`explicit_bucket_histogram` or `base2_exponential_bucket_histogram`", "`explicit_bucket_histogram`",
        "The kind of pushed histograms.";
    "OTEL_METRIC_EXPORT_INTERVAL", "milliseconds", "`60000`",
        "From the beginning of one push to that of the next. The first leaves at once.";
    "OTEL_METRIC_EXPORT_TIMEOUT", "milliseconds", "`30000`",
        "The longest that a push may take, collection and requests together.";
    "OTEL_BLRP_SCHEDULE_DELAY", "milliseconds", "`1000`",
        "The longest that a log record waits for others before they are sent.";
    "OTEL_BLRP_EXPORT_TIMEOUT", "milliseconds", "`30000`",
        "The longest that sending a batch of log records may take.";
    "OTEL_BLRP_MAX_QUEUE_SIZE", "whole number from 1 to 65536", "`2048`",
        "Log records that wait at most; further ones are lost, and counted in `otel.sdk.processor.log.processed`.";
    "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "whole number from 1 to 2048", "`512`",
        "Log records of one request at most.";
    "OTEL_BSP_SCHEDULE_DELAY", "milliseconds", "`5000`",
        "The longest that a span waits for others before they are sent.";
    "OTEL_BSP_EXPORT_TIMEOUT", "milliseconds", "`30000`",
        "The longest that sending a batch of spans may take.";
    "OTEL_BSP_MAX_QUEUE_SIZE", "whole number from 1 to 65536", "`8192`",
        "Spans that wait at most; further ones are lost, and counted in `otel.sdk.processor.span.processed`. The default is larger than the specification's 2048, which is less than the spans of one collection of 100 targets.";
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "whole number from 1 to 2048", "`512`",
        "Spans of one request at most.";
    "OTEL_METRICS_EXEMPLAR_FILTER", "`always_on`, `always_off` or `trace_based`", "`trace_based`",
        "Accepted and without effect: no exemplars are recorded.";
    "OTEL_EXPORTER_PROMETHEUS_HOST", "IP address or `localhost`", "`localhost`",
        "Where `/metrics` listens; `--listen` beats it.";
    "OTEL_EXPORTER_PROMETHEUS_PORT", "port", "`9464`",
        "The port of `/metrics`; `--listen` beats it.";
}

impl Variable {
    /// The names that this row stands for, those that go first first.
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

/// What the page says of `OTEL_CONFIG_FILE`.
const FILE: &str = r#"
## Declarative configuration

`OTEL_CONFIG_FILE` names a YAML file of OpenTelemetry's [declarative configuration](https://opentelemetry.io/docs/specs/otel/configuration/), schema 1.0 or 1.1. The file then says everything: the other variables of this page have no effect, and what the file does not name is off. fedimeter's own flags, variables and file go before it, as they go before the variables.

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

Everything else is an error with its path, and fedimeter does not start. So is a value that would be ignored with a warning in a variable. A file of a later minor version is read the same way: what that version adds is an error, and the rest means what it meant.

`${NAME}`, `${env:NAME}` and `${NAME:-default}` in values are replaced by environment variables, and `$$` is a dollar. A variable cannot change the structure of the file. In a header, a variable that is not set is an error, because the receiver would get an empty password; `${NAME:-}` allows it.

`OTEL_*` variables that are set beside the file are named in a warning. Messages name the file and its keys: `tls.ca_file (in otel.yaml)`.
"#;

/// docs/environment.md.
#[must_use]
pub fn markdown() -> String {
    let mut page = String::from(
        "<!-- Generated from src/config/otel/table.rs: UPDATE_GOLDEN=1 cargo test otel -->\n\
         # OpenTelemetry environment variables\n\n\
         fedimeter follows the OpenTelemetry specification's variables. A variable that is set to \
         nothing counts as not set. Booleans are true for `true` in any case, and false for \
         everything else; names of choices are taken in any case. A value that is wrong is ignored \
         with a warning, but an endpoint that is no URL ends the start, as nothing could arrive. \
         Where several variables are given, the one with `METRICS_`, `LOGS_` or `TRACES_` is for that \
         signal and goes before the general one.\n\n\
         Some defaults differ from the specification's, which has `otlp` and `http/protobuf` whatever is set: \
         without `OTEL_METRICS_EXPORTER`, `OTEL_LOGS_EXPORTER` and `OTEL_TRACES_EXPORTER` nothing is pushed \
         to a receiver that nobody named; on port 4317 gRPC is spoken, because nothing answers HTTP there; \
         and without `OTEL_TRACES_SAMPLER` a bridge with more than 100 targets exports a part of its spans.\n\n\
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
