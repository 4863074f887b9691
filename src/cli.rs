//! Commands and flags. [`crate::config`] combines them with files and variables.

mod flags;
mod healthcheck;
mod help;
mod init;
mod install;
mod output;
#[cfg(feature = "simulator")]
mod simulator;
mod variables;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::config::Flags;
use crate::config::suggest::did_you_mean;
use flags::{LISTS, POLL, PULL, PUSH, RELOAD};

pub use flags::{ConfigArgs, SettingArgs};
pub use healthcheck::HealthcheckArgs;
pub use init::InitArgs;
pub use install::{CompletionsArgs, ManArgs, manual_page, write_manual_pages};
pub use output::{Color, OutputArgs, is_coloured};
#[cfg(feature = "simulator")]
pub use simulator::{DemoArgs, SimulateArgs};
pub use variables::misspelt_variables;

/// An OpenTelemetry metrics bridge for Mastodon and the fediverse
///
/// It asks servers for their public statistics and reports them on a /metrics
/// page for Prometheus and over OTLP. Without a command, it serves:
/// `fedimeter mastodon.social` is `fedimeter serve mastodon.social`.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "fedimeter",
    version = env!("BUILT_VERSION"),
    propagate_version = true,
    override_usage = "fedimeter [serve] [OPTIONS] [TARGET]...\n       fedimeter <COMMAND> [OPTIONS]",
    subcommand_required = true,
    after_help = help::TOP
)]
pub struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub output: OutputArgs,

    /// The command to run.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Serve /metrics and push over OTLP until stopped (the default command)
    ///
    /// A server is asked when Prometheus scrapes, or when a push is due. OTLP push is
    /// on when OTEL_EXPORTER_OTLP_ENDPOINT is set or OTEL_METRICS_EXPORTER names it.
    ///
    /// The exit status is 2 for wrong usage or configuration, 3 when an address cannot
    /// be listened on, and 1 for anything else.
    #[command(after_help = help::SERVE)]
    Serve(ServeArgs),
    /// Collect once and print the result
    ///
    /// The exit status is 0 when every target is up, 1 when one is not, and 2 for wrong
    /// usage or configuration.
    #[command(after_help = help::ONCE)]
    Once(OnceArgs),
    /// Check the configuration and print the effective settings
    ///
    /// Prints every error with its place, or the configuration with which `serve` would
    /// run: secrets are masked, and the OpenTelemetry variables are included. Does not
    /// use the network. The exit status is 2 when something is wrong.
    #[command(after_help = help::CHECK)]
    Check(CheckArgs),
    /// Ask servers what they offer, and write a commented configuration file
    ///
    /// The file also contains servers that do not answer, with the reason. An existing
    /// file is never overwritten.
    ///
    /// The exit status is 0 when every server is up, 1 when one is not or the file
    /// cannot be written, and 2 for wrong usage.
    #[command(after_help = help::INIT)]
    Init(InitArgs),
    /// Ask whether the bridge on this machine is healthy
    ///
    /// Requests /-/healthy at the address where a bridge with these flags, variables
    /// and file would listen. It is meant for containers, which contain no other HTTP
    /// client. The exit status is 0 when the bridge is healthy, 1 when it is not, and 2
    /// for wrong usage or configuration, or when the bridge would not listen.
    #[command(after_help = help::HEALTHCHECK)]
    Healthcheck(HealthcheckArgs),
    /// Run the bridge against a built-in simulator: no server, no network
    #[cfg(feature = "simulator")]
    #[command(after_help = help::DEMO)]
    Demo(DemoArgs),
    /// Print the catalogue of metrics
    #[command(after_help = help::METRICS)]
    Metrics(MetricsArgs),
    /// Print a JSON Schema of the configuration file, for editors
    #[command(after_help = help::SCHEMA)]
    Schema,
    /// Print completions for a shell
    #[command(after_help = help::COMPLETIONS)]
    Completions(CompletionsArgs),
    /// Print the manual page, as roff
    #[command(after_help = help::MAN)]
    Man(ManArgs),
    /// Simulate Mastodon servers, for tests and load
    ///
    /// The exit status is 2 for wrong usage, 3 when the address cannot be listened on,
    /// and 1 for anything else.
    #[cfg(feature = "simulator")]
    #[command(after_help = help::SIMULATE)]
    Simulate(SimulateArgs),
}

/// Arguments of `serve`.
pub type ServeArgs = ConfigArgs<{ POLL | LISTS | PULL | PUSH | RELOAD }>;

/// Arguments of `check`.
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    /// The arguments of `serve`.
    #[command(flatten)]
    pub common: ServeArgs,

    /// Fail, with exit status 2, if a variable or setting would be ignored or is
    /// doubtful
    #[arg(long, env = "FEDIMETER_CHECK_STRICT")]
    pub strict: bool,
}

/// Arguments of `once`.
#[derive(Debug, Clone, Args)]
pub struct OnceArgs {
    /// What to poll, and how.
    #[command(flatten)]
    pub common: ConfigArgs<{ POLL | LISTS }>,

