//! The simulator's time.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;

/// The source of the simulator's time.
///
/// Faults use this clock to decide *when* they occur; how long a delay takes is real
/// time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The system's clock.
    System,
    /// This Unix time in seconds, until
    /// [`Simulator::set_time`](crate::Simulator::set_time) or
    /// [`Simulator::advance`](crate::Simulator::advance) changes it.
    Fixed(i64),
}

/// One moment of the simulator's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    /// Unix time in seconds.
    pub seconds: i64,
    /// Microseconds since that second.
    pub micros: i64,
}

impl Now {
    /// The moment `seconds`, a Unix time, with this one's microseconds, as
    /// `X-RateLimit-Reset` has it: `2026-08-01T13:55:00.548486Z`.
    pub fn reset_at(self, seconds: i64) -> String {
        let at = Timestamp::from_microsecond(seconds.saturating_mul(1_000_000).saturating_add(self.micros));
        at.unwrap_or(Timestamp::MAX).strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
    }
}

/// A clock that can be read and, if it is fixed, moved.
pub(crate) struct RunningClock {
    clock: Clock,
    fixed: AtomicI64,
}

impl RunningClock {
    pub fn new(clock: Clock) -> RunningClock {
        let fixed = match clock {
            Clock::Fixed(seconds) => seconds,
            Clock::System => 0,
        };
        RunningClock { clock, fixed: AtomicI64::new(fixed) }
    }

    /// Returns the time. A fixed clock stands still until it is changed.
    pub fn now(&self) -> Now {
        match self.clock {
            Clock::Fixed(_) => Now { seconds: self.fixed.load(Ordering::SeqCst), micros: 0 },
            Clock::System => {
                let micros = Timestamp::now().as_microsecond();
                Now { seconds: micros.div_euclid(1_000_000), micros: micros.rem_euclid(1_000_000) }
            }
        }
    }

    /// Changes a fixed clock. The system's clock ignores it.
    pub fn set(&self, change: impl Fn(i64) -> i64) {
        self.fixed.store(change(self.fixed.load(Ordering::SeqCst)), Ordering::SeqCst);
    }
}
