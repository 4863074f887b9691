//! The bridge: targets, refreshing, and the exporters that read what is known.

mod status;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::Config;
use crate::export::exposition::Format;
use crate::export::own::Own;
use crate::export::pipeline::Divided;
use crate::export::prometheus::{Pull, PullError};
use crate::fetch::{Client, ClientError};
use crate::logging::Spell;
use crate::refresh::Refresher;
use crate::snapshot::{ExporterName, View};
use crate::target::Target;

pub use status::{Collected, Push, Status};

/// Everything that serves one configuration. Lives on a Tokio runtime.
#[derive(Debug)]
pub struct Bridge {
    refresher: Refresher,
    pull: Option<Pull>,
    push: Option<Divided>,
    own: Option<Arc<Own>>,
    deadline: Duration,
    ending: CancellationToken,
    /// The last collection of each exporter.
    collected: Mutex<Vec<Collected>>,
    unanswered: Spell,
    panics: Spell,
}

/// Which exporters a bridge has.
#[derive(Debug, Clone, Copy, Default)]
pub struct Exporters {
    /// `/metrics`, or the exposition formats of `once`.
    pub pull: bool,
    /// OTLP, with the temporality that its receiver prefers.
    pub push: Option<Temporality>,
}

/// The bridge cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// The HTTP client.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The Prometheus exporter.
    #[error(transparent)]
    Pull(#[from] PullError),
}

impl Bridge {
    /// Sets everything up; asks nothing yet.
    ///
    /// # Errors
    ///
    /// When the HTTP client or an exporter cannot be set up.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    pub fn new(
        config: &Config,
        resource: &Resource,
        exporters: Exporters,
        clock: Clock,
    ) -> Result<Bridge, BridgeError> {
        let client = Client::new(config.http.clone())?;
        let refresher = Refresher::new(config.targets.clone(), client, clock);
        let targets: Vec<Arc<Target>> = refresher.targets().cloned().collect();
        let pull = if exporters.pull {
            Some(Pull::new(resource, &targets, config.scope_labels, config.compat)?)
        } else {
            None
        };
        let push = exporters.push.map(|temporality| Divided::new(temporality, resource, &targets));
        let ending = CancellationToken::new();
        Ok(Bridge {
            refresher,
            pull,
            push,
            own: None,
            deadline: config.deadline,
            ending,
            collected: Mutex::default(),
            unanswered: Spell::default(),
            panics: Spell::default(),
        })
    }

    /// Reports the bridge itself beside its targets, from now on.
    #[must_use]
    pub fn with_own(mut self, own: Arc<Own>) -> Bridge {
        let listener = own.clone();
        self.refresher.listen(move |endpoint, outcome, took| listener.requested(endpoint, outcome, took));
        self.own = Some(own);
        self
    }

    /// How long a collection may take when nobody sets a shorter time.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// From now on collections take what is known and wait for no server, those
    /// under way included.
    pub fn end(&self) {
        self.ending.cancel();
    }

    /// What is known when all that was stale has been asked for, at the
    /// deadline, or when the bridge ends.
    async fn refreshed(&self, within: Duration) -> Arc<View> {
        tokio::select! {
            biased;
            () = self.ending.cancelled() => self.refresher.known(),
            view = self.refresher.refresh(within) => view,
        }
    }

    /// What is kept of the targets.
    #[must_use]
    pub fn refresher(&self) -> &Refresher {
        &self.refresher
    }

    /// One collection for `/metrics`.
    ///
    /// # Errors
    ///
    /// When there is nothing to answer with: no empty page is ever a scrape.
    pub async fn scrape(self: &Arc<Self>, within: Duration, format: Format) -> Result<Vec<u8>, ScrapeError> {
        let began = Instant::now();
        let view = self.refreshed(within).await;
        let body = self.expose(view.clone(), format).await;
        match &body {
            Err(e) if self.unanswered.begins() => tracing::error!("scrapes cannot be answered: {e}"),
            Ok(_) if self.unanswered.ends() => tracing::info!("scrapes are answered again"),
            _ => {}
        }
        let body = body?;
        self.collected(ExporterName::Prometheus, &view, began, Some((format, body.len())));
        Ok(body)
    }

    /// One collection for the console.
    pub async fn look(&self) -> Arc<View> {
        let began = Instant::now();
        let view = self.refreshed(self.deadline).await;
        self.collected(ExporterName::Console, &view, began, None);
        view
    }

    fn collected(&self, exporter: ExporterName, view: &View, began: Instant, page: Option<(Format, usize)>) {
        let took = began.elapsed();
        let (started, unix) = (view.started, view.unix);
        let last = Collected { exporter, started, unix, took, page };
        let mut all = self.collected.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|collected| collected.exporter != exporter);
        all.push(last);
        drop(all);
        if let Some(own) = &self.own {
            own.collected(exporter, took);
        }
    }

    /// A view in an exposition format.
    pub async fn expose(self: &Arc<Self>, view: Arc<View>, format: Format) -> Result<Vec<u8>, ScrapeError> {
        let bridge = self.clone();
        let encode = move || match &bridge.pull {
            Some(pull) => {
                let own = bridge.own.as_ref().map(|own| own.gather()).unwrap_or_default();
                pull.scrape(&view, own, format).map_err(ScrapeError::Pull)
            }
            None => Err(ScrapeError::Off),
        };
        tokio::task::spawn_blocking(encode).await.map_err(|_| ScrapeError::Panicked)?
    }

    /// One collection for push, a part a request; the last is the bridge itself.
    pub async fn collect(self: &Arc<Self>, within: Duration) -> Vec<ResourceMetrics> {
        let began = Instant::now();
        let view = self.refreshed(within).await;
        let (bridge, seen) = (self.clone(), view.clone());
        let collect = move || {
            let mut parts = bridge.push.as_ref().map(|push| push.collect(&seen)).unwrap_or_default();
            parts.extend(bridge.own.as_ref().and_then(|own| own.collect()));
            parts
        };
        let parts = tokio::task::spawn_blocking(collect).await;
        match &parts {
            Err(_) if self.panics.begins() => {
                tracing::error!("collections panic and lose their points; please report this");
            }
            Ok(_) if self.panics.ends() => tracing::info!("collections no longer panic"),
            _ => {}
        }
        let parts = parts.unwrap_or_default();
        self.collected(ExporterName::Otlp, &view, began, None);
        parts
    }
}

/// A scrape that brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum ScrapeError {
    /// Pull is off.
    #[error("the Prometheus exporter is off: OTEL_METRICS_EXPORTER does not name prometheus")]
    Off,
    /// The collection panicked.
    #[error("the collection panicked; please report this")]
    Panicked,
    /// The exporter failed.
    #[error(transparent)]
    Pull(#[from] PullError),
}
