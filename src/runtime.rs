//! The program's Tokio runtime, within the threads that the system allows.

use std::io;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

/// Workers at least: a single one that waits for itself never ends.
const MIN_WORKERS: usize = 2;
/// More workers than these have never been busy.
const MAX_WORKERS: usize = 8;
/// Threads beside the workers at least: one for blocking work, one for the log.
const OTHERS: usize = 2;
/// Threads for blocking work at most: 16 look-ups by the system's resolver, which
/// can hang, and as many for rendering, collecting and printing.
const MAX_BLOCKING: usize = 32;
/// Threads are kept: where no further one can be started, tokio panics unless one
/// is there that will take the work.
const KEEP_ALIVE: Duration = Duration::from_secs(u32::MAX as u64);

/// The runtime cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The system allows too few threads.
    #[error(
        "needs {needed} threads beside its first and can start {available}: raise the limit on threads (ulimit -u, \
         LimitNPROC= and TasksMax= of systemd, pids.max of a control group)"
    )]
    Threads {
        /// How many it needs.
        needed: usize,
        /// How many it can start.
        available: usize,
    },
    /// It cannot be set up for another reason.
    #[error("cannot set up its event loop: {0}")]
    Io(#[from] io::Error),
}

/// A runtime with a worker for each processor, and fewer where the system allows
/// fewer threads.
///
/// # Errors
///
/// When it allows less than what the bridge needs.
pub fn build() -> Result<Runtime, RuntimeError> {
    let wanted = thread::available_parallelism().map_or(MIN_WORKERS, usize::from);
    let wanted = wanted.clamp(MIN_WORKERS, MAX_WORKERS);
    let available = startable(wanted + OTHERS);
    let needed = MIN_WORKERS + OTHERS;
    if available < needed {
        return Err(RuntimeError::Threads { needed, available });
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(available - OTHERS)
        .max_blocking_threads(MAX_BLOCKING)
        .thread_keep_alive(KEEP_ALIVE)
        .enable_all()
        .build()?;
    // The one that takes the work where no further one can be started.
    let _ = runtime.block_on(runtime.spawn_blocking(|| ()));
    Ok(runtime)
}

/// How many threads, up to so many, can be started beside those that run.
fn startable(wanted: usize) -> usize {
    let (may_end, ending) = (Mutex::new(false), Condvar::new());
    thread::scope(|scope| {
        let wait = || {
            let mut may_end = may_end.lock().unwrap_or_else(PoisonError::into_inner);
            while !*may_end {
                may_end = ending.wait(may_end).unwrap_or_else(PoisonError::into_inner);
            }
        };
        let started =
            (0..wanted).take_while(|_| thread::Builder::new().spawn_scoped(scope, wait).is_ok()).count();
        *may_end.lock().unwrap_or_else(PoisonError::into_inner) = true;
        ending.notify_all();
        started
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_can_be_started_are_counted_and_end() {
        assert_eq!(startable(0), 0);
        assert_eq!(startable(6), 6);
    }
}
