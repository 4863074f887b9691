//! The checked configuration. YAML, environment and flags become one [`Config`], or all
//! errors at once.
//!
//! Flags override their `FEDIMETER_*` variables, these override the file, and the file
//! overrides `OTEL_*`.

mod address;
mod bridge;
mod choice;
mod discovery;
pub mod docs;
mod effective;
mod error;
mod given;
mod limits;
mod lists;
mod load;
mod log_filter;
pub mod otel;
mod probe;
mod schema;
mod setting;
mod shard;
pub(crate) mod suggest;
mod syntax;
mod target;
mod token;
pub(crate) mod values;
mod web;
mod yaml;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use crate::target::{Choice, Target};

pub use crate::export::compat::Compat;
pub use crate::export::naming::Strategy;
pub use crate::export::otlp::DeliverySettings;
pub use crate::fetch::Http;
pub use crate::refresh::Prefetch;

pub use address::Address;
pub(crate) use bridge::REQUEST_TIME;
pub use choice::left_out;
pub use discovery::{Discovery, FilePattern};
pub use effective::{effective_yaml, needs_restart};
pub use error::{ConfigError, ConfigErrors, Place};
pub use limits::Limits;
pub use lists::{Apart, Defaults, Listed};
pub(crate) use load::is_standard_input;
pub use load::{Loaded, Sources};
pub use log_filter::LogFilter;
pub use probe::{Allow, Allowed, DEFAULT_MODULE, Module, Probe, ProbedTargets};
pub use schema::schema;
pub use setting::{Description, Env, Flag, Flags, Form, Group, Key, Origins};
pub use shard::Shard;
pub use syntax::Shape;
pub use token::read_file as read_token_file;
pub use web::{Web, WebSettings};
pub(crate) use yaml::{MAX_FILE, quote};

/// All settings of the bridge, in the order of the documentation.
#[must_use]
pub fn bridge_settings() -> Vec<Description> {
    let unsaid = Config::default();
    bridge::BRIDGE.iter().map(|row| row.describe(&unsaid)).collect()
}

/// All settings of a target, in the order of the documentation.
#[must_use]
pub fn target_settings() -> Vec<Description> {
    target::TARGET.iter().map(|row| row.describe(&target::UNSAID)).collect()
}

/// Every key of `probe`, in the order of documentation.
#[must_use]
pub fn probe_settings() -> Vec<Description> {
    let unsaid = Probe::default();
    probe::PROBE.iter().map(|row| row.describe(&unsaid)).collect()
}

/// Every key of a module of `probe`, in the order of documentation.
#[must_use]
pub fn module_settings() -> Vec<Description> {
    let unsaid = Module::default();
    probe::MODULE.iter().map(|row| row.describe(&unsaid)).collect()
}

/// The whole configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The file of the configuration.
    pub file: Option<PathBuf>,
    /// The servers to poll, each once.
    pub targets: Vec<Target>,
    /// Where further targets are listed.
    pub discovery: Discovery,
    /// Which part of the targets is polled, where bridges divide them.
    pub shard: Shard,
    /// Which metrics are wanted, of all targets and of the bridge itself.
    pub metrics: Choice,
    /// Whether targets are asked ahead of collections.
    pub prefetch: Prefetch,
    /// How a changed configuration is taken.
    pub reload: Reload,
    /// The addresses of `/metrics`; empty if pull is off.
    pub listen: Vec<Address>,
    /// The mode of the Unix sockets among them.
    pub socket_mode: u32,
    /// The allowed host names besides loopback names. If empty, they depend on each
    /// address.
    pub listen_hosts: Vec<String>,
    /// The URL of the pages for people, if it differs from the address.
    pub external_url: Option<Url>,
    /// TLS, passwords and tokens for clients.
    pub web: WebSettings,
    /// The limits for clients.
    pub limits: Limits,
    /// The older exporter whose metric names are added to `/metrics`.
    pub compat: Option<Compat>,
    /// How servers are requested.
    pub http: Http,
    /// The maximum size of pushed requests, and the backlog.
    pub delivery: DeliverySettings,
    /// Whether others may have servers asked, and which.
    pub probe: Probe,
    /// The maximum duration of a collection if no shorter time is set.
    pub deadline: Duration,
    /// How often the bridge collects by itself. It is not a setting: the demo uses it
    /// so that its pages change.
    pub collect_every: Option<Duration>,
    /// The maximum number of targets for which the pages draw the last hours.
    pub history_max_targets: usize,
    /// Whether `/metrics` carries `otel_scope_*` labels.
    pub scope_labels: bool,
    /// Whether `/metrics` contains `target_info`.
    pub target_info: bool,
    /// Whether OpenMetrics says when counters started counting.
    pub created: bool,
    /// How OpenTelemetry names become Prometheus names.
    pub translation_strategy: Strategy,
    /// The level and format of the log.
    pub log: Log,
    /// Warnings to log at the start.
    pub warnings: Vec<String>,
}

