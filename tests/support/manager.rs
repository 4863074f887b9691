//! A socket that receives messages to a service manager (sd_notify(3)).

use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use tempfile::TempDir;

use super::program::PATIENCE;

/// A service manager that only receives.
pub struct Manager {
    directory: TempDir,
    told: Arc<(Mutex<Vec<String>>, Condvar)>,
}

impl Manager {
    /// Starts to receive.
    pub fn start() -> Manager {
        let directory = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(directory.path().join("notify")).unwrap();
        let told = Arc::<(Mutex<Vec<String>>, Condvar)>::default();
        let kept = told.clone();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length) = socket.recv(&mut bytes) {
                let text = String::from_utf8(bytes[..length].to_vec()).unwrap();
                kept.0.lock().unwrap().extend(text.lines().map(str::to_owned));
                kept.1.notify_all();
            }
        });
        Manager { directory, told }
    }

    /// The value of NOTIFY_SOCKET.
    pub fn socket(&self) -> String {
        self.directory.path().join("notify").display().to_string()
    }

    /// All assignments so far, such as `READY=1`.
    pub fn told(&self) -> Vec<String> {
        self.told.0.lock().unwrap().clone()
    }

    /// Waits for this number of assignments with this beginning, and returns all
    /// assignments.
    pub fn wait_for(&self, beginning: &str, times: usize) -> Vec<String> {
        let began = Instant::now();
        let mut told = self.told.0.lock().unwrap();
        while told.iter().filter(|line| line.starts_with(beginning)).count() < times {
            let left = PATIENCE.saturating_sub(began.elapsed());
            assert!(!left.is_zero(), "not {times} of {beginning}: {told:?}");
            told = self.told.1.wait_timeout(told, left).unwrap().0;
        }
        told.clone()
    }
}
