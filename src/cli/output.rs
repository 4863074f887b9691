//! Flags of every command: colour and log level.

use std::ffi::{OsStr, OsString};

use clap::{ArgAction, Args, ValueEnum};

/// When the output is coloured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Arguments of every command.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// When to colour the output
    #[arg(long, global = true, value_name = "WHEN", env = COLOR_VARIABLE, default_value = "auto")]
    pub color: Color,

    /// Log more: -v is --log-level debug, -vv is trace
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,

    /// Log less: -q is --log-level warn, -qq is error, -qqq is off
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub quiet: u8,
}

const COLOR_VARIABLE: &str = "FEDIMETER_COLOR";

impl OutputArgs {
    /// Returns the log level of `-v` or `-q`, and how they were written.
    #[must_use]
    pub fn log_level(&self) -> Option<(&'static str, &'static str)> {
        match (self.verbose, self.quiet) {
            (0, 0) => None,
            (1, _) => Some(("debug", "-v")),
            (2.., _) => Some(("trace", "-vv")),
            (0, 1) => Some(("warn", "-q")),
            (0, 2) => Some(("error", "-qq")),
            (0, 3..) => Some(("off", "-qqq")),
        }
    }
}

/// Returns how many of these arguments, which begin after the program's name, are
/// leading flags of every command.
pub fn leading(args: &[OsString]) -> usize {
    let mut count = 0;
    while let Some(arg) = args.get(count).and_then(|arg| arg.to_str()) {
        let is_repeated = |letter| arg.strip_prefix('-').is_some_and(|rest| is_all(rest, letter));
        count += match arg {
            "--color" => 2,
            "--verbose" | "--quiet" => 1,
            _ if arg.starts_with("--color=") || is_repeated('v') || is_repeated('q') => 1,
            _ => break,
        };
    }
    count.min(args.len())
}

fn is_all(text: &str, letter: char) -> bool {
    !text.is_empty() && text.chars().all(|c| c == letter)
}

/// Reads `--color`, for errors of the arguments themselves.
pub fn color_of(args: &[OsString]) -> clap::ColorChoice {
    let arg = |i: usize| args.get(i).and_then(|arg| arg.to_str());
    let given = (0..args.len()).find_map(|i| match arg(i)? {
        "--color" => arg(i + 1),
        other => other.strip_prefix("--color="),
    });
    let variable = std::env::var(COLOR_VARIABLE).ok();
    match given.or(variable.as_deref()) {
        Some("always") => clap::ColorChoice::Always,
        Some("never") => clap::ColorChoice::Never,
        _ => clap::ColorChoice::Auto,
    }
}

/// Whether such an output is coloured (<https://no-color.org>).
#[must_use]
pub fn is_coloured(color: Color, is_terminal: bool) -> bool {
    let unwanted = |value: &OsStr| !value.is_empty();
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| unwanted(&value));
            is_terminal && !no_color && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
        }
    }
}
