//! Files that may change while the bridge runs: the lists of targets, and, where that is
//! wanted, the configuration with the authorities that it names.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::config::{Config, FilePattern};
use crate::stamp::Stamp;

type Stamps = BTreeMap<PathBuf, Option<Stamp>>;

/// What to look at.
pub struct Watched {
    lists: Vec<FilePattern>,
    configuration: Vec<PathBuf>,
}

/// What was seen there.
#[derive(Debug, Default, PartialEq)]
pub struct Seen {
    /// The lists of targets.
    pub lists: Stamps,
    /// The configuration and what it names.
    pub configuration: Stamps,
}

impl Watched {
    /// Under this configuration.
    pub fn of(config: &Config) -> Watched {
        let authorities = config.targets.iter().filter_map(|target| target.authorities.as_ref());
        let files = config.file.iter().cloned().chain(authorities.map(|file| file.path().to_owned()));
        let configuration = if config.reload.watch { files.collect() } else { Vec::new() };
        Watched { lists: config.discovery.files.clone(), configuration }
    }

    /// Blocks: not for an async thread.
    pub fn look(&self) -> Seen {
        let stamps = |files: &mut dyn Iterator<Item = PathBuf>| {
            files.map(|file| (file.clone(), Stamp::at(&file))).collect()
        };
        let lists = self.lists.iter().flat_map(|pattern| pattern.files().unwrap_or_default());
        Seen {
            lists: stamps(&mut lists.into_iter()),
            configuration: stamps(&mut self.configuration.iter().cloned()),
        }
    }
}
