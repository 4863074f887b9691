//! Logs once that pushing fails, and once that it works again.

use std::collections::HashSet;
use std::fmt;
use std::time::{Duration, SystemTime};

use crate::export::otlp::{Cause, OtlpSettings, Report};

/// What was logged since pushing last worked.
#[derive(Debug, Default)]
pub(super) struct FailureLog {
    logged: HashSet<Trouble>,
    warned: bool,
    ending: bool,
    since: Option<SystemTime>,
    rounds: u64,
    lost: u64,
}

/// Identifies a failure: two rounds with the same key need only one log line. The
/// receiver's message is not part of the key, because it can contain a time or a
/// number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Trouble {
    Late,
    Panicked,
    Failed(Cause),
    Rejected,
}

/// Why a collection returned nothing at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NotCollected {
    /// The collection did not finish within the time of its round.
    Late(Duration),
    /// The collection panicked with this message.
    Panicked(String),
}

impl fmt::Display for NotCollected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotCollected::Late(budget) => {
                write!(f, "the collection did not finish within {budget:?}")
            }
            NotCollected::Panicked(words) => write!(f, "the collection failed: {words}"),
        }
    }
}

/// A line for the log.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A bug in this program.
    Fault(String),
    Trouble(String),
    Over(String),
}

impl FailureLog {
    /// When the first of the current run of failed rounds ended.
    pub fn since(&self) -> Option<SystemTime> {
        self.since
    }

    /// Notes that the next round is the last one.
    pub fn ends(&mut self) {
        self.ending = true;
    }

    /// Records a round without points. Returns the line to log, if it is news.
    pub fn nothing_collected(
        &mut self,
        settings: &OtlpSettings,
        why: &NotCollected,
        at: SystemTime,
    ) -> Option<Line> {
        self.rounds += 1;
        self.since.get_or_insert(at);
        let trouble = match why {
            NotCollected::Late(_) => Trouble::Late,
            NotCollected::Panicked(_) => Trouble::Panicked,
        };
        if !self.logged.insert(trouble) {
            return None;
        }
        let (endpoint, protocol) = (&settings.endpoint, settings.protocol);
        let what = format!("cannot push metrics to {endpoint} ({protocol}): {why}, and its points are lost");
        Some(match why {
            NotCollected::Panicked(_) => Line::Fault(format!("{what}; please report this")),
            NotCollected::Late(_) if self.ending => Line::Trouble(format!("{what}; the bridge is stopping")),
            NotCollected::Late(_) => {
                let way_out = settings.named("OTEL_METRIC_EXPORT_TIMEOUT allows a round more time");
                Line::Trouble(format!("{what}; {way_out}"))
            }
        })
    }