impl Config {
    /// Reads and checks the configuration. It does not use the network.
    ///
    /// # Errors
    /// All errors, each with its place and what to do.
    pub fn load(sources: &Sources<'_>) -> Result<Config, ConfigErrors> {
        load::load(sources).map(|loaded| loaded.config)
    }

    /// Reads and checks the configuration, with the origin of each value.
    ///
    /// # Errors
    /// As for [`Config::load`].
    pub fn load_with_origins(sources: &Sources<'_>) -> Result<Loaded, ConfigErrors> {
        load::load(sources)
    }

    /// Reads and checks only the settings of the bridge. Targets are not read and may
    /// have errors.
    ///
    /// # Errors
    /// All errors in the settings of the bridge.
    pub fn load_bridge(sources: &Sources<'_>) -> Result<Config, ConfigErrors> {
        load::load_bridge(sources)
    }

    /// Returns the metrics that a configuration leaves out everywhere: those that the
    /// bridge excludes, and those that every target excludes. Other settings of targets
    /// may have errors.
    ///
    /// # Errors
    /// All errors in the settings of the bridge, and in the choice of metrics.
    pub fn load_left_out(sources: &Sources<'_>) -> Result<BTreeSet<&'static str>, ConfigErrors> {
        load::load_left_out(sources)
    }

    /// Reads and checks the text of a file like [`Config::load`], for the fuzz targets.
    pub(crate) fn load_text(path: &Path, text: &str, sources: &Sources<'_>) -> Result<Config, ConfigErrors> {
        load::load_text(path, text, sources).map(|loaded| loaded.config)
    }
}

impl Default for Config {
    /// No targets, and the defaults of all settings.
    fn default() -> Config {
        Config {
            file: None,
            targets: Vec::new(),
            discovery: Discovery::default(),
            shard: Shard::default(),
            metrics: Choice::default(),
            prefetch: Prefetch::default(),
            reload: Reload::default(),
            listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 9464)).into()],
            socket_mode: 0o660,
            listen_hosts: Vec::new(),
            external_url: None,
            web: WebSettings::default(),
            limits: Limits::default(),
            compat: None,
            http: Http::default(),
            delivery: DeliverySettings::default(),
            probe: Probe::default(),
            deadline: Duration::from_secs(10),
            collect_every: None,
            history_max_targets: 500,
            scope_labels: true,
            target_info: true,
            created: false,
            translation_strategy: Strategy::default(),
            log: Log::default(),
            warnings: Vec::new(),
        }
    }
}

/// When a changed configuration is applied, besides on SIGHUP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reload {
    /// When the file, or a file that it names, changes.
    pub watch: bool,
    /// When a client sends POST to `/-/reload`.
    pub over_http: bool,
}

/// The level and format of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Log {
    /// The messages to log.
    pub level: LogFilter,
    /// The format of a line.
    pub format: LogFormat,
}

/// The format of a log line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Text for people.
    #[default]
    Text,
    /// `key=value` pairs.
    Logfmt,
    /// One JSON object.
    Json,
}
