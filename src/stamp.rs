//! Detects whether a file has changed since it was read.

use std::fs::Metadata;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// How often files that may change are checked.
pub const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// The properties that change with a file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl Stamp {
    /// Returns the stamp of a file, or `None` if it does not exist.
    #[must_use]
    pub fn at(path: &Path) -> Option<Stamp> {
        std::fs::metadata(path).ok().as_ref().map(Stamp::of)
    }

    /// Returns the stamp for these metadata.
    #[must_use]
    pub fn of(file: &Metadata) -> Stamp {
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(file);
        #[cfg(not(unix))]
        let inode = 0;
        Stamp { modified: file.modified().ok(), length: file.len(), inode }
    }
}
