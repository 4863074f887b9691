//! The constants of an instance: its number, its version, and the basis of its numbers.

use super::numbers::Numbers;
use crate::version::Version;

/// The first instances have names that are readable on a graph; the others are called
/// `i00008` and so on.
const NAMES: [&str; 8] = ["art", "science", "books", "games", "social", "town", "music", "garden"];

/// A simulated instance, derived from the seed.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    pub index: usize,
    pub version: Version,
    pub numbers: Numbers,
}

impl Instance {
    pub fn new(seed: u64, index: usize, version: Version) -> Instance {
        Instance { index, version, numbers: Numbers::new(seed, index) }
    }

    /// Returns the index of the instance whose host name begins with this label, if it
    /// exists.
    pub fn index_of(label: &str) -> Option<usize> {
        let named = NAMES.iter().position(|name| *name == label);
        named.or_else(|| label.strip_prefix('i')?.parse().ok())
    }

    /// The host and port by which the instance calls itself: `art.localhost:3000`.
    pub fn host(&self, port: u16) -> String {
        match NAMES.get(self.index) {
            Some(name) => format!("{name}.localhost:{port}"),
            None => format!("i{:05}.localhost:{port}", self.index),
        }
    }

    /// The name for people.
    pub fn title(&self) -> String {
        match NAMES.get(self.index) {
            Some(name) => name[..1].to_uppercase() + &name[1..],
            None => format!("Instance {}", self.index),
        }
    }

    /// The number of its rules, shown from 3.4 on.
    pub fn rules(&self) -> usize {
        self.numbers.up_to(30, 9.0)
    }
}
