//! Detects collections that never end. Every collection has a deadline. One that is
//! long past it is stuck, and the bridge reports nothing new until it is restarted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How far a collection may exceed its deadline. Pages of large fleets are written
/// after it, on machines that have other work.
const GRACE: Duration = Duration::from_secs(120);

/// The deadlines of running work.
#[derive(Debug, Default)]
pub struct Watchdog(Mutex<Work>);

#[derive(Debug, Default)]
struct Work {
    begun: u64,
    due: HashMap<u64, Instant>,
}

/// Registers running work until it is dropped.
#[derive(Debug)]
pub struct Watched {
    watchdog: Arc<Watchdog>,
    number: u64,
}

impl Watchdog {
    /// Registers work that has to end `within` this time.
    pub fn watch(self: &Arc<Watchdog>, within: Duration) -> Watched {
        let due = Instant::now() + within + GRACE;
        let mut work = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        work.begun += 1;
        let number = work.begun;
        work.due.insert(number, due);
        Watched { watchdog: self.clone(), number }
    }

    /// Whether work should have ended before `now`.
    pub fn is_stuck(&self, now: Instant) -> bool {
        let work = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        work.due.values().any(|due| *due < now)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let mut work = self.watchdog.0.lock().unwrap_or_else(PoisonError::into_inner);
        work.due.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_stuck_long_after_its_deadline_until_it_ends() {
        let watchdog = Arc::<Watchdog>::default();
        let within = Duration::from_secs(10);
        let (first, second) = (watchdog.watch(within), watchdog.watch(within * 100));
        let now = Instant::now();
        assert!(!watchdog.is_stuck(now + within));
        assert!(watchdog.is_stuck(now + within + GRACE + Duration::from_secs(1)));
        drop(first);
        assert!(!watchdog.is_stuck(now + within + GRACE + Duration::from_secs(1)));
        assert!(watchdog.is_stuck(now + within * 100 + GRACE + Duration::from_secs(1)));
        drop(second);
        assert!(!watchdog.is_stuck(now + within * 1000));
    }
}
