//! Flags of settings, built from their rows.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValue, StyledStr, TypedValueParser};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, FromArgMatches};

use crate::config::{
    self, Config, ConfigErrors, Description, Env, Flag, Flags, Form, Group, Loaded, Shape, Sources,
    bridge_settings, target_settings,
};

/// The groups of a command that polls, without those of addresses.
pub const POLL: u8 = Group::Targets as u8 | Group::Collection as u8 | Group::Logging as u8;
/// The address and content of `/metrics`.
pub const PULL: u8 = Group::Address as u8 | Group::Page as u8;
/// Where further targets are listed.
pub const LISTS: u8 = Group::Lists as u8;
/// When the configuration is read again.
pub const RELOAD: u8 = Group::Reload as u8;
/// How metrics are pushed.
pub const PUSH: u8 = Group::Push as u8;
/// The address of `/metrics`.
pub const ADDRESS: u8 = Group::Address as u8;
/// Logging, for commands that poll nothing.
#[cfg(feature = "simulator")]
pub const LOGGING: u8 = Group::Logging as u8;

/// The flags of some groups of settings. They are read together with the file and the
/// variables, so that all errors are reported at once.
#[derive(Debug, Clone)]
pub struct SettingArgs<const GROUPS: u8> {
    /// The targets, if the groups include them.
    pub targets: Vec<String>,
    /// The flags.
    pub flags: Flags,
}

impl<const GROUPS: u8> Default for SettingArgs<GROUPS> {
    fn default() -> Self {
        SettingArgs { targets: Vec::new(), flags: Flags::of(GROUPS) }
    }
}

impl<const GROUPS: u8> SettingArgs<GROUPS> {
    /// Combines these flags with the other sources.
    #[must_use]
    pub fn sources<'a>(&'a self, file: Option<&'a Path>, env: Env<'a>) -> Sources<'a> {
        Sources { file, text: None, targets: &self.targets, flags: self.flags.clone(), env }
    }
}

/// A configuration file and the flags of some groups of settings.
#[derive(Debug, Clone, Default, Args)]
pub struct ConfigArgs<const GROUPS: u8> {
    /// Configuration file (YAML); - is standard input
    #[arg(short, long, value_name = "FILE", env = "FEDIMETER_CONFIG")]
    pub config: Option<PathBuf>,

    /// The flags of the settings.
    #[command(flatten)]
    pub settings: SettingArgs<GROUPS>,
}

impl<const GROUPS: u8> ConfigArgs<GROUPS> {
    /// Loads the configuration from flags, environment and file, with the origin of
    /// each value. A command without flags for addresses does not listen.
    ///
    /// # Errors
    /// All errors at once.
    pub fn load_with_origins(&self, env: Env<'_>) -> Result<Loaded, ConfigErrors> {
        self.load_of(None, env)
    }

    /// Loads the configuration again while the program runs: from `text` instead of the
    /// file, or from the file's current content.
    ///
    /// # Errors
    /// All errors at once.
    pub fn load_again(&self, text: Option<&str>, env: Env<'_>) -> Result<Loaded, ConfigErrors> {
        if text.is_none() && self.config.as_deref().is_some_and(config::is_standard_input) {
            let message = "the configuration came from standard input, which cannot be read again; \
                           give --config a file, or restart fedimeter";
            return Err(ConfigErrors::other(message));
        }
        self.load_of(text, env)
    }

    fn load_of(&self, text: Option<&str>, env: Env<'_>) -> Result<Loaded, ConfigErrors> {
        let mut sources = self.settings.sources(self.config.as_deref(), env);
        sources.text = text;
        if GROUPS & ADDRESS == 0 {
            sources.flags.set("listen", "none");
        }
        Config::load_with_origins(&sources)
    }

    /// Loads the configuration from flags, environment and file.
    ///
    /// # Errors
    /// All errors at once.
    pub fn load(&self, env: Env<'_>) -> Result<Config, ConfigErrors> {
        self.load_with_origins(env).map(|loaded| loaded.config)
    }
}

/// Returns the settings of these groups that have a flag, in the order of the help.
fn settings(groups: u8) -> Vec<(Description, Flag)> {
    let all = bridge_settings().into_iter().chain(target_settings());
    let with_flag = all.filter_map(|setting| setting.key.flag.map(|flag| (setting, flag)));
    let mut settings: Vec<_> = with_flag.filter(|(_, flag)| groups & flag.group as u8 != 0).collect();
    settings.sort_by_key(|(_, flag)| flag.group as u8);
    settings
}

