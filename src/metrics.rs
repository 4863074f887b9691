//! THE TABLE: one row a metric. What it is called, its unit, what it says,
//! where the number comes from, and the pure function that reads it.

mod absence;
mod account;
mod admin;
pub mod attributes;
pub mod bridge;
mod instance;
mod lists;
mod nodeinfo;
mod target;

use std::sync::Arc;

use crate::endpoint::Endpoint;
use crate::snapshot::{BridgeFacts, Reading, Tally};
use crate::target::Target;

pub use absence::{Absence, in_words};
pub(crate) use instance::{hides_stats, logins};

/// What kind of instrument a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A value that goes up and down.
    Gauge,
    /// A tally that only grows while the bridge runs.
    Counter,
    /// A sum that goes up and down.
    UpDownCounter,
    /// A distribution of what was recorded while the bridge runs.
    Histogram,
}

impl Kind {
    /// The instrument's name in the semantic conventions.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
            Kind::UpDownCounter => "updowncounter",
            Kind::Histogram => "histogram",
        }
    }
}

/// How much a name can be relied on, in the words of the semantic conventions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stability {
    /// May change with any release.
    Development,
    /// Will hardly change any more.
    ReleaseCandidate,
    /// Does not change.
    Stable,
}

impl Stability {
    /// Its word in a registry.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Stability::Development => "development",
            Stability::ReleaseCandidate => "release_candidate",
            Stability::Stable => "stable",
        }
    }
}

/// The value of an attribute that a row adds to the target's identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Label {
    /// A member of a closed set.
    Static(&'static str),
    /// What the user wrote, or text on an info metric.
    Text(Arc<str>),
    /// A port.
    Int(i64),
}

/// The value of a point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A whole number.
    Int(i64),
    /// Any number.
    Float(f64),
}

