//! Compares the backlog with a plain list through any sequence of steps, in memory and
//! in a directory.

use std::fs;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::super::split::Part;
use super::*;

const RECEIVER: &str = "metrics grpc http://c:4317";
const PLENTY: u64 = 1 << 30;

fn record(points: u64) -> Record {
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(points);
    Record::new(&Part { body: Bytes::from(points.to_string()), points }, at).unwrap()
}

fn open(path: &Path) -> (Backlog, Opened) {
    Backlog::in_directory(path, RECEIVER.to_owned(), PLENTY).unwrap()
}

/// Returns the points of all waiting records, and settles them.
fn drain(backlog: &mut Backlog) -> Vec<u64> {
    let mut all = Vec::new();
    while let Some((name, record)) = backlog.front() {
        assert_eq!(record.part().unwrap().body, record.points.to_string());
        all.push(record.points);
        backlog.settle(&name);
    }
    assert!(!backlog.others.is_empty() || backlog.level() == Level::default());
    all
}

fn files(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some()).collect();
    files.sort();
    files
}

#[derive(Debug, Clone)]
enum Step {
    Push(u64),
    Settle,
    /// Divides the oldest record into this many parts.
    Divide(usize),
    /// Kills the process and starts it again.
    Kill,
    /// Kills the process after it wrote this many bytes of a record.
    Tear(usize),
    /// Kills the process after it wrote this many parts of the oldest record.
    HalfDivide(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (2u64..1000).prop_map(Step::Push),
        2 => Just(Step::Settle),
        1 => (2usize..5).prop_map(Step::Divide),
        1 => Just(Step::Kill),
        1 => (0usize..60).prop_map(Step::Tear),
        1 => (1usize..4).prop_map(Step::HalfDivide),
    ]
}

/// Returns `count` numbers whose sum is `points`.
fn parts(points: u64, count: usize) -> Vec<u64> {
    let count = (count as u64).min(points);
    (0..count).map(|n| points / count + u64::from(n < points % count)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_doubled_or_out_of_order(steps in prop::collection::vec(step(), 0..30), on_disk: bool) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("metrics");
        let reopen = || open(&path).0;
        let mut backlog = if on_disk { reopen() } else { Backlog::in_memory(PLENTY) };
        let mut model: VecDeque<u64> = VecDeque::new();
        for step in steps {
            match step {
                Step::Push(points) => {
                    backlog.push(record(points));
                    model.push_back(points);
                }
                Step::Settle => {
                    let front = backlog.front();
                    prop_assert_eq!(front.as_ref().map(|(_, record)| record.points), model.pop_front());
                    if let Some((name, _)) = front {
                        backlog.settle(&name);
                        backlog.settle(&name);
                    }
                }
                Step::Divide(count) => {
                    if let Some((name, front)) = backlog.front() {
                        let parts = parts(front.points, count);
                        backlog.divide(&name, parts.iter().map(|points| record(*points)).collect());
                        model.pop_front();
                        parts.iter().rev().for_each(|points| model.push_front(*points));
                    }
                }
                _ if !on_disk => {}
                Step::Kill => {
                    drop(backlog);
                    backlog = reopen();
                }
                Step::Tear(bytes) => {
                    backlog.push(record(7));
                    drop(backlog);
                    let last = files(&path).pop().unwrap();
                    fs::OpenOptions::new().write(true).open(last).unwrap().set_len(bytes as u64).unwrap();
                    let opened;
                    (backlog, opened) = open(&path);
                    prop_assert_eq!(opened.damaged, 1);
                }
                Step::HalfDivide(count) => {
                    if let Some((name, front)) = backlog.front() {
                        let directory = backlog.directory.as_ref().unwrap();
                        for (number, points) in parts(front.points, count).into_iter().enumerate() {
                            directory.write(&format!("{name}-{number:06}"), &record(points)).unwrap();
                        }
                        drop(backlog);
                        backlog = reopen();
                    }
                }
            }
            let level = backlog.level();
            prop_assert_eq!(level.points, model.iter().sum::<u64>());
            prop_assert_eq!(level.oldest.is_some(), !model.is_empty());
        }
        prop_assert_eq!(drain(&mut backlog), Vec::from(model));
        prop_assert_eq!(backlog.take_drops(), Drops::new());
        prop_assert!(!on_disk || files(&path).is_empty());
    }

    #[test]
    fn the_oldest_go_when_there_is_no_room(sizes in prop::collection::vec(1u64..3, 1..40), on_disk: bool) {
        let directory = tempfile::tempdir().unwrap();
        let room = if on_disk { 4096 } else { record(1).body.len() as u64 + OVERHEAD };
        let mut backlog = if on_disk {
            Backlog::in_directory(directory.path(), RECEIVER.to_owned(), 5 * room).unwrap().0
        } else {
            Backlog::in_memory(5 * room)
        };
        for points in &sizes {
            backlog.push(record(*points));
            prop_assert!(backlog.level().bytes <= 5 * room);
        }
        let kept = sizes.len().saturating_sub(5);
        let dropped: u64 = sizes[..kept].iter().sum();
        prop_assert_eq!(backlog.take_drops().get(&Dropped::Full).copied().unwrap_or_default(), dropped);
        prop_assert_eq!(drain(&mut backlog), &sizes[kept..]);
    }
}

