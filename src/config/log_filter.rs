//! Which messages are logged: a level, or levels by module.

use std::fmt;
use std::str::FromStr;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Directive;

use super::otel;
use super::suggest::{did_you_mean, list};

/// Levels by name, the least talkative first.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// What a user reads of the libraries underneath; of what is less severe only
/// their authors know what it means.
const LIBRARIES: [&str; 10] = [
    "h2",
    "hyper",
    "hyper_util",
    "opentelemetry",
    "opentelemetry_sdk",
    "opentelemetry-prometheus",
    "reqwest",
    "rustls",
    "tonic",
    "tower",
];

/// Libraries of which a user reads nothing: what the resolver says of strange answers
/// is said by us, once, and others could make it say more without end.
const SILENT_LIBRARIES: [&str; 3] = ["hickory_net", "hickory_proto", "hickory_resolver"];

/// Which messages are logged: a level, or levels by module such as
/// `info,fedimeter::fetch=debug`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(String);

impl LogFilter {
    /// A level, or directives with commas between them: each `module=level` or
    /// a level for everything else.
    ///
    /// # Errors
    /// What is wrong and how to write it.
    pub fn parse(text: &str) -> Result<LogFilter, String> {
        let directives: Vec<&str> = text.split(',').map(str::trim).filter(|d| !d.is_empty()).collect();
        for directive in &directives {
            // Alone, tracing takes any word for a module, all of whose messages are wanted.
            let known = |level: &str| LEVELS.contains(&level);
            let right = match directive.rsplit_once('=') {
                None => known(directive),
                Some((module, level)) => {
                    !module.is_empty() && known(level) && directive.parse::<Directive>().is_ok()
                }
            };
            if !right {
                let meant = did_you_mean(directive, &LEVELS);
                let levels = list(&LEVELS);
                return Err(if text == *directive {
                    format!(
                        "must be one of {levels}, or levels by module such as info,fedimeter::fetch=debug{meant}"
                    )
                } else {
                    format!("`{directive}` is not one of {levels}, nor MODULE=LEVEL{meant}")
                });
            }
        }
        if directives.is_empty() {
            return Err(format!("is empty; write one of {}", list(&LEVELS)));
        }
        Ok(LogFilter(directives.join(",")))
    }

    /// What `OTEL_LOG_LEVEL` says, if anything.
    #[must_use]
    pub fn of_otel(env: &dyn Fn(&str) -> Option<String>) -> Option<LogFilter> {
        otel::log_level(env).map(|level| LogFilter(level.to_string().to_ascii_lowercase()))
    }

    /// Warnings, without what is logged of servers.
    #[must_use]
    pub fn without_servers() -> LogFilter {
        LogFilter("warn,fedimeter::refresh=off".to_owned())
    }

    /// The same in the words of `tracing-subscriber`, libraries held back.
    #[must_use]
    pub fn directives(&self) -> String {
        let base = self.0.split(',').filter_map(|d| LevelFilter::from_str(d).ok()).next_back();
        let base = base.unwrap_or(LevelFilter::INFO);
        let libraries = base.min(LevelFilter::WARN);
        // Of two for one module the last one holds: the user's.
        let libraries = LIBRARIES.map(|name| format!("{name}={libraries}")).join(",");
        let silent = SILENT_LIBRARIES.map(|name| format!("{name}=off")).join(",");
        format!("{base},{libraries},{silent},{}", self.0)
    }
}

impl Default for LogFilter {
    fn default() -> LogFilter {
        LogFilter("info".to_owned())
    }
}

impl fmt::Display for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Flags, Sources};
    use tracing_subscriber::filter::EnvFilter;

    #[test]
    fn levels_and_modules_are_read() {
        for (text, shown) in [
            ("info", "info"),
            (" debug ", "debug"),
            ("info,fedimeter::fetch=debug", "info,fedimeter::fetch=debug"),
            ("hyper=trace , warn,", "hyper=trace,warn"),
            ("fedimeter::refresh=off", "fedimeter::refresh=off"),
        ] {
            let filter = LogFilter::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(filter.to_string(), shown);
            EnvFilter::try_new(filter.directives()).unwrap_or_else(|e| panic!("{text}: {e}"));
        }
        for text in
            ["", ",", "loud", "INFO!", "fedimeter", "info,loud", "=info", "a=b=loud", "fedimeter::fetch="]
        {
            assert!(LogFilter::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn otel_log_level_counts_where_nothing_else_does() {
        let level = |otel: &str, flag: Option<&str>| {
            let mut flags = Flags::default();
            if let Some(flag) = flag {
                flags.set("log_level", flag);
            }
            let env = |name: &str| (name == "OTEL_LOG_LEVEL").then(|| otel.to_owned());
            let targets = ["a.example".to_owned()];
            let sources = Sources { file: None, text: None, targets: &targets, flags, env: &env };
            Config::load(&sources).unwrap().log.level.to_string()
        };
        for (otel, flag, expected) in [
            ("", None, "info"),
            ("debug", None, "debug"),
            ("WARNING", None, "warn"),
            ("none", None, "off"),
            ("loud", None, "info"),
            ("debug", Some("warn,fedimeter::fetch=trace"), "warn,fedimeter::fetch=trace"),
        ] {
            assert_eq!(level(otel, flag), expected, "{otel} {flag:?}");
        }
    }

    #[test]
    fn libraries_say_no_more_than_asked() {
        let directives = |text| LogFilter::parse(text).unwrap().directives();
        assert!(directives("trace").starts_with("trace,h2=warn,"));
        assert!(directives("off").starts_with("off,h2=off,"));
        assert!(directives("error").starts_with("error,h2=error,"));
        assert!(directives("h2=debug").ends_with(",h2=debug"));
        assert!(directives("h2=debug").starts_with("info,h2=warn,"));
    }
}
