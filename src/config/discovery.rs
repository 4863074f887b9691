//! Sources of targets besides the configuration: files and URLs that it names.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::error::{Errors, Place};
use super::yaml::MAX_FILE;

/// Files and URLs that list targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovery {
    /// Patterns of the files' paths.
    pub files: Vec<FilePattern>,
    /// URLs that answer with groups of targets.
    pub urls: Vec<Url>,
    /// The file with the token for these URLs.
    pub token_file: Option<PathBuf>,
    /// How often the URLs are requested.
    pub interval: Duration,
    /// Whether the listed targets may have addresses that are not public.
    pub allow_private: bool,
}

impl Default for Discovery {
    fn default() -> Discovery {
        Discovery {
            files: Vec::new(),
            urls: Vec::new(),
            token_file: None,
            interval: Duration::from_secs(60),
            allow_private: false,
        }
    }
}

impl Discovery {
    /// Whether targets may come from outside the configuration.
    #[must_use]
    pub fn has_lists(&self) -> bool {
        !self.files.is_empty() || !self.urls.is_empty()
    }
}

/// A pattern of paths, with its place in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePattern {
    /// The pattern as it was written.
    pub written: Arc<str>,
    /// Where the pattern was written, to which it is relative.
    pub place: Place,
}

impl FilePattern {
    /// Returns the matching files, sorted by name.
    ///
    /// # Errors
    ///
    /// When the pattern is invalid, or has no wildcard and its file does not exist.
    pub fn files(&self) -> Result<Vec<PathBuf>, String> {
        let path = self.place.directory().join(&*self.written);
        if !self.written.contains(['*', '?', '[']) {
            return Ok(vec![path]);
        }
        let pattern = path.to_str().ok_or("is below a directory whose name is not UTF-8")?;
        let found = glob::glob(pattern)
            .map_err(|e| format!("is not a valid pattern: {}, at character {}", e.msg, e.pos + 1))?;
        let mut files = Vec::new();
        for path in found {
            let path = path.map_err(|e| format!("{}: cannot be read: {}", e.path().display(), e.error()))?;
            files.push(path);
        }
        Ok(files)
    }
}

/// Reads a file as text. `cannot` describes a failure.
pub fn read_text(file: impl Read, cannot: impl Fn(std::io::Error) -> String) -> Result<String, String> {
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err("is larger than 16 MiB; divide the targets among several bridges".to_owned());
    }
    String::from_utf8(bytes).map_err(|e| {
        let read = String::from_utf8_lossy(&e.as_bytes()[..e.utf8_error().valid_up_to()]);
        let line = read.matches('\n').count() + 1;
        format!("is not UTF-8 at line {line}; save it as UTF-8")
    })
}

/// Reads the files of all patterns. Errors are recorded.
pub fn read_files(patterns: &[FilePattern], errors: &Errors) -> Vec<(Arc<str>, PathBuf, String)> {
    let mut read = Vec::new();
    for pattern in patterns {
        match pattern.files() {
            Err(message) => errors.push(pattern.place.error(format!("{}: {message}", pattern.written))),
            Ok(files) => {
                for path in files {
                    match read_list(&path) {
                        Ok(text) => read.push((pattern.written.clone(), path, text)),
                        Err(message) => {
                            errors.push(Place::outside(path.display().to_string()).error(message));
                        }
                    }
                }
            }
        }
    }
    read
}

fn read_list(path: &Path) -> Result<String, String> {
    let cannot =
        |e: std::io::Error| format!("cannot read the targets: {e}; create it or correct targets_file");
    read_text(File::open(path).map_err(cannot)?, cannot)
}
