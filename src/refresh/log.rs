//! What is logged about servers. A server that goes down gets one line, and one when it
//! is back, whatever its endpoints report meanwhile. If hundreds go down together, the
//! first ones get a line each and the others a count. If the server is up, an endpoint
//! that fails gets a line for each new reason, and one when it works again.
//!
//! A line is a sentence for people. Its fields are for programs: `server`, `endpoint`,
//! `outcome`, `status`, `elapsed`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Moment;
use crate::endpoint::Endpoint;
use crate::outcome::{ErrorType, Outcome};
use crate::snapshot::{Slot, Snapshot};

/// The maximum number of problems that are logged for one endpoint.
const MAX_PROBLEMS: usize = 16;
/// How many servers get a line of their own within [`WINDOW`] when they go down or come
/// back. The others are counted.
const MAX_LINES: usize = 10;
const WINDOW: Duration = Duration::from_secs(60);

/// What was logged about one server.
#[derive(Debug, Default)]
pub struct TargetLog {
    /// Since when the server is logged as down, and for which reasons.
    down: Option<(Moment, EndpointLog)>,
    endpoints: BTreeMap<Endpoint, EndpointLog>,
    /// Finished attempts that are not logged yet. Only the end of the run shows whether
    /// the server is up.
    ended: Vec<Ended>,
}

/// How an attempt ended.
#[derive(Debug)]
struct Ended {
    endpoint: Endpoint,
    outcome: Outcome,
    reason: Option<Arc<str>>,
    status: Option<u16>,
    elapsed: Duration,
    /// The time until the next attempt.
    wait: Duration,
    problems: Vec<String>,
}

/// What was logged since the endpoint, or the server, last worked.
#[derive(Debug, Default)]
struct EndpointLog {
    outcomes: Vec<Outcome>,
    problems: Vec<Box<str>>,
}

/// The news in an attempt's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    Failed(ErrorType),
    NotOffered,
    Recovered,
}

impl TargetLog {
    /// Records a finished attempt, and the problems in its answer.
    pub fn note(&mut self, slot: &Slot, problems: Vec<String>) {
        let Some(last) = slot.last() else { return };
        self.ended.push(Ended {
            endpoint: slot.endpoint,
            outcome: last.found.outcome(),
            reason: last.found.reason().cloned(),
            status: last.response.map(|response| response.status),
            elapsed: last.took,
            wait: last.fresh_until.since(last.ended),
            problems,
        });
    }

    /// Logs the news of the recorded attempts, at the end of a run.
    pub fn tell(&mut self, server: &str, snapshot: &Snapshot, now: Moment, outages: &Outages) {
        let ended = std::mem::take(&mut self.ended);
        if outages.is_quiet {
            return;
        }
        let up = snapshot.up();
        if up == Some(false) {
            let is_new = self.down.is_none();
            let (_, said) = self.down.get_or_insert_with(|| (now, EndpointLog::default()));
            // One line for the server replaces those of its endpoints.
            let failed = ended.iter().filter(|end| end.endpoint.shows_up() && end.has_failed());
            if let Some(end) = failed.min_by_key(|end| (end.is_untried(), end.endpoint))
                && let Some(News::Failed(error)) = said.news(end.outcome)
            {
                outages.is_down(server, end, error, is_new, now);
            }
            return;
        }
        if up == Some(true)
            && let Some((since, _)) = self.down.take()
        {
            outages.is_back(server, now.since(since), now);
        }
        for end in ended {
            // Nothing is kept about an endpoint that works without problems.
            if end.outcome != Outcome::Ok
                || !end.problems.is_empty()
                || self.endpoints.contains_key(&end.endpoint)
            {
                self.endpoints.entry(end.endpoint).or_default().tell(server, &end);
            }
        }
    }
}

impl Ended {
    fn has_failed(&self) -> bool {
        matches!(self.outcome, Outcome::Failed(_))
    }

    /// Whether no request was made because the server was already known to be
    /// unreachable. The reason was logged where it was found.
    fn is_untried(&self) -> bool {
        self.has_failed() && self.elapsed.is_zero() && self.status.is_none()
    }
}

