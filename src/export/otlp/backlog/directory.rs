//! Requests that wait in files: one file for each request, in a directory that one
//! bridge locks.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::BacklogError;
use super::record::{Head, Record};

/// The file whose lock protects the directory.
const LOCK: &str = "lock";
/// The extension of record files.
const EXTENSION: &str = "otlp";
/// The block size in which files occupy the disk, in bytes.
const BLOCK: u64 = 4096;

/// A locked directory of records.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// The receiver of new records.
    receiver: String,
    /// The operating system releases the lock when the process ends for any reason.
    _lock: File,
}

/// The content of a directory.
#[derive(Debug, Default)]
pub struct Found {
    /// Records with their names, the oldest first.
    pub records: Vec<(String, Head)>,
    /// Incomplete files, which were deleted.
    pub damaged: usize,
    /// Files of another release, which are left alone.
    pub unknown: usize,
    /// One more than the greatest number in a file name.
    pub next: u64,
}

impl Directory {
    /// Opens or creates the directory `path`, and reads its content.
    ///
    /// # Errors
    ///
    /// When the directory cannot be created, read or written, or another bridge uses
    /// it.
    pub fn open(path: &Path, receiver: String) -> Result<(Directory, Found), BacklogError> {
        let unusable = |cause| BacklogError::Unusable { path: path.to_owned(), cause };
        create(path).map_err(unusable)?;
        let lock = private().write(true).create(true).truncate(false).open(path.join(LOCK));
        let lock = lock.map_err(unusable)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => BacklogError::Held { path: path.to_owned() },
            TryLockError::Error(cause) => unusable(cause),
        })?;
        let directory = Directory { path: path.to_owned(), receiver, _lock: lock };
        let found = directory.scan().map_err(unusable)?;
        Ok((directory, found))
    }

    /// The receiver of new records.
    pub fn receiver(&self) -> &str {
        &self.receiver
    }

    fn scan(&self) -> io::Result<Found> {
        let mut found = Found::default();
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            let name = name.to_str().and_then(|name| name.strip_suffix(EXTENSION)?.strip_suffix('.'));
            names.extend(name.map(str::to_owned));
        }
        names.sort_unstable();
        let number = |name: &String| name.split('-').next().and_then(|number| number.parse::<u64>().ok());
        found.next = names.iter().filter_map(number).max().map_or(0, |greatest| greatest + 1);
        let mut whole: Option<String> = None;
        for name in names {
            // A record is divided in two steps: its parts are written, whose names
            // begin with its own, and then it is removed. If the record still exists,
            // the parts are copies.
            let is_copy = whole
                .as_ref()
                .is_some_and(|whole| name.strip_prefix(whole).is_some_and(|n| n.starts_with('-')));
            if is_copy {
                self.remove(&name)?;
                continue;
            }
            match self.head(&name) {
                Ok(head) => {
                    whole = Some(name.clone());
                    found.records.push((name, head));
                }
                Err(error) if error.kind() == io::ErrorKind::Unsupported => found.unknown += 1,
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    self.remove(&name)?;
                    found.damaged += 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// Reads the head of a file, and checks that the file is complete.
    fn head(&self, name: &str) -> io::Result<Head> {
        let file = File::open(self.file(name))?;
        let length = file.metadata()?.len();
        let (head, start) = Head::read(file)?;
        if start.checked_add(head.length) == Some(length) {
            Ok(head)
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidData, "the record is incomplete"))
        }
    }

    /// Writes a record, and returns its size on disk in bytes. If the process is killed
    /// meanwhile, the record is incomplete, and the next start deletes it.
    ///
    /// # Errors
    ///
    /// When the record cannot be written. Then no part of it remains.
    pub fn write(&self, name: &str, record: &Record) -> io::Result<u64> {
        let path = self.file(name);
        let head = Head::of(record, &self.receiver);
        let write = || {
            let mut file = private().write(true).create(true).truncate(true).open(&path)?;
            file.write_all(head.line().as_bytes())?;
            file.write_all(&record.body)?;
            Ok(room(&head))
        };
        write().inspect_err(|_| {
            // A remaining part would be found incomplete at the next start.
            let _ = fs::remove_file(&path);
        })
    }

    /// Reads a record.
    ///
    /// # Errors
    ///
    /// When the record is damaged or cannot be read.
    pub fn read(&self, name: &str) -> io::Result<Record> {
        let mut file = Vec::new();
        File::open(self.file(name))?.read_to_end(&mut file)?;
        let (head, start) = Head::read(&*file)?;
        head.record(file.split_off(usize::try_from(start).unwrap_or(file.len())))
    }

    /// Removes a record.
    ///
    /// # Errors
    ///
    /// When the record cannot be removed.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.file(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}.{EXTENSION}"))
    }
}

/// Returns the size of a file on disk in bytes.
pub fn room(head: &Head) -> u64 {
    (head.line().len() as u64 + head.length).div_ceil(BLOCK) * BLOCK
}

/// Only the user of the bridge may read the numbers of private servers.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn create(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
