//! Whether a file is still the one that was read.

use std::fs::Metadata;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// How often files that may change are looked at.
pub const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// What changes with a file's contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl Stamp {
    /// That of a file; nothing where there is none.
    #[must_use]
    pub fn at(path: &Path) -> Option<Stamp> {
        std::fs::metadata(path).ok().as_ref().map(Stamp::of)
    }

    /// That of a file of which the system says this.
    #[must_use]
    pub fn of(file: &Metadata) -> Stamp {
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(file);
        #[cfg(not(unix))]
        let inode = 0;
        Stamp { modified: file.modified().ok(), length: file.len(), inode }
    }
}
