//! The bridge as its pages show it: plain data, of one moment.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::clock::Moment;
use crate::export::exposition::Format;
use crate::export::otlp::{Round, Signal};
use crate::snapshot::{BridgeFacts, Configured, ExporterName, View};

use super::{Bridge, History};

/// What the bridge knows, and how its exporters fare. Making one asks no server.
#[derive(Debug, Clone)]
pub struct Status {
    /// The present.
    pub now: Moment,
    /// The same as a Unix time in seconds.
    pub unix: f64,
    /// What is known, read as the last collection read it.
    pub view: Arc<View>,
    /// When the bridge last collected by itself, Unix seconds.
    pub by_itself: Option<f64>,
    /// The last collection of each exporter, the latest last.
    pub collected: Vec<Collected>,
    /// Whether `/metrics` answers.
    pub pull: bool,
    /// The exporter that pushes, where one does.
    pub push: Option<Push>,
    /// The last hours of the targets.
    pub history: Arc<History>,
    /// What it is configured with, where a configuration was loaded.
    pub configured: Option<Configured>,
    /// The process, where the bridge measures itself.
    pub own: Option<BridgeFacts>,
}

/// A collection that has ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Collected {
    /// Who asked for it.
    pub exporter: ExporterName,
    /// When it began.
    pub started: Moment,
    /// The same as a Unix time in seconds.
    pub unix: f64,
    /// How long it took until there was something to hand over.
    pub took: Duration,
    /// The format and the bytes of a scrape's answer, before compression.
    pub page: Option<(Format, usize)>,
}

/// How pushing fares.
#[derive(Debug, Clone, PartialEq)]
pub struct Push {
    /// Where it sends to, without what may be secret in it.
    pub endpoint: String,
    /// What it speaks.
    pub protocol: String,
    /// The latest round, where one has ended.
    pub last: Option<Round>,
    /// How long until the next begins; nothing while one is under way.
    pub next: Option<Duration>,
}

impl Bridge {
    /// What is known now, of the targets and of the exporters.
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
