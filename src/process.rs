//! The resources that this process uses, as Linux reports them. On other systems
//! nothing is known.

use std::time::{Duration, Instant};

use crate::snapshot::ProcessFacts;

/// The ticks in a second of `/proc/*/stat`. The kernel shows 100 (`USER_HZ`) to
/// programs on every architecture for which Rust has a standard library.
const TICKS_PER_SECOND: u64 = 100;

/// proc_pid_fd(5).
const DESCRIPTORS: &str = "/proc/self/fd";

/// Returns the current use of resources. `began` is the start of the process. Reads
/// files: do not call it on an async thread.
#[must_use]
pub fn facts(began: Instant) -> ProcessFacts {
    let read = |file| std::fs::read_to_string(file).ok();
    let times = read("/proc/self/stat").as_deref().and_then(cpu_times);
    let status = read("/proc/self/status");
    ProcessFacts {
        user: times.map(|(user, _)| user),
        system: times.map(|(_, system)| system),
        memory: status.as_deref().and_then(resident),
        threads: status.as_deref().and_then(threads),
        descriptors: descriptors(DESCRIPTORS),
        uptime: began.elapsed(),
    }
}

/// What the machine calls itself.
#[cfg(unix)]
#[must_use]
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// What the machine calls itself.
#[cfg(not(unix))]
#[must_use]
pub fn host_name() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_default()
}

/// `utime` and `stime`, the 14th and 15th field of proc_pid_stat(5). The second
/// is the program's name in parentheses, which may have spaces and parentheses.
fn cpu_times(stat: &str) -> Option<(Duration, Duration)> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut times = after_name.split_ascii_whitespace().skip(11).map(|ticks| {
        let ticks: u64 = ticks.parse().ok()?;
        Some(Duration::from_millis(ticks * (1000 / TICKS_PER_SECOND)))
    });
    Some((times.next()??, times.next()??))
}

/// Reads `VmRSS` of proc_pid_status(5), in bytes.
fn resident(status: &str) -> Option<u64> {
    let kib: u64 = field(status, "VmRSS:")?.strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Reads `Threads` of proc_pid_status(5).
fn threads(status: &str) -> Option<u64> {
    field(status, "Threads:")?.parse().ok()
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

/// Counts open files. Since Linux 6.2 the size of the directory is their number, which
/// saves listing the twenty thousand of a large fleet. Before, it is 0.
fn descriptors(directory: &str) -> Option<u64> {
    match std::fs::metadata(directory).ok()?.len() {
        // One of those listed is the descriptor that is used for listing.
        0 => listed(directory).map(|listed| listed.saturating_sub(1)),
        open => Some(open),
    }
}

fn listed(directory: &str) -> Option<u64> {
    Some(std::fs::read_dir(directory).ok()?.count() as u64)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::process::Stdio;

    use super::*;

    /// Of another process, because other tests open and close files of this one.
    #[test]
    #[cfg(target_os = "linux")]
    fn both_ways_count_the_same_open_files() {
        let mut cat = std::process::Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("cat is installed");
        // It answers as soon as it no longer opens files to start.
        cat.stdin.as_mut().unwrap().write_all(b"x").unwrap();
        cat.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();

        let directory = format!("/proc/{}/fd", cat.id());
        let (counted, listed) = (descriptors(&directory), listed(&directory));
        drop(cat.stdin.take());
        cat.wait().unwrap();
        assert!(counted.is_some_and(|open| open >= 3), "{counted:?}");
        assert_eq!(counted, listed);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn open_files_of_this_process_are_counted() {
        let _held: Vec<_> = (0..500).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
        assert!(descriptors(DESCRIPTORS).is_some_and(|open| open > 500));
    }

    #[test]
    fn files_of_proc_are_read() {
        let stat = "42 (a b) c) S 1 42 42 0 -1 4194560 900 0 0 0 123 45 0 0 20 0 4 0 100 1 2";
        assert_eq!(cpu_times(stat), Some((Duration::from_millis(1230), Duration::from_millis(450))));
        let status = "Name:\tx\nVmRSS:\t    2048 kB\nRssAnon: 1 kB\nThreads:\t7\n";
        assert_eq!((resident(status), threads(status)), (Some(2048 * 1024), Some(7)));
        for wrong in ["", "42 (x", "42 (x) S 1", "VmRSS: many kB", "Threads:\tfew"] {
            assert_eq!((cpu_times(wrong), resident(wrong), threads(wrong)), (None, None, None), "{wrong}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_uses_something() {
        let facts = facts(Instant::now());
        assert!(facts.memory.is_some_and(|bytes| bytes > 1 << 20), "{facts:?}");
        assert!(facts.user.is_some() && facts.system.is_some(), "{facts:?}");
        assert!(facts.threads.is_some_and(|threads| threads >= 1), "{facts:?}");
    }
}
