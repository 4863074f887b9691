//! Logs recurring failures once.

use std::sync::atomic::{AtomicBool, Ordering};

/// Decides what to log about a failure that can recur at every collection: its
/// beginning and its end.
#[derive(Debug, Default)]
pub struct LogOnce(AtomicBool);

impl LogOnce {
    /// Records a failure. Returns true for the first one, which is to be logged.
    pub fn begins(&self) -> bool {
        !self.0.swap(true, Ordering::Relaxed)
    }

    /// Records a success. Returns true for the first one after a failure.
    pub fn ends(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_logged_when_it_begins_and_when_it_is_over() {
        let failing = LogOnce::default();
        assert!(!failing.ends(), "it never began");
        assert!(failing.begins());
        assert!(!failing.begins());
        assert!(failing.ends());
        assert!(!failing.ends());
        assert!(failing.begins());
    }
}