#[test]
fn one_bridge_at_a_time_has_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let (backlog, _) = open(directory.path());
    let second = Backlog::in_directory(directory.path(), RECEIVER.to_owned(), PLENTY).unwrap_err();
    assert!(matches!(&second, BacklogError::Held { .. }) && second.to_string().contains("in use by another"));
    drop(backlog);
    open(directory.path());
    // A file instead of the directory.
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let unusable = Backlog::in_directory(&file, RECEIVER.to_owned(), PLENTY).unwrap_err();
    assert!(matches!(unusable, BacklogError::Unusable { .. }));
}

#[test]
fn records_for_another_receiver_stay_and_are_the_first_to_go() {
    let directory = tempfile::tempdir().unwrap();
    let (mut backlog, _) = open(directory.path());
    backlog.push(record(5));
    backlog.push(record(6));
    drop(backlog);
    let elsewhere =
        |max| Backlog::in_directory(directory.path(), "metrics grpc http://d:4317".to_owned(), max);
    let (mut backlog, opened) = elsewhere(3 * 4096).unwrap();
    assert_eq!(opened, Opened { others: [(RECEIVER.to_owned(), 11)].into(), ..Opened::default() });
    assert!(backlog.front().is_none() && backlog.level().points == 0);
    backlog.push(record(7));
    backlog.push(record(8));
    assert_eq!(backlog.take_drops(), [(Dropped::Full, 5)].into());
    drop(backlog);
    let (mut backlog, opened) = open(directory.path());
    assert_eq!((opened.points, opened.others.values().sum::<u64>()), (6, 15));
    assert_eq!(drain(&mut backlog), [6]);
    assert_eq!(backlog.level().bytes, 2 * 4096, "what is for others takes room");
}

#[test]
fn files_are_private_and_hold_what_they_say() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a").join("metrics");
    let (mut backlog, _) = open(&path);
    backlog.push(record(12));
    let file = &files(&path)[0];
    let text = String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned();
    assert!(text.starts_with("fedimeter-otlp 1 metrics grpc http://c:4317 12000000000 12 2 "), "{text}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    }
    // A file of a later release stays, and its number is not used again.
    let later = "fedimeter-otlp 2 whatever";
    fs::write(path.join("000000000009.otlp"), format!("{later} {:08x}\n", crc32fast::hash(later.as_bytes())))
        .unwrap();
    drop(backlog);
    let (mut backlog, opened) = open(&path);
    assert_eq!((opened.points, opened.unknown, opened.damaged), (12, 1, 0));
    backlog.push(record(13));
    assert!(path.join("000000000010.otlp").exists());
    assert_eq!(drain(&mut backlog), [12, 13]);
    assert_eq!(files(&path), [path.join("000000000009.otlp")]);
}

#[test]
fn a_record_that_is_damaged_later_costs_its_own_points() {
    let directory = tempfile::tempdir().unwrap();
    let (mut backlog, _) = open(directory.path());
    (1..=3).for_each(|points| backlog.push(record(points)));
    let file = &files(directory.path())[0];
    let mut bytes = fs::read(file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(file, bytes).unwrap();
    fs::remove_file(&files(directory.path())[1]).unwrap();
    assert_eq!(drain(&mut backlog), [3]);
    assert_eq!(backlog.take_drops(), [(Dropped::Damaged, 3)].into());
}

/// When the directory accepts no files any more, records wait in memory, and are lost
/// only with the process.
#[test]
fn what_cannot_be_written_waits_in_memory() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("metrics");
    let (mut backlog, _) = open(&path);
    backlog.push(record(1));
    assert!(backlog.take_trouble().is_none());
    let away = directory.path().join("away");
    fs::rename(&path, &away).unwrap();
    backlog.push(record(2));
    backlog.push(record(3));
    assert!(backlog.take_trouble().is_some());
    fs::rename(&away, &path).unwrap();
    let (name, _) = backlog.front().unwrap();
    backlog.settle(&name);
    assert_eq!(backlog.front().unwrap().1.points, 2);
    backlog.push(record(4));
    assert_eq!((backlog.end(), backlog.level().points), (5, 4));
    assert_eq!(backlog.take_drops(), [(Dropped::Shutdown, 5)].into());
    drop(backlog);
    assert_eq!(drain(&mut open(&path).0), [4]);
}

#[test]
fn each_reason_is_a_documented_error_type() {
    for why in [Dropped::Full, Dropped::DiskFull, Dropped::Damaged, Dropped::Shutdown] {
        assert!(super::super::ERROR_TYPES.iter().any(|(name, _)| *name == why.name()), "{}", why.name());
    }
}
