//! A row of the table: the name and meaning of a metric, and how it is read.

use std::sync::Arc;

use crate::endpoint::Endpoint;
use crate::snapshot::{BridgeFacts, Reading, Tally};
use crate::target::Target;

/// The kind of a metric's instrument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A value that goes up and down.
    Gauge,
    /// A total that only grows while the bridge runs.
    Counter,
    /// A sum that goes up and down.
    UpDownCounter,
    /// A distribution of the values that were recorded while the bridge runs.
    Histogram,
}

impl Kind {
    /// The name of the instrument in the semantic conventions.
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

/// How stable a name is, in the words of the semantic conventions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stability {
    /// The name may change in any release.
    Development,
    /// The name will probably not change.
    ReleaseCandidate,
    /// The name does not change.
    Stable,
}

impl Stability {
    /// The word in a registry.
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
    /// Text from the user, or text on an info metric.
    Text(Arc<str>),
    /// A port.
    Int(i64),
}

/// The value of a point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
}

/// Receives the points of a row about one target: a value, and the attributes that the
/// row adds.
pub type Emit<'a, N> = &'a mut dyn FnMut(N, &[(&'static str, Label)]);

/// Returns why a number is omitted that was read: it is known to be wrong or to mean
/// something else.
pub type Unless = fn(&Reading<'_>) -> Option<&'static str>;

/// How a row reads what is known of a target or of the bridge. The variant determines
/// the kind of instrument, so every row that compiles is emitted.
#[derive(Clone, Copy)]
pub enum Read {
    /// A gauge with at most one integer.
    Int(fn(&Reading<'_>) -> Option<i64>),
    /// A gauge with at most one float.
    Float(fn(&Reading<'_>) -> Option<f64>),
    /// A gauge with several points, and the maximum number for a target.
    Ints(fn(&Reading<'_>, Emit<'_, i64>), fn(&Target) -> usize),
    /// The same with floats.
    Floats(fn(&Reading<'_>, Emit<'_, f64>), fn(&Target) -> usize),
    /// A counter with several points, and the maximum number for a target.
    Counts(fn(&Reading<'_>, Emit<'_, u64>), fn(&Target) -> usize),
    /// A gauge about the bridge.
    OwnInts(fn(&BridgeFacts, Emit<'_, i64>)),
    /// The same with floats.
    OwnFloats(fn(&BridgeFacts, Emit<'_, f64>)),
    /// A counter about the bridge.
    OwnCounts(fn(&BridgeFacts, Emit<'_, u64>)),
    /// A counter of seconds about the bridge.
    OwnSeconds(fn(&BridgeFacts, Emit<'_, f64>)),
    /// An up-down counter about the bridge.
    OwnLevels(fn(&BridgeFacts, Emit<'_, i64>)),
    /// A histogram of durations in seconds, which are recorded as they occur.
    Recorded(Timing),
}

/// The durations that the bridge measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Timing {
    /// A collection.
    Collection,
    /// Reading an endpoint.
    Request,
    /// An export request.
    Export,
    /// Reading the instruments.
    Reading,
}

impl Timing {
    /// The bounds of the histogram's buckets in seconds. Each bucket is a series for
    /// every set of attributes, so there are just enough to tell good, slow and timed
    /// out apart.
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
    /// The name in OpenTelemetry.
    pub name: &'static str,
    /// The UCUM unit, or an empty string.
    pub unit: &'static str,
    /// The description, in one sentence.
    pub description: &'static str,
    /// Where the number comes from.
    pub source: &'static str,
    /// When the number is collected.
    pub on: &'static str,
    /// How stable the name is.
    pub stability: Stability,
    /// Attributes besides the target's identity.
    pub attributes: &'static [&'static str],
    /// The attributes that only some points have.
    pub optional: &'static [&'static str],
    /// The endpoints that supply the number, the preferred one first. Empty if the
    /// metric is about the requests themselves.
    pub from: &'static [Endpoint],
    /// Why the row has no point although all endpoints were read, if the row can tell.
    pub unless: Option<Unless>,
    /// How pages and tables show the metric.
    pub shown: ShownAs,
    /// How the metric is read.
    pub read: Read,
}

/// How pages and tables show a row. They select rows by this value, never by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShownAs {
    /// One of the target's figures.
    Figure,
    /// The state of the requests, which a table shows in one line for each endpoint.
    Asking,
    /// The target's software.
    Software,
    /// The target's users. Of several rows the first one with a point is shown.
    Users,
    /// The target's posts, chosen in the same way.
    Posts,
    /// The target's active users, chosen in the same way.
    ActiveUsers,
}

impl Row {
    /// Returns the maximum number of points about this target.
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

    /// Calls `with` for each point about a target.
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

    /// Calls `with` for each point about the bridge that can be observed.
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

    /// The kind of instrument.
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

    /// Whether the values are integers.
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

    /// Whether the metric is about the bridge itself, and not about targets.
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

/// None of our totals comes near the maximum of an `i64`.
fn count(value: u64) -> Number {
    Number::Int(i64::try_from(value).unwrap_or(i64::MAX))
}

/// Emits one point for each member of a closed set.
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
