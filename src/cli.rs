//! Commands and flags. What they mean together with files and variables is
//! decided in [`crate::config`].

mod help;
#[cfg(feature = "simulator")]
mod simulator;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::builder::{BoolishValueParser, Resettable};
use clap::parser::ValueSource;
use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::config::suggest::did_you_mean;
use crate::config::{
    BridgeSettings, Compat, Config, ConfigErrors, Env, Flags, Listen, LogFilter, LogFormat, Place, Sources,
    TargetSettings, TokenSource, values,
};
use crate::endpoint::Endpoint;
use crate::target::AccountRef;

#[cfg(feature = "simulator")]
pub use simulator::{DemoArgs, SimulateArgs};

/// An OpenTelemetry metrics bridge for Mastodon and the fediverse
///
/// It asks servers for their public statistics and reports them on a /metrics
/// page for Prometheus and over OTLP. Without a command, it serves:
/// `fedimeter mastodon.social` is `fedimeter serve mastodon.social`.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "fedimeter",
    version,
    override_usage = "fedimeter [serve] [OPTIONS] [TARGET]...\n       fedimeter <COMMAND> [OPTIONS]",
    subcommand_required = true,
    after_help = help::TOP
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Serve /metrics and push over OTLP until stopped (the default command)
    ///
    /// A server is asked when somebody collects: when Prometheus scrapes, or
    /// when a push is due. OTLP push is on when OTEL_EXPORTER_OTLP_ENDPOINT
    /// is set or OTEL_METRICS_EXPORTER names it.
    #[command(after_help = help::SERVE)]
    Serve(ServeArgs),
    /// Collect once and print what was found
    ///
    /// The exit status is 0 when every target is up, 1 when one is not, and 2
    /// for wrong usage or configuration.
    #[command(after_help = help::ONCE)]
    Once(OnceArgs),
    /// Check the configuration and print what is in effect
    ///
    /// Prints every error with its place, or the configuration that `serve`
    /// would run with, secrets masked. Touches no network. The exit status is
    /// 2 when something is wrong.
    #[command(after_help = help::CHECK)]
    Check(ServeArgs),
    /// Run the bridge against a built-in simulator: no server, no network
    #[cfg(feature = "simulator")]
    #[command(after_help = help::DEMO)]
    Demo(DemoArgs),
    /// Print the catalogue of metrics
    #[command(after_help = help::METRICS)]
    Metrics(MetricsArgs),
    /// Answer as Mastodon servers that do not exist, for tests and load
    #[cfg(feature = "simulator")]
    #[command(after_help = help::SIMULATE)]
    Simulate(SimulateArgs),
}

/// Arguments of `serve` and `check`.
#[derive(Debug, Clone, Default, Args)]
pub struct ServeArgs {
    /// What to poll, and how.
    #[command(flatten)]
    pub common: CommonArgs,
    /// Where and how `/metrics` is served.
    #[command(flatten)]
    pub pull: PullArgs,
}

/// Arguments of every command that polls.
#[derive(Debug, Clone, Default, Args)]
pub struct CommonArgs {
    /// Servers to poll: mastodon.social (https is assumed), example.org:8443,
    /// http://127.0.0.1:3000
    ///
    /// In the variable they are separated by commas or spaces; MASTODON_HOST
    /// names one more. Arguments replace both variables; targets of the
    /// configuration file are added.
    #[arg(value_name = "TARGET", env = "FEDIMETER_TARGETS")]
    pub targets: Vec<String>,

    /// Configuration file (YAML)
    #[arg(short, long, value_name = "FILE", env = "FEDIMETER_CONFIG")]
    pub config: Option<PathBuf>,

    /// Settings of the targets given as arguments or variables.
    #[command(flatten)]
    pub target: TargetArgs,

    /// How servers are asked.
    #[command(flatten)]
    pub http: HttpArgs,

    /// Logging.
    #[command(flatten)]
    pub log: LogArgs,
}

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

/// Where and how `/metrics` is served.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Prometheus")]
pub struct PullArgs {
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

/// Arguments of `once`.
#[derive(Debug, Clone, Args)]
pub struct OnceArgs {
    /// What to poll, and how.
    #[command(flatten)]
    pub common: CommonArgs,

    /// How to print
    #[arg(short, long, env = "FEDIMETER_ONCE_FORMAT", default_value = "table")]
    pub format: OnceFormat,
}

/// How `once` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnceFormat {
    /// Aligned columns, for people
    Table,
    /// The Prometheus text format 0.0.4
    Prometheus,
    /// OpenMetrics 1.0.0
    Openmetrics,
    /// One JSON object
    Json,
}

/// Arguments of `metrics`.
#[derive(Debug, Clone, Args)]
pub struct MetricsArgs {
    /// How to print
    #[arg(short, long, env = "FEDIMETER_METRICS_FORMAT", default_value = "table")]
    pub format: CatalogueFormat,
}

