//! A setting: one row with all its properties, and the readers that use rows.

mod flag;

use std::collections::BTreeMap;

use super::error::{Errors, Place};
use super::given::{Given, GivenText};
use super::syntax::{Shape, Shown, Syntax};
use super::yaml::Fields;

pub use flag::{Flag, Form, Group};

/// The environment: returns the value of a variable.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The properties of a row, except its value.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The name in the file.
    pub name: &'static str,
    /// What the setting does, in one or two sentences.
    pub summary: &'static str,
    /// Details, for the long help and the documentation.
    pub details: &'static str,
    /// The flag, if there is one.
    pub flag: Option<Flag>,
    /// A description of the default, if it is not a value.
    pub default: Option<&'static str>,
    /// The OpenTelemetry variables that are used if the setting is missing.
    pub otel: &'static [&'static str],
    /// For a key of the bridge: whether a reload applies it.
    pub on_reload: bool,
    /// For a key of the bridge that a reload applies in part: which part needs a restart,
    /// and which does not.
    pub restart_for: Option<&'static str>,
    /// For a key of a target: why it cannot be set for all targets, if it cannot.
    pub of_one_server: Option<&'static str>,
}

impl Key {
    /// Returns further sentences for the documentation.
    #[must_use]
    pub fn more(&self) -> Vec<String> {
        let mut sentences: Vec<String> = Vec::new();
        sentences.extend((!self.details.is_empty()).then(|| self.details.to_owned()));
        if let [first, rest @ ..] = self.otel {
            let names = rest.iter().fold(format!("`{first}`"), |names, name| format!("{names} and `{name}`"));
            let count = if rest.is_empty() { "counts" } else { "count" };
            sentences.push(format!("When it is given nowhere, {names} {count}."));
        }
        sentences
    }

    /// Returns the flag with its dashes: `--timeout`.
    #[must_use]
    pub fn flag_name(&self) -> Option<String> {
        let flag = self.flag?;
        Some(match flag.form {
            Form::Arguments => "TARGET".to_owned(),
            _ => format!("--{}", flag.long.map_or_else(|| self.name.replace('_', "-"), str::to_owned)),
        })
    }

    /// Returns the variable that belongs to the flag: `FEDIMETER_TIMEOUT`. If the flag
    /// turns something off, the variable has the name of the flag, otherwise that of
    /// the key.
    #[must_use]
    pub fn variable(&self) -> Option<String> {
        let flag = self.flag?;
        let name = flag.long.filter(|_| matches!(flag.form, Form::Off(_))).unwrap_or(self.name);
        Some(format!("FEDIMETER_{}", name.replace('-', "_").to_uppercase()))
    }
}

/// Reads a setting into the draft `D`, and shows it from the result `R`.
pub trait Field<D, R>: Sync {
    /// Describes the values.
    fn shape(&self) -> Shape;
    /// Reads the value and records errors. Returns whether there was a value.
    fn read(&self, given: &Given<'_>, draft: &mut D) -> bool;
    /// Whether a value is added to that of an earlier source.
    fn adds(&self) -> bool {
        false
    }
    /// Returns the value, if there is one.
    fn show(&self, result: &R) -> Option<Shown>;
}

/// A value, with functions to set and get it.
pub struct Value<S: Syntax, D, R> {
    /// The syntax.
    pub syntax: S,
    /// Whether the value is added to that of an earlier source instead of replacing it.
    pub adds: bool,
    /// Sets the value in the draft, or returns why it is not allowed.
    pub set: fn(&mut D, S::Value, &Place) -> Result<(), String>,
    /// Gets the value from the result.
    pub get: fn(&R) -> Option<S::Value>,
}

impl<S: Syntax, D, R> Field<D, R> for Value<S, D, R> {
    fn shape(&self) -> Shape {
        self.syntax.shape()
    }

    fn adds(&self) -> bool {
        self.adds
    }

    fn read(&self, given: &Given<'_>, draft: &mut D) -> bool {
        let Some(value) = self.syntax.read(given) else { return false };
        match (self.set)(draft, value, &given.place()) {
            Ok(()) => true,
            Err(message) => {
                given.error(message);
                false
            }
        }
    }

