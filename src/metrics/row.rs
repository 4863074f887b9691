//! A row of the table: what a metric is called and means, and how it is read.

use std::sync::Arc;

use crate::endpoint::Endpoint;
use crate::snapshot::{BridgeFacts, Reading, Tally};
use crate::target::Target;

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

/// How a row is read from what is known of a target or of the bridge. The way
/// decides the kind of instrument, so that every row that compiles is emitted.
#[derive(Clone, Copy)]
pub enum Read {
    /// A gauge with one whole number, or none.
    Int(fn(&Reading<'_>) -> Option<i64>),
    /// A gauge with one number, or none.
    Float(fn(&Reading<'_>) -> Option<f64>),
    /// A gauge with several points, and how many a target can have.
    Ints(fn(&Reading<'_>, Emit<'_, i64>), fn(&Target) -> usize),
    /// The same, of floats.
    Floats(fn(&Reading<'_>, Emit<'_, f64>), fn(&Target) -> usize),
    /// A counter with several points, and how many a target can have.
    Counts(fn(&Reading<'_>, Emit<'_, u64>), fn(&Target) -> usize),
    /// A gauge about the bridge.
    OwnInts(fn(&BridgeFacts, Emit<'_, i64>)),
    /// The same, of floats.
    OwnFloats(fn(&BridgeFacts, Emit<'_, f64>)),
    /// A counter about the bridge.
    OwnCounts(fn(&BridgeFacts, Emit<'_, u64>)),
    /// The same, of seconds.
    OwnSeconds(fn(&BridgeFacts, Emit<'_, f64>)),
    /// An up-down counter about the bridge.
    OwnLevels(fn(&BridgeFacts, Emit<'_, i64>)),
    /// A histogram of durations in seconds, recorded as they pass.
    Recorded(Timing),
}

/// What the bridge takes the time of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Timing {
    /// A collection.
    Collection,
    /// Reading an endpoint.
    Request,
    /// An export request.
    Export,
    /// Reading the instruments out.
    Reading,
}

impl Timing {
    /// Bounds of its histogram's buckets in seconds. Each is a series of every page for
    /// every set of attributes: they are as many as tell good, slow and timed out apart.
    #[must_use]
    pub fn bounds(self) -> &'static [f64] {
        match self {
            Timing::Collection => &[0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0],
            Timing::Request => &[0.1, 0.5, 1.0, 2.5, 5.0, 10.0],
            Timing::Export => &[0.01, 0.1, 0.5, 1.0, 5.0, 10.0],
            Timing::Reading => &[0.001, 0.01, 0.1, 1.0],
        }
    }
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
    /// What pages and tables show it as.
    pub shown: ShownAs,
    /// How it is read.
    pub read: Read,
}

/// What pages and tables show a row as: they choose rows by it, never by their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShownAs {
    /// One of the target's figures.
    Figure,
    /// How asking the target went, which a table has a line for each endpoint of.
    Asking,
    /// What the target is.
    Software,
    /// The target's users; of several rows with a point the first.
    Users,
    /// The same, of its posts.
    Posts,
    /// The same, of its active users.
    ActiveUsers,
}

impl Row {
    /// How many points it can have about this target.
    #[must_use]
    pub fn most(&self, target: &Target) -> usize {
        if target.leaves_out(self.name) {
            return 0;
        }
        let asked = |endpoint| target.endpoints.contains(endpoint);
        if !self.from.is_empty() && !self.from.iter().any(asked) {
            return 0;
        }
        match self.read {
            Read::Int(_) | Read::Float(_) => 1,
            Read::Ints(_, most) | Read::Floats(_, most) | Read::Counts(_, most) => most(target),
            Read::OwnInts(_)
            | Read::OwnFloats(_)
            | Read::OwnCounts(_)
            | Read::OwnSeconds(_)
            | Read::OwnLevels(_)
            | Read::Recorded(_) => 0,
        }
    }

    /// Calls `with` for each of its points about a target.
    pub fn points(&self, reading: &Reading<'_>, with: Emit<'_, Number>) {
        if reading.target.leaves_out(self.name) {
            return;
        }
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
            Read::Counts(read, _) => read(reading, &mut |value, labels| with(count(value), labels)),
            Read::OwnInts(_)
            | Read::OwnFloats(_)
            | Read::OwnCounts(_)
            | Read::OwnSeconds(_)
            | Read::OwnLevels(_)
            | Read::Recorded(_) => {}
        }
    }

    /// Calls `with` for each of its points about the bridge that can be observed.
    pub fn own_points(&self, facts: &BridgeFacts, with: Emit<'_, Number>) {
        match self.read {
            Read::OwnInts(read) | Read::OwnLevels(read) => {
                read(facts, &mut |value, labels| with(Number::Int(value), labels));
            }
            Read::OwnFloats(read) | Read::OwnSeconds(read) => {
                read(facts, &mut |value, labels| with(Number::Float(value), labels));
            }
            Read::OwnCounts(read) => read(facts, &mut |value, labels| with(count(value), labels)),
            Read::Int(_)
            | Read::Float(_)
            | Read::Ints(..)
            | Read::Floats(..)
            | Read::Counts(..)
            | Read::Recorded(_) => {}
        }
    }

    /// What kind of instrument it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.read {
            Read::Int(_)
            | Read::Float(_)
            | Read::Ints(..)
            | Read::Floats(..)
            | Read::OwnInts(_)
            | Read::OwnFloats(_) => Kind::Gauge,
            Read::Counts(..) | Read::OwnCounts(_) | Read::OwnSeconds(_) => Kind::Counter,
            Read::OwnLevels(_) => Kind::UpDownCounter,
            Read::Recorded(_) => Kind::Histogram,
        }
    }

    /// Whether its values are whole numbers.
    #[must_use]
    pub fn is_integer(&self) -> bool {
        match self.read {
            Read::Int(_)
            | Read::Ints(..)
            | Read::Counts(..)
            | Read::OwnInts(_)
            | Read::OwnCounts(_)
            | Read::OwnLevels(_) => true,
            Read::Float(_)
            | Read::Floats(..)
            | Read::OwnFloats(_)
            | Read::OwnSeconds(_)
            | Read::Recorded(_) => false,
        }
    }

    /// Whether it is about the bridge itself, and so about no target.
    #[must_use]
    pub fn is_own(&self) -> bool {
        match self.read {
            Read::Int(_) | Read::Float(_) | Read::Ints(..) | Read::Floats(..) | Read::Counts(..) => false,
            Read::OwnInts(_)
            | Read::OwnFloats(_)
            | Read::OwnCounts(_)
            | Read::OwnSeconds(_)
            | Read::OwnLevels(_)
            | Read::Recorded(_) => true,
        }
    }
}

/// No tally of ours comes near the end of an `i64`.
fn count(value: u64) -> Number {
    Number::Int(i64::try_from(value).unwrap_or(i64::MAX))
}

/// One point a member of a closed set.
pub(super) fn emit_tally(tally: Option<&Tally>, attribute: &'static str, emit: Emit<'_, i64>) {
    for (member, count) in tally.into_iter().flat_map(|tally| &tally.0) {
        emit(*count, &[(attribute, Label::Static(member))]);
    }
}

pub(super) const fn gauge(
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
        stability: Stability::Development,
        attributes: &[],
        optional: &[],
        from: &[],
        unless: None,
        shown: ShownAs::Figure,
        read,
    }
}

impl Row {
    pub(super) const fn by(self, attributes: &'static [&'static str]) -> Row {
        Row { attributes, ..self }
    }

    pub(super) const fn on(self, on: &'static str) -> Row {
        Row { on, ..self }
    }

    pub(super) const fn from(self, from: &'static [Endpoint]) -> Row {
        Row { from, ..self }
    }

    pub(super) const fn shown(self, shown: ShownAs) -> Row {
        Row { shown, ..self }
    }

    pub(super) const fn unless(self, why: Unless) -> Row {
        Row { unless: Some(why), ..self }
    }

    pub(super) const fn optional(self, optional: &'static [&'static str]) -> Row {
        Row { optional, ..self }
    }

    pub(super) const fn stability(self, stability: Stability) -> Row {
        Row { stability, ..self }
    }
}
