//! What the log has been told of an endpoint, so that it is told once: when a
//! failure begins, each reason that it then has, and when it ends.

use std::sync::Arc;

use crate::outcome::{ErrorType, Outcome};
use crate::snapshot::Slot;

/// No more oddities of one endpoint are told than these.
const MOST_PROBLEMS: usize = 16;

/// What was said since the endpoint was last read.
#[derive(Debug, Default)]
pub struct Said {
    outcomes: Vec<Outcome>,
    problems: Vec<Box<str>>,
}

/// What is new about an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    Failed(ErrorType),
    NotOffered,
    Recovered,
}

impl Said {
    /// Says what is new about an attempt that has just ended.
    pub fn log(&mut self, target: &Arc<str>, slot: &Slot, problems: &[String]) {
        let endpoint = slot.endpoint.name();
        let reason = slot.reason.as_deref().unwrap_or("no reason given");
        // What was not tried, because the server had just been found
        // unreachable, has its reason in the log already.
        let untried = slot.duration.is_zero() && slot.status.is_none();
        let outcome = slot.outcome.filter(|outcome| !(untried && matches!(outcome, Outcome::Failed(_))));
        match outcome.and_then(|outcome| self.news(outcome)) {
            // A dead token is said once, where it is looked at: `credentials`.
            Some(News::Failed(ErrorType::Unauthorized)) if slot.endpoint.needs().is_some() => {
                tracing::debug!("{target}: {endpoint} cannot be read (unauthorized): {reason}");
            }
            Some(News::Failed(error)) => {
                tracing::warn!("{target}: {endpoint} cannot be read ({}): {reason}", error.name());
            }
            Some(News::NotOffered) => {
                tracing::info!("{target}: {endpoint} is not offered: {reason}; asking again in 6 hours");
            }
            Some(News::Recovered) => tracing::info!("{target}: {endpoint} is read again"),
            None => {}
        }
        for problem in problems {
            if self.problems.len() < MOST_PROBLEMS && !self.problems.iter().any(|p| **p == **problem) {
                tracing::warn!("{target}: {endpoint}: {problem}: no value from it");
                self.problems.push(problem.as_str().into());
            }
        }
    }

    fn news(&mut self, outcome: Outcome) -> Option<News> {
        if outcome == Outcome::Ok {
            let had_failed = self.outcomes.iter().any(|said| matches!(said, Outcome::Failed(_)));
            self.outcomes.clear();
            return had_failed.then_some(News::Recovered);
        }
        // Reasons may take turns, as behind a load balancer: each is told once.
        if self.outcomes.contains(&outcome) {
            return None;
        }
        self.outcomes.push(outcome);
        Some(match outcome {
            Outcome::Failed(error) => News::Failed(error),
            _ => News::NotOffered,
        })
    }
}

/// A reason as it is kept and told: on one line, and not without end.
pub fn told(reason: &str) -> Arc<str> {
    const LONGEST: usize = 300;
    reason.chars().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_told_once_until_the_endpoint_is_read_again() {
        use ErrorType::{Http5xx, Timeout};
        let mut said = Said::default();
        for (outcome, news) in [
            (Outcome::Ok, None),
            (Outcome::Failed(Http5xx), Some(News::Failed(Http5xx))),
            (Outcome::Failed(Http5xx), None),
            (Outcome::Failed(Timeout), Some(News::Failed(Timeout))),
            (Outcome::Failed(Http5xx), None),
            (Outcome::Failed(Timeout), None),
            (Outcome::NotOffered, Some(News::NotOffered)),
            (Outcome::Failed(Timeout), None),
            (Outcome::Ok, Some(News::Recovered)),
            (Outcome::Ok, None),
            (Outcome::Failed(Timeout), Some(News::Failed(Timeout))),
            (Outcome::Ok, Some(News::Recovered)),
            (Outcome::NotOffered, Some(News::NotOffered)),
            (Outcome::Ok, None),
        ] {
            assert_eq!(said.news(outcome), news, "{outcome:?}");
        }
    }
}
