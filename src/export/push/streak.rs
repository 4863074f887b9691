//! Saying once that pushing fails, and once that it works again.

use std::time::SystemTime;

use crate::export::otlp::{Cause, OtlpSettings, Report};

/// What the rounds before this one were like.
#[derive(Debug, Default)]
pub(super) struct Streak {
    trouble: Option<Trouble>,
    since: Option<SystemTime>,
    rounds: u64,
    lost: u64,
}

/// Two rounds have the same trouble when nothing new is to be said about the
/// second. The receiver's words are not part of it: they may hold a time or a
/// number of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Failed(Cause),
    Rejected,
    Warned,
}

/// A line for the log.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Trouble(String),
    Over(String),
}

impl Streak {
    /// When the first of the rounds ended that have gone wrong since.
    pub fn since(&self) -> Option<SystemTime> {
        self.since
    }

    /// A round ended without anything to send: its collection went wrong.
    pub fn nothing_collected(&mut self, at: SystemTime) {
        self.since.get_or_insert(at);
    }

    /// Takes in a round; the line to log, if it changed anything.
    pub fn round(&mut self, settings: &OtlpSettings, report: &Report, at: SystemTime) -> Option<Line> {
        let Report { accepted, rejected, words, lost, failure } = report;
        let sent = accepted + rejected + lost;
        if sent == 0 {
            // Nothing was sent, so nothing was learned.
            return None;
        }
        let (endpoint, protocol) = (&settings.endpoint, settings.protocol);
        let trouble = match failure {
            Some(failure) => Some(Trouble::Failed(failure.cause)),
            None if *rejected > 0 => Some(Trouble::Rejected),
            None if !words.is_empty() => Some(Trouble::Warned),
            None => None,
        };
        let before = std::mem::replace(&mut self.trouble, trouble);
        self.since = trouble.and(self.since.or(Some(at)));
        if lost + rejected > 0 {
            self.rounds += 1;
            self.lost += lost + rejected;
        }
        if before == trouble {
            return None;
        }
        let said = if words.is_empty() { "without saying why" } else { words };
        Some(match (trouble, failure) {
            (Some(Trouble::Failed(_)), Some(failure)) => Line::Trouble(format!(
                "cannot push metrics to {endpoint} ({protocol}): {failure}. \
                 {lost} of {sent} points are lost; the next round tries again"
            )),
            (Some(Trouble::Rejected), _) => {
                Line::Trouble(format!("{endpoint} ({protocol}) rejects {rejected} of {sent} points: {said}"))
            }
            (Some(_), _) => {
                Line::Trouble(format!("{endpoint} ({protocol}) takes all points, but warns: {said}"))
            }
            // Only a warning has gone: nobody waits for that.
            (None, _) if self.rounds == 0 => return None,
            (None, _) => {
                let (rounds, lost) = (std::mem::take(&mut self.rounds), std::mem::take(&mut self.lost));
                Line::Over(format!(
                    "pushing metrics to {endpoint} ({protocol}) works again, after {rounds} failed \
                     rounds and {lost} lost points"
                ))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::otlp::{Endpoint, Failure, Protocol};

    #[test]
    fn trouble_is_said_once_each_reason_and_its_end_once() {
        let endpoint = Endpoint::new("http://u:hush@c:4318/x", Protocol::HttpProtobuf).unwrap();
        let settings = OtlpSettings::new(Protocol::HttpProtobuf, endpoint);
        let failed = |status, words: &str| Report {
            lost: 10,
            failure: Some(Failure {
                cause: Cause::Http(status),
                words: words.to_owned(),
                protocol: Protocol::HttpProtobuf,
                encrypted: false,
                attempts: 1,
                retry_after: None,
            }),
            ..Report::default()
        };
        let fine = Report { accepted: 10, ..Report::default() };
        let partial = Report { accepted: 7, rejected: 3, words: "too old".to_owned(), ..Report::default() };
        let warned = Report { accepted: 10, words: "deprecated".to_owned(), ..Report::default() };
        let nothing = Report::default();

        let mut streak = Streak::default();
        let mut line = |report: &Report| match streak.round(&settings, report, SystemTime::now()) {
            None => String::new(),
            Some(Line::Trouble(text)) => format!("warn {text}"),
            Some(Line::Over(text)) => format!("info {text}"),
        };
        assert_eq!(line(&fine), "");
        let first = line(&failed(503, "at 12:00"));
        assert!(first.starts_with(
            "warn cannot push metrics to http://***@c:4318/x (http/protobuf): HTTP status 503: at 12:00"
        ));
        assert!(first.contains("10 of 10 points are lost"), "{first}");
        assert_eq!(line(&failed(503, "at 12:01")), "", "the same in other words");
        assert!(line(&failed(404, "")).contains("404"), "another reason");
        assert_eq!(line(&nothing), "");
        assert!(line(&partial).ends_with("rejects 3 of 10 points: too old"));
        assert_eq!(line(&partial), "");
        assert!(line(&fine).contains("works again, after 5 failed rounds and 36 lost points"));
        assert_eq!(line(&fine), "");
        assert!(line(&warned).ends_with("takes all points, but warns: deprecated"));
        assert_eq!(line(&fine), "");
    }
}
