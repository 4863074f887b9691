//! The bridge: targets, refreshing, and the exporters that read what is known.

mod ahead;
mod history;
mod scrapes;
mod status;
mod watchdog;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use tokio::sync::SetOnce;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::clock::{Clock, Moment};
use crate::config::Config;
use crate::export::batches::Batches;
use crate::export::exposition::{Format, Representation};
use crate::export::page::Page;
use crate::export::prometheus::{OwnFamilies, Pull, PullError, PullSettings};
use crate::export::self_metrics::{Reader, SelfMetrics};
use crate::fetch::{Client, ClientError};
use crate::log_once::LogOnce;
use crate::refresh::{Refresher, Replaced};
use crate::snapshot::{Configured, ExporterName, View};
use crate::target::Target;

pub use history::{History, Series};
pub use scrapes::{MAX_COLLECTION, ScrapeError};
pub use status::{Collected, Push, Status};

use scrapes::Scrapes;
use watchdog::Watchdog;

/// Serves one configuration. It needs a Tokio runtime.
#[derive(Debug)]
pub struct Bridge {
    refresher: Refresher,
    pull: Option<Pull>,
    push: Option<Batches>,
    own: Option<Arc<SelfMetrics>>,
    deadline: Duration,
    ending: CancellationToken,
    /// When the bridge last collected without an exporter, as a moment and in Unix
    /// seconds.
    by_itself: Mutex<Option<(Moment, f64)>>,
    /// Set when a collection has ended.
    has_collected: SetOnce<()>,
    scrapes: Scrapes,
    history: Arc<History>,
    /// The last collection of each exporter.
    collected: Mutex<Vec<Collected>>,
    watchdog: Arc<Watchdog>,
    unanswered: LogOnce,
    panics: LogOnce,
}

/// The exporters of a bridge.
#[derive(Debug, Clone, Copy, Default)]
pub struct Exporters {
    /// `/metrics`, or the exposition formats of `once`.
    pub pull: bool,
    /// OTLP, with the temporality that its receiver prefers.
    pub push: Option<Temporality>,
}

/// Why the bridge cannot be created.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// The HTTP client cannot be created.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The Prometheus exporter cannot be created.
    #[error(transparent)]
    Pull(#[from] PullError),
}

