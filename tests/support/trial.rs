//! Tests with requirements that not every machine meets.

use std::process::Command;

use libtest_mimic::{Failed, Trial};

/// The result of a test: an error, or a panic.
pub trait Ended {
    fn ended(self) -> Result<(), Failed>;
}

impl Ended for () {
    fn ended(self) -> Result<(), Failed> {
        Ok(())
    }
}

impl Ended for Result<(), Failed> {
    fn ended(self) -> Result<(), Failed> {
        self
    }
}

/// A test without requirements.
pub fn always(name: &str, test: fn()) -> Trial {
    trial(name, Ok(()), move |()| test())
}

/// A test that is ignored if its requirement is missing, with the reason printed. If it is
/// run with `--ignored`, it fails.
pub fn trial<P: Send + 'static, E: Ended>(
    name: &str,
    needs: Result<P, String>,
    test: impl FnOnce(P) -> E + Send + 'static,
) -> Trial {
    // The reason is printed only for tests that are selected.
    if let Err(reason) = &needs
        && !reason.is_empty()
    {
        eprintln!("{name} is ignored: {reason}");
    }
    let ignored = needs.is_err();
    Trial::test(name, move || test(needs?).ended()).with_ignored_flag(ignored)
}

/// Whether a program exists that prints its version.
///
/// # Errors
///
/// If the program cannot be started.
pub fn program(name: &str) -> Result<(), String> {
    Command::new(name).arg("--version").output().map(drop).map_err(|error| format!("{name}: {error}"))
}
