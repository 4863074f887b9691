//! Requests that wait for their receiver: bounded, the oldest first, in memory or in
//! a directory that outlives the process.
//!
//! This is a plain data structure. It blocks where it reads and writes files; `store`
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

/// What a record takes in memory beside its body.
const OVERHEAD: u64 = 256;

/// A directory cannot keep the backlog.
#[derive(Debug, thiserror::Error)]
pub enum BacklogError {
    /// Another bridge has it.
    #[error(
        "the backlog's directory {} is in use by another fedimeter; stop that one, or set \
         otlp_backlog_directory to another directory",
        path.display()
    )]
    Held {
        /// The directory.
        path: PathBuf,
    },
    /// The system refuses.
    #[error(
        "the backlog's directory {} cannot be used: {cause}; make it writable for fedimeter, or set \
         otlp_backlog_directory to another directory",
        path.display()
    )]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
}

/// Why points left the backlog without having been delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dropped {
    /// The backlog was full, and they were the oldest.
    Full,
    /// The disk was full, and they were the oldest.
    DiskFull,
    /// What was read of them is not what was written.
    Damaged,
    /// The bridge ended, and they were in memory.
    Shutdown,
}

impl Dropped {
    /// Its value of `error.type`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Dropped::Full => "backlog_full",
            Dropped::DiskFull => "disk_full",
            Dropped::Damaged => "damaged",
            Dropped::Shutdown => "shutdown",
        }
    }

    /// What happened, and what to do about it.
    pub(super) fn words(self) -> &'static str {
        match self {
            Dropped::Full => {
                "the backlog is full, and its oldest go first; otlp_backlog_size gives it more room"
            }
            Dropped::DiskFull => "the disk is full, and the oldest go first; make room on it",
            Dropped::Damaged => "their file is damaged; check the disk of the backlog's directory",
            Dropped::Shutdown => {
                "the bridge ends, and they waited in memory; with otlp_backlog_directory they outlive it"
            }
        }
    }
}

/// Points by the reason why they were dropped.
pub(super) type Drops = BTreeMap<Dropped, u64>;

/// How much waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Level {
    /// Points.
    pub points: u64,
    /// Bytes, in memory or on the disk.
    pub bytes: u64,
    /// When the oldest of them were collected.
    pub oldest: Option<SystemTime>,
}

/// Requests that wait for one receiver.
#[derive(Debug)]
pub(super) struct Backlog {
    waiting: VecDeque<Entry>,
    /// Those of an earlier receiver, in the same directory. They are not sent, and
    /// are the first to go.
    others: VecDeque<Entry>,
    points: u64,
    bytes: u64,
    max_bytes: u64,
    next: u64,
    directory: Option<Directory>,
    drops: Drops,
    /// What the directory last refused.
    trouble: Option<io::Error>,
}

#[derive(Debug)]
struct Entry {
    /// Sorts as the entries do. The parts of a divided record have its name and more.
    name: String,
    points: u64,
    at: SystemTime,
    /// What it takes in memory or on the disk.
    room: u64,
    /// Nothing where it is a file.
    record: Option<Record>,
}

impl Backlog {
    /// One in memory, of so many bytes at most.
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

    /// One of files in the directory `path`, for `receiver`, with what waits there;
    /// and what is to be said about that.
    ///
    /// # Errors
    ///
    /// The directory cannot be used, or another bridge uses it.
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

    /// Takes a record that is younger than all others. Where there is no room, the
    /// oldest go.
    pub fn push(&mut self, record: Record) {
        let name = format!("{:012}", self.next);
        self.next += 1;
        let entry = self.kept(name, record, true);
        self.add(entry, self.waiting.len());
        self.shrink_to(self.max_bytes, Dropped::Full);
    }

    /// The oldest record, with its name.
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

    /// Removes the oldest record, if it still is the one of that name: its receiver
    /// has answered.
    pub fn settle(&mut self, name: &str) {
        if self.waiting.front().is_some_and(|entry| entry.name == name) {
            self.remove_front();
        }
    }

    /// Drops the oldest record, which is damaged, if it still is the one of that name.
    pub fn discard(&mut self, name: &str) {
        if self.waiting.front().is_some_and(|entry| entry.name == name) {
            let points = self.remove_front();
            *self.drops.entry(Dropped::Damaged).or_default() += points;
        }
    }

    /// Puts `parts` in the place of the oldest record, if it still is the one of that
    /// name. A kill in between leaves either the record or its parts.
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

    /// Gives up all that waits only in memory, as the process ends. How many points.
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

    /// How much waits.
    pub fn level(&self) -> Level {
        let oldest = self.waiting.front().map(|entry| entry.at);
        Level { points: self.points, bytes: self.bytes, oldest }
    }

    /// The points that have been dropped since this was last asked for.
    pub fn take_drops(&mut self) -> Drops {
        std::mem::take(&mut self.drops)
    }

    /// What the directory refused since this was last asked for. A record that cannot
    /// be a file is kept in memory.
    pub fn take_trouble(&mut self) -> Option<io::Error> {
        self.trouble.take()
    }

    /// A record under this name: as a file, or in memory where it cannot be one. Of a
    /// full disk the oldest records go for it, where they may.
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
                    // Where others take what becomes free, it is no use to go on.
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

    /// Drops the oldest record, those of an earlier receiver first.
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

    /// Removes the oldest record that waits; how many points it had.
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

/// What was in a directory that was opened.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Opened {
    /// Points that wait.
    pub points: u64,
    /// Points for other receivers, by the receiver.
    pub others: BTreeMap<String, u64>,
    /// Files that were no whole record, and are gone.
    pub damaged: usize,
    /// Files of another release, which stay.
    pub unknown: usize,
}
