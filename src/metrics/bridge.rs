//! Metrics of the bridge itself, which are reported once and not for each target. Names
//! below `otel.` and `process.` come from the semantic conventions and have their
//! meaning.

use crate::snapshot::{Component, ExporterFacts};

use super::{Emit, Label, Read, Row, Stability, Timing, gauge};

/// What the bridge always says of itself.
pub(super) const BUILD_INFO: &str = "fedimeter.build.info";
const CPU_MODE: &str = "cpu.mode";
const PUSHED: &str = "while push is on";
const LINUX: &str = "on Linux";
/// The attributes of an exporter: [`of`].
const EXPORTER: &[&str] = &["otel.component.name", "otel.component.type", "server.address", "server.port"];
/// The attributes of finished items: [`exported`].
const EXPORTED: &[&str] =
    &["error.type", "otel.component.name", "otel.component.type", "server.address", "server.port"];
const PROCESSED: &[&str] = &["error.type", "otel.component.name", "otel.component.type"];
const LOGS_SENT: &str = "while `OTEL_LOGS_EXPORTER` is `otlp`";
const SPANS_SENT: &str = "while `OTEL_TRACES_EXPORTER` is `otlp`";
const LISTENING: &str = "while `/metrics` is on";

pub(super) const ROWS: &[Row] = &[
    gauge(
        BUILD_INFO,
        "",
        "The release, the git revision and the compiler of this binary; always 1.",
        "the build",
        Read::OwnInts(|b, emit| {
            let text = |text| Label::Static(text);
            let (revision, rustc) = (text(b.build.revision), text(b.build.rustc));
            emit(1, &[("revision", revision), ("rustc", rustc), ("version", text(b.build.version))]);
        }),
    )
    .by(&["revision", "rustc", "version"]),
    gauge(
        "fedimeter.targets",
        "{target}",
        "Servers that the bridge polls.",
        "the configuration",
        Read::OwnInts(|b, emit| emit(b.targets as i64, &[])),
    ),
    gauge(
        "fedimeter.collection.duration",
        "s",
        "Duration of collections, from the request until the result was ready.",
        "the bridge's clock",
        Read::Recorded(Timing::Collection),
    )
    .by(&["fedimeter.exporter.name"]),
    gauge(
        "fedimeter.request.duration",
        "s",
        "Duration of reading endpoints, including redirects, pages and bodies.",
        "the bridge's clock",
        Read::Recorded(Timing::Request),
    )
    .by(&["error.type", "fedimeter.endpoint.name", "fedimeter.request.outcome"])
    .optional(&["error.type"]),
    gauge(
        "fedimeter.client.limits.reached",
        "{occurrence}",
        "How often clients of the bridge reached a limit since it started.",
        "the bridge's listeners",
        Read::OwnCounts(|b, emit| {
            for (limit, count) in b.client_limits.into_iter().flatten() {
                emit(count, &[("fedimeter.limit.name", Label::Static(limit.name()))]);
            }
        }),
    )
    .by(&["fedimeter.limit.name"])
    .on(LISTENING),
    gauge(
        "fedimeter.push.backlog.size",
        "{item}",
        "Points, log records and spans that wait for the OTLP receiver.",
        "the OTLP exporters",
        Read::OwnLevels(|b, emit| {
            for exporter in b.exporters() {
                emit(exporter.waiting as i64, &of(&exporter.component));
            }
        }),
    )
    .by(EXPORTER)
    .on(PUSHED),
    gauge(
        "fedimeter.push.backlog.usage",
        "By",
        "Memory or disk space of the requests that wait for the OTLP receiver.",
        "the OTLP exporters",
        Read::OwnLevels(|b, emit| {
            for exporter in b.exporters() {
                emit(exporter.waiting_bytes as i64, &of(&exporter.component));
            }
        }),
    )
    .by(EXPORTER)
    .on(PUSHED),
    gauge(
        "fedimeter.push.backlog.age",
        "s",
        "Time for which the oldest points, log records or spans have waited for the OTLP receiver.",
        "the OTLP exporters",
        Read::OwnFloats(|b, emit| {
            for exporter in b.exporters() {
                if let Some(age) = exporter.waiting_for {
                    emit(age.as_secs_f64(), &of(&exporter.component));
                }
            }
        }),
    )
    .by(EXPORTER)
    .on("while something waits"),
    gauge(
        "fedimeter.log.lines.lost",
        "{line}",
        "Log lines that were lost since the bridge started, because standard error was not read.",
        "the bridge's log",
        Read::OwnCounts(|b, emit| emit(b.lost_log_lines, &[])),
    ),
    gauge(
        "otel.sdk.exporter.log.inflight",
        "{log_record}",
        "Log records of the bridge that are being sent to the OTLP receiver.",
        "the OTLP exporter",
        Read::OwnLevels(|b, emit| inflight(b.logs.as_ref(), emit)),
    )
    .by(EXPORTER)
    .on(LOGS_SENT),
    gauge(
        "otel.sdk.exporter.log.exported",
        "{log_record}",
        "Log records of the bridge that the OTLP exporter has finished with since the bridge started; those \
         without `error.type` arrived.",
        "the OTLP exporter",
        Read::OwnCounts(|b, emit| exported(b.logs.as_ref(), emit)),
    )
    .by(EXPORTED)
    .optional(&["error.type"])
    .on(LOGS_SENT),
    gauge(
        "otel.sdk.exporter.metric_data_point.inflight",
        "{data_point}",
        "Points that are being sent to the OTLP receiver.",
        "the OTLP exporter",
        Read::OwnLevels(|b, emit| inflight(b.push.as_ref(), emit)),
    )
    .by(EXPORTER)
    .on(PUSHED),
    gauge(
        "otel.sdk.exporter.metric_data_point.exported",
        "{data_point}",
        "Points that the OTLP exporter has finished with since the bridge started; those without \
         `error.type` arrived.",
        "the OTLP exporter",
        Read::OwnCounts(|b, emit| exported(b.push.as_ref(), emit)),
    )
    .by(EXPORTED)
    .optional(&["error.type"])
    .on(PUSHED),
    gauge(
        "otel.sdk.exporter.operation.duration",
        "s",
        "Duration of export requests, including retries and the pauses between them.",
        "the OTLP exporter",
        Read::Recorded(Timing::Export),
    )
    .by(&[
        "error.type",
        "http.response.status_code",
        "otel.component.name",
        "otel.component.type",
        "rpc.status_code",
        "server.address",
        "server.port",
    ])
    .optional(&["error.type", "http.response.status_code", "rpc.status_code"])
    .on(PUSHED),
    gauge(
        "otel.sdk.exporter.span.inflight",
        "{span}",
        "Spans of the bridge that are being sent to the OTLP receiver.",
        "the OTLP exporter",
        Read::OwnLevels(|b, emit| inflight(b.spans.as_ref(), emit)),
    )
    .by(EXPORTER)
    .on(SPANS_SENT),
    gauge(
        "otel.sdk.exporter.span.exported",
        "{span}",
        "Spans of the bridge that the OTLP exporter has finished with since the bridge started; those \
         without `error.type` arrived.",
        "the OTLP exporter",
        Read::OwnCounts(|b, emit| exported(b.spans.as_ref(), emit)),
    )
    .by(EXPORTED)
    .optional(&["error.type"])
    .on(SPANS_SENT),
    gauge(
        "otel.sdk.metric_reader.collection.duration",
        "s",
        "Duration of reading the targets' instruments, after the servers had been asked.",
        "the bridge's clock",
        Read::Recorded(Timing::Reading),
    )
    .by(&["error.type", "otel.component.name", "otel.component.type"])
    .optional(&["error.type"]),
    gauge(
        "otel.sdk.processor.log.processed",
        "{log_record}",
        "Log records of the bridge that its queue has handed to the OTLP exporter since the bridge started; \
         those with `error.type` `queue_full` were lost instead.",
        "the batch processor",
        Read::OwnCounts(|b, emit| processed(b.logs.as_ref(), emit)),
    )
    .by(PROCESSED)
    .optional(&["error.type"])
    .on(LOGS_SENT),
    gauge(
        "otel.sdk.processor.span.processed",
        "{span}",
        "Spans of the bridge that its queue has handed to the OTLP exporter since the bridge started; those \
         with `error.type` `queue_full` were lost instead.",
        "the batch processor",
        Read::OwnCounts(|b, emit| processed(b.spans.as_ref(), emit)),
    )
    .by(PROCESSED)
    .optional(&["error.type"])
    .on(SPANS_SENT),
    gauge(
        "process.cpu.time",
        "s",
        "CPU time that the bridge has used.",
        "`/proc/self/stat`",
        Read::OwnSeconds(|b, emit| {
            for (mode, time) in [("system", b.process.system), ("user", b.process.user)] {
                if let Some(time) = time {
                    emit(time.as_secs_f64(), &[(CPU_MODE, Label::Static(mode))]);
                }
            }
        }),
    )
    .by(&[CPU_MODE])
    .on(LINUX)
    .stability(Stability::ReleaseCandidate),
    gauge(
        "process.memory.usage",
        "By",
        "Physical memory that the bridge uses.",
        "`VmRSS` of `/proc/self/status`",
        Read::OwnLevels(|b, emit| {
            if let Some(bytes) = b.process.memory {
                emit(bytes as i64, &[]);
            }
        }),
    )
    .on(LINUX)
    .stability(Stability::ReleaseCandidate),
    gauge(
        "process.thread.count",
        "{thread}",
        "Threads of the bridge.",
        "`Threads` of `/proc/self/status`",
        Read::OwnLevels(|b, emit| {
            if let Some(threads) = b.process.threads {
                emit(threads as i64, &[]);
            }
        }),
    )
    .on(LINUX)
    .stability(Stability::ReleaseCandidate),
    gauge(
        "process.unix.file_descriptor.count",
        "{file_descriptor}",
        "File descriptors that the bridge has open.",
        "`/proc/self/fd`",
        Read::OwnLevels(|b, emit| {
            if let Some(descriptors) = b.process.descriptors {
                emit(descriptors as i64, &[]);
            }
        }),
    )
    .on(LINUX)
    .stability(Stability::ReleaseCandidate),
    gauge(
        "process.uptime",
        "s",
        "How long the bridge has been running.",
        "the bridge's clock",
        Read::OwnFloats(|b, emit| emit(b.process.uptime.as_secs_f64(), &[])),
    )
    .stability(Stability::ReleaseCandidate),
];

