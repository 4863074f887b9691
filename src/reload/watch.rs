//! Watches files that may change while the bridge runs: the lists of targets, and on
//! request the configuration with the authorities that it names.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::config::{Config, FilePattern};
use crate::stamp::Stamp;

type Stamps = BTreeMap<PathBuf, Option<Stamp>>;

/// The files to watch.
pub struct Watched {
    lists: Vec<FilePattern>,
    configuration: Vec<PathBuf>,
}

/// The state of the files.
#[derive(Debug, Default, PartialEq)]
pub struct Seen {
    /// The lists of targets.
    pub lists: Stamps,
    /// The configuration and the files that it names.
    pub configuration: Stamps,
}

impl Watched {
    /// Watches the files of this configuration.
    pub fn of(config: &Config) -> Watched {
        let authorities = config.targets.iter().filter_map(|target| target.authorities.as_ref());
        let files = config.file.iter().cloned().chain(authorities.map(|file| file.path().to_owned()));
        let configuration = if config.reload.watch { files.collect() } else { Vec::new() };
        Watched { lists: config.discovery.files.clone(), configuration }
    }

    /// Reads the state of the files. Blocks: do not call it on an async thread.
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
