//! What the user asked for, checked: YAML, environment and flags become one
//! [`Config`], or every error at once.
//!
//! Flags win over the `FEDIMETER_*` variables that stand for them, these over
//! the file, and the file over `OTEL_*`.

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

/// Every setting of the bridge, in the order of documentation.
#[must_use]
pub fn bridge_settings() -> Vec<Description> {
    let unsaid = Config::default();
    bridge::BRIDGE.iter().map(|row| row.describe(&unsaid)).collect()
}

/// Every setting of a target, in the order of documentation.
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
    /// The file that it was read from.
    pub file: Option<PathBuf>,
    /// Servers to poll, each once.
    pub targets: Vec<Target>,
    /// Where targets come from beside these.
    pub discovery: Discovery,
    /// Which part of the targets is polled, where bridges divide them.
    pub shard: Shard,
    /// Which metrics are wanted, of all targets and of the bridge itself.
    pub metrics: Choice,
    /// Whether targets are asked ahead of collections.
    pub prefetch: Prefetch,
    /// How a changed configuration is taken.
    pub reload: Reload,
    /// Where `/metrics` listens; empty when pull is off.
    pub listen: Vec<Address>,
    /// The mode of the Unix sockets among them.
    pub socket_mode: u32,
    /// Host names that they answer to beside loopback names; empty for what
    /// fits each address.
    pub listen_hosts: Vec<String>,
    /// Where people find the pages, if not where they listen.
    pub external_url: Option<Url>,
    /// Who is let in.
    pub web: WebSettings,
    /// What clients may take.
    pub limits: Limits,
    /// Old names beside ours on `/metrics`.
    pub compat: Option<Compat>,
    /// How servers are asked.
    pub http: Http,
    /// How large pushed requests may be, and what waits where.
    pub delivery: DeliverySettings,
    /// Whether others may have servers asked, and which.
    pub probe: Probe,
    /// How long a collection may take when nobody sets a shorter time.
    pub deadline: Duration,
    /// How often to collect though nobody asks. Not a setting: the demo does, so that
    /// its pages move.
    pub collect_every: Option<Duration>,
    /// Up to how many targets the pages draw their last hours.
    pub history_max_targets: usize,
    /// Whether `/metrics` carries `otel_scope_*` labels.
    pub scope_labels: bool,
    /// Whether `/metrics` has `target_info`.
    pub target_info: bool,
    /// Whether OpenMetrics says since when counters count.
    pub created: bool,
    /// How names become those of Prometheus.
    pub translation_strategy: Strategy,
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
        load::load(sources).map(|loaded| loaded.config)
    }

    /// The same, with the origin of each value.
    ///
    /// # Errors
    /// The same.
    pub fn load_with_origins(sources: &Sources<'_>) -> Result<Loaded, ConfigErrors> {
        load::load(sources)
    }

    /// Reads and checks the settings of the bridge. Targets are not read, and may be
    /// wrong: there are none.
    ///
    /// # Errors
    /// Everything that is wrong with the rest.
    pub fn load_bridge(sources: &Sources<'_>) -> Result<Config, ConfigErrors> {
        load::load_bridge(sources)
    }

    /// The same as [`Config::load`] with the contents of a file, for the fuzz targets.
    pub(crate) fn load_text(path: &Path, text: &str, sources: &Sources<'_>) -> Result<Config, ConfigErrors> {
        load::load_text(path, text, sources).map(|loaded| loaded.config)
    }
}

impl Default for Config {
    /// No targets, and everything else as it is when the user says nothing.
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

/// How a changed configuration is taken, beside SIGHUP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reload {
    /// When the file, or one that it names, changes.
    pub watch: bool,
    /// When `/-/reload` is asked with POST.
    pub over_http: bool,
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// `key=value` pairs.
    Logfmt,
    /// One JSON object.
    Json,
}
