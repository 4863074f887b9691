//! Requests that wait for their receiver: bounded, oldest first, in memory or in a
//! directory that outlives the process.
//!
//! This is a plain data structure. It blocks while it reads and writes files; `store`
//! keeps it off the async threads.

mod directory;
mod record;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use directory::Directory;
pub(super) use record::Record;

/// The memory of a record besides its body, in bytes.
const OVERHEAD: u64 = 256;

/// Why a directory cannot hold the backlog.
#[derive(Debug, thiserror::Error)]
pub enum BacklogError {
    /// Another bridge uses the directory.
    #[error(
        "the backlog's directory {} is in use by another fedimeter; stop that one, or set \
         otlp_backlog_directory to another directory",
        path.display()
    )]
    Held {
        /// The directory.
        path: PathBuf,
    },
    /// The operating system reports an error.
    #[error(
        "the backlog's directory {} cannot be used: {cause}; make it writable for fedimeter, or set \
         otlp_backlog_directory to another directory",
        path.display()
    )]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// The error.
        cause: io::Error,
    },
}

/// Why points left the backlog undelivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dropped {
    /// The backlog was full, and these points were the oldest.
    Full,
    /// The disk was full, and these points were the oldest.
    DiskFull,
    /// The file differs from what was written.
    Damaged,
    /// The bridge stopped while the points were in memory.
    Shutdown,
}

impl Dropped {
    /// The value of `error.type`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Dropped::Full => "backlog_full",
            Dropped::DiskFull => "disk_full",
            Dropped::Damaged => "damaged",
            Dropped::Shutdown => "shutdown",
        }
    }

    /// Says what happened and what to do about it.
    pub(super) fn words(self) -> &'static str {
        match self {
            Dropped::Full => "the backlog is full, and the oldest are dropped; otlp_backlog_size allows more",
            Dropped::DiskFull => "the disk is full, and the oldest are dropped; free some space on it",
            Dropped::Damaged => "their file is damaged: check the disk of the backlog's directory",
            Dropped::Shutdown => {
                "the bridge is stopping, and they waited in memory; otlp_backlog_directory keeps them \
                 across restarts"
            }
        }
    }
}

/// The number of dropped points, by reason.
pub(super) type Drops = BTreeMap<Dropped, u64>;

/// How much waits in a backlog.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Level {
    /// Points.
    pub points: u64,
    /// The size in bytes, in memory or on disk.
    pub bytes: u64,
    /// When the oldest points were collected.
    pub oldest: Option<SystemTime>,
}

/// Requests that wait for one receiver.
#[derive(Debug)]
pub(super) struct Backlog {
    waiting: VecDeque<Entry>,
    /// Requests for an earlier receiver, in the same directory. They are not sent, and
    /// are dropped first.
    others: VecDeque<Entry>,
    points: u64,
    bytes: u64,
    max_bytes: u64,
    next: u64,
    directory: Option<Directory>,
    drops: Drops,
    /// The latest error from the directory.
    trouble: Option<io::Error>,
}

#[derive(Debug)]
struct Entry {
    /// The name, by which entries sort. The names of the parts of a divided record
    /// begin with the record's name.
    name: String,
    points: u64,
    at: SystemTime,
    /// The size in bytes, in memory or on disk.
    room: u64,
    /// The record, or `None` if it is in a file.
    record: Option<Record>,
}

impl Backlog {
    /// Creates a backlog in memory, of at most this many bytes.
    pub fn in_memory(max_bytes: u64) -> Backlog {
        Backlog {
            waiting: VecDeque::new(),
            others: VecDeque::new(),
            points: 0,
            bytes: 0,
            max_bytes,
            next: 0,
            directory: None,
            drops: Drops::new(),
            trouble: None,
        }
    }

    /// Opens the backlog for `receiver` in the directory `path`. Returns it with a
    /// description of what was in the directory.
    ///
    /// # Errors
    ///
    /// When the directory cannot be used, or another bridge uses it.
    pub fn in_directory(
        path: &Path,
        receiver: String,
        max_bytes: u64,
    ) -> Result<(Backlog, Opened), BacklogError> {
        let (directory, found) = Directory::open(path, receiver)?;
        let mut backlog = Backlog { next: found.next, ..Backlog::in_memory(max_bytes) };
        let mut opened = Opened { damaged: found.damaged, unknown: found.unknown, ..Opened::default() };
        for (name, head) in found.records {
            let room = directory::room(&head);
            let entry = Entry { name, points: head.points, at: head.at, room, record: None };
            backlog.bytes += room;
            if head.receiver == directory.receiver() {
                opened.points += head.points;
                backlog.points += head.points;
                backlog.waiting.push_back(entry);
            } else {
                *opened.others.entry(head.receiver).or_default() += head.points;
                backlog.others.push_back(entry);
            }
        }
        backlog.directory = Some(directory);
        backlog.shrink_to(max_bytes, Dropped::Full);
        Ok((backlog, opened))
    }

    /// Adds a record that is younger than all others. If there is no room, the oldest
    /// records are dropped.
    pub fn push(&mut self, record: Record) {
        let name = format!("{:012}", self.next);
        self.next += 1;
        let entry = self.kept(name, record, true);
        self.add(entry, self.waiting.len());
        self.shrink_to(self.max_bytes, Dropped::Full);
    }

