//! A setting: one row that says all of it, and the readers that follow from rows.

use std::collections::BTreeMap;

use super::error::{Errors, Place};
use super::given::{Given, GivenText};
use super::syntax::{Shape, Shown, Syntax};
use super::yaml::Fields;

/// The environment: a variable's value by its name.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Flags that a command takes together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Of the targets given as arguments or variables, and these themselves.
    Targets = 1,
    /// How servers are asked.
    Collection = 2,
    /// Where `/metrics` is.
    Address = 4,
    /// How `/metrics` is served.
    Page = 8,
    /// Logging.
    Logging = 16,
    /// How metrics are pushed.
    Push = 32,
    /// Where more targets are listed.
    Lists = 64,
    /// When the configuration is read again.
    Reload = 128,
}

/// The flag of a setting, and with it the variable.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    /// The group that it is in.
    pub group: Group,
    /// Its name without dashes where that is not the key's.
    pub long: Option<&'static str>,
    /// Its short form.
    pub short: Option<char>,
    /// How it is given.
    pub form: Form,
}

/// How a flag is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// With a value.
    Value,
    /// Without one: it turns off what the key turns on. The text says what then
    /// happens.
    Off(&'static str),
    /// Without one: it turns on what the key turns on.
    On,
    /// Not by name: the arguments of the command.
    Arguments,
}

/// What a row says, but for the value.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its name in the file.
    pub name: &'static str,
    /// What it does, in a sentence or two.
    pub summary: &'static str,
    /// More of it, for those who read on.
    pub details: &'static str,
    /// Its flag, if it has one.
    pub flag: Option<Flag>,
    /// What holds where it is not given, where that is no value of its own.
    pub default: Option<&'static str>,
    /// The variables of OpenTelemetry that count when it is given nowhere.
    pub otel: &'static [&'static str],
    /// Of a key of the bridge: whether a reload suffices for it to count.
    pub on_reload: bool,
    /// Of a key of a target: why it cannot be said of all, where it cannot.
    pub of_one_server: Option<&'static str>,
}

impl Key {
    /// What else there is to say, as sentences.
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

    /// The flag as it is written: `--timeout`.
    #[must_use]
    pub fn flag_name(&self) -> Option<String> {
        let flag = self.flag?;
        Some(match flag.form {
            Form::Arguments => "TARGET".to_owned(),
            _ => format!("--{}", flag.long.map_or_else(|| self.name.replace('_', "-"), str::to_owned)),
        })
    }

    /// The variable that stands for the flag: `FEDIMETER_TIMEOUT`. What a flag turns
    /// off has the name of the flag, all others have that of the key.
    #[must_use]
    pub fn variable(&self) -> Option<String> {
        let flag = self.flag?;
        let name = flag.long.filter(|_| matches!(flag.form, Form::Off(_))).unwrap_or(self.name);
        Some(format!("FEDIMETER_{}", name.replace('-', "_").to_uppercase()))
    }
}

/// How a setting is read into the draft `D`, and shown from the result `R`.
pub trait Field<D, R>: Sync {
    /// What is known of the value without one.
    fn shape(&self) -> Shape;
    /// Reads the value; what is wrong is noted. Whether there was one.
    fn read(&self, given: &Given<'_>, draft: &mut D) -> bool;
    /// Whether a value adds to what an earlier source says.
    fn adds(&self) -> bool {
        false
    }
    /// The value, unless there is none.
    fn show(&self, result: &R) -> Option<Shown>;
}

/// A value, where it goes and where it is found again.
pub struct Value<S: Syntax, D, R> {
    /// How it is written.
    pub syntax: S,
    /// Whether it adds to what an earlier source says, in place of replacing it.
    pub adds: bool,
    /// Puts it into the draft, or says why it cannot be there.
    pub set: fn(&mut D, S::Value, &Place) -> Result<(), String>,
    /// What the result has of it.
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

/// A part of the file that has a reader of its own; what documentation calls it.
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

impl Flag {
    /// Whether it is given without a value.
    #[must_use]
    pub fn is_switch(&self) -> bool {
        matches!(self.form, Form::Off(_) | Form::On)
    }

    /// The flag and the variable of a key, with its name.
    pub(super) const fn of(group: Group) -> Flag {
        Flag { group, long: None, short: None, form: Form::Value }
    }

    /// The flag has another name: one value of a list is given at a time.
    pub(super) const fn named(mut self, long: &'static str) -> Flag {
        self.long = Some(long);
        self
    }

    /// The flag has a short form.
    pub(super) const fn short(mut self, short: char) -> Flag {
        self.short = Some(short);
        self
    }

