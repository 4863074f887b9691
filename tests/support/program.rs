//! The real program, with the arguments and the environment of a test.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// How long a test waits for an event that should happen at once.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// The time between two checks of a state.
const TICK: Duration = Duration::from_millis(10);

/// The program with an empty environment.
pub fn fedimeter() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fedimeter"));
    command.env_clear().stdin(Stdio::null());
    command
}

/// The exit status and the output of a run.
#[derive(Debug)]
pub struct Ran {
    pub status: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Runs the program until it ends.
pub fn run(args: &[&str], env: &[(&str, &str)]) -> Ran {
    let mut command = fedimeter();
    command.args(args).envs(env.iter().copied());
    finish(command)
}

/// Runs a command until it ends. The test fails if the command does not end.
pub fn finish(mut command: Command) -> Ran {
    let shown = format!("{command:?}");
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    let (done, output) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _ = done.send(child.wait_with_output());
    });
    let Output { status, stdout, stderr } = output
        .recv_timeout(PATIENCE)
        .unwrap_or_else(|_| {
            signal(pid, "KILL");
            panic!("it does not end: {shown}")
        })
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).expect("what it writes is UTF-8");
    Ran { status: status.code(), out: text(stdout), err: text(stderr) }
}

/// A running program, until it is ended or dropped.
pub struct Serving {
    child: Child,
    log: Arc<Log>,
}

#[derive(Default)]
struct Log {
    lines: Mutex<Vec<String>>,
    news: Condvar,
}

impl Serving {
    /// Starts the program without waiting.
    pub fn start(args: &[&str], env: &[(&str, &str)]) -> Serving {
        Serving::with(fedimeter().args(args).envs(env.iter().copied()))
    }

    /// Starts a command that runs the program.
    pub fn with(command: &mut Command) -> Serving {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Log::default());
        log.keep(child.stdout.take().unwrap());
        log.keep(child.stderr.take().unwrap());
        Serving { child, log }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The peak of its resident memory in bytes.
    #[cfg(target_os = "linux")]
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// The output so far.
    pub fn log(&self) -> String {
        self.log.lines.lock().unwrap().join("\n")
    }

    /// Waits for a line for which `find` returns a value.
    pub fn line<T>(&self, find: impl Fn(&str) -> Option<T>) -> T {
        let began = Instant::now();
        let mut lines = self.log.lines.lock().unwrap();
        loop {
            if let Some(found) = lines.iter().find_map(|line| find(line)) {
                return found;
            }
            let left = PATIENCE.saturating_sub(began.elapsed());
            assert!(!left.is_zero(), "no such line:\n{}", lines.join("\n"));
            lines = self.log.news.wait_timeout(lines, left).unwrap().0;
        }
    }

    /// The address of the pages from the log: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        self.line(|line| {
            let (_, at) = line.split_once("http://")?;
            let (address, path) = at.split_once('/')?;
            // Another line names the receiver of pushes.
            path.starts_with("metrics").then(|| format!("http://{address}"))
        })
    }

    /// Sends a signal (`HUP`) that does not end the program.
    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Ends the program with a signal (`TERM`, `INT`). Returns the exit status, and how
    /// long the end took.
    pub fn end(mut self, name: &str) -> (Option<i32>, Duration) {
        let began = Instant::now();
        signal(self.child.id(), name);
        while began.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status.code(), began.elapsed());
            }
            std::thread::sleep(TICK);
        }
        panic!("it does not end on SIG{name}:\n{}", self.log());
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Log {
    fn keep(self: &Arc<Log>, from: impl Read + Send + 'static) {
        let log = self.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                log.lines.lock().unwrap().push(line);
                log.news.notify_all();
            }
        });
    }
}

/// Sends a signal (`TERM`) to a process.
pub fn signal(pid: u32, name: &str) {
    // `kill` is built into the shell. As a program it may be missing.
    let status = Command::new("sh").arg("-c").arg(format!("kill -{name} {pid}")).status().unwrap();
    assert!(status.success());
}
