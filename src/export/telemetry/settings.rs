//! What is exported of the bridge's own logs and traces, and how.

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

/// One signal.
#[derive(Debug, Clone, PartialEq)]
pub struct SignalSettings {
    /// Whether it is exported.
    pub is_on: bool,
    /// Where and how.
    pub otlp: OtlpSettings,
    /// How its items are put together for a request.
    pub batch: BatchSettings,
}

/// Batches of the SDK: the `OTEL_BLRP_*` and `OTEL_BSP_*` variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchSettings {
    /// The longest that an item waits for others.
    pub delay: Duration,
    /// The longest that sending a batch may take.
    pub timeout: Duration,
    /// Items that wait at most; further ones are lost.
    pub max_queue: usize,
    /// Items of one batch at most.
    pub max_batch: usize,
}

/// Which spans are exported. Every trace begins in the bridge, so that a sampler that
/// follows its parent and one that does not are the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sampling {
    /// All, but in a collection those of about so many targets.
    Targets(u32),
    /// All.
    All,
    /// None.
    None,
    /// This share of the traces, each whole.
    Ratio(f64),
}
