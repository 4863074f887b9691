//! Time, handed in: what the process measures lifetimes with, and what the
//! world calls it. Tests move it forward instead of waiting.

use std::ops::Add;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// An instant on the process's own time line, which never goes back, whatever is done
/// to the system's clock. A type of its own, so that an interval cannot pass for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(Duration);

impl Moment {
    /// The earliest instant of every clock, before anything happened.
    pub const ORIGIN: Moment = Moment(Duration::ZERO);

    /// The instant at this time after the origin.
    #[must_use]
    pub const fn at(after_origin: Duration) -> Moment {
        Moment(after_origin)
    }

    /// The time since an earlier instant; zero since a later one.
    #[must_use]
    pub fn since(self, earlier: Moment) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// The instant that is so much earlier, or the origin.
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
        Moment(self.origin.elapsed() + Duration::from_nanos(self.skipped.load(Ordering::Relaxed)))
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
