//! Commands and flags. What they mean together with files and variables is
//! decided in [`crate::config`].

mod flags;
mod healthcheck;
mod help;
#[cfg(feature = "simulator")]
mod simulator;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::config::suggest::did_you_mean;
use crate::config::{
    BridgeSettings, Config, ConfigErrors, Env, Flags, Listen, Place, Sources, TargetSettings, TokenSource,
};

pub use flags::{HttpArgs, ListenArgs, LogArgs, PullArgs, TargetArgs};
pub use healthcheck::HealthcheckArgs;
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
    /// Ask whether the bridge that runs here is healthy
    ///
    /// Asks /-/healthy where these flags, variables and file would make a
    /// bridge listen: for containers, which have no other program that could.
    /// The exit status is 0 when it is healthy, 1 when it is not, and 2 for
    /// wrong usage or configuration, and where there is nothing to ask.
    #[command(after_help = help::HEALTHCHECK)]
    Healthcheck(HealthcheckArgs),
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
    let matches = command().try_get_matches_from(with_command(args.clone()));
    let matches = matches.map_err(|error| by_its_variable(error, &args))?;
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

/// A wrong value that came from a variable, under the variable's name: who set
/// it may never have seen the flag.
fn by_its_variable(mut error: clap::Error, args: &[OsString]) -> clap::Error {
    let Some(ContextValue::String(shown)) = error.get(ContextKind::InvalidArg) else { return error };
    let flag = shown.split(' ').next().unwrap_or_default().to_owned();
    let command = command();
    let mut all = command.get_subcommands().flat_map(clap::Command::get_arguments);
    let of_flag = |arg: &&clap::Arg| arg.get_long().is_some_and(|long| flag == format!("--{long}"));
    let Some(arg) = all.find(of_flag) else { return error };
    let short = arg.get_short().map(|short| format!("-{short}"));
    let given = args.iter().filter_map(|arg| arg.to_str()).any(|arg| {
        let long = arg.strip_prefix(&flag).is_some_and(|rest| rest.is_empty() || rest.starts_with('='));
        long || short.as_ref().is_some_and(|short| arg.starts_with(short))
    });
    let variable = arg.get_env().filter(|name| std::env::var_os(name).is_some());
    if let (false, Some(name)) = (given, variable.and_then(OsStr::to_str)) {
        error.insert(ContextKind::InvalidArg, ContextValue::String(name.to_owned()));
    }
    error
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
        let nowhere = ListenArgs { listen: vec![Listen::Off], ..ListenArgs::default() };
        load(self, &PullArgs { address: nowhere, ..PullArgs::default() }, env)
    }
}

fn load(common: &CommonArgs, pull: &PullArgs, env: Env<'_>) -> Result<Config, ConfigErrors> {
    let CommonArgs { targets, config, target, http, log } = common;
    let file = |path: &PathBuf| TokenSource::File(path.clone(), Place::outside("--token-file"));
    let variable = |name: &String| TokenSource::Env(name.clone(), Place::outside("--token-env"));
    let flags = Flags {
        bridge: BridgeSettings {
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
            ..pull.address.settings()
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