/// How `metrics` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CatalogueFormat {
    /// Aligned columns, for people
    Table,
    /// docs/metrics.md
    Markdown,
    /// One JSON array
    Json,
}

/// Parses arguments, the program's name first, and the variables that stand
/// for flags.
///
/// # Errors
/// Wrong usage, and requests for help or the version: `clap::Error::exit`
/// prints each where it belongs and ends with the right status.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let args: Vec<OsString> = args.into_iter().collect();
    if let Some(error) = misspelt_command(&args) {
        return Err(error);
    }
    let matches = command().try_get_matches_from(with_command(args.into_iter().collect()))?;
    let mut cli = Cli::from_arg_matches(&matches)?;
    // The variable has more than one target, and its own place in errors:
    // `config` reads it itself.
    let from_variable = matches.subcommand().is_some_and(|(_, matches)| {
        let knows = matches.try_contains_id("targets").is_ok();
        knows && matches.value_source("targets") == Some(ValueSource::EnvVariable)
    });
    if let (
        true,
        Command::Serve(ServeArgs { common, .. })
        | Command::Check(ServeArgs { common, .. })
        | Command::Once(OnceArgs { common, .. }),
    ) = (from_variable, &mut cli.command)
    {
        common.targets.clear();
    }
    Ok(cli)
}

/// The commands and flags for help, completions and manual pages. Variables
/// that are set but empty count as not set; their values are never shown.
#[must_use]
pub fn command() -> clap::Command {
    fn prepare(command: clap::Command) -> clap::Command {
        let empty =
            |arg: &clap::Arg| arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
        let command = command.mut_args(|arg| {
            let arg = arg.hide_env_values(true);
            if empty(&arg) { arg.env(Resettable::<clap::builder::OsStr>::Reset) } else { arg }
        });
        command.mut_subcommands(prepare)
    }
    prepare(Cli::command())
}

/// `fedimeter chek` means a command, and no server called `chek`.
fn misspelt_command(args: &[OsString]) -> Option<clap::Error> {
    let word = args.get(1)?.to_str()?;
    let mut command = Cli::command();
    let names: Vec<String> = command.get_subcommands().map(|c| c.get_name().to_owned()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let is_word = !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
    if !is_word || names.contains(&word) || ["help", "localhost"].contains(&word) {
        return None;
    }
    let meant = did_you_mean(word, &names);
    let message = format!("`{word}` is no command{meant} A server called so is https://{word}\n");
    (!meant.is_empty()).then(|| command.error(clap::error::ErrorKind::InvalidSubcommand, message))
}

/// Puts `serve` before arguments that begin with no command.
fn with_command(mut args: Vec<OsString>) -> Vec<OsString> {
    let command = Cli::command();
    let known = |arg: &OsStr| {
        let top = ["help", "-h", "--help", "-V", "--version"];
        arg.to_str().is_some_and(|arg| top.contains(&arg) || command.find_subcommand(arg).is_some())
    };
    if args.get(1).is_none_or(|arg| !known(arg)) {
        args.insert(args.len().min(1), "serve".into());
    }
    args
}

impl ServeArgs {
    /// The configuration of flags, environment and file.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn load(&self, env: Env<'_>) -> Result<Config, ConfigErrors> {
        load(&self.common, &self.pull, env)
    }
}

impl CommonArgs {
    /// The configuration of flags, environment and file, for commands that
    /// listen nowhere.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn load(&self, env: Env<'_>) -> Result<Config, ConfigErrors> {
        load(self, &PullArgs { listen: vec![Listen::Off], ..PullArgs::default() }, env)
    }
}

fn load(common: &CommonArgs, pull: &PullArgs, env: Env<'_>) -> Result<Config, ConfigErrors> {
    let CommonArgs { targets, config, target, http, log } = common;
    let file = |path: &PathBuf| TokenSource::File(path.clone(), Place::outside("--token-file"));
    let variable = |name: &String| TokenSource::Env(name.clone(), Place::outside("--token-env"));
    let flags = Flags {
        bridge: BridgeSettings {
            listen: (!pull.listen.is_empty()).then(|| pull.listen.clone()),
            compat: pull.compat,
            scope_labels: pull.without_scope_labels.then_some(false),
            endpoint_details: http.no_endpoint_details.then_some(false),
            deadline: http.deadline,
            timeout: http.timeout,
            connect_timeout: http.connect_timeout,
            max_requests: http.max_requests,
            max_requests_per_host: http.max_requests_per_host,
            max_body: http.max_body,
            contact: http.contact.clone(),
            log_level: log.log_level.clone(),
            log_format: log.log_format,
        },
        target: TargetSettings {
            token: target.token_file.as_ref().map(file).or(target.token_env.as_ref().map(variable)),
            collect: target.collect.clone(),
            accounts: target.accounts.clone(),
            tags: target.tags.clone(),
            ..TargetSettings::default()
        },
    };
    Config::load(&Sources { file: config.as_deref(), targets, flags, env })
}
