//! The syntax of values. A syntax reads a value from any source, prints it, and
//! describes itself for help, documentation and schemas.

use std::time::Duration;

use super::given::Given;
use super::suggest::{did_you_mean, list};
use super::values;
use super::yaml::quote;

/// The syntax of a setting's value.
pub trait Syntax: Sync {
    /// The type of the value.
    type Value;
    /// Describes the values.
    fn shape(&self) -> Shape;
    /// Reads a value. An error is recorded, and gives `None`.
    fn read(&self, given: &Given<'_>) -> Option<Self::Value>;
    /// Prints the value as YAML.
    fn show(&self, value: &Self::Value) -> Shown;
}

/// A value as YAML. Each part is a scalar that reads back as the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// A scalar.
    One(String),
    /// A list.
    Many(Vec<String>),
    /// A map, in order.
    Map(Vec<(String, String)>),
}

/// The description of a syntax, for help, documentation and schemas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// `true` or `false`.
    Boolean,
    /// A time with its unit.
    Duration {
        /// The minimum.
        min: Duration,
        /// The maximum.
        max: Duration,
    },
    /// An integer.
    Count {
        /// The minimum.
        min: usize,
        /// The maximum.
        max: usize,
    },
    /// A size in bytes.
    Size {
        /// The minimum.
        min: usize,
        /// The maximum.
        max: usize,
    },
    /// One of these names, each with its meaning.
    OneOf(Vec<(&'static str, &'static str)>),
    /// Text with a syntax of its own.
    Text {
        /// The name of the syntax in the documentation.
        kind: &'static str,
        /// The placeholder in the help.
        placeholder: &'static str,
    },
    /// A list.
    List {
        /// The syntax of an item.
        item: Box<Shape>,
        /// Whether a single item may be written without a list.
        or_one: bool,
        /// The name of the list in the documentation.
        kind: &'static str,
    },
    /// A map.
    Map {
        /// The syntax of the values.
        value: Box<Shape>,
        /// The name of the map in the documentation.
        kind: &'static str,
    },
    /// A part of the file with its own keys, and its name.
    Structure(&'static str),
}

impl Shape {
    /// Returns the name in the documentation: `duration`, `list of accounts`.
    #[must_use]
    pub fn kind(&self) -> String {
        match self {
            Shape::Boolean => "boolean".to_owned(),
            Shape::Duration { .. } => "duration".to_owned(),
            Shape::Count { .. } => "number".to_owned(),
            Shape::Size { .. } => "size".to_owned(),
            Shape::OneOf(names) => or(names.iter().map(|(name, _)| format!("`{name}`")).collect()),
            Shape::Text { kind, .. }
            | Shape::List { kind, .. }
            | Shape::Map { kind, .. }
            | Shape::Structure(kind) => (*kind).to_owned(),
        }
    }

    /// Returns the placeholder in the help: `DURATION`.
    #[must_use]
    pub fn placeholder(&self) -> &'static str {
        match self {
            Shape::Boolean => "BOOLEAN",
            Shape::Duration { .. } => "DURATION",
            Shape::Count { .. } => "N",
            Shape::Size { .. } => "SIZE",
            Shape::OneOf(_) => "NAME",
            Shape::Text { placeholder, .. } => placeholder,
            Shape::List { item, .. } => item.placeholder(),
            Shape::Map { .. } | Shape::Structure(_) => "MAP",
        }
    }

    /// Returns the bounds as a sentence: `100ms to 5m.`
    #[must_use]
    pub fn bounds(&self) -> Option<String> {
        match self {
            Shape::Duration { min, max } => {
                Some(format!("{} to {}.", values::show_duration(*min), values::show_duration(*max)))
            }
            Shape::Count { min, max } => Some(format!("{min} to {max}.")),
            Shape::Size { min, max } => {
                Some(format!("{} to {}.", values::show_size(*min), values::show_size(*max)))
            }
            Shape::Map { value, .. } => value.bounds(),
            _ => None,
        }
    }

    /// Returns what an error says was expected.
    fn expected(&self) -> String {
        match self {
            Shape::Boolean => "true or false".to_owned(),
            Shape::Duration { .. } => "a duration such as 10s".to_owned(),
            Shape::Size { .. } => "a size such as 1MiB".to_owned(),
            Shape::OneOf(names) => or(names.iter().map(|(name, _)| (*name).to_owned()).collect()),
            _ => format!("a {}", self.kind()),
        }
    }
}

fn or(mut names: Vec<String>) -> String {
    match names.pop() {
        Some(last) if !names.is_empty() => format!("{} or {last}", names.join(", ")),
        last => last.unwrap_or_default(),
    }
}

/// `true` or `false`.
pub struct Boolean;

impl Syntax for Boolean {
    type Value = bool;
    fn shape(&self) -> Shape {
        Shape::Boolean
    }
    fn read(&self, given: &Given<'_>) -> Option<bool> {
        given.boolean()
    }
    fn show(&self, value: &bool) -> Shown {
        Shown::One(value.to_string())
    }
}

/// A duration within bounds.
pub struct Time {
    pub min: Duration,
    pub max: Duration,
}

impl Time {
    pub fn parse(&self, text: &str) -> Result<Duration, String> {
        let value = values::duration(text)?;
        if value < self.min || value > self.max {
            let [min, max] = [self.min, self.max].map(values::show_duration);
            return Err(format!("is out of bounds; write a time from {min} to {max}"));
        }
        Ok(value)
    }
}

