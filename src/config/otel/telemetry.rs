//! The variables for the bridge's own logs and traces.

use std::time::Duration;

use super::OtelEnvError;
use super::otlp;
use super::reader::{Reader, entries};
use crate::export::otlp::Signal;
use crate::export::telemetry::{BatchSettings, Sampling, SignalSettings, TelemetrySettings};

/// The default number of targets of a collection whose spans are exported. With about
/// ten requests each they make at most two thousand spans a minute.
const TRACED_TARGETS: u32 = 100;

/// The default length of the queue of log records, from the specification.
const LOG_QUEUE: usize = 2_048;
/// The default length of the queue of spans. The specification's 2,048 are fewer than
/// one collection of the targets whose spans are exported.
const SPAN_QUEUE: usize = 8_192;
/// The maximum length of a queue, because each item takes memory.
const MAX_QUEUE: usize = 65_536;
/// The maximum number of items in a batch, which keeps requests below the limits of
/// receivers.
const MAX_BATCH: usize = 2_048;

/// The exporters of logs and of traces.
pub(super) static EXPORTERS: [&str; 2] = ["OTEL_LOGS_EXPORTER", "OTEL_TRACES_EXPORTER"];

pub(super) fn settings(
    reader: &mut Reader<'_>,
    disabled: bool,
    errors: &mut Vec<OtelEnvError>,
) -> TelemetrySettings {
    let [logs, traces] = EXPORTERS.map(|name| is_on(reader, name) && !disabled);
    TelemetrySettings {
        logs: SignalSettings {
            is_on: logs,
            otlp: otlp::settings(reader, Signal::Logs, logs, errors),
            batch: batch(reader, &BLRP, (Duration::from_secs(1), LOG_QUEUE)),
        },
        traces: SignalSettings {
            is_on: traces,
            otlp: otlp::settings(reader, Signal::Traces, traces, errors),
            batch: batch(reader, &BSP, (Duration::from_secs(5), SPAN_QUEUE)),
        },
        sampling: sampling(reader),
    }
}

/// Whether a list of exporters names `otlp`. It is the specification's default, but
/// fedimeter sends nothing unless it is told to.
fn is_on(reader: &mut Reader<'_>, name: &str) -> bool {
    let Some(list) = reader.text(name) else { return false };
    let (mut otlp, mut none) = (false, false);
    for (_, entry) in entries(&list) {
        match entry.to_ascii_lowercase().as_str() {
            "otlp" => otlp = true,
            "none" => none = true,
            _ => reader.warn(name, format!("{entry:?} is not one of otlp, none: ignored")),
        }
    }
    if otlp && none {
        reader.warn(name, "none cannot be combined with other exporters: ignored");
    }
    otlp
}

/// The sampler and its argument.
pub(super) static SAMPLER: [&str; 2] = ["OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"];

/// The variables of a batch: delay, timeout, queue, batch.
type Names = [&'static str; 4];

pub(super) static BLRP: Names = [
    "OTEL_BLRP_SCHEDULE_DELAY",
    "OTEL_BLRP_EXPORT_TIMEOUT",
    "OTEL_BLRP_MAX_QUEUE_SIZE",
    "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE",
];
pub(super) static BSP: Names = [
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_BSP_EXPORT_TIMEOUT",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
];

fn batch(
    reader: &mut Reader<'_>,
    [delay, timeout, queue, batch]: &Names,
    (default_delay, default_queue): (Duration, usize),
) -> BatchSettings {
    let size = |reader: &mut Reader<'_>, name: &str, most: usize| {
        let what = format!("a whole number from 1 to {most}");
        reader.number(&[name], &what, |size| (1..=most).contains(&size))
    };
    let max_queue = size(reader, queue, MAX_QUEUE).unwrap_or(default_queue);
    let max_batch = size(reader, batch, MAX_BATCH).unwrap_or(512);
    BatchSettings {
        delay: reader.milliseconds(&[delay], default_delay),
        timeout: reader.milliseconds(&[timeout], Duration::from_secs(30)),
        max_queue,
        max_batch: max_batch.min(max_queue),
    }
}

fn sampling(reader: &mut Reader<'_>) -> Sampling {
    let is_share = |share: f64| (0.0..=1.0).contains(&share);
    let share = reader.number(&[SAMPLER[1]], "a number from 0 to 1", is_share);
    let share = Sampling::Ratio(share.unwrap_or(1.0));
    let named = reader.choice(
        &SAMPLER[..1],
        &[
            ("always_on", Sampling::All),
            ("always_off", Sampling::None),
            ("traceidratio", share),
            ("parentbased_always_on", Sampling::All),
            ("parentbased_always_off", Sampling::None),
            ("parentbased_traceidratio", share),
        ],
    );
    if !matches!(named, Some(Sampling::Ratio(_))) && !reader.ignored.contains(SAMPLER[1]) {
        reader.unused(&SAMPLER[1..], "OTEL_TRACES_SAMPLER is not traceidratio, whose share it is");
    }
    named.unwrap_or(Sampling::Targets(TRACED_TARGETS))
}
