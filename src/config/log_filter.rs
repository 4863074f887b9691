//! The log filter: a level, or levels by module.

use std::fmt;
use std::str::FromStr;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Directive;

use super::otel;
use super::suggest::{did_you_mean, list};

/// The levels by name, from the fewest to the most messages.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Libraries that log only warnings and errors. Only their authors understand their
/// other messages.
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

/// Libraries that log nothing. fedimeter itself reports the resolver's failures once,
/// and servers could cause any number of the resolver's own messages.
const SILENT_LIBRARIES: [&str; 3] = ["hickory_net", "hickory_proto", "hickory_resolver"];

/// The log filter: a level, or levels by module such as `info,fedimeter::fetch=debug`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(String);

impl LogFilter {
    /// Parses a level, or directives separated by commas: `module=level`, or a level
    /// for everything else.
    ///
    /// # Errors
    /// What is wrong and how to write it.
    pub fn parse(text: &str) -> Result<LogFilter, String> {
        let directives: Vec<&str> = text.split(',').map(str::trim).filter(|d| !d.is_empty()).collect();
        for directive in &directives {
            // tracing accepts any single word as a module, and enables all its
            // messages.
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
                        "must be one of {levels}, or levels by module such as \
                         info,fedimeter::fetch=debug{meant}"
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

    /// Returns the filter for `OTEL_LOG_LEVEL`, if it is set.
    #[must_use]
    pub fn of_otel(env: &dyn Fn(&str) -> Option<String>) -> Option<LogFilter> {
        otel::log_level(env).map(|level| LogFilter(level.to_string().to_ascii_lowercase()))
    }

    /// A filter for warnings, without those about servers.
    #[must_use]
    pub fn without_servers() -> LogFilter {
        LogFilter("warn,fedimeter::refresh=off".to_owned())
    }

    /// Returns the directives for `tracing-subscriber`, with those for the libraries.
    #[must_use]
    pub fn directives(&self) -> String {
        let base = self.0.split(',').filter_map(|d| LevelFilter::from_str(d).ok()).next_back();
        let base = base.unwrap_or(LevelFilter::INFO);
        let libraries = base.min(LevelFilter::WARN);
        // Of two directives for one module the last one applies, which is the user's.
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
