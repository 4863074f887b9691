//! The flag of a setting: its group, its names and its form.

/// Groups of flags. A command accepts whole groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// The targets in arguments or variables, and their settings.
    Targets = 1,
    /// How servers are requested.
    Collection = 2,
    /// The address of `/metrics`.
    Address = 4,
    /// The content of `/metrics`.
    Page = 8,
    /// Logging.
    Logging = 16,
    /// How metrics are pushed.
    Push = 32,
    /// Where further targets are listed.
    Lists = 64,
    /// When the configuration is read again.
    Reload = 128,
}

/// The flag of a setting, which also determines its variable.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    /// The group of the flag.
    pub group: Group,
    /// The name without dashes, if it differs from the key.
    pub long: Option<&'static str>,
    /// The short form.
    pub short: Option<char>,
    /// The form of the flag.
    pub form: Form,
}

/// The form of a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A flag with a value.
    Value,
    /// A flag without a value that turns off what the key turns on. The text says what
    /// then happens.
    Off(&'static str),
    /// A flag without a value that turns on what the key turns on.
    On,
    /// No flag: the arguments of the command.
    Arguments,
}

impl Flag {
    /// Whether the flag has no value.
    #[must_use]
    pub fn is_switch(&self) -> bool {
        matches!(self.form, Form::Off(_) | Form::On)
    }

    /// A flag and a variable with the name of the key.
    pub(in crate::config) const fn of(group: Group) -> Flag {
        Flag { group, long: None, short: None, form: Form::Value }
    }

    /// Gives the flag another name, because it adds a single value to a list.
    pub(in crate::config) const fn named(mut self, long: &'static str) -> Flag {
        self.long = Some(long);
        self
    }

    /// Adds a short form.
    pub(in crate::config) const fn short(mut self, short: char) -> Flag {
        self.short = Some(short);
        self
    }

    /// The flag `long` turns off what the key turns on.
    pub(in crate::config) const fn off(group: Group, long: &'static str, summary: &'static str) -> Flag {
        Flag { group, long: Some(long), short: None, form: Form::Off(summary) }
    }

    /// The flag turns on what the key turns on.
    pub(in crate::config) const fn on(group: Group) -> Flag {
        Flag { form: Form::On, ..Flag::of(group) }
    }

    /// The arguments of the command set the key.
    pub(in crate::config) const fn arguments(group: Group) -> Flag {
        Flag { form: Form::Arguments, ..Flag::of(group) }
    }
}
