//! Tells whether anything has changed since a view was made.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Counts changes to the known facts of all targets, and the targets that are being
/// polled.
#[derive(Debug, Default)]
pub struct Changes {
    count: AtomicU64,
    busy: AtomicUsize,
}

impl Changes {
    /// Counts a change to the known facts.
    pub fn note(&self) {
        self.count.fetch_add(1, Ordering::Release);
    }

    /// Records that polling of a target begins.
    pub fn begins(&self) {
        self.busy.fetch_add(1, Ordering::AcqRel);
    }

    /// Records that polling of a target has ended, with any outcome.
    pub fn ends(&self) {
        self.note();
        self.busy.fetch_sub(1, Ordering::AcqRel);
    }

    /// The number of changes so far.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// Whether nothing has changed since that number of changes, and nothing is being
    /// polled.
    pub fn none_since(&self, count: u64) -> bool {
        self.busy.load(Ordering::Acquire) == 0 && self.count() == count
    }
}