    fn show(&self, result: &R) -> Option<Shown> {
        (self.get)(result).map(|value| self.syntax.show(&value))
    }
}

/// A part of the file with its own reader, and its name in the documentation.
pub struct Structure(pub &'static str);

impl<D, R> Field<D, R> for Structure {
    fn shape(&self) -> Shape {
        Shape::Structure(self.0)
    }
    fn read(&self, _: &Given<'_>, _: &mut D) -> bool {
        false
    }
    fn show(&self, _: &R) -> Option<Shown> {
        None
    }
}

/// One setting. It is read into a `D`, which becomes an `R`.
pub struct Setting<D: 'static, R: 'static> {
    /// The properties of the row.
    pub key: Key,
    /// The value.
    pub field: &'static dyn Field<D, R>,
}

impl<D, R> Setting<D, R> {
    /// Creates a key of the file. `summary` says what it does in one or two sentences.
    pub const fn new(name: &'static str, field: &'static dyn Field<D, R>, summary: &'static str) -> Self {
        let key = Key {
            name,
            summary,
            details: "",
            flag: None,
            default: None,
            otel: &[],
            on_reload: false,
            restart_for: None,
            of_one_server: None,
        };
        Setting { key, field }
    }

    /// Adds details.
    pub const fn details(mut self, details: &'static str) -> Self {
        self.key.details = details;
        self
    }

    /// Adds a flag and a variable.
    pub const fn flag(mut self, flag: Flag) -> Self {
        self.key.flag = Some(flag);
        self
    }

    /// Describes the default in words.
    pub const fn default(mut self, words: &'static str) -> Self {
        self.key.default = Some(words);
        self
    }

    /// Adds OpenTelemetry variables that are used if the setting is missing.
    pub const fn otel(mut self, variables: &'static [&'static str]) -> Self {
        self.key.otel = variables;
        self
    }

    /// Marks the setting as applied by a reload.
    pub const fn on_reload(mut self) -> Self {
        self.key.on_reload = true;
        self
    }

    /// Says which part of the setting a reload does not apply, and which it does.
    pub const fn restart_for(mut self, part: &'static str) -> Self {
        self.key.restart_for = Some(part);
        self
    }

    /// Marks the setting as one that cannot be set for all targets, with the reason.
    pub const fn of_one_server(mut self, reason: &'static str) -> Self {
        self.key.of_one_server = Some(reason);
        self
    }
}

/// A setting for documentation, help and schemas.
#[derive(Debug, Clone)]
pub struct Description {
    /// The properties of the row.
    pub key: Key,
    /// The form of the value.
    pub shape: Shape,
    /// The default: words, or a value in backticks.
    pub default: String,
}

impl<D, R> Setting<D, R> {
    /// Describes the setting without its types. `unsaid` is a result in which nothing
    /// is set.
    pub(super) fn describe(&self, unsaid: &R) -> Description {
        let default = self.key.default.map(str::to_owned).or_else(|| {
            Some(match self.field.show(unsaid)? {
                Shown::One(value) => format!("`{value}`"),
                Shown::Many(values) => format!("`{}`", values.join(", ")),
                Shown::Map(_) => return None,
            })
        });
        let default = default.unwrap_or_else(|| "none".to_owned());
        Description { key: self.key, shape: self.field.shape(), default }
    }
}

/// The settings on a command line.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// The groups whose variables are used: those of the command's flags.
    groups: u8,
    /// The values by key. Lists are separated by commas.
    values: BTreeMap<&'static str, String>,
    /// Flags that set the value of another one, by key: `-v` for `--log-level`.
    written: BTreeMap<&'static str, &'static str>,
}

impl Flags {
    /// Creates flags without values, for the variables of these groups.
    #[must_use]
    pub fn of(groups: u8) -> Flags {
        Flags { groups, ..Flags::default() }
    }

    /// Sets the value of a flag, by its key.
    pub fn set(&mut self, key: &'static str, value: impl Into<String>) {
        self.values.insert(key, value.into());
    }

    /// Sets the value by another flag, which becomes its origin.
    pub fn set_by(&mut self, key: &'static str, value: impl Into<String>, flag: &'static str) {
        self.set(key, value);
        self.written.insert(key, flag);
    }

    /// Returns the value of a flag, if it is set.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }
}

/// Flags and variables as sources of settings.
pub struct Outside<'a> {
    pub flags: &'a Flags,
    pub env: Env<'a>,
    pub errors: &'a Errors,
}

impl Outside<'_> {
    /// Passes the flag or the variable of a key to `then`. A flag takes precedence over
    /// the variable, and an empty variable counts as missing.
    pub fn with<T>(&self, key: &Key, then: impl FnOnce(&Given<'_>) -> T) -> Option<T> {
        let flag = key.flag?;
        let given = |text, place, turns_off| {
            let place = Place::outside(place);
            Given::Text(GivenText { text, place, turns_off, errors: self.errors })
        };
        let turns_off = matches!(flag.form, Form::Off(_));
        if let Some(text) = self.flags.get(key.name) {
            let name = self.flags.written.get(key.name).map(|flag| (*flag).to_owned());
            return Some(then(&given(text, name.or_else(|| key.flag_name())?, turns_off)));
        }
        let name = key.variable().filter(|_| self.flags.groups & flag.group as u8 != 0)?;
        let text = (self.env)(&name).filter(|text| !text.is_empty())?;
        Some(then(&given(&text, name, turns_off)))
    }
}

/// The origin of each key's value: the last of several sources, or all of them if they
/// are merged. Keys with their default are missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(BTreeMap<&'static str, Vec<Place>>);

impl Origins {
    /// Returns the origins of a key, if it was set.
    #[must_use]
    pub fn of(&self, key: &str) -> &[Place] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }

    /// Records an origin. If it `adds` to the others, they are kept.
    pub fn note(&mut self, key: &'static str, place: Place, adds: bool) {
        let places = self.0.entry(key).or_default();
        if !adds {
            places.clear();
        }
        places.push(place);
    }
}

/// Reads the keys of a map.
pub fn read_fields<D, R>(rows: &[Setting<D, R>], fields: &Fields<'_>, draft: &mut D, origins: &mut Origins) {
    for row in rows {
        if let Some(node) = fields.get(row.key.name)
            && row.field.read(&Given::Node(node.clone()), draft)
        {
            origins.note(row.key.name, node.place(), row.field.adds());
        }
    }
}

/// Reads flags and variables.
pub fn read_outside<D, R>(
    rows: &[Setting<D, R>],
    outside: &Outside<'_>,
    draft: &mut D,
    origins: &mut Origins,
) {
    for row in rows {
        let place =
            outside.with(&row.key, |given| row.field.read(given, draft).then(|| given.place())).flatten();
        if let Some(place) = place {
            origins.note(row.key.name, place, row.field.adds());
        }
    }
}