impl Bridge {
    /// Creates the bridge, without asking any server.
    ///
    /// # Errors
    ///
    /// When the HTTP client or an exporter cannot be created.
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
        let targets = refresher.targets();
        let pull =
            if exporters.pull { Some(Pull::new(resource, &targets, pull_settings(config))?) } else { None };
        let push = exporters.push.map(|temporality| Batches::new(temporality, resource, &targets));
        let ending = CancellationToken::new();
        Ok(Bridge {
            refresher,
            pull,
            push,
            own: None,
            deadline: config.deadline,
            ending,
            by_itself: Mutex::default(),
            has_collected: SetOnce::new(),
            scrapes: Scrapes::default(),
            history: Arc::new(History::new(config.history_max_targets)),
            collected: Mutex::default(),
            watchdog: Arc::default(),
            unanswered: LogOnce::default(),
            panics: LogOnce::default(),
        })
    }

    /// Adds the bridge's metrics about itself to those of its targets.
    #[must_use]
    pub fn with_own(mut self, own: Arc<SelfMetrics>) -> Bridge {
        let listener = own.clone();
        self.refresher.listen(move |endpoint, outcome, took| listener.requested(endpoint, outcome, took));
        self.own = Some(own);
        self
    }

    /// Replaces the targets, after a reload or after a change of a list. A running
    /// collection finishes with the targets that it started with.
    pub fn replace(&self, targets: Vec<Target>, is_reload: bool) -> Replaced {
        if let Some(own) = &self.own {
            own.has_targets(targets.len());
        }
        if is_reload { self.refresher.replace(targets) } else { self.refresher.relist(targets) }
    }

    /// Adds metrics about the configuration.
    pub fn configured(&self, with: Configured) {
        if let Some(own) = &self.own {
            own.configured(with);
        }
        if let Some(pull) = &self.pull {
            pull.own_has_changed();
        }
    }

    /// The maximum duration of a collection if no shorter time is set.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Stops waiting for servers: all collections, including running ones, use what is
    /// known.
    pub fn end(&self) {
        self.ending.cancel();
    }

    /// Returns what is known when all stale endpoints have been requested, at the
    /// deadline, or when the bridge stops.
    async fn refreshed(&self, within: Duration, exporter: &'static str) -> Arc<View> {
        let _watched = self.watchdog.watch(within);
        let refreshing = self.refresher.refresh(within);
        let span = tracing::debug_span!("collection", "fedimeter.exporter.name" = exporter);
        tokio::select! {
            biased;
            () = self.ending.cancelled() => self.refresher.known(),
            view = refreshing.instrument(span) => view,
        }
    }

    /// The state of the targets.
    #[must_use]
    pub fn refresher(&self) -> &Refresher {
        &self.refresher
    }

    /// Returns a page for `/metrics`, which simultaneous scrapes share. The page is
    /// ready within `within`, plus the time to write it.
    ///
    /// # Errors
    ///
    /// When there is nothing to answer with. An empty page is never returned.
    pub async fn scrape(
        self: &Arc<Self>,
        within: Duration,
        shown: impl Into<Representation>,
    ) -> Result<Arc<Page>, ScrapeError> {
        let deadline = tokio::time::Instant::now() + within.min(MAX_COLLECTION);
        let shown = shown.into();
        let shown = self.pull.as_ref().map_or(shown, |pull| pull.simplest(shown));
        if let Some(page) = self.kept_page(shown) {
            return Ok(page);
        }
        if let Some(page) = self.page_at_once(shown) {
            return page;
        }
        self.scrapes.page(self, deadline, shown).await
    }

    /// The last page, where a collection would find nothing else than it did: for a second
    /// at most, in which nothing changes and no lifetime ends.
    fn kept_page(&self, shown: Representation) -> Option<Arc<Page>> {
        let began = Instant::now();
        let clock = self.refresher.clock();
        let now = (clock.now(), clock.unix());
        let is_same = |changes| self.refresher.knows_no_more_than(changes);
        let page = self.pull.as_ref()?.kept(shown, now, is_same)?;
        let took = began.elapsed();
        let page_is = Some((shown.format, page.len()));
        self.note(Collected {
            exporter: ExporterName::Prometheus,
            started: now.0,
            unix: now.1,
            took,
            page: page_is,
        });
        Some(page)
    }

    /// Notes how a scrape ended.
    fn scraped(&self, page: &Result<Arc<Page>, ScrapeError>, view: &View, began: Instant, format: Format) {
        match page {
            Err(e) if self.unanswered.begins() => tracing::error!("scrapes cannot be answered: {e}"),
            Ok(_) if self.unanswered.ends() => tracing::info!("scrapes are answered again"),
            _ => {}
        }
        if let Ok(page) = page {
            self.collected(ExporterName::Prometheus, view, began, Some((format, page.len())));
        }
    }

    /// Collects once without an exporter, so that the pages have something to show and
    /// the next collection need not wait.
    pub async fn collect_by_itself(&self) {
        let view = self.refreshed(self.deadline, "none").await;
        self.history.record(&view);
        let mut last = self.by_itself.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some((view.started, view.unix));
        let _ = self.has_collected.set(());
    }

    /// Whether a running collection is long past its deadline.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.watchdog.is_stuck(Instant::now())
    }

    /// Whether the bridge has collected once and is not stopping.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.is_ending() && self.has_collected.get().is_some()
    }

    /// Waits until the bridge has collected once.
    pub async fn has_collected(&self) {
        self.has_collected.wait().await;
    }

    /// Whether the bridge is stopping.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.ending.is_cancelled()
    }

    /// Ends when the bridge does.
    pub async fn ended(&self) {
        self.ending.cancelled().await;
    }

    /// Collects once for the console.
    pub async fn collect_for_console(&self) -> Arc<View> {
        let began = Instant::now();
        let view = self.refreshed(self.deadline, ExporterName::Console.name()).await;
        self.collected(ExporterName::Console, &view, began, None);
        view
    }

    fn collected(&self, exporter: ExporterName, view: &View, began: Instant, page: Option<(Format, usize)>) {
        let took = began.elapsed();
        if tracing::enabled!(tracing::Level::DEBUG) {
            let count = |up| view.readings().filter(|reading| reading.up() == Some(up)).count();
            tracing::debug!(
                exporter = exporter.name(),
                targets = view.targets.len(),
                up = count(true),
                down = count(false),
                elapsed = ?took,
                bytes = page.map(|(_, bytes)| bytes),
                "collected"
            );
        }
        self.history.record(view);
        let (started, unix) = (view.started, view.unix);
        self.note(Collected { exporter, started, unix, took, page });
        let _ = self.has_collected.set(());
    }

    fn note(&self, last: Collected) {
        if let Some(own) = &self.own {
            own.collected(last.exporter, last.took);
        }
        let mut all = self.collected.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|collected| collected.exporter != last.exporter);
        all.push(last);
    }

    /// Writes a view in an exposition format.
    ///
    /// # Errors
    ///
    /// When there is nothing to show.
    pub async fn expose(self: &Arc<Self>, view: Arc<View>, format: Format) -> Result<Arc<Page>, ScrapeError> {
        let bridge = self.clone();
        let render = move || bridge.render(&view, format.into(), &|| true);
        tokio::task::spawn_blocking(render).await.map_err(|_| ScrapeError::Panicked)?
    }

    /// Writes a page, until it is no longer wanted. Blocks, for long if it is a large one: do
    /// not call it on an async thread then.
    fn render(
        &self,
        view: &Arc<View>,
        shown: Representation,
        is_wanted: &dyn Fn() -> bool,
    ) -> Result<Arc<Page>, ScrapeError> {
        let pull = self.pull.as_ref().ok_or(ScrapeError::Off)?;
        let own = || {
            let own = self.own.as_ref().map(|own| {
                let since = self.refresher.clock().unix() - own.age().as_secs_f64();
                OwnFamilies { families: own.gather(), since }
            });
            own.unwrap_or_default()
        };
        let began = Instant::now();
        let page = pull.scrape(view, &own, shown, is_wanted);
        let failed = match &page {
            // The instruments were not read to the end.
            Err(PullError::Unwanted) => return Err(PullError::Unwanted.into()),
            page => page.as_ref().err().map(|_| "_OTHER"),
        };
        self.read_out(Reader::Pull, began, failed);
        Ok(page?)
    }

    /// Records how long it took to read the instruments.
    fn read_out(&self, reader: Reader, began: Instant, error_type: Option<&'static str>) {
        if let Some(own) = &self.own {
            own.read_out(reader, began.elapsed(), error_type);
        }
    }

    /// Collects once for push. Each part becomes one request; the last part is the
    /// bridge itself.
    pub async fn collect(self: &Arc<Self>, within: Duration) -> Vec<ResourceMetrics> {
        let began = Instant::now();
        let view = self.refreshed(within, ExporterName::Otlp.name()).await;
        let (bridge, seen) = (self.clone(), view.clone());
        let watched = self.watchdog.watch(self.deadline);
        let collect = move || {
            let _watched = watched;
            let began = Instant::now();
            let mut parts = bridge.push.as_ref().map(|push| push.collect(&seen)).unwrap_or_default();
            bridge.read_out(Reader::Push, began, None);
            parts.extend(bridge.own.as_ref().and_then(|own| own.collect()));
            parts
        };
        let reading = Instant::now();
        let parts = tokio::task::spawn_blocking(collect).await;
        if parts.is_err() {
            self.read_out(Reader::Push, reading, Some("panic"));
        }
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

/// How pages are made under a configuration.
#[must_use]
pub fn pull_settings(config: &Config) -> PullSettings {
    PullSettings {
        scope_labels: config.scope_labels,
        target_info: config.target_info,
        created: config.created,
        strategy: config.translation_strategy,
        compat: config.compat,
    }
}
