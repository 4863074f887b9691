//! Tests that need something that not every machine has.

use std::process::Command;

use libtest_mimic::{Failed, Trial};

/// How a test ends: it panics where it fails, or says why.
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

/// A test that needs nothing.
pub fn always(name: &str, test: fn()) -> Trial {
    trial(name, Ok(()), move |()| test())
}

/// Ignored without what it needs, with the reason printed, and failed rather
/// than passed if it is asked for all the same.
pub fn trial<P: Send + 'static, E: Ended>(
    name: &str,
    needs: Result<P, String>,
    test: impl FnOnce(P) -> E + Send + 'static,
) -> Trial {
    // One that is not chosen has no reason.
    if let Err(reason) = &needs
        && !reason.is_empty()
    {
        eprintln!("{name} is ignored: {reason}");
    }
    let ignored = needs.is_err();
    Trial::test(name, move || test(needs?).ended()).with_ignored_flag(ignored)
}

/// Whether a program is there that tells its version.
///
/// # Errors
///
/// In words, if it cannot be started.
pub fn program(name: &str) -> Result<(), String> {
    Command::new(name).arg("--version").output().map(drop).map_err(|error| format!("{name}: {error}"))
}
