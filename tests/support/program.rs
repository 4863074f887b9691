//! The real binary, run as its users run it: with arguments, and with no
//! environment but what a test gives it.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// How long a test waits for something that should happen at once.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at something that tells of no change by itself.
const TICK: Duration = Duration::from_millis(10);

/// The program with no environment at all.
pub fn fedimeter() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fedimeter"));
    command.env_clear().stdin(Stdio::null());
    command
}

/// How a run ended, and what it wrote.
#[derive(Debug)]
pub struct Ran {
    pub status: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Runs the program to its end.
pub fn run(args: &[&str], env: &[(&str, &str)]) -> Ran {
    let mut command = fedimeter();
    command.args(args).envs(env.iter().copied());
    finish(command)
}

/// Runs a command to its end. One that does not end fails the test.
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

/// A program that serves, until it is ended or dropped.
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
    /// Starts it; returns at once.
    pub fn start(args: &[&str], env: &[(&str, &str)]) -> Serving {
        Serving::with(fedimeter().args(args).envs(env.iter().copied()))
    }

    /// Starts a command that becomes the program.
    pub fn with(command: &mut Command) -> Serving {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Log::default());
        log.keep(child.stdout.take().unwrap());
        log.keep(child.stderr.take().unwrap());
        Serving { child, log }
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything that it has written so far.
    pub fn log(&self) -> String {
        self.log.lines.lock().unwrap().join("\n")
    }

    /// Waits for a line in which `find` finds something.
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

    /// Where it says that it listens: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        self.line(|line| {
            let (_, at) = line.split_once("http://")?;
            let (address, path) = at.split_once('/')?;
            // Where it pushes to is another line.
            path.starts_with("metrics").then(|| format!("http://{address}"))
        })
    }

    /// Sends it a signal (`HUP`) that does not end it.
    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Sends it a signal (`TERM`, `INT`); its exit status, and how long it took to end.
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

/// Sends a process a signal (`TERM`).
pub fn signal(pid: u32, name: &str) {
    // A shell has `kill` built in; the program may be missing.
    let status = Command::new("sh").arg("-c").arg(format!("kill -{name} {pid}")).status().unwrap();
    assert!(status.success());
}
