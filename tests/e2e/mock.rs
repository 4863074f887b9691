//! An independent Mastodon server, with its demo data.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::bench::{eventually, free_address, get};
use crate::support::program::Serving;

pub struct Mock {
    _serving: Serving,
    pub url: String,
    _directory: TempDir,
}

impl Mock {
    pub fn start(program: &Path) -> Mock {
        // The server leaves its database behind.
        let directory = tempfile::tempdir().unwrap();
        let address = free_address();
        let (host, port) = address.split_once(':').unwrap();
        let mut command = Command::new(program);
        command
            .args(["serve", "--demo", "--in-memory", "--log-level", "critical"])
            .args(["--host", host, "--port", port])
            .current_dir(directory.path())
            .env("TMPDIR", directory.path());
        let serving = Serving::with(&mut command);
        let url = format!("http://{address}");
        let instance = format!("{url}/api/v1/instance");
        eventually("mastodon_mock", || get(&instance).map_err(|e| format!("{e}\n{}", serving.log())));
        Mock { _serving: serving, url, _directory: directory }
    }
}
