//! A queue of log lines for standard error, which a separate thread writes. A reader
//! that stops reading blocks only that thread.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// The maximum size of waiting lines in bytes. Further lines are lost.
const MAX_BYTES: usize = 4 << 20;

/// The queue of the process.
static QUEUE: OnceLock<LogQueue> = OnceLock::new();

/// Lines that wait to be written. Clones share the queue.
#[derive(Debug, Clone, Default)]
pub struct LogQueue(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    lost: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    is_writing: bool,
}

impl LogQueue {
    /// Creates a queue whose lines a thread writes to `out`. After a loss, when all
    /// other lines have been written, it passes the number of lost lines to
    /// `recovered`.
    ///
    /// # Errors
    ///
    /// When the thread cannot be started.
    pub fn start(
        out: impl Write + Send + 'static,
        recovered: impl Fn(u64) + Send + 'static,
    ) -> io::Result<LogQueue> {
        let queue = LogQueue::default();
        let writer = queue.clone();
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || writer.write_all(out, &recovered))?;
        Ok(queue)
    }

    fn write_all(&self, mut out: impl Write, recovered: &dyn Fn(u64)) {
        let mut told = 0;
        loop {
            let line = self.next();
            // If this fails, there is no other place to report it.
            let _ = out.write_all(&line).and_then(|()| out.flush());
            let is_idle = self.written(&line);
            let lost = self.lost();
            if is_idle && lost > told {
                recovered(lost - told);
                told = lost;
            }
        }
    }

    fn next(&self) -> Vec<u8> {
        let mut state = self.lock();
        loop {
            if let Some(line) = state.lines.pop_front() {
                state.is_writing = true;
                return line;
            }
            state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Records that a line was written. Returns whether no other line waits.
    fn written(&self, line: &[u8]) -> bool {
        let mut state = self.lock();
        state.is_writing = false;
        state.bytes -= line.len();
        self.0.changed.notify_all();
        state.lines.is_empty()
    }

    /// Adds a line, or counts it as lost if the queue is full. Never blocks.
    pub fn push(&self, line: &[u8]) {
        let mut state = self.lock();
        if state.bytes + line.len() > MAX_BYTES {
            self.0.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        state.bytes += line.len();
        state.lines.push_back(line.to_vec());
        self.0.changed.notify_all();
    }

    /// The number of lines lost so far.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.0.lost.load(Ordering::Relaxed)
    }

    /// Waits until all lines are written, at most for this time.
    pub fn flush(&self, within: Duration) {
        let deadline = Instant::now() + within;
        let mut state = self.lock();
        while state.is_writing || !state.lines.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.0.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Each write is a line.
impl Write for LogQueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Makes this the queue of the process. Only the first call has an effect.
pub fn install(queue: LogQueue) {
    let _ = QUEUE.set(queue);
}

/// The queue of the process, once logging has begun.
#[must_use]
pub fn installed() -> Option<&'static LogQueue> {
    QUEUE.get()
}

/// Log lines that the process has lost.
#[must_use]
pub fn lost() -> u64 {
    installed().map_or(0, LogQueue::lost)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// Reads one line for each permit that it receives.
    struct Reader {
        permissions: mpsc::Receiver<()>,
        taken: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Reader {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let _ = self.permissions.recv();
            self.taken.lock().unwrap().extend_from_slice(line);
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_wait_for_a_slow_reader_up_to_a_bound_and_lost_ones_are_told() {
        let (permit, permissions) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let taken = Arc::<Mutex<Vec<u8>>>::default();
        let reader = Reader { permissions, taken: taken.clone() };
        let queue = LogQueue::start(reader, move |lost| tell.send(lost).unwrap()).unwrap();
        let line = [b'x'; 1 << 10];
        let fit = MAX_BYTES / line.len();
        // No call waits for the reader, which reads nothing.
        for _ in 0..fit + 7 {
            queue.push(&line);
        }
        queue.flush(Duration::ZERO);
        assert_eq!(queue.lost(), 7);
        assert!(taken.lock().unwrap().is_empty());
        assert!(told.try_recv().is_err());
        drop(permit);
        assert_eq!(told.recv_timeout(Duration::from_secs(60)), Ok(7));
        queue.push(b"end");
        queue.flush(Duration::from_secs(60));
        assert_eq!(taken.lock().unwrap().len(), fit * line.len() + 3);
        assert!(told.try_recv().is_err(), "it is told once");
    }
}