fn heading(group: Group) -> &'static str {
    match group {
        Group::Targets => "Targets in arguments or variables",
        Group::Collection => "Collection",
        Group::Address | Group::Page => "Prometheus",
        Group::Logging => "Logging",
        Group::Push => "OTLP",
        Group::Lists => "Lists of targets",
        Group::Reload => "Reload",
    }
}

impl<const GROUPS: u8> Args for SettingArgs<GROUPS> {
    fn augment_args(command: clap::Command) -> clap::Command {
        command.args(settings(GROUPS).iter().map(|(setting, flag)| arg(setting, *flag)))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

fn arg(Description { key, shape, default }: &Description, flag: Flag) -> Arg {
    let is_list = matches!(shape, Shape::List { .. });
    let mut paragraphs = Vec::new();
    if !matches!(flag.form, Form::Off(_)) {
        paragraphs.extend(key.more());
        paragraphs.extend(is_list.then(|| "Repeat it, or separate several with commas.".to_owned()));
        paragraphs.extend(shape.bounds());
    }
    let summary = match flag.form {
        Form::Off(summary) => summary,
        _ => key.summary,
    };
    // Only the documentation shows backticks.
    let summary = summary.trim_end_matches('.').replace('`', "");
    let long = format!("{summary}\n\n{}", paragraphs.join(" ").replace('`', ""));
    let arg = Arg::new(key.name).help(summary).long_help(StyledStr::from(long.trim_end().to_owned()));
    // clap only displays the variable; its value is read with the other sources.
    let arg = arg.env(OsString::from(key.variable().unwrap_or_default()));
    let names = match shape {
        Shape::OneOf(names) => names.clone(),
        _ => Vec::new(),
    };
    let value = default.strip_prefix('`').and_then(|value| value.strip_suffix('`'));
    match flag.form {
        Form::Arguments => {
            arg.value_name("TARGET").action(ArgAction::Append).num_args(0..).value_parser(Unread(names))
        }
        Form::Off(_) | Form::On => {
            named(arg, key.flag_name(), flag).action(ArgAction::SetTrue).value_parser(UnreadSwitch)
        }
        Form::Value => {
            let action = if is_list { ArgAction::Append } else { ArgAction::Set };
            let arg = named(arg, key.flag_name(), flag).value_name(shape.placeholder());
            let arg = arg.action(action).value_parser(Unread(names));
            if let Some(value) = value { arg.default_value(value.to_owned()) } else { arg }
        }
    }
}

fn named(arg: Arg, name: Option<String>, flag: Flag) -> Arg {
    let long = name.unwrap_or_default().trim_start_matches('-').to_owned();
    let arg = arg.long(long).help_heading(heading(flag.group));
    if let Some(short) = flag.short { arg.short(short) } else { arg }
}

/// Accepts any value, which is read with the other sources. The help shows the names.
#[derive(Clone)]
struct Unread(Vec<(&'static str, &'static str)>);

impl TypedValueParser for Unread {
    type Value = OsString;

    fn parse_ref(&self, _: &clap::Command, _: Option<&Arg>, value: &OsStr) -> Result<OsString, clap::Error> {
        Ok(value.to_owned())
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let value = |(name, meaning): &(&'static str, &'static str)| {
            PossibleValue::new(*name).help(meaning.replace('`', ""))
        };
        (!self.0.is_empty()).then(|| Box::new(self.0.iter().map(value)) as Box<dyn Iterator<Item = _>>)
    }
}

/// The same for a flag without a value.
#[derive(Clone)]
struct UnreadSwitch;

impl TypedValueParser for UnreadSwitch {
    type Value = bool;

    fn parse_ref(&self, _: &clap::Command, _: Option<&Arg>, _: &OsStr) -> Result<bool, clap::Error> {
        Ok(true)
    }
}

impl<const GROUPS: u8> FromArgMatches for SettingArgs<GROUPS> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut args = SettingArgs::default();
        args.update_from_arg_matches(matches)?;
        Ok(args)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for (Description { key, .. }, flag) in settings(GROUPS) {
            if matches.value_source(key.name) != Some(ValueSource::CommandLine) {
                continue;
            }
            if flag.is_switch() {
                self.flags.set(key.name, "true");
                continue;
            }
            let mut values = Vec::new();
            for value in matches.get_many::<OsString>(key.name).into_iter().flatten() {
                let name = key.flag_name().unwrap_or_default();
                let wrong =
                    || clap::Error::raw(ErrorKind::InvalidUtf8, format!("{name}: its value is not UTF-8\n"));
                values.push(value.to_str().ok_or_else(wrong)?.to_owned());
            }
            match flag.form {
                Form::Arguments => self.targets = values,
                _ => self.flags.set(key.name, values.join(",")),
            }
        }
        Ok(())
    }
}
