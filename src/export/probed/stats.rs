//! Statistics of probes.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU64, AtomicUsize};

use crate::snapshot::{ProbeFacts, ProbeOutcome};

/// Counts probes and the targets that are kept for them.
#[derive(Debug, Default)]
pub struct ProbeStats {
    outcomes: [AtomicU64; ProbeOutcome::ALL.len()],
    targets: AtomicUsize,
}

impl ProbeStats {
    /// Counts a probe with this outcome.
    pub fn ended(&self, outcome: ProbeOutcome) {
        self.outcomes[outcome as usize].fetch_add(1, Relaxed);
    }

    /// Sets the number of targets that are kept.
    pub fn has_targets(&self, targets: usize) {
        self.targets.store(targets, Relaxed);
    }

    /// Returns the counts.
    #[must_use]
    pub fn facts(&self) -> ProbeFacts {
        ProbeFacts {
            outcomes: ProbeOutcome::ALL
                .map(|outcome| (outcome, self.outcomes[outcome as usize].load(Relaxed))),
            targets: self.targets.load(Relaxed),
        }
    }
}
