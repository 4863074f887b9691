//! Log lines, on standard error: text for people, logfmt or JSON for programs.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use crate::config::{Log, LogFormat};

/// Begins logging for the whole process. A second call changes nothing.
pub fn start(log: &Log) {
    let filter = EnvFilter::new(log.level.directives());
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match log.format {
        LogFormat::Text => {
            let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            tracing_subscriber::fmt::layer()
                .with_writer(std::io::stderr)
                .with_ansi(colour)
                .with_target(false)
                .boxed()
        }
        LogFormat::Logfmt => tracing_logfmt::builder().layer().with_writer(std::io::stderr).boxed(),
        LogFormat::Json => tracing_subscriber::fmt::layer().with_writer(std::io::stderr).json().boxed(),
    };
    let _ = tracing_subscriber::registry().with(lines.with_filter(filter)).try_init();
}

/// A failure that may come back at every collection: the log hears of it when
/// it begins, and when it is over.
#[derive(Debug, Default)]
pub struct Spell(AtomicBool);

impl Spell {
    /// It failed; whether that is to be said.
    pub fn begins(&self) -> bool {
        !self.0.swap(true, Ordering::Relaxed)
    }

    /// It went well; whether that is to be said.
    pub fn ends(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spell_is_said_at_both_its_ends() {
        let spell = Spell::default();
        assert!(!spell.ends(), "it never began");
        assert!(spell.begins());
        assert!(!spell.begins());
        assert!(spell.ends());
        assert!(!spell.ends());
        assert!(spell.begins());
    }
}
