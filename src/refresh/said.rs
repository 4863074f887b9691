//! What the log has been told of an endpoint, so that it is told once: when a
//! failure begins, when its reason changes, when it ends.

use std::sync::Arc;

use crate::outcome::{ErrorType, Outcome};
use crate::snapshot::Slot;

/// No more oddities of one endpoint are told than these.
const MOST_PROBLEMS: usize = 16;

/// What was said last.
#[derive(Debug, Default)]
pub struct Said {
    outcome: Option<Outcome>,
    problems: Vec<Box<str>>,
}

impl Said {
    /// Says what is new about an attempt that has just ended.
    pub fn log(&mut self, target: &Arc<str>, slot: &Slot, problems: &[String]) {
        let endpoint = slot.endpoint.name();
        let reason = slot.reason.as_deref().unwrap_or("no reason given");
        let before = std::mem::replace(&mut self.outcome, slot.outcome);
        // What was not tried, because the server had just been found
        // unreachable, has its reason in the log already.
        let untried = slot.duration.is_zero() && slot.status.is_none();
        if untried && matches!(slot.outcome, Some(Outcome::Failed(_))) {
            self.outcome = before;
        } else if before != slot.outcome {
            match slot.outcome {
                // A dead token is said once, where it is looked at: `credentials`.
                Some(Outcome::Failed(ErrorType::Unauthorized)) if slot.endpoint.needs().is_some() => {
                    tracing::debug!("{target}: {endpoint} cannot be read (unauthorized): {reason}");
                }
                Some(Outcome::Failed(error)) => {
                    tracing::warn!("{target}: {endpoint} cannot be read ({}): {reason}", error.name());
                }
                Some(Outcome::NotOffered) => {
                    tracing::info!("{target}: {endpoint} is not offered: {reason}; asking again in 6 hours");
                }
                Some(Outcome::Ok) if matches!(before, Some(Outcome::Failed(_))) => {
                    tracing::info!("{target}: {endpoint} is read again");
                }
                _ => {}
            }
        }
        for problem in problems {
            if self.problems.len() < MOST_PROBLEMS && !self.problems.iter().any(|p| **p == **problem) {
                tracing::warn!("{target}: {endpoint}: {problem}: no value from it");
                self.problems.push(problem.as_str().into());
            }
        }
    }
}

/// A reason as it is kept and told: on one line, and not without end.
pub fn told(reason: &str) -> Arc<str> {
    const LONGEST: usize = 300;
    reason.chars().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().into()
}
