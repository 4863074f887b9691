//! Whether anything has changed since a view was made.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Counts changes of what is known of any target, and the targets that are being asked.
#[derive(Debug, Default)]
pub struct Changes {
    count: AtomicU64,
    busy: AtomicUsize,
}

impl Changes {
    /// Something is known now that was not.
    pub fn note(&self) {
        self.count.fetch_add(1, Ordering::Release);
    }

    /// A target begins to be asked.
    pub fn begins(&self) {
        self.busy.fetch_add(1, Ordering::AcqRel);
    }

    /// A target has been asked, whatever came of it.
    pub fn ends(&self) {
        self.note();
        self.busy.fetch_sub(1, Ordering::AcqRel);
    }

    /// How many changes there were.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// Whether nothing has changed since then, and nothing is being asked.
    pub fn none_since(&self, count: u64) -> bool {
        self.busy.load(Ordering::Acquire) == 0 && self.count() == count
    }
}