    /// How to print
    #[arg(short, long, env = "FEDIMETER_ONCE_FORMAT", default_value = "table")]
    pub format: OnceFormat,

    /// Ask only this one of the configured servers
    #[arg(long, env = "FEDIMETER_ONCE_TARGET", value_name = "NAME")]
    pub target: Option<String>,
}

/// The output format of `once`.
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
    /// Print only the metrics that this configuration file (YAML) selects for the bridge
    /// itself, or for at least one target
    #[arg(short, long, value_name = "FILE", env = "FEDIMETER_CONFIG")]
    pub config: Option<PathBuf>,

    /// How to print
    #[arg(short, long, env = "FEDIMETER_METRICS_FORMAT", default_value = "table")]
    pub format: CatalogueFormat,
}

/// The output format of `metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CatalogueFormat {
    /// Aligned columns, for people
    Table,
    /// docs/metrics.md
    Markdown,
    /// One JSON array
    Json,
}

/// Parses arguments, which begin with the program's name, and the variables of flags.
///
/// # Errors
/// Wrong usage, and requests for help or the version. `clap::Error::exit` prints each
/// to the right stream and exits with the right status.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let args: Vec<OsString> = args.into_iter().collect();
    if let Some(error) = misspelt_command(&args) {
        return Err(error);
    }
    let command = command().color(output::color_of(&args));
    let matches = command.try_get_matches_from(with_command(args.clone()));
    let matches = matches.map_err(|error| by_its_variable(error, &args))?;
    let mut cli = Cli::from_arg_matches(&matches)?;
    if let (Some((level, flag)), Some(flags)) = (cli.output.log_level(), cli.command.flags())
        && flags.get("log_level").is_none()
    {
        flags.set_by("log_level", level, flag);
    }
    Ok(cli)
}

impl Command {
    /// The flags of the command's settings, if they include those of logging.
    fn flags(&mut self) -> Option<&mut Flags> {
        Some(match self {
            Command::Serve(args) => &mut args.settings.flags,
            Command::Once(args) => &mut args.common.settings.flags,
            Command::Check(args) => &mut args.common.settings.flags,
            Command::Init(args) => &mut args.settings.flags,
            #[cfg(feature = "simulator")]
            Command::Demo(args) => &mut args.settings.flags,
            #[cfg(feature = "simulator")]
            Command::Simulate(args) => &mut args.settings.flags,
            Command::Healthcheck(_)
            | Command::Metrics(_)
            | Command::Schema
            | Command::Completions(_)
            | Command::Man(_) => return None,
        })
    }
}

/// Reports an invalid value from a variable under the variable's name, because the user
/// may not know the flag.
fn by_its_variable(mut error: clap::Error, args: &[OsString]) -> clap::Error {
    let Some(ContextValue::String(shown)) = error.get(ContextKind::InvalidArg) else { return error };
    let flag = shown.split(' ').next().unwrap_or_default().to_owned();
    let command = command();
    let of_commands = command.get_subcommands().flat_map(clap::Command::get_arguments);
    let mut all = command.get_arguments().chain(of_commands);
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

/// Returns the commands and flags with their help. Empty variables count as missing;
/// the values of variables are never shown.
#[must_use]
pub fn command() -> clap::Command {
    // The version is that of the program, whatever the command.
    plain_command().mut_subcommands(|command| command.display_name("fedimeter"))
}

/// The same for completions and manual pages, where each command has its own name.
fn plain_command() -> clap::Command {
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

/// Reports a misspelt command, such as `fedimeter chek`. A bare word is not a server,
/// because hosts contain a dot, except `localhost`.
fn misspelt_command(args: &[OsString]) -> Option<clap::Error> {
    let word = args.get(first_word(args))?.to_str()?;
    let mut command = Cli::command();
    let names: Vec<String> = command.get_subcommands().map(|c| c.get_name().to_owned()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let is_word = !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
    if !is_word || names.contains(&word) || ["help", "localhost"].contains(&word) {
        return None;
    }
    let meant = match word {
        "version" => "; did you mean `--version`?".to_owned(),
        _ => did_you_mean(word, &names),
    };
    let meant = if meant.is_empty() { "; `fedimeter help` lists them.".to_owned() } else { meant };
    let message = format!("`{word}` is not a command{meant} A server called so is https://{word}");
    Some(command.error(clap::error::ErrorKind::InvalidSubcommand, message))
}

/// Returns the position of the command, if there is one: after the flags of every
/// command.
fn first_word(args: &[OsString]) -> usize {
    1 + output::leading(args.get(1..).unwrap_or_default())
}

/// Inserts `serve` if the arguments do not begin with a command.
fn with_command(mut args: Vec<OsString>) -> Vec<OsString> {
    let command = Cli::command();
    let known = |arg: &OsStr| {
        let top = ["help", "-h", "--help", "-V", "--version"];
        arg.to_str().is_some_and(|arg| top.contains(&arg) || command.find_subcommand(arg).is_some())
    };
    if args.get(first_word(&args)).is_none_or(|arg| !known(arg)) {
        args.insert(args.len().min(1), "serve".into());
    }
    args
}