/// The attributes of an exporter.
#[must_use]
pub fn of(component: &Component) -> [(&'static str, Label); 4] {
    [
        ("otel.component.name", Label::Static(component.name)),
        ("otel.component.type", Label::Static(component.kind)),
        ("server.address", Label::Text(component.address.clone())),
        ("server.port", Label::Int(component.port.into())),
    ]
}

fn inflight(exporter: Option<&ExporterFacts>, emit: Emit<'_, i64>) {
    if let Some(exporter) = exporter {
        emit(exporter.in_flight as i64, &of(&exporter.component));
    }
}

/// The point of items that arrived exists from the start, so that the first items show
/// as an increase.
fn exported(exporter: Option<&ExporterFacts>, emit: Emit<'_, u64>) {
    let Some(ExporterFacts { component, items, .. }) = exporter else { return };
    emit(items.get(&None).map_or(0, |n| *n), &of(component));
    for (error, count) in items {
        if let Some(error) = error {
            let mut labels = vec![("error.type", Label::Static(error))];
            labels.extend(of(component));
            emit(*count, &labels);
        }
    }
}

/// Both points exist from the start, so that the first loss shows as an increase.
fn processed(exporter: Option<&ExporterFacts>, emit: Emit<'_, u64>) {
    let Some(queue) = exporter.and_then(|exporter| exporter.queue.as_ref()) else { return };
    let of_queue = [
        ("otel.component.name", Label::Static(queue.name)),
        ("otel.component.type", Label::Static(queue.kind)),
    ];
    emit(queue.handed_over, &of_queue);
    let [name, kind] = of_queue;
    emit(queue.dropped, &[("error.type", Label::Static("queue_full")), name, kind]);
}
