//! The program's Tokio runtime, within the number of threads that the system allows.

use std::fs;
use std::io;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

/// The minimum number of workers. A single one that waits for itself never ends.
const MIN_WORKERS: usize = 2;
/// The maximum number of workers. More have never been busy.
const MAX_WORKERS: usize = 8;
/// The minimum number of other threads: one for blocking work, one for the log.
const OTHERS: usize = 2;
/// The maximum number of threads for blocking work: 16 look-ups by the system's
/// resolver, which can hang, and as many for rendering, collecting and printing.
const MAX_BLOCKING: usize = 32;
/// How long idle threads are kept. If no further thread can be started, tokio panics
/// unless one exists to do the work.
const KEEP_ALIVE: Duration = Duration::from_secs(u32::MAX as u64);
/// How often to look whether the system still counts threads that have ended, and the
/// minimum time between two looks.
const MAX_LOOKS: usize = 1_000;
const LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// Why the runtime cannot be created.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The system allows too few threads.
    #[error(
        "needs {needed} threads beside its first and can start {available}: raise the limit on threads \
         (ulimit -u, LimitNPROC= and TasksMax= of systemd, pids.max of a control group)"
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

/// Creates a runtime with a worker for each processor, or fewer if the system allows
/// fewer threads.
///
/// # Errors
///
/// When the system allows fewer threads than the bridge needs.
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
    // Starts the thread that does the work if no further one can be started.
    let _ = runtime.block_on(runtime.spawn_blocking(|| ()));
    Ok(runtime)
}

/// Returns how many threads, up to `wanted`, can be started besides the running ones.
/// Starts and ends that many. When this returns, Linux no longer counts them.
fn startable(wanted: usize) -> usize {
    let before = threads();
    let (may_end, ending) = (Mutex::new(false), Condvar::new());
    let started = thread::scope(|scope| {
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
    });
    // A thread is counted against the limit for a moment after it has ended, even after it
    // was joined. A runtime that starts in that moment panics, or waits for ever.
    for _ in 0..MAX_LOOKS {
        if threads() <= before {
            break;
        }
        thread::sleep(LOOK_INTERVAL);
    }
    started
}

/// Returns the number of this process's threads if the system is a Linux. It takes a thread
/// off this list after it has taken it off the count of the user's threads.
fn threads() -> Option<usize> {
    fs::read_dir("/proc/self/task").ok().map(Iterator::count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_can_be_started_are_counted() {
        assert_eq!(startable(0), 0);
        assert_eq!(startable(6), 6);
    }
}
