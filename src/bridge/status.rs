//! The state of the bridge for its pages: plain data, at one moment.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::clock::Moment;
use crate::export::exposition::Format;
use crate::export::otlp::{Round, Signal};
use crate::snapshot::{BridgeFacts, Configured, ExporterName, View};

use super::{Bridge, History};

/// What the bridge knows, and the state of its exporters. Creating it asks no server.
#[derive(Debug, Clone)]
pub struct Status {
    /// The present.
    pub now: Moment,
    /// The present in Unix seconds.
    pub unix: f64,
    /// What is known, as the last collection saw it.
    pub view: Arc<View>,
    /// When the bridge last collected without an exporter, in Unix seconds.
    pub by_itself: Option<f64>,
    /// The last collection of each exporter, the latest at the end.
    pub collected: Vec<Collected>,
    /// Whether `/metrics` answers.
    pub pull: bool,
    /// The exporter that pushes, if there is one.
    pub push: Option<Push>,
    /// The last hours of the targets.
    pub history: Arc<History>,
    /// What the bridge reports about its configuration, if one was loaded.
    pub configured: Option<Configured>,
    /// The metrics about the process, if the bridge measures itself.
    pub own: Option<BridgeFacts>,
}

/// A finished collection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Collected {
    /// The exporter that asked for it.
    pub exporter: ExporterName,
    /// When it began.
    pub started: Moment,
    /// The start in Unix seconds.
    pub unix: f64,
    /// The time until the result was ready.
    pub took: Duration,
    /// The format of a scrape's answer, and its size in bytes before compression.
    pub page: Option<(Format, usize)>,
}

/// The state of push.
#[derive(Debug, Clone, PartialEq)]
pub struct Push {
    /// The receiver, without secrets.
    pub endpoint: String,
    /// The protocol.
    pub protocol: String,
    /// The latest finished round.
    pub last: Option<Round>,
    /// The time until the next round; `None` while one is running.
    pub next: Option<Duration>,
}

impl Bridge {
    /// Returns the current state of targets and exporters.
    #[must_use]
    pub fn status(&self) -> Status {
        let clock = self.refresher.clock();
        let (now, unix) = (clock.now(), clock.unix());
        let mut collected = self.collected.lock().unwrap_or_else(PoisonError::into_inner).clone();
        collected.sort_by_key(|collected| collected.started);
        let by_itself = *self.by_itself.lock().unwrap_or_else(PoisonError::into_inner);
        let (started, seen) = collected.last().map_or((now, unix), |last| (last.started, last.unix));
        let (started, seen) =
            by_itself.filter(|(at, _)| *at > started || collected.is_empty()).unwrap_or((started, seen));
        let pushing = self.own.as_ref().and_then(|own| own.pushing(Signal::Metrics));
        let own = self.own.as_ref().map(|own| own.facts());
        Status {
            now,
            unix,
            view: self.refresher.known_since(started, seen),
            by_itself: by_itself.map(|(_, unix)| unix),
            collected,
            history: self.history.clone(),
            pull: self.pull.is_some(),
            push: pushing.map(|pushing| {
                let rounds = pushing.stats.rounds();
                let left = rounds.next.map(|at| at.saturating_duration_since(tokio::time::Instant::now()));
                Push {
                    endpoint: pushing.endpoint.to_string(),
                    protocol: pushing.protocol.to_string(),
                    last: rounds.last,
                    next: left.filter(|left| !left.is_zero()),
                }
            }),
            configured: own.as_ref().and_then(|own| own.configured.clone()),
            own,
        }
    }
}
