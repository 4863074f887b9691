//! The `OTEL_*` variables that fedimeter knows: one row each, for the reader's
//! tests and for docs/environment.md.

use std::fmt::Write;

/// One variable of the OpenTelemetry specification.
#[derive(Debug)]
pub struct Variable {
    /// Its name. `{METRICS_}` stands for two variables: with `METRICS_` for
    /// metrics alone, which goes first, and without for all signals.
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
        "`true` turns all export off: push, console and `/metrics`. A line in the log says so.";
    "OTEL_CONFIG_FILE", "path", "",
        "Declarative configuration is not supported yet: if it is set, fedimeter refuses to start. Use `--config`, flags and the variables of this page.";
    "OTEL_METRICS_EXPORTER", "list of `otlp`, `prometheus`, `console`, `none`", "`prometheus`, and `otlp` where an OTLP endpoint is set",
        "Who gets the metrics. If it is set, only those that it names.";
    "OTEL_SERVICE_NAME", "string", "`fedimeter`",
        "`service.name` of the bridge itself. Beats `OTEL_RESOURCE_ATTRIBUTES`.";
    "OTEL_RESOURCE_ATTRIBUTES", "list of `key=value`, percent-encoded", "",
        "Attributes of the bridge's resource. With an error in it the whole value is ignored. `service.instance.id` is by default a UUID that stays the same from start to start; `service.version` and `telemetry.sdk.*` cannot be set.";
    "OTEL_LOG_LEVEL", "`none`, `error`, `warn`, `info`, `debug` or `trace`", "`info`",
        "How much the bridge logs; `--log-level`, its variable and the file beat it.";
    "OTEL_EXPORTER_OTLP_{METRICS_}ENDPOINT", "URL", "`http://localhost:4318`; for gRPC `http://localhost:4317`",
        "Where to push; setting it turns push on. For HTTP, `v1/metrics` is appended to the general one; the one for metrics is used as it is. Without a scheme (gRPC only) `OTEL_EXPORTER_OTLP_INSECURE` decides.";
    "OTEL_EXPORTER_OTLP_{METRICS_}PROTOCOL", "`grpc`, `http/protobuf` or `http/json`", "`http/protobuf`; `grpc` where the endpoint's port is 4317",
        "What is spoken. A line in the log says what was chosen. Requests over HTTP go through the proxy that `HTTP_PROXY`, `HTTPS_PROXY` or `ALL_PROXY` names, but for the hosts of `NO_PROXY`; gRPC always connects directly.";
    "OTEL_EXPORTER_OTLP_{METRICS_}HEADERS", "list of `key=value`, percent-encoded", "",
        "Sent with every request. They are secrets: they show nowhere. Those that the protocol sets itself, as `content-type`, are left out with a warning.";
    "OTEL_EXPORTER_OTLP_{METRICS_}COMPRESSION", "`none` or `gzip`", "`none`",
        "How requests are compressed.";
    "OTEL_EXPORTER_OTLP_{METRICS_}TIMEOUT", "milliseconds", "`10000`",
        "The longest that one request may take, its retries included.";
    "OTEL_EXPORTER_OTLP_{METRICS_}INSECURE", "boolean", "`false`",
        "For a gRPC endpoint without a scheme: `true` means `http`, otherwise `https`.";
    "OTEL_EXPORTER_OTLP_{METRICS_}CERTIFICATE", "path", "the system's authorities, or bundled ones where it has none",
        "PEM file with the authorities, and no others, that a receiver's certificate must come from. It and the two below are for `https` alone.";
    "OTEL_EXPORTER_OTLP_{METRICS_}CLIENT_CERTIFICATE", "path", "",
        "PEM file with the client certificate and its chain.";
    "OTEL_EXPORTER_OTLP_{METRICS_}CLIENT_KEY", "path", "",
        "PEM file with the client certificate's key.";
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "`cumulative`, `delta` or `lowmemory`", "`cumulative`",
        "What pushed counters and histograms count from. What is measured on servers is the same under each.";
    "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "`explicit_bucket_histogram` or `base2_exponential_bucket_histogram`", "`explicit_bucket_histogram`",
        "The kind of pushed histograms.";
    "OTEL_METRIC_EXPORT_INTERVAL", "milliseconds", "`60000`",
        "From the beginning of one push to that of the next. The first leaves at once.";
    "OTEL_METRIC_EXPORT_TIMEOUT", "milliseconds", "`30000`",
        "The longest that a push may take, collection and requests together.";
    "OTEL_METRICS_EXEMPLAR_FILTER", "`always_on`, `always_off` or `trace_based`", "`trace_based`",
        "Accepted and without effect: there are no traces here that an exemplar could name.";
    "OTEL_EXPORTER_PROMETHEUS_HOST", "IP address or `localhost`", "`localhost`",
        "Where `/metrics` listens; `--listen` beats it.";
    "OTEL_EXPORTER_PROMETHEUS_PORT", "port", "`9464`",
        "The port of `/metrics`; `--listen` beats it.";
}

impl Variable {
    /// The names that this row stands for, the one that goes first first.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        match self.name.split_once("{METRICS_}") {
            None => vec![self.name.to_owned()],
            Some((start, end)) => vec![format!("{start}METRICS_{end}"), format!("{start}{end}")],
        }
    }
}

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
         Where two variables are given, the one with `METRICS_` goes first.\n\n\
         Two defaults differ from the specification's, which has `otlp` and `http/protobuf` whatever is set: \
         without `OTEL_METRICS_EXPORTER` nothing is pushed to a receiver that nobody named, and on port 4317 \
         gRPC is spoken, because nothing answers HTTP there.\n\n\
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
    page
}
