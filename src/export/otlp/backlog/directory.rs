//! Requests that wait as files: one file a request, in a directory that one bridge
//! holds at a time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::BacklogError;
use super::record::{Head, Record};

/// The file whose lock holds the directory.
const LOCK: &str = "lock";
/// What the names of records end with.
const EXTENSION: &str = "otlp";
/// Files take room in blocks of this size.
const BLOCK: u64 = 4096;

/// A directory of records, locked.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// Who new records are for.
    receiver: String,
    /// Released by the system when the process ends, however it ends.
    _lock: File,
}

/// What was in a directory.
#[derive(Debug, Default)]
pub struct Found {
    /// Records with their names, the oldest first.
    pub records: Vec<(String, Head)>,
    /// Files that were no whole record, and are gone.
    pub damaged: usize,
    /// Files of another release, which stay.
    pub unknown: usize,
    /// The number after the greatest in a name.
    pub next: u64,
}

impl Directory {
    /// Opens the directory `path`, or makes it, and reads what is in it.
    ///
    /// # Errors
    ///
    /// It cannot be made, read or written, or another bridge holds it.
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

    /// Who new records are for.
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
            // A record is divided by writing its parts, whose names begin with its own,
            // before it is removed. Where it is still there, the parts are copies.
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

    /// What a file says of itself, if it is a whole one.
    fn head(&self, name: &str) -> io::Result<Head> {
        let file = File::open(self.file(name))?;
        let length = file.metadata()?.len();
        let (head, start) = Head::read(file)?;
        if start.checked_add(head.length) == Some(length) {
            Ok(head)
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidData, "the record is torn"))
        }
    }

    /// Writes a record; what it takes on the disk. One that a kill interrupts is torn,
    /// and dropped by the next start.
    ///
    /// # Errors
    ///
    /// Nothing of it is there then.
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
            // What is left of it would be found torn.
            let _ = fs::remove_file(&path);
        })
    }

    /// Reads a record.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is damaged.
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
    /// It is still there.
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

/// What a file takes on the disk.
pub fn room(head: &Head) -> u64 {
    (head.line().len() as u64 + head.length).div_ceil(BLOCK) * BLOCK
}

/// Numbers of private servers are nobody else's to read.
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