    /// The flag `long` turns off what the key turns on.
    pub(super) const fn off(group: Group, long: &'static str, summary: &'static str) -> Flag {
        Flag { group, long: Some(long), short: None, form: Form::Off(summary) }
    }

    /// The flag turns on what the key turns on.
    pub(super) const fn on(group: Group) -> Flag {
        Flag { form: Form::On, ..Flag::of(group) }
    }

    /// The arguments of the command stand for the key.
    pub(super) const fn arguments(group: Group) -> Flag {
        Flag { form: Form::Arguments, ..Flag::of(group) }
    }
}

/// One setting. It is read into a `D`, which becomes an `R`.
pub struct Setting<D: 'static, R: 'static> {
    /// What the row says.
    pub key: Key,
    /// Its value.
    pub field: &'static dyn Field<D, R>,
}

impl<D, R> Setting<D, R> {
    /// A key of the file, with what it does in a sentence or two.
    pub const fn new(name: &'static str, field: &'static dyn Field<D, R>, summary: &'static str) -> Self {
        let key = Key {
            name,
            summary,
            details: "",
            flag: None,
            default: None,
            otel: &[],
            on_reload: false,
            of_one_server: None,
        };
        Setting { key, field }
    }

    /// What else there is to say, for those who read on.
    pub const fn details(mut self, details: &'static str) -> Self {
        self.key.details = details;
        self
    }

    /// It is a flag and a variable, too.
    pub const fn flag(mut self, flag: Flag) -> Self {
        self.key.flag = Some(flag);
        self
    }

    /// What holds where it is not given, in words.
    pub const fn default(mut self, words: &'static str) -> Self {
        self.key.default = Some(words);
        self
    }

    /// Variables of OpenTelemetry that count when it is given nowhere.
    pub const fn otel(mut self, variables: &'static [&'static str]) -> Self {
        self.key.otel = variables;
        self
    }

    /// A reload suffices for it to count.
    pub const fn on_reload(mut self) -> Self {
        self.key.on_reload = true;
        self
    }

    /// It cannot be said of all targets, and this is why.
    pub const fn of_one_server(mut self, reason: &'static str) -> Self {
        self.key.of_one_server = Some(reason);
        self
    }
}

/// A setting as documentation, help and schemas show it.
#[derive(Debug, Clone)]
pub struct Description {
    /// What the row says.
    pub key: Key,
    /// What its value is.
    pub shape: Shape,
    /// What holds where it is not given: in words, or as a value between backticks.
    pub default: String,
}

impl<D, R> Setting<D, R> {
    /// The setting without its types. `unsaid` is a result of which nothing was said.
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

/// What a command line says of settings.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// The groups whose variables count: those that the command has flags of.
    groups: u8,
    /// Values by key; those of a list with commas between them.
    values: BTreeMap<&'static str, String>,
    /// The flags that stand for others, by key: `-v` for `--log-level`.
    written: BTreeMap<&'static str, &'static str>,
}

impl Flags {
    /// No flags, but the variables of these groups.
    #[must_use]
    pub fn of(groups: u8) -> Flags {
        Flags { groups, ..Flags::default() }
    }

    /// A flag that is given, by its key.
    pub fn set(&mut self, key: &'static str, value: impl Into<String>) {
        self.values.insert(key, value.into());
    }

    /// The same by a flag that stands for it, which is then its origin.
    pub fn set_by(&mut self, key: &'static str, value: impl Into<String>, flag: &'static str) {
        self.set(key, value);
        self.written.insert(key, flag);
    }

    /// The value of a flag, if it is given.
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
    /// What flag or variable say of a key; `then` takes it. A flag goes before the
    /// variable, and a variable that is empty counts as not set.
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

/// Where the value of each key comes from: the last of several sources, or all
/// of them where they add up. Keys that have their default are not there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(BTreeMap<&'static str, Vec<Place>>);

impl Origins {
    /// The origins of a key, if it was given.
    #[must_use]
    pub fn of(&self, key: &str) -> &[Place] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }

    /// Notes an origin. One that `adds` to the others stands beside them.
    pub fn note(&mut self, key: &'static str, place: Place, adds: bool) {
        let places = self.0.entry(key).or_default();
        if !adds {
            places.clear();
        }
        places.push(place);
    }
}

/// Reads what the keys of a map say.
pub fn read_fields<D, R>(rows: &[Setting<D, R>], fields: &Fields<'_>, draft: &mut D, origins: &mut Origins) {
    for row in rows {
        if let Some(node) = fields.get(row.key.name)
            && row.field.read(&Given::Node(node.clone()), draft)
        {
            origins.note(row.key.name, node.place(), row.field.adds());
        }
    }
}

/// Reads what flags and variables say.
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
