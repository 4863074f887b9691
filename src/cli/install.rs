//! Files that are installed with the program: completions and manual pages.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use clap_complete::Shell;

use super::plain_command;

/// Arguments of `completions`.
#[derive(Debug, Clone, Args)]
pub struct CompletionsArgs {
    /// The shell for which to print completions
    pub shell: Shell,
}

/// Arguments of `man`.
#[derive(Debug, Clone, Args)]
pub struct ManArgs {
    /// Write a page for the program and one for each command into this directory
    #[arg(short, long, value_name = "DIR", env = "FEDIMETER_MAN_DIRECTORY")]
    pub directory: Option<PathBuf>,
}

impl CompletionsArgs {
    /// Returns the completion script for the shell.
    #[must_use]
    pub fn script(&self) -> Vec<u8> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut plain_command(), "fedimeter", &mut script);
        script
    }
}

/// Returns the manual page of the program, as roff.
///
/// # Errors
/// No error is known: it is written to memory.
pub fn manual_page() -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(plain_command()).render(&mut page)?;
    Ok(page)
}

/// Writes the manual page of the program and one for each command: `fedimeter.1`,
/// `fedimeter-serve.1`, and so on.
///
/// # Errors
/// When the directory or a file in it cannot be written.
pub fn write_manual_pages(directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    clap_mangen::generate_to(plain_command(), directory)
}