    /// Records a round. Returns the lines to log, if there is news.
    pub fn round(&mut self, settings: &OtlpSettings, report: &Report, at: SystemTime) -> Vec<Line> {
        let Report { accepted, rejected, words, lost, waiting, failure } = report;
        let sent = accepted + rejected + lost;
        let mut lines = Vec::new();
        if sent == 0 && failure.is_none() {
            // Nothing was sent, so the state of the receiver is still unknown.
            return lines;
        }
        let (endpoint, protocol) = (&settings.endpoint, settings.protocol);
        if lost + rejected > 0 || failure.is_some() {
            self.since.get_or_insert(at);
            self.rounds += 1;
            self.lost += lost + rejected;
        } else if self.rounds > 0 {
            let (rounds, lost) = (self.rounds, self.lost);
            *self = FailureLog { warned: self.warned, ending: self.ending, ..FailureLog::default() };
            // Points of a failed collection are not counted.
            let points = if lost > 0 { format!(" and {lost} lost points") } else { String::new() };
            let rest =
                if *waiting > 0 { format!("; {waiting} points are still waiting") } else { String::new() };
            lines.push(Line::Over(format!(
                "pushing metrics to {endpoint} ({protocol}) works again, after {rounds} failed \
                 rounds{points}{rest}"
            )));
        }
        if let Some(failure) = failure
            && self.logged.insert(Trouble::Failed(failure.cause))
        {
            let next = match failure.held {
                Some(held) => {
                    let is_cut =
                        failure.retry_after.is_some_and(|asked| asked > held + Duration::from_secs(1));
                    let why = if is_cut { "the longest accepted pause" } else { "as the receiver asked" };
                    format!("; nothing is sent for the next {} s, {why}", held.as_secs_f64().ceil())
                }
                None if self.ending => String::new(),
                None => "; the next round tries again".to_owned(),
            };
            let points = match (lost, waiting) {
                (lost, 0) => format!("{lost} of {sent} points are lost"),
                (0, waiting) => format!("{waiting} points wait"),
                (lost, waiting) => format!("{lost} points are lost, {waiting} wait"),
            };
            lines.push(Line::Trouble(format!(
                "cannot push metrics to {endpoint} ({protocol}): {failure}. {points}{next}"
            )));
        }
        let reason = if words.is_empty() { "the receiver gave no reason" } else { words };
        if *rejected > 0 && self.logged.insert(Trouble::Rejected) {
            lines.push(Line::Trouble(format!(
                "{endpoint} ({protocol}) rejects {rejected} of {sent} points: {reason}"
            )));
        }
        let warns = *rejected == 0 && !words.is_empty();
        if warns && !std::mem::replace(&mut self.warned, true) {
            lines.push(Line::Trouble(format!("{endpoint} ({protocol}) accepts points, but warns: {words}")));
        } else if lost + rejected == 0 && words.is_empty() {
            // The receiver stopped sending a warning, which needs no line.
            self.warned = false;
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::otlp::{Endpoint, Failure, Protocol};

    fn settings() -> OtlpSettings {
        let endpoint = Endpoint::new("http://u:hush@c:4318/x", Protocol::HttpProtobuf).unwrap();
        OtlpSettings::new(Protocol::HttpProtobuf, endpoint)
    }

    fn failed(status: u16, words: &str) -> Report {
        let failure = Failure::new(Protocol::HttpProtobuf, Cause::Http(status), words);
        Report { lost: 10, failure: Some(failure), ..Report::default() }
    }

    fn partial() -> Report {
        Report { accepted: 7, rejected: 3, words: "too old".to_owned(), ..Report::default() }
    }

    fn fine() -> Report {
        Report { accepted: 10, ..Report::default() }
    }

    fn text(lines: impl IntoIterator<Item = Line>) -> String {
        let text = |line| match line {
            Line::Fault(text) => format!("error {text}"),
            Line::Trouble(text) => format!("warn {text}"),
            Line::Over(text) => format!("info {text}"),
        };
        lines.into_iter().map(text).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn trouble_is_said_once_each_reason_and_its_end_once() {
        let mut streak = FailureLog::default();
        let settings = settings();
        let mut line = |report: &Report| text(streak.round(&settings, report, SystemTime::UNIX_EPOCH));
        assert_eq!(line(&fine()), "");
        let first = line(&failed(503, "at 12:00"));
        assert!(first.starts_with(
            "warn cannot push metrics to http://***@c:4318/x (http/protobuf): HTTP status 503: at 12:00"
        ));
        assert!(first.ends_with("10 of 10 points are lost; the next round tries again"), "{first}");
        assert_eq!(line(&failed(503, "at 12:01")), "", "the same in other words");
        assert!(line(&failed(404, "")).contains("404"), "another reason");
        for _ in 0..3 {
            assert_eq!(line(&failed(503, "")), "", "reasons that take turns");
            assert_eq!(line(&failed(404, "")), "");
        }
        assert_eq!(line(&Report::default()), "");
        assert!(line(&partial()).ends_with("rejects 3 of 10 points: too old"));
        assert_eq!(line(&partial()), "");
        let over = line(&fine());
        assert!(over.ends_with("works again, after 11 failed rounds and 96 lost points"), "{over}");
        assert_eq!(line(&fine()), "");
        assert!(line(&failed(503, "")).contains("503"), "after its end it is news");
    }

    #[test]
    fn a_failure_and_a_partial_success_in_one_round_are_both_said() {
        let mut both = failed(503, "busy");
        both.merge(partial());
        let said = text(FailureLog::default().round(&settings(), &both, SystemTime::UNIX_EPOCH));
        assert!(said.contains("503: busy") && said.contains("10 of 20 points are lost"), "{said}");
        assert!(said.ends_with("rejects 3 of 20 points: too old"), "{said}");
    }

    #[test]
    fn a_warning_is_no_failure_and_hides_no_end() {
        let warned = Report { accepted: 10, words: "deprecated".to_owned(), ..Report::default() };
        let mut streak = FailureLog::default();
        let settings = settings();
        let mut line = |report: &Report| text(streak.round(&settings, report, SystemTime::UNIX_EPOCH));
        assert!(line(&warned).ends_with("accepts points, but warns: deprecated"));
        assert_eq!(line(&warned), "");
        assert!(line(&failed(503, "")).contains("503"));
        let over = line(&warned);
        assert!(over.ends_with("works again, after 1 failed rounds and 10 lost points"), "{over}");
        assert_eq!(line(&fine()), "");
        assert!(line(&warned).ends_with("deprecated"));
    }

    #[test]
    fn a_collection_that_fails_is_said_once_and_its_end_once() {
        let mut streak = FailureLog::default();
        let settings = settings();
        let late = NotCollected::Late(Duration::from_millis(15));
        let said = text(streak.nothing_collected(&settings, &late, SystemTime::UNIX_EPOCH));
        assert!(
            said.starts_with(
                "warn cannot push metrics to http://***@c:4318/x (http/protobuf): the collection"
            ),
            "{said}"
        );
        assert!(said.contains("finish within 15ms") && said.contains("OTEL_METRIC_EXPORT_TIMEOUT"), "{said}");
        assert_eq!(streak.nothing_collected(&settings, &late, SystemTime::UNIX_EPOCH), None);
        let said = text(streak.nothing_collected(
            &settings,
            &NotCollected::Panicked("of 7".to_owned()),
            SystemTime::UNIX_EPOCH,
        ));
        assert!(said.starts_with("error ") && said.contains("failed: of 7"), "{said}");
        assert_eq!(streak.nothing_collected(&settings, &late, SystemTime::UNIX_EPOCH), None);
        let over = text(streak.round(&settings, &fine(), SystemTime::UNIX_EPOCH));
        assert!(over.ends_with("works again, after 4 failed rounds"), "{over}");
        assert_eq!(streak.since(), None);
    }

    #[test]
    fn points_that_wait_are_not_said_to_be_lost() {
        let waits = |waiting| Report { waiting, lost: 0, ..failed(503, "") };
        let mut streak = FailureLog::default();
        let settings = settings();
        let mut line = |report: &Report| text(streak.round(&settings, report, SystemTime::UNIX_EPOCH));
        let first = line(&waits(10));
        assert!(first.ends_with(". 10 points wait; the next round tries again"), "{first}");
        assert_eq!(line(&waits(20)), "");
        let over = line(&Report { waiting: 5, ..fine() });
        assert!(over.ends_with("works again, after 2 failed rounds; 5 points are still waiting"), "{over}");
        assert_eq!(line(&fine()), "");
        let both = line(&Report { lost: 3, ..waits(20) });
        assert!(both.ends_with(". 3 points are lost, 20 wait; the next round tries again"), "{both}");
        let over = line(&fine());
        assert!(over.ends_with("works again, after 1 failed rounds and 3 lost points"), "{over}");
    }

    #[test]
    fn what_comes_next_is_true() {
        let mut asked = failed(429, "");
        asked.failure.as_mut().unwrap().held = Some(Duration::from_millis(599_990));
        let said = text(FailureLog::default().round(&settings(), &asked, SystemTime::UNIX_EPOCH));
        assert!(
            said.ends_with("are lost; nothing is sent for the next 600 s, as the receiver asked"),
            "{said}"
        );
        asked.failure.as_mut().unwrap().retry_after = Some(Duration::from_secs(3600));
        let said = text(FailureLog::default().round(&settings(), &asked, SystemTime::UNIX_EPOCH));
        assert!(said.contains("the receiver asks for a pause of 3600s"), "{said}");
        assert!(said.ends_with("the next 600 s, the longest accepted pause"), "{said}");
        let mut streak = FailureLog::default();
        streak.ends();
        let said = text(streak.round(&settings(), &failed(503, ""), SystemTime::UNIX_EPOCH));
        assert!(said.ends_with("10 of 10 points are lost"), "{said}");
    }
}