/// Takes the points of a row about one target: a value and the attributes
/// that the row adds.
pub type Emit<'a, N> = &'a mut dyn FnMut(N, &[(&'static str, Label)]);

/// Says why a number is not told that was asked for and read: what the server
/// says is known to mean something else, or nothing.
pub type Unless = fn(&Reading<'_>) -> Option<&'static str>;

/// How a row is read from what is known of a target.
#[derive(Clone, Copy)]
pub enum Read {
    /// One whole number, or nothing.
    Int(fn(&Reading<'_>) -> Option<i64>),
    /// One number, or nothing.
    Float(fn(&Reading<'_>) -> Option<f64>),
    /// Any number of points, with attributes, and how many there can be.
    Ints(fn(&Reading<'_>, Emit<'_, i64>), fn(&Target) -> usize),
    /// The same, of floats.
    Floats(fn(&Reading<'_>, Emit<'_, f64>), fn(&Target) -> usize),
    /// Whole numbers about the bridge itself.
    OwnInts(fn(&BridgeFacts, Emit<'_, i64>)),
    /// The same, of floats.
    OwnFloats(fn(&BridgeFacts, Emit<'_, f64>)),
    /// Seconds about the bridge itself, recorded when they have passed.
    Recorded,
}

/// A metric.
#[derive(Clone, Copy)]
pub struct Row {
    /// Its name in OpenTelemetry.
    pub name: &'static str,
    /// Its UCUM unit; empty where it has none.
    pub unit: &'static str,
    /// What it says, in a sentence.
    pub description: &'static str,
    /// Where the number comes from.
    pub source: &'static str,
    /// When it is collected.
    pub on: &'static str,
    /// What kind of instrument it is.
    pub kind: Kind,
    /// How much its name can be relied on.
    pub stability: Stability,
    /// Attributes beside the target's identity.
    pub attributes: &'static [&'static str],
    /// Those of the attributes that not every point has.
    pub optional: &'static [&'static str],
    /// The endpoints that it is read from, the preferred one first; none where
    /// it tells how the asking went.
    pub from: &'static [Endpoint],
    /// Why it has no point although all was read, where the row knows that.
    pub unless: Option<Unless>,
    /// How it is read.
    pub read: Read,
}

impl Row {
    /// How many points it can have about this target.
    #[must_use]
    pub fn most(&self, target: &Target) -> usize {
        let asked = |endpoint| target.endpoints.contains(endpoint);
        if !self.from.is_empty() && !self.from.iter().any(asked) {
            return 0;
        }
        match self.read {
            Read::Int(_) | Read::Float(_) => 1,
            Read::Ints(_, most) | Read::Floats(_, most) => most(target),
            Read::OwnInts(_) | Read::OwnFloats(_) | Read::Recorded => 0,
        }
    }

    /// Calls `with` for each of its points about a target.
    pub fn points(&self, reading: &Reading<'_>, with: Emit<'_, Number>) {
        match self.read {
            Read::Int(read) => {
                if let Some(value) = read(reading) {
                    with(Number::Int(value), &[]);
                }
            }
            Read::Float(read) => {
                if let Some(value) = read(reading) {
                    with(Number::Float(value), &[]);
                }
            }
            Read::Ints(read, _) => read(reading, &mut |value, labels| with(Number::Int(value), labels)),
            Read::Floats(read, _) => read(reading, &mut |value, labels| with(Number::Float(value), labels)),
            Read::OwnInts(_) | Read::OwnFloats(_) | Read::Recorded => {}
        }
    }

    /// Whether its values are whole numbers.
    #[must_use]
    pub fn is_integer(&self) -> bool {
        matches!(self.read, Read::Int(_) | Read::Ints(..) | Read::OwnInts(_))
    }

    /// Whether it is about the bridge itself, and so about no target.
    #[must_use]
    pub fn is_own(&self) -> bool {
        matches!(self.read, Read::OwnInts(_) | Read::OwnFloats(_) | Read::Recorded)
    }
}

/// The families of the table, in the order of the documentation.
pub const FAMILIES: &[(&str, &[Row])] = &[
    ("The target", target::ROWS),
    ("The instance", instance::ROWS),
    ("What else an instance shows", lists::ROWS),
    ("NodeInfo", nodeinfo::ROWS),
    ("Accounts and hashtags", account::ROWS),
    ("Administration", admin::ROWS),
    ("The bridge itself", bridge::ROWS),
];

/// All rows.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    FAMILIES.iter().flat_map(|(_, rows)| rows.iter())
}

/// One point a member of a closed set.
fn emit_tally(tally: Option<&Tally>, attribute: &'static str, emit: Emit<'_, i64>) {
    for (member, count) in tally.into_iter().flat_map(|tally| &tally.0) {
        emit(*count, &[(attribute, Label::Static(member))]);
    }
}

const fn gauge(
    name: &'static str,
    unit: &'static str,
    description: &'static str,
    source: &'static str,
    read: Read,
) -> Row {
    Row {
        name,
        unit,
        description,
        source,
        on: "default",
        kind: Kind::Gauge,
        stability: Stability::Development,
        attributes: &[],
        optional: &[],
        from: &[],
        unless: None,
        read,
    }
}

impl Row {
    const fn by(self, attributes: &'static [&'static str]) -> Row {
        Row { attributes, ..self }
    }

    const fn on(self, on: &'static str) -> Row {
        Row { on, ..self }
    }

    const fn from(self, from: &'static [Endpoint]) -> Row {
        Row { from, ..self }
    }

    const fn unless(self, why: Unless) -> Row {
        Row { unless: Some(why), ..self }
    }

    const fn optional(self, optional: &'static [&'static str]) -> Row {
        Row { optional, ..self }
    }

    const fn stability(self, stability: Stability) -> Row {
        Row { stability, ..self }
    }

    const fn counter(self) -> Row {
        Row { kind: Kind::Counter, ..self }
    }

    const fn up_down_counter(self) -> Row {
        Row { kind: Kind::UpDownCounter, ..self }
    }

    const fn histogram(self) -> Row {
        Row { kind: Kind::Histogram, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_table_keeps_the_conventions() {
        let mut seen = HashSet::new();
        for row in rows() {
            assert!(seen.insert(row.name), "{} stands twice", row.name);
            let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '_';
            assert!(row.name.chars().all(legal), "{}", row.name);
            let space = row.name.split('.').next().unwrap();
            let borrowed = row.is_own() && ["otel", "process"].contains(&space);
            assert!(["fedimeter", "mastodon", "nodeinfo"].contains(&space) || borrowed, "{}", row.name);
            assert!(!row.name.ends_with("total"), "{}", row.name);
            let unit = row.unit;
            let annotation = unit.starts_with('{') && unit.ends_with('}') && !unit.ends_with("s}");
            let plural_by_nature = unit == "{status}";
            assert!(
                ["", "s", "By"].contains(&unit) || annotation || plural_by_nature,
                "{}: {unit}",
                row.name
            );
            assert_eq!(
                row.name.ends_with(".timestamp"),
                unit == "s" && row.name.contains("timestamp"),
                "{}",
                row.name
            );
            assert!(row.description.ends_with('.'), "{}", row.name);
            assert!(!row.source.is_empty() && !row.on.is_empty(), "{}", row.name);
            assert!(row.attributes.is_sorted(), "{}", row.name);
            assert!(row.optional.iter().all(|a| row.attributes.contains(a)), "{}", row.name);
            for name in row.attributes {
                assert!(attributes::find(name).is_some(), "{}: {name}", row.name);
            }
            assert_eq!(row.kind == Kind::Histogram, matches!(row.read, Read::Recorded), "{}", row.name);
        }
    }
}
