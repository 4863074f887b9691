//! Errors of a configuration, collected and each with its place.

use std::cell::RefCell;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// The message of a configuration without targets.
pub const NO_TARGET: &str = "no target: name a server in one of these three ways:
  an argument:  fedimeter mastodon.social
  a variable:   FEDIMETER_TARGETS=mastodon.social (several with commas), or MASTODON_HOST=https://mastodon.social
  a file:       --config fedimeter.yaml, with the line `targets: [mastodon.social]`";

/// Where a setting was given: `fedimeter.yaml:12: targets[1].token_file`,
/// `--token-file`, `FEDIMETER_TARGETS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, and the line in it, counted from 1.
    pub file: Option<(Arc<str>, usize)>,
    /// The path in the file, the flag or the variable. Empty for a whole file.
    pub path: String,
}

impl Place {
    /// A place outside a file: a flag, an argument or a variable.
    #[must_use]
    pub fn outside(path: impl Into<String>) -> Place {
        Place { file: None, path: path.into() }
    }

    /// A line in a file, with the path of its setting.
    #[must_use]
    pub fn line(file: &Arc<str>, line: usize, path: impl Into<String>) -> Place {
        Place { file: Some((file.clone(), line)), path: path.into() }
    }

    /// Returns the directory to which paths are relative: that of the file, or the
    /// working directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        let file = self.file.as_ref().map(|(file, _)| Path::new(&**file));
        file.and_then(Path::parent).unwrap_or(Path::new(""))
    }

    /// Creates an error at this place.
    #[must_use]
    pub fn error(&self, message: impl Into<String>) -> ConfigError {
        ConfigError { place: self.clone(), message: message.into() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some((file, line)) if self.path.is_empty() => write!(f, "{file}:{line}"),
            Some((file, line)) => write!(f, "{file}:{line}: {}", self.path),
            None => f.write_str(&self.path),
        }
    }
}

/// An error: where it is, what is wrong, and what to do. It contains no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}{message}", place, if place.file.is_none() && place.path.is_empty() { "" } else { ": " })]
pub struct ConfigError {
    /// Where the setting was given.
    pub place: Place,
    /// What is wrong and what to do.
    pub message: String,
}

/// All errors in the order of the file, one in each line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.list())]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// Sorts errors by line. Errors outside a file come first.
    #[must_use]
    pub fn new(mut errors: Vec<ConfigError>) -> ConfigErrors {
        errors.sort_by_key(|e| e.place.file.as_ref().map_or(0, |(_, line)| *line));
        ConfigErrors(errors)
    }

    /// Creates an error without a place.
    #[must_use]
    pub fn other(message: impl Into<String>) -> ConfigErrors {
        ConfigErrors(vec![Place::outside("").error(message)])
    }

    /// Whether there is only one error: that no target is named.
    #[must_use]
    pub fn lack_a_target(&self) -> bool {
        self.0.iter().all(|error| error.message == NO_TARGET)
    }

    /// Iterates over the errors.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }

    fn list(&self) -> String {
        self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }
}

/// Collects errors. Readers record an error and continue.
#[derive(Debug, Default)]
pub struct Errors(RefCell<Vec<ConfigError>>);

impl Errors {
    /// Records an error.
    pub fn push(&self, error: ConfigError) {
        self.0.borrow_mut().push(error);
    }

    /// Whether there are no errors so far.
    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Keeps only the errors for which `keep` returns true.
    pub fn retain(&self, keep: impl Fn(&ConfigError) -> bool) {
        self.0.borrow_mut().retain(keep);
    }

    /// Returns `value` if there were no errors.
    pub fn none_or<T>(&self, value: T) -> Result<T, ConfigErrors> {
        let errors = self.0.take();
        if errors.is_empty() { Ok(value) } else { Err(ConfigErrors::new(errors)) }
    }
}
