//! The bridge itself, reported once and not by target. Names below `otel.` and
//! `process.` are the semantic conventions', and mean what those say.

use crate::snapshot::{BridgeFacts, Component, PushFacts};

use super::{Emit, Label, Read, Row, Stability, gauge};

/// How long collections take.
pub const COLLECTION_DURATION: &str = "fedimeter.collection.duration";
/// How long endpoints take to read.
pub const REQUEST_DURATION: &str = "fedimeter.request.duration";
/// How long pushing takes.
pub const OPERATION_DURATION: &str = "otel.sdk.exporter.operation.duration";

const CPU_MODE: &str = "cpu.mode";
const PUSHED: &str = "while push is on";
const LINUX: &str = "on Linux";

pub(super) const ROWS: &[Row] = &[
    gauge(
        "fedimeter.build.info",
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
        COLLECTION_DURATION,
        "s",
        "How long collections took, from being asked for until there was something to hand over.",
        "the bridge's clock",
        Read::Recorded,
    )
    .histogram()
    .by(&["fedimeter.exporter.name"]),
    gauge(
        REQUEST_DURATION,
        "s",
        "How long endpoints took to read, redirects, pages and bodies included.",
        "the bridge's clock",
        Read::Recorded,
    )
    .histogram()
    .by(&["error.type", "fedimeter.endpoint.name", "fedimeter.request.outcome"])
    .optional(&["error.type"]),
    gauge(
        "otel.sdk.exporter.metric_data_point.inflight",
        "{data_point}",
        "Points that are on their way to the OTLP receiver.",
        "the OTLP exporter",
        Read::OwnInts(|b, emit| {
            if let Some(push) = &b.push {
                emit(push.in_flight as i64, &of(&push.component));
            }
        }),
    )
    .up_down_counter()
    .by(&["otel.component.name", "otel.component.type", "server.address", "server.port"])
    .on(PUSHED),
    gauge(
        "otel.sdk.exporter.metric_data_point.exported",
        "{data_point}",
        "Points that the OTLP exporter has done with since the bridge started: without `error.type` those that arrived.",
        "the OTLP exporter",
        Read::OwnInts(exported),
    )
    .counter()
    .by(&["error.type", "otel.component.name", "otel.component.type", "server.address", "server.port"])
    .optional(&["error.type"])
    .on(PUSHED),
    gauge(
        OPERATION_DURATION,
        "s",
        "How long export requests took, with their retries and the pauses in between.",
        "the OTLP exporter",
        Read::Recorded,
    )
    .histogram()
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
        "process.cpu.time",
        "s",
        "CPU time that the bridge has used.",
        "`/proc/self/stat`",
        Read::OwnFloats(|b, emit| {
            for (mode, time) in [("system", b.process.system), ("user", b.process.user)] {
                if let Some(time) = time {
                    emit(time.as_secs_f64(), &[(CPU_MODE, Label::Static(mode))]);
                }
            }
        }),
    )
    .counter()
    .by(&[CPU_MODE])
    .on(LINUX)
    .stability(Stability::ReleaseCandidate),
    gauge(
        "process.memory.usage",
        "By",
        "Physical memory that the bridge uses.",
        "`VmRSS` of `/proc/self/status`",
        Read::OwnInts(|b, emit| {
            if let Some(bytes) = b.process.memory {
                emit(bytes as i64, &[]);
            }
        }),
    )
    .up_down_counter()
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

/// Those that arrived are there from the start, so that the first ones are an
/// increase.
fn exported(b: &BridgeFacts, emit: Emit<'_, i64>) {
    let Some(PushFacts { component, points, .. }) = &b.push else { return };
    emit(points.get(&None).map_or(0, |n| *n as i64), &of(component));
    for (error, count) in points {
        if let Some(error) = error {
            let mut labels = vec![("error.type", Label::Static(error))];
            labels.extend(of(component));
            emit(*count as i64, &labels);
        }
    }
}
