//! The syntax of a target's maps: attributes and intervals.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::given::Given;
use crate::config::syntax::{Shape, Shown, Syntax, Time};
use crate::config::values;
use crate::config::yaml::quote;
use crate::endpoint::Endpoint;
use crate::target::attributes::{MAX_ATTRIBUTES, check_name, check_value, collision};

/// Attributes by name.
pub struct Attributes;

impl Syntax for Attributes {
    type Value = BTreeMap<String, String>;
    fn shape(&self) -> Shape {
        Shape::Map { value: Box::new(Shape::Text { kind: "text", placeholder: "TEXT" }), kind: "map" }
    }
    fn read(&self, given: &Given<'_>) -> Option<Self::Value> {
        read_attributes(given, |_| true)
    }
    fn show(&self, value: &Self::Value) -> Shown {
        Shown::Map(value.iter().map(|(name, value)| (name.clone(), quote(value))).collect())
    }
}

/// Reads the labels of a group of targets as attributes. Names that begin with two
/// underscores are reserved by Prometheus, and ignored as they are there.
pub fn labels(given: &Given<'_>) -> Option<BTreeMap<String, String>> {
    read_attributes(given, |name| !name.starts_with("__"))
}

fn read_attributes(given: &Given<'_>, is_meant: impl Fn(&str) -> bool) -> Option<BTreeMap<String, String>> {
    let mut attributes = BTreeMap::new();
    for (name, value) in given.entries("a map of attributes")?.into_iter().filter(|(name, _)| is_meant(name))
    {
        if let Err(message) = check_name(&name) {
            value.error(message);
        } else if let Some(text) = value.any_scalar("text, a number or a boolean") {
            match check_value(&text) {
                Ok(()) => drop(attributes.insert(name, text)),
                Err(message) => value.error(message),
            }
        }
    }
    if attributes.len() > MAX_ATTRIBUTES {
        given.error(format!("has more than {MAX_ATTRIBUTES} attributes; remove some"));
    }
    if let Some((a, b)) = collision(&attributes) {
        given.error(format!("`{a}` and `{b}` become the same Prometheus label; rename one"));
        return None;
    }
    Some(attributes)
}

/// The longest lifetime of a value is a day, so a week is more than enough.
pub const INTERVAL: Time = Time { min: Duration::from_secs(1), max: Duration::from_secs(7 * 86_400) };

/// Durations by endpoint.
pub struct Intervals(pub Time);

impl Syntax for Intervals {
    type Value = BTreeMap<Endpoint, Duration>;
    fn shape(&self) -> Shape {
        Shape::Map { value: Box::new(self.0.shape()), kind: "map of endpoint to duration" }
    }
    fn read(&self, given: &Given<'_>) -> Option<Self::Value> {
        let mut intervals = BTreeMap::new();
        for (name, value) in given.entries("a map of endpoint to duration")? {
            match values::endpoint(&name) {
                Ok(endpoint) => {
                    if let Some(interval) = self.0.read(&Given::Node(value)) {
                        intervals.insert(endpoint, interval);
                    }
                }
                Err(message) => value.error(message),
            }
        }
        Some(intervals)
    }
    fn show(&self, value: &Self::Value) -> Shown {
        let entry = |(e, time): (&Endpoint, &Duration)| (e.name().to_owned(), values::show_duration(*time));
        Shown::Map(value.iter().map(entry).collect())
    }
}
