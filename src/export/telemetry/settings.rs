//! Settings for exporting the bridge's own logs and traces.

use std::time::Duration;

use crate::export::otlp::OtlpSettings;

/// The bridge's own logs and traces.
#[derive(Debug, Clone, PartialEq)]
pub struct TelemetrySettings {
    /// Log records.
    pub logs: SignalSettings,
    /// Spans.
    pub traces: SignalSettings,
    /// Which spans are exported.
    pub sampling: Sampling,
}

impl TelemetrySettings {
    /// The settings of each signal that is exported.
    pub fn exported(&self) -> impl Iterator<Item = &SignalSettings> {
        [&self.logs, &self.traces].into_iter().filter(|signal| signal.is_on)
    }
}

/// The settings of one signal.
#[derive(Debug, Clone, PartialEq)]
pub struct SignalSettings {
    /// Whether it is exported.
    pub is_on: bool,
    /// Where and how.
    pub otlp: OtlpSettings,
    /// How items are grouped into requests.
    pub batch: BatchSettings,
}

/// The batches of the SDK: the `OTEL_BLRP_*` and `OTEL_BSP_*` variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchSettings {
    /// The longest time that an item waits for others.
    pub delay: Duration,
    /// The longest time that sending a batch may take.
    pub timeout: Duration,
    /// The maximum number of waiting items. Further items are lost.
    pub max_queue: usize,
    /// The maximum number of items in a batch.
    pub max_batch: usize,
}

/// Which spans are exported. Every trace starts in the bridge, so a sampler that
/// follows its parent equals one that does not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sampling {
    /// All spans, except that a collection keeps those of about this many targets.
    Targets(u32),
    /// All.
    All,
    /// None.
    None,
    /// This share of the traces, each of them complete.
    Ratio(f64),
}
