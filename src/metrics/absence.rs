//! Explains why a row has no point for a target, from the row and the outcomes of its
//! endpoints.

use std::fmt;

use crate::endpoint::{Endpoint, On};
use crate::outcome::{ErrorType, Outcome};
use crate::snapshot::{Reading, Slot};

use super::Row;

/// A reason why a number is absent.
#[derive(Debug, Clone, Copy)]
pub enum Absence<'a> {
    /// The target's settings exclude this endpoint.
    NotAsked(Endpoint),
    /// No attempt has ended yet.
    NotYet(Endpoint),
    /// The server does not offer the endpoint, or not to the bridge.
    NotOffered(&'a Slot),
    /// The last attempt failed.
    Failed(&'a Slot, ErrorType),
    /// The value is too old, and has not been read again.
    Ended(Endpoint),
    /// The endpoint was read, but its answer has no usable number.
    NotGiven(Endpoint),
    /// The endpoint was read, but its number is known to be wrong or to mean something
    /// else.
    Withheld(&'static str),
}

impl Row {
    /// Returns why the row has no point for a target: one reason for each endpoint that
    /// could supply it. Empty if the row has a point.
    #[must_use]
    pub fn absence<'a>(&self, r: &Reading<'a>) -> Vec<Absence<'a>> {
        let mut has_point = false;
        self.points(r, &mut |_, _| has_point = true);
        if has_point || self.is_own() {
            return Vec::new();
        }
        if r.target.leaves_out(self.name) {
            return vec![Absence::Withheld("the configuration excludes it")];
        }
        if let Some(why) = self.unless.and_then(|unless| unless(r)) {
            return vec![Absence::Withheld(why)];
        }
        let mut all: Vec<Absence<'_>> = self.from.iter().map(|endpoint| r.absence(*endpoint)).collect();
        // If one endpoint may still supply the number, the others do not matter.
        if all.iter().any(Absence::is_passing) {
            all.retain(|absence| !matches!(absence, Absence::NotGiven(_)));
        }
        all
    }
}

impl Absence<'_> {
    /// Whether the next attempt may supply the number.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Absence::NotYet(_) | Absence::Failed(..) | Absence::Ended(_))
    }
}

impl<'a> Reading<'a> {
    /// Returns why an endpoint supplies nothing.
    fn absence(&self, endpoint: Endpoint) -> Absence<'a> {
        let Some(slot) = self.slot(endpoint) else { return Absence::NotAsked(endpoint) };
        match slot.outcome() {
            None => Absence::NotYet(endpoint),
            Some(Outcome::NotOffered) => Absence::NotOffered(slot),
            Some(Outcome::Failed(error)) => Absence::Failed(slot, error),
            Some(Outcome::Ok) if !self.alive(slot) => Absence::Ended(endpoint),
            Some(Outcome::Ok) => Absence::NotGiven(endpoint),
        }
    }
}

/// Describes in words why a number is absent. Empty without reasons.
#[must_use]
pub fn in_words(reasons: &[Absence<'_>]) -> String {
    let lacking: Vec<&str> = reasons
        .iter()
        .filter_map(|absence| match absence {
            Absence::NotGiven(endpoint) => Some(endpoint.name()),
            _ => None,
        })
        .collect();
    let others = reasons.iter().filter(|absence| !matches!(absence, Absence::NotGiven(_)));
    let mut all: Vec<String> = others.map(ToString::to_string).collect();
    match lacking.as_slice() {
        [] => {}
        [one] => all.push(format!("{one} was read, but does not contain it")),
        more => all.push(format!("{} were read, but do not contain it", more.join(" and "))),
    }
    all.join("; ")
}

impl fmt::Display for Absence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Absence::NotAsked(endpoint) => {
                write!(f, "{} is not requested: {}", endpoint.name(), HowToAsk(*endpoint))
            }
            Absence::NotYet(endpoint) => write!(f, "{} has not been read yet", endpoint.name()),
            Absence::NotOffered(slot) => {
                write!(f, "{} is not offered: {}", slot.endpoint.name(), slot.reason().unwrap_or_default())
            }
            Absence::Failed(slot, error) => {
                write!(
                    f,
                    "{} could not be read ({}): {}",
                    slot.endpoint.name(),
                    error.name(),
                    slot.reason().unwrap_or_default()
                )
            }
            Absence::Ended(endpoint) => {
                write!(f, "{} was not read again in time", endpoint.name())
            }
            Absence::NotGiven(endpoint) => {
                write!(f, "{} was read, but does not contain it", endpoint.name())
            }
            Absence::Withheld(why) => f.write_str(why),
        }
    }
}

/// What to do so that an endpoint of a target is requested.
struct HowToAsk(Endpoint);

impl fmt::Display for HowToAsk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.0.name();
        match (self.0.on(), self.0.needs()) {
            (On::Default, _) => f.write_str("its settings exclude it"),
            (On::OptIn, _) => write!(f, "add `{name}` to the target's `collect`"),
            (On::Listed, _) => write!(f, "the target lists no `{name}`"),
            (On::Token, None) => f.write_str("give the target an access token"),
            (On::Token, Some(needs)) => write!(
                f,
                "give the target an access token with the scope {}, of a user whose role has the permission \
                 {}",
                needs.scope, needs.permission
            ),
        }
    }
}
