//! How probing fares, counted.

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
    /// A probe ended so.
    pub fn ended(&self, outcome: ProbeOutcome) {
        self.outcomes[outcome as usize].fetch_add(1, Relaxed);
    }

    /// So many targets are kept from now on.
    pub fn has_targets(&self, targets: usize) {
        self.targets.store(targets, Relaxed);
    }

    /// The counts.
    #[must_use]
    pub fn facts(&self) -> ProbeFacts {
        ProbeFacts {
            outcomes: ProbeOutcome::ALL
                .map(|outcome| (outcome, self.outcomes[outcome as usize].load(Relaxed))),
            targets: self.targets.load(Relaxed),
        }
    }
}
