//! Python programs of others, for comparisons.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The interpreter of the virtual environment `target/venv-NAME` with these packages
/// (`prometheus_client==0.26.0`). The environment is created if it is missing.
///
/// # Errors
///
/// If there is no Python, or a package cannot be installed. The caller must not count its
/// tests as passed then.
pub fn venv(name: &str, packages: &[&str]) -> Result<PathBuf, String> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().ok_or("no target directory")?;
    let directory = target.join(format!("venv-{name}"));
    let python = directory.join("bin/python");

    // Test programs run in parallel. The lock ends when the file is closed, however the
    // test ends.
    let lock = File::create(target.join(format!("venv-{name}.lock")));
    let lock = lock.map_err(|error| format!("cannot create a lock file in {}: {error}", target.display()))?;
    lock.lock().map_err(|error| format!("cannot lock {}: {error}", directory.display()))?;

    // Written last, so that an incomplete installation is repeated.
    let done = directory.join("packages.txt");
    let wanted = packages.join("\n");
    if fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&directory))?;
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args(packages))?;
    fs::write(&done, wanted).map_err(|error| format!("cannot write {}: {error}", done.display()))?;
    Ok(python)
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let reason = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?}: {}: {}", output.status, reason.trim()))
}
