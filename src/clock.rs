//! Time as a parameter: the process's own time for lifetimes, and Unix time. Tests
//! advance it instead of waiting.

use std::ops::Add;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// An instant of the process's own time, which never goes back, even if the system's
/// clock does. It is a type of its own, so that an interval cannot be used in its
/// place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(Duration);

impl Moment {
    /// The earliest instant of every clock.
    pub const ORIGIN: Moment = Moment(Duration::ZERO);

    /// Returns the instant at this time after the origin.
    #[must_use]
    pub const fn at(after_origin: Duration) -> Moment {
        Moment(after_origin)
    }

    /// Returns the time since an earlier instant, or zero if it is later.
    #[must_use]
    pub fn since(self, earlier: Moment) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// Returns the instant that is this much earlier, or the origin.
    #[must_use]
    pub fn before(self, by: Duration) -> Moment {
        Moment(self.0.saturating_sub(by))
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;

    fn add(self, by: Duration) -> Moment {
        Moment(self.0.saturating_add(by))
    }
}

/// The clock of one bridge, which its clones share.
#[derive(Debug, Clone)]
pub struct Clock {
    origin: Instant,
    /// The nanoseconds by which a test has advanced the clock.
    skipped: Arc<AtomicU64>,
}

impl Default for Clock {
    fn default() -> Clock {
        // A new clock starts at one day, so that subtracting an interval from the
        // present never reaches the origin.
        Clock { origin: Instant::now(), skipped: Arc::new(AtomicU64::new(86_400_000_000_000)) }
    }
}

impl Clock {
    /// Returns the present.
    #[must_use]
    pub fn now(&self) -> Moment {
        Moment(self.origin.elapsed() + Duration::from_nanos(self.skipped.load(Ordering::Relaxed)))
    }

    /// Returns the present in Unix seconds.
    #[must_use]
    pub fn unix(&self) -> f64 {
        let skipped = self.skipped.load(Ordering::Relaxed) - 86_400_000_000_000;
        let system = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        (system + Duration::from_nanos(skipped)).as_secs_f64()
    }

    /// Advances the clock.
    pub fn advance(&self, by: Duration) {
        self.skipped.fetch_add(by.as_nanos() as u64, Ordering::Relaxed);
    }
}