impl Syntax for Time {
    type Value = Duration;
    fn shape(&self) -> Shape {
        Shape::Duration { min: self.min, max: self.max }
    }
    fn read(&self, given: &Given<'_>) -> Option<Duration> {
        given.parse(&self.shape().expected(), |text| self.parse(text))
    }
    fn show(&self, value: &Duration) -> Shown {
        Shown::One(values::show_duration(*value))
    }
}

/// An integer within bounds.
pub struct Count {
    pub min: usize,
    pub max: usize,
}

impl Syntax for Count {
    type Value = usize;
    fn shape(&self) -> Shape {
        Shape::Count { min: self.min, max: self.max }
    }
    fn read(&self, given: &Given<'_>) -> Option<usize> {
        given.parse(&self.shape().expected(), |text| {
            let number = text.trim().parse::<usize>().ok();
            let within = number.filter(|n| (self.min..=self.max).contains(n));
            within.ok_or_else(|| format!("must be a whole number from {} to {}", self.min, self.max))
        })
    }
    fn show(&self, value: &usize) -> Shown {
        Shown::One(value.to_string())
    }
}

/// A size in bytes within bounds.
pub struct Size {
    pub min: usize,
    pub max: usize,
}

impl Syntax for Size {
    type Value = usize;
    fn shape(&self) -> Shape {
        Shape::Size { min: self.min, max: self.max }
    }
    fn read(&self, given: &Given<'_>) -> Option<usize> {
        given.parse(&self.shape().expected(), |text| {
            let within = values::size(text).filter(|n| (self.min..=self.max).contains(n));
            within.ok_or_else(|| {
                let [min, max] = [self.min, self.max].map(values::show_size);
                format!("is not a size; write bytes or a number with KiB, MiB or GiB, from {min} to {max}")
            })
        })
    }
    fn show(&self, value: &usize) -> Shown {
        Shown::One(values::show_size(*value))
    }
}

/// One of several names: each with its value and its meaning.
pub struct OneOf<T: 'static>(pub &'static [(&'static str, T, &'static str)]);

impl<T: Copy + PartialEq + Sync> Syntax for OneOf<T> {
    type Value = T;
    fn shape(&self) -> Shape {
        Shape::OneOf(self.0.iter().map(|(name, _, meaning)| (*name, *meaning)).collect())
    }
    fn read(&self, given: &Given<'_>) -> Option<T> {
        given.parse(&self.shape().expected(), |text| {
            let found = self.0.iter().find(|(name, ..)| *name == text.trim());
            found.map(|(_, value, _)| *value).ok_or_else(|| {
                let names: Vec<&str> = self.0.iter().map(|(name, ..)| *name).collect();
                format!("must be one of {}{}", list(&names), did_you_mean(text, &names))
            })
        })
    }
    fn show(&self, value: &T) -> Shown {
        let found = self.0.iter().find(|(_, known, _)| known == value);
        Shown::One(found.map(|(name, ..)| (*name).to_owned()).unwrap_or_default())
    }
}

/// Text that a function parses.
pub struct Parsed<T> {
    pub kind: &'static str,
    pub placeholder: &'static str,
    /// What an error says was expected.
    pub expected: &'static str,
    pub parse: fn(&str) -> Result<T, String>,
    pub show: fn(&T) -> String,
}

impl<T> Syntax for Parsed<T> {
    type Value = T;
    fn shape(&self) -> Shape {
        Shape::Text { kind: self.kind, placeholder: self.placeholder }
    }
    fn read(&self, given: &Given<'_>) -> Option<T> {
        given.parse(self.expected, self.parse)
    }
    fn show(&self, value: &T) -> Shown {
        Shown::One(quote(&(self.show)(value)))
    }
}

/// Plain text, not a number.
pub struct Plain {
    pub kind: &'static str,
    pub placeholder: &'static str,
    /// What an error says was expected.
    pub expected: &'static str,
}

impl Syntax for Plain {
    type Value = String;
    fn shape(&self) -> Shape {
        Shape::Text { kind: self.kind, placeholder: self.placeholder }
    }
    fn read(&self, given: &Given<'_>) -> Option<String> {
        given.text(self.expected)
    }
    fn show(&self, value: &String) -> Shown {
        Shown::One(quote(value))
    }
}

/// A list. Errors of items are recorded, and the other items are kept.
pub struct List<S> {
    pub kind: &'static str,
    /// What an error says was expected.
    pub expected: &'static str,
    pub item: S,
    /// Whether a single item may be written without a list.
    pub or_one: bool,
}

impl<S: Syntax> Syntax for List<S> {
    type Value = Vec<S::Value>;
    fn shape(&self) -> Shape {
        Shape::List { item: Box::new(self.item.shape()), or_one: self.or_one, kind: self.kind }
    }
    fn read(&self, given: &Given<'_>) -> Option<Self::Value> {
        if self.or_one && !given.is_list() {
            return Some(vec![self.item.read(given)?]);
        }
        Some(given.items(self.expected)?.iter().filter_map(|item| self.item.read(item)).collect())
    }
    fn show(&self, value: &Self::Value) -> Shown {
        let scalar = |item| match self.item.show(item) {
            Shown::One(text) => text,
            Shown::Many(_) | Shown::Map(_) => String::new(),
        };
        Shown::Many(value.iter().map(scalar).collect())
    }
}
