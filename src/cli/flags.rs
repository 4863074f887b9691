//! Flags that several commands share, in groups.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args};

use crate::config::{BridgeSettings, Compat, Listen, LogFilter, LogFormat, values};
use crate::endpoint::Endpoint;
use crate::target::AccountRef;

/// Settings of the targets given as arguments or variables.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Targets given as arguments or variables")]
pub struct TargetArgs {
    /// Endpoints to collect beside the default ones: health, timelines, peers,
    /// domain_blocks, custom_emojis
    #[arg(long, value_name = "NAME", env = "FEDIMETER_COLLECT", value_delimiter = ',',
          value_parser = values::collect)]
    pub collect: Vec<Endpoint>,

    /// Accounts to follow: Gargron, @Gargron@mastodon.social, or an id
    #[arg(long = "account", value_name = "ACCT", env = "FEDIMETER_ACCOUNTS", value_delimiter = ',',
          value_parser = values::account)]
    pub accounts: Vec<AccountRef>,

    /// Hashtags to follow
    #[arg(long = "tag", value_name = "NAME", env = "FEDIMETER_TAGS", value_delimiter = ',',
          value_parser = values::tag)]
    pub tags: Vec<Arc<str>>,

    /// File with an access token of the one target
    #[arg(long, value_name = "FILE", env = "FEDIMETER_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,

    /// Name of the environment variable with an access token of the one target
    #[arg(long, value_name = "VARIABLE", env = "FEDIMETER_TOKEN_ENV", conflicts_with = "token_file")]
    pub token_env: Option<String>,
}

/// How servers are asked.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Collection")]
pub struct HttpArgs {
    /// Time for a collection when the scraper does not say how long it waits [default: 10s]
    #[arg(long, value_name = "DURATION", env = "FEDIMETER_DEADLINE", value_parser = values::request_time)]
    pub deadline: Option<Duration>,

    /// Time for a request [default: 10s]
    #[arg(long, value_name = "DURATION", env = "FEDIMETER_TIMEOUT", value_parser = values::request_time)]
    pub timeout: Option<Duration>,

    /// Time to connect, TLS included [default: 5s]
    #[arg(long, value_name = "DURATION", env = "FEDIMETER_CONNECT_TIMEOUT", value_parser = values::request_time)]
    pub connect_timeout: Option<Duration>,

    /// Requests under way in all [default: 256]
    #[arg(long, value_name = "N", env = "FEDIMETER_MAX_REQUESTS", value_parser = values::requests)]
    pub max_requests: Option<usize>,

    /// Requests under way per host [default: 2]
    #[arg(long, value_name = "N", env = "FEDIMETER_MAX_REQUESTS_PER_HOST", value_parser = values::requests)]
    pub max_requests_per_host: Option<usize>,

    /// The largest answer that is read, decoded [default: 1MiB]
    #[arg(long, value_name = "SIZE", env = "FEDIMETER_MAX_BODY", value_parser = values::size)]
    pub max_body: Option<usize>,

    /// URL in the User-Agent by which an admin can reach you
    #[arg(long, value_name = "URL", env = "FEDIMETER_CONTACT", value_parser = values::contact)]
    pub contact: Option<String>,

    /// Report no last success, duration and size by endpoint, for any target
    #[arg(long, env = "FEDIMETER_NO_ENDPOINT_DETAILS", action = ArgAction::SetTrue,
          value_parser = BoolishValueParser::new())]
    pub no_endpoint_details: bool,
}

/// Where `/metrics` is served.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Prometheus")]
pub struct ListenArgs {
    /// Where /metrics listens: an IP address or localhost, port optional;
    /// :PORT for all IPv4 addresses; none for no pull [default: 127.0.0.1:9464]
    ///
    /// Repeat it, or separate several with commas. When it is given nowhere,
    /// OTEL_EXPORTER_PROMETHEUS_HOST and OTEL_EXPORTER_PROMETHEUS_PORT count.
    #[arg(short, long, value_name = "ADDR", env = "FEDIMETER_LISTEN", value_delimiter = ',',
          value_parser = values::listen)]
    pub listen: Vec<Listen>,

    /// Also serve the names of an older exporter; dada makes 9410 the default port
    #[arg(long, value_name = "NAMES", env = "FEDIMETER_COMPAT")]
    pub compat: Option<Compat>,
}

impl ListenArgs {
    /// What these flags say.
    pub(super) fn settings(&self) -> BridgeSettings {
        BridgeSettings {
            listen: (!self.listen.is_empty()).then(|| self.listen.clone()),
            compat: self.compat,
            ..BridgeSettings::default()
        }
    }
}

/// Where and how `/metrics` is served.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Prometheus")]
pub struct PullArgs {
    /// Where.
    #[command(flatten)]
    pub address: ListenArgs,

    /// Leave otel_scope_* labels out of /metrics
    #[arg(long, env = "FEDIMETER_WITHOUT_SCOPE_LABELS", action = ArgAction::SetTrue,
          value_parser = BoolishValueParser::new())]
    pub without_scope_labels: bool,
}

/// Logging.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Logging")]
pub struct LogArgs {
    /// Least severe messages to log: off, error, warn, info, debug or trace
    /// [default: info]
    ///
    /// debug has each collection and export, trace each request. Or levels by
    /// module, as in info,fedimeter::fetch=debug. When it is given nowhere,
    /// OTEL_LOG_LEVEL counts.
    #[arg(long, value_name = "LEVEL", env = "FEDIMETER_LOG_LEVEL", value_parser = LogFilter::parse)]
    pub log_level: Option<LogFilter>,

    /// How log lines are written [default: text]
    #[arg(long, value_name = "FORMAT", env = "FEDIMETER_LOG_FORMAT")]
    pub log_format: Option<LogFormat>,
}