impl EndpointLog {
    fn tell(&mut self, server: &str, end: &Ended) {
        let (endpoint, status, elapsed) = (end.endpoint.name(), end.status, end.elapsed);
        let (outcome, reason) = (end.outcome.name(), end.reason.as_deref().unwrap_or_default());
        macro_rules! line {
            ($level:ident, $($message:tt)+) => {
                tracing::$level!(server, endpoint, outcome, status, ?elapsed, $($message)+)
            };
        }
        let news = if end.is_untried() { None } else { self.news(end.outcome) };
        match news {
            // The `credentials` endpoint already logs an invalid token.
            Some(News::Failed(ErrorType::Unauthorized)) if end.endpoint.needs().is_some() => {
                line!(debug, "{server}: {endpoint} cannot be read ({outcome}): {reason}");
            }
            Some(News::Failed(_)) => {
                line!(warn, "{server}: {endpoint} cannot be read ({outcome}): {reason}");
            }
            Some(News::NotOffered) => {
                let again = roughly(end.wait);
                line!(info, "{server}: {endpoint} is not offered: {reason}; asking again in {again}");
            }
            Some(News::Recovered) => line!(info, "{server}: {endpoint} recovered"),
            None => {}
        }
        for problem in &end.problems {
            if self.problems.len() < MAX_PROBLEMS && !self.problems.iter().any(|p| **p == **problem) {
                tracing::warn!(server, endpoint, "{server}: {endpoint}: {problem}; the value is omitted");
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
        // Behind a load balancer reasons can alternate. Each is logged once.
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

/// Counts the servers that go down and come back, among all targets.
#[derive(Debug, Default)]
pub struct Outages {
    recent: Mutex<Recent>,
    /// Nothing is told of them: others than the user named them.
    is_quiet: bool,
}

#[derive(Debug, Default)]
struct Recent {
    window: Moment,
    lines: usize,
    down: BTreeMap<&'static str, usize>,
    back: usize,
}

impl Outages {
    /// Of servers that others than the user named: their names and their state are
    /// nothing for the log.
    pub fn quiet() -> Outages {
        Outages { is_quiet: true, ..Outages::default() }
    }

    fn is_down(&self, server: &str, end: &Ended, error: ErrorType, is_new: bool, now: Moment) {
        if !self.has_line(now, |recent| *recent.down.entry(error.name()).or_default() += usize::from(is_new))
        {
            return;
        }
        let (endpoint, outcome) = (end.endpoint.name(), error.name());
        let (status, elapsed, reason) = (end.status, end.elapsed, end.reason.as_deref().unwrap_or_default());
        let still = if is_new { "" } else { "still " };
        tracing::warn!(
            server,
            endpoint,
            outcome,
            status,
            ?elapsed,
            "{server} is {still}down: {endpoint} cannot be read ({outcome}): {reason}"
        );
    }

    fn is_back(&self, server: &str, after: Duration, now: Moment) {
        if self.has_line(now, |recent| recent.back += 1) {
            tracing::info!(server, "{server} is up again, after {}", in_words(after));
        }
    }

    /// Whether another server may get its own line. Otherwise it is counted.
    fn has_line(&self, now: Moment, count: impl FnOnce(&mut Recent)) -> bool {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if now.since(recent.window) >= WINDOW {
            (recent.window, recent.lines) = (now, 0);
        }
        recent.lines += 1;
        let has_line = recent.lines <= MAX_LINES;
        if !has_line {
            count(&mut recent);
        }
        has_line
    }

    /// Logs the counted servers, at the end of a collection.
    pub fn tell_counted(&self) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let (down, back) = (std::mem::take(&mut recent.down), std::mem::take(&mut recent.back));
        drop(recent);
        let servers: usize = down.values().sum();
        if servers > 0 {
            let by_outcome: Vec<String> = down.iter().map(|(outcome, n)| format!("{outcome} {n}")).collect();
            tracing::warn!(servers, "{servers} more servers are down: {}", by_outcome.join(", "));
        }
        if back > 0 {
            tracing::info!(servers = back, "{back} more servers are up again");
        }
    }
}

/// Formats a wait in whole hours or minutes.
fn roughly(wait: Duration) -> String {
    let (n, unit) = match wait.as_secs().div_ceil(60).max(1) {
        minutes @ ..=90 => (minutes, "minute"),
        minutes => ((minutes + 30) / 60, "hour"),
    };
    format!("{n} {unit}{}", if n == 1 { "" } else { "s" })
}

/// Formats a duration for people, to the second.
fn in_words(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

#[cfg(all(test, feature = "program"))]
mod tests;
