//! The maximum size of requests: the configured one, or a smaller one that the receiver
//! needs.

use std::sync::atomic::{AtomicU64, Ordering};

/// Requests are not divided below this size, which every receiver accepts.
pub const MIN_REQUEST: u64 = 16 << 10;

/// The size of requests in bytes, before compression.
#[derive(Debug)]
pub(super) struct RequestSize {
    set: u64,
    now: AtomicU64,
    /// The smallest size that the receiver refused since it last accepted a request; 0
    /// if none.
    refused: AtomicU64,
}

impl RequestSize {
    pub fn new(set: u64) -> RequestSize {
        RequestSize { set, now: AtomicU64::new(set), refused: AtomicU64::new(0) }
    }

    /// Returns the current maximum size.
    pub fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    /// Notes that the receiver accepted a request.
    pub fn accepted(&self) {
        self.refused.store(0, Ordering::Relaxed);
    }

    /// Notes that the receiver refused a request of this size as too large. Returns the
    /// next smaller size to try, or `None` if dividing does not help.
    pub fn refused(&self, size: u64) -> Option<u64> {
        let before = self.refused.load(Ordering::Relaxed);
        if size <= MIN_REQUEST {
            // Size is not the reason for the refusal. Later requests are sent whole
            // until the receiver accepts one.
            self.refused.store(size.max(1), Ordering::Relaxed);
            if before != 0 {
                self.now.store(self.set, Ordering::Relaxed);
            }
            return None;
        }
        if before != 0 && before <= MIN_REQUEST {
            return None;
        }
        let half = (size / 2).max(MIN_REQUEST);
        self.refused.store(size, Ordering::Relaxed);
        self.now.fetch_min(half, Ordering::Relaxed);
        Some(half)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_shrink_to_what_is_taken_and_stay_so() {
        let size = RequestSize::new(3 << 20);
        assert_eq!(size.refused(3 << 20), Some(3 << 19));
        assert_eq!(size.refused(3 << 19), Some(3 << 18));
        size.accepted();
        assert_eq!(size.now(), 3 << 18);
        assert_eq!(size.refused(3 << 18), Some(3 << 17));
        assert_eq!(size.now(), 3 << 17);
    }

    #[test]
    fn a_receiver_that_finds_everything_too_large_is_not_asked_in_ever_smaller_parts() {
        let size = RequestSize::new(64 << 10);
        assert_eq!(size.refused(64 << 10), Some(32 << 10));
        assert_eq!(size.refused(32 << 10), Some(16 << 10));
        assert_eq!(size.refused(16 << 10), None);
        assert_eq!(size.now(), 64 << 10, "it was not the size");
        assert_eq!(size.refused(32 << 10), None);
        assert_eq!(size.refused(60 << 10), None, "nothing is divided any more");
        size.accepted();
        assert_eq!(size.refused(60 << 10), Some(30 << 10), "but once it has taken one");
        // A refused small request says nothing about other requests.
        size.accepted();
        assert_eq!((size.refused(100), size.now()), (None, 30 << 10));
    }
}
