//! Limits how many probes poll servers at once, and how many wait for their turn.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// Turns for polling. A quarter of them is for servers that did not answer the last
/// time, so that these do not delay others.
#[derive(Debug)]
pub struct Gate {
    turns: Arc<Semaphore>,
    slow_turns: Arc<Semaphore>,
    at_once: usize,
    waiting: AtomicUsize,
    most_waiting: usize,
}

impl Gate {
    /// Creates a gate with this many turns, and room for this many waiting probes.
    pub fn new(at_once: usize, most_waiting: usize) -> Gate {
        let slow = (at_once / 4).max(1);
        let turns = Arc::new(Semaphore::new(at_once.saturating_sub(slow).max(1)));
        let slow_turns = Arc::new(Semaphore::new(slow));
        Gate { turns, slow_turns, at_once, waiting: AtomicUsize::new(0), most_waiting }
    }

    /// The number of turns.
    pub fn at_once(&self) -> usize {
        self.at_once
    }

    /// Waits for a turn. There is none if too many probes wait, or if the deadline
    /// passes first.
    pub async fn turn(&self, is_slow: bool, deadline: Instant) -> Option<OwnedSemaphorePermit> {
        let turns = if is_slow { &self.slow_turns } else { &self.turns };
        if let Ok(turn) = turns.clone().try_acquire_owned() {
            return Some(turn);
        }
        let _waiting = Waiting::of(self)?;
        // The semaphore is never closed.
        timeout_at(deadline, turns.clone().acquire_owned()).await.ok()?.ok()
    }
}

/// A place among the waiting probes.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn of(gate: &'a Gate) -> Option<Waiting<'a>> {
        let before = gate.waiting.fetch_add(1, Relaxed);
        let place = Waiting(&gate.waiting);
        (before < gate.most_waiting).then_some(place)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn turns_and_those_who_wait_are_bounded() {
        let gate = Gate::new(4, 1);
        let soon = Instant::now() + Duration::from_millis(20);
        let never = Instant::now() + Duration::from_secs(3600);
        let turns: Vec<_> =
            (0..3).map(|_| gate.turn(false, never).now_or_never().flatten().unwrap()).collect();
        let mut waits = Box::pin(gate.turn(false, never));
        assert!(waits.as_mut().now_or_never().is_none(), "one waits");
        assert!(gate.turn(false, never).await.is_none(), "one more does not");
        let slow = gate.turn(true, never).await;
        assert!(slow.is_some(), "a quarter is for those that do not answer");
        drop(waits);
        assert!(gate.turn(false, soon).await.is_none(), "none waits beyond its deadline");
        drop(turns);
        assert!(gate.turn(false, soon).await.is_some());
        assert_eq!(gate.waiting.load(Relaxed), 0);
    }
}