    /// Returns the oldest record with its name.
    pub fn front(&mut self) -> Option<(String, Record)> {
        loop {
            let entry = self.waiting.front()?;
            let record = match (&entry.record, &self.directory) {
                (Some(record), _) => Ok(record.clone()),
                (None, Some(directory)) => directory.read(&entry.name),
                (None, None) => Err(io::ErrorKind::NotFound.into()),
            };
            let name = entry.name.clone();
            if let Ok(record) = record {
                return Some((name, record));
            }
            self.discard(&name);
        }
    }

    /// Removes the oldest record after its receiver has answered, if it still has this
    /// name.
    pub fn settle(&mut self, name: &str) {
        if self.waiting.front().is_some_and(|entry| entry.name == name) {
            self.remove_front();
        }
    }

    /// Drops the oldest record because it is damaged, if it still has this name.
    pub fn discard(&mut self, name: &str) {
        if self.waiting.front().is_some_and(|entry| entry.name == name) {
            let points = self.remove_front();
            *self.drops.entry(Dropped::Damaged).or_default() += points;
        }
    }

    /// Replaces the oldest record with `parts`, if it still has this name. A kill in
    /// between leaves either the record or its parts.
    pub fn divide(&mut self, name: &str, parts: Vec<Record>) {
        if self.waiting.front().is_none_or(|entry| entry.name != name) {
            return;
        }
        let parts: Vec<Entry> = parts
            .into_iter()
            .enumerate()
            .map(|(number, part)| self.kept(format!("{name}-{number:06}"), part, false))
            .collect();
        self.remove_front();
        for (place, part) in parts.into_iter().enumerate() {
            self.add(part, place);
        }
        self.shrink_to(self.max_bytes, Dropped::Full);
    }

    /// Gives up all that waits only in memory, because the process is ending. Returns
    /// the number of points.
    pub fn end(&mut self) -> u64 {
        let before = self.points;
        let in_memory = self.waiting.iter().filter(|entry| entry.record.is_some());
        let lost = in_memory.map(|entry| entry.points).sum();
        self.waiting.retain(|entry| entry.record.is_none());
        self.points = before - lost;
        self.bytes = self.waiting.iter().chain(&self.others).map(|entry| entry.room).sum();
        if lost > 0 {
            *self.drops.entry(Dropped::Shutdown).or_default() += lost;
        }
        lost
    }

    /// Returns how much waits.
    pub fn level(&self) -> Level {
        let oldest = self.waiting.front().map(|entry| entry.at);
        Level { points: self.points, bytes: self.bytes, oldest }
    }

    /// Returns the points that were dropped since the last call.
    pub fn take_drops(&mut self) -> Drops {
        std::mem::take(&mut self.drops)
    }

    /// Returns the latest error from the directory since the last call. A record that
    /// cannot be written to a file stays in memory.
    pub fn take_trouble(&mut self) -> Option<io::Error> {
        self.trouble.take()
    }

    /// Keeps a record under this name in a file, or in memory if no file can be
    /// written. If the disk is full and `may_drop` is set, the oldest records are
    /// dropped for it.
    fn kept(&mut self, name: String, record: Record, may_drop: bool) -> Entry {
        let (points, at) = (record.points, record.at);
        let in_memory = record.body.len() as u64 + OVERHEAD;
        let mut freed = 0;
        while let Some(directory) = &self.directory {
            match directory.write(&name, &record) {
                Ok(room) => return Entry { name, points, at, room, record: None },
                Err(error) => {
                    let is_full =
                        matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
                    self.trouble = Some(error);
                    let oldest = self.others.front().or(self.waiting.front());
                    let oldest = oldest.filter(|oldest| oldest.record.is_none());
                    // If other programs take the freed space, dropping more records
                    // does not help.
                    let Some(oldest) = oldest.filter(|_| is_full && may_drop && freed <= 2 * in_memory)
                    else {
                        break;
                    };
                    freed += oldest.room;
                    self.drop_oldest(Dropped::DiskFull);
                }
            }
        }
        Entry { name, points, at, room: in_memory, record: Some(record) }
    }

    fn add(&mut self, entry: Entry, place: usize) {
        self.points += entry.points;
        self.bytes += entry.room;
        self.waiting.insert(place, entry);
    }

    fn shrink_to(&mut self, max_bytes: u64, why: Dropped) {
        while self.bytes > max_bytes && !(self.waiting.is_empty() && self.others.is_empty()) {
            self.drop_oldest(why);
        }
    }

    /// Drops the oldest record, those for an earlier receiver first.
    fn drop_oldest(&mut self, why: Dropped) {
        let points = if let Some(other) = self.others.pop_front() {
            self.bytes -= other.room;
            self.remove_file(&other);
            other.points
        } else {
            self.remove_front()
        };
        *self.drops.entry(why).or_default() += points;
    }

    /// Removes the oldest waiting record, and returns its number of points.
    fn remove_front(&mut self) -> u64 {
        let Some(entry) = self.waiting.pop_front() else { return 0 };
        self.points -= entry.points;
        self.bytes -= entry.room;
        self.remove_file(&entry);
        entry.points
    }

    fn remove_file(&mut self, entry: &Entry) {
        if let Some(directory) = &self.directory
            && entry.record.is_none()
            && let Err(error) = directory.remove(&entry.name)
        {
            self.trouble = Some(error);
        }
    }
}

/// What an opened directory contained.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Opened {
    /// Points that wait for this receiver.
    pub points: u64,
    /// Points for other receivers, by receiver.
    pub others: BTreeMap<String, u64>,
    /// Incomplete files, which were deleted.
    pub damaged: usize,
    /// Files of another release, which are left alone.
    pub unknown: usize,
}
