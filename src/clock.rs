//! Time, handed in: what the process measures lifetimes with, and what the
//! world calls it. Tests move it forward instead of waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// A point on the process's own time line: time since its clock was made.
/// It never goes back, whatever is done to the system's clock.
pub type Moment = Duration;

/// The clock of one bridge. Clones share it.
#[derive(Debug, Clone)]
pub struct Clock {
    origin: Instant,
    /// Nanoseconds that a test has moved it forward.
    skipped: Arc<AtomicU64>,
}

impl Default for Clock {
    fn default() -> Clock {
        // A fresh clock stands at one day, so that subtracting an interval
        // from the present never reaches the origin.
        Clock { origin: Instant::now(), skipped: Arc::new(AtomicU64::new(86_400_000_000_000)) }
    }
}

impl Clock {
    /// The present.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.origin.elapsed() + Duration::from_nanos(self.skipped.load(Ordering::Relaxed))
    }

    /// The present as a Unix time in seconds.
    #[must_use]
    pub fn unix(&self) -> f64 {
        let skipped = self.skipped.load(Ordering::Relaxed) - 86_400_000_000_000;
        let system = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        (system + Duration::from_nanos(skipped)).as_secs_f64()
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.skipped.fetch_add(by.as_nanos() as u64, Ordering::Relaxed);
    }
}
