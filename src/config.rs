//! What the user asked for, checked: YAML, environment and flags become one
//! [`Config`], or every error at once.
//!
//! Flags win over the `FEDIMETER_*` variables that stand for them, these over
//! the file, and the file over `OTEL_*`.

mod attributes;
pub mod docs;
mod effective;
mod error;
mod file;
pub mod keys;
mod layers;
mod log_filter;
mod merge;
pub mod otel;
pub(crate) mod suggest;
mod token;
pub(crate) mod values;
mod yaml;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use crate::target::Target;

pub use effective::effective_yaml;
pub use error::{ConfigError, ConfigErrors, Place};
pub use layers::{BridgeSettings, Env, Flags, Sources, TargetSettings};
pub use log_filter::LogFilter;
pub use token::TokenSource;
pub use values::Listen;

/// The whole configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Servers to poll, each once.
    pub targets: Vec<Target>,
    /// Where `/metrics` listens; empty when pull is off.
    pub listen: Vec<SocketAddr>,
    /// Old names beside ours on `/metrics`.
    pub compat: Option<Compat>,
    /// How servers are asked.
    pub http: Http,
    /// How long a collection may take when nobody sets a shorter time.
    pub deadline: Duration,
    /// Whether `/metrics` carries `otel_scope_*` labels.
    pub scope_labels: bool,
    /// What is logged, and how.
    pub log: Log,
    /// What is not wrong but should be said, to be logged at the start.
    pub warnings: Vec<String>,
}

impl Config {
    /// Reads and checks the configuration. It touches no network.
    ///
    /// # Errors
    /// Everything that is wrong, with its place and what to do.
    pub fn load(sources: &Sources<'_>) -> Result<Config, ConfigErrors> {
        merge::load(sources)
    }

    /// Where a bridge with this configuration listens. Its targets are not
    /// read, and may be wrong.
    ///
    /// # Errors
    /// Everything that is wrong with the rest.
    pub fn listen(sources: &Sources<'_>) -> Result<Vec<SocketAddr>, ConfigErrors> {
        merge::listen_alone(sources)
    }

    /// The same as [`Config::load`] with the contents of a file, for the fuzz targets.
    pub(crate) fn load_text(path: &Path, text: &str, sources: &Sources<'_>) -> Result<Config, ConfigErrors> {
        merge::load_text(path, text, sources)
    }
}

impl Default for Config {
    /// No targets, and everything else as it is when the user says nothing.
    fn default() -> Config {
        Config {
            targets: Vec::new(),
            listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 9464))],
            compat: None,
            http: Http::default(),
            deadline: Duration::from_secs(10),
            scope_labels: true,
            log: Log::default(),
            warnings: Vec::new(),
        }
    }
}

/// The names of older exporters, for dashboards that know them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Compat {
    /// The 2018 Python exporter: `mastodon_user_count`, one target, no labels.
    Dada,
    /// systemli's exporter: `mastodon_users{host="…"}`.
    Systemli,
}

/// What is logged, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Log {
    /// Which messages are logged.
    pub level: LogFilter,
    /// How a line is written.
    pub format: LogFormat,
}

/// How a log line is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// `key=value` pairs.
    Logfmt,
    /// One JSON object.
    Json,
}

/// Limits and manners of the HTTP client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// Requests under way in all.
    pub max_requests: usize,
    /// Requests under way per host.
    pub max_requests_per_host: usize,
    /// Time to connect, TLS included.
    pub connect_timeout: Duration,
    /// Time for a whole request.
    pub timeout: Duration,
    /// Decoded bytes of a body.
    pub max_body: usize,
    /// A URL in the User-Agent by which an admin can reach whoever runs this.
    pub contact: String,
    /// Connections that are kept per host between collections. Not a setting:
    /// the bridge keeps fewer where there are more targets than open files.
    pub kept_per_host: usize,
}

impl Default for Http {
    fn default() -> Http {
        Http {
            max_requests: 256,
            max_requests_per_host: 2,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(10),
            max_body: 1 << 20,
            contact: "https://docs.rs/fedimeter".to_owned(),
            kept_per_host: 2,
        }
    }
}
