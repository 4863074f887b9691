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
/// files that the kernel makes, in microseconds.
#[must_use]
pub fn facts(began: Instant) -> ProcessFacts {
    // `status` has the same numbers with names, and costs the kernel several times as much.
    let read = |file| std::fs::read_to_string(file).ok();
    let stat = read("/proc/self/stat").as_deref().and_then(Stat::parse);
    // proc_pid_stat(5) calls its own number inaccurate.
    let pages = read("/proc/self/statm").as_deref().and_then(resident_pages);
    ProcessFacts {
        user: stat.map(|stat| stat.user),
        system: stat.map(|stat| stat.system),
        memory: pages.map(|pages| pages * page_size()),
        threads: stat.map(|stat| stat.threads),
        descriptors: descriptors(DESCRIPTORS),
        uptime: began.elapsed(),
    }
}

#[cfg(unix)]
fn page_size() -> u64 {
    rustix::param::page_size() as u64
}

#[cfg(not(unix))]
fn page_size() -> u64 {
    0
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

/// What proc_pid_stat(5) says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    user: Duration,
    system: Duration,
    threads: u64,
}

impl Stat {
    /// Reads the fields 14, 15 and 20. The second is the program's name in
    /// parentheses, which may have spaces and parentheses.
    fn parse(stat: &str) -> Option<Stat> {
        let (_, after_name) = stat.rsplit_once(')')?;
        let mut fields = after_name.split_ascii_whitespace().skip(11);
        // Of those that are left.
        let mut field = |at| fields.nth(at)?.parse::<u64>().ok();
        let ticks = |ticks| Duration::from_millis(ticks * (1000 / TICKS_PER_SECOND));
        Some(Stat { user: ticks(field(0)?), system: ticks(field(0)?), threads: field(4)? })
    }
}

/// The second number of proc_pid_statm(5).
fn resident_pages(statm: &str) -> Option<u64> {
    statm.split_ascii_whitespace().nth(1)?.parse().ok()
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
        let stat = "42 (a b) c) S 1 42 42 0 -1 4194560 900 0 0 0 123 45 0 0 20 0 4 0 100 9999 512 1";
        let (user, system) = (Duration::from_millis(1230), Duration::from_millis(450));
        assert_eq!(Stat::parse(stat), Some(Stat { user, system, threads: 4 }));
        for wrong in
            ["", "42 (x", "42 (x) S 1", &stat.replace(" 4 0 ", " few 0 "), &stat.replace(" 123 ", " -1 ")]
        {
            assert_eq!(Stat::parse(wrong), None, "{wrong}");
        }
        assert_eq!(resident_pages("9999 512 300 1 0 2 0\n"), Some(512));
        assert_eq!((resident_pages("9999"), resident_pages("1 x")), (None, None));
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
