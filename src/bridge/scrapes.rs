//! Simultaneous scrapes share one collection, and one page for each format.
//!
//! A scrape joins the running round or begins one. The round continues as long as a
//! scrape waits for it. Each scrape waits until its own deadline. Then it gets a page
//! of what is known, which it shares with the other scrapes whose time is over.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::task::AbortOnDropHandle;

use crate::clock::Moment;
use crate::export::exposition::{Escaping, Representation};
use crate::export::page::Page;
use crate::export::prometheus::PullError;
use crate::snapshot::{ExporterName, View};

use super::Bridge;

/// The maximum duration of a collection for `/metrics`, even if its clients would wait
/// longer.
pub const MAX_COLLECTION: Duration = Duration::from_secs(120);

/// Why a scrape returned nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ScrapeError {
    /// Pull is switched off.
    #[error("the Prometheus exporter is off: OTEL_METRICS_EXPORTER does not name prometheus")]
    Off,
    /// The collection panicked.
    #[error("the collection panicked; please report this")]
    Panicked,
    /// The exporter failed.
    #[error(transparent)]
    Pull(#[from] PullError),
}

/// Whether the collection was complete, the format without its version, and the
/// escaping scheme of the names.
type PageKey = (bool, bool, Escaping);

type Rendered = Result<Arc<Page>, ScrapeError>;

/// The round under way, if any.
#[derive(Debug)]
pub struct Scrapes {
    round: Mutex<Weak<Round>>,
    /// Limits the work to one page at a time: the memory of overlapping pages would add
    /// up, and unwanted pages end soon.
    turns: Arc<Semaphore>,
}

impl Default for Scrapes {
    fn default() -> Scrapes {
        Scrapes { round: Mutex::default(), turns: Arc::new(Semaphore::new(1)) }
    }
}

/// A collection and its pages. It lives while scrapes wait for it.
#[derive(Debug)]
struct Round {
    began: Instant,
    started: Moment,
    unix: f64,
    view: watch::Receiver<Option<Arc<View>>>,
    pages: Mutex<HashMap<PageKey, Weak<Rendering>>>,
    /// Whether a complete page exists. Later scrapes start a new round.
    is_over: AtomicBool,
    _collecting: AbortOnDropHandle<()>,
}

/// A page that is being written. It lives while scrapes wait for it.
#[derive(Debug)]
struct Rendering(watch::Receiver<Option<Rendered>>);

impl Scrapes {
    /// Returns a page at `deadline`, or soon after it.
    pub async fn page(
        &self,
        bridge: &Arc<Bridge>,
        deadline: tokio::time::Instant,
        shown: Representation,
    ) -> Rendered {
        let round = self.join(bridge);
        let mut collected = round.view.clone();
        let view = tokio::select! {
            biased;
            // The sender disappears without a view only if the collection panicked.
            view = collected.wait_for(Option::is_some) => view.ok().and_then(|view| view.clone()),
            () = tokio::time::sleep_until(deadline) => None,
        };
        let rendering = round.rendering(bridge, view, shown);
        let mut rendered = rendering.0.clone();
        let rendered = rendered.wait_for(Option::is_some).await;
        rendered.ok().and_then(|rendered| rendered.clone()).unwrap_or(Err(ScrapeError::Panicked))
    }

    /// Waits until no page is being written. None is written while the turn is held.
    pub async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        self.turns.clone().acquire_owned().await.ok()
    }

    /// The same, if none is being written now.
    fn turn_now(&self) -> Option<OwnedSemaphorePermit> {
        self.turns.clone().try_acquire_owned().ok()
    }

    fn join(&self, bridge: &Arc<Bridge>) -> Arc<Round> {
        let mut current = self.round.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(round) = current.upgrade().filter(|round| round.may_be_joined(bridge.deadline)) {
            return round;
        }
        let round = Arc::new(Round::begin(bridge));
        *current = Arc::downgrade(&round);
        round
    }
}

impl Bridge {
    /// Writes a page without handing it to another thread, if nothing has to be asked for
    /// it, it was brief the last time, and it is of a few targets. That takes less than a
    /// millisecond, and blocks on nothing: nobody else writes a page meanwhile.
    pub(super) fn page_at_once(&self, shown: Representation) -> Option<Rendered> {
        self.pull.as_ref().filter(|pull| pull.is_brief(shown))?;
        let _turn = self.scrapes.turn_now()?;
        let began = Instant::now();
        let name = ExporterName::Prometheus.name();
        let view = {
            let _entered = tracing::debug_span!("collection", "fedimeter.exporter.name" = name).entered();
            self.refresher.fresh()?
        };
        let _watched = self.watchdog.watch(self.deadline);
        let render = || self.render(&view, shown, &|| true);
        // A panic would close the connection without an answer.
        let page = catch_unwind(AssertUnwindSafe(render)).unwrap_or(Err(ScrapeError::Panicked));
        self.scraped(&page, &view, began, shown.format);
        Some(page)
    }
}

impl Round {
    fn begin(bridge: &Arc<Bridge>) -> Round {
        let clock = bridge.refresher.clock();
        let (started, unix) = (clock.now(), clock.unix());
        let (found, view) = watch::channel(None);
        let collecting = bridge.clone();
        let collecting = tokio::spawn(async move {
            let view = collecting.refreshed(MAX_COLLECTION, ExporterName::Prometheus.name()).await;
            found.send_replace(Some(view));
        });
        Round {
            began: Instant::now(),
            started,
            unix,
            view,
            pages: Mutex::default(),
            is_over: AtomicBool::new(false),
            _collecting: AbortOnDropHandle::new(collecting),
        }
    }

    /// Whether a scrape may join this round. A target that hangs can make a collection
    /// long, and endpoints that become due meanwhile must still be requested.
    fn may_be_joined(&self, within: Duration) -> bool {
        !self.is_over.load(Ordering::Relaxed) && self.began.elapsed() < within
    }

    /// Returns the page of the view, or of what is known if the collection is still
    /// running.
    fn rendering(
        self: &Arc<Self>,
        bridge: &Arc<Bridge>,
        view: Option<Arc<View>>,
        shown: Representation,
    ) -> Arc<Rendering> {
        let key = (view.is_some(), shown.format.is_openmetrics(), shown.escaping);
        let mut pages = self.lock();
        if let Some(rendering) = pages.get(&key).and_then(Weak::upgrade)
            && (view.is_some() || rendering.0.borrow().is_none())
        {
            return rendering;
        }
        let view = view.unwrap_or_else(|| bridge.refresher.known_since(self.started, self.unix));
        let (done, rendered) = watch::channel(None);
        let rendering = Arc::new(Rendering(rendered));
        let (bridge, round, wanted) = (bridge.clone(), self.clone(), Arc::downgrade(&rendering));
        pages.insert(key, wanted.clone());
        let waiting = bridge.clone();
        let watched = bridge.watchdog.watch(bridge.deadline);
        let make = move || {
            let _watched = watched;
            let is_wanted = || wanted.strong_count() > 0;
            let page = bridge.render(&view, shown, &is_wanted);
            if is_wanted() {
                bridge.scraped(&page, &view, round.began, shown.format);
            }
            round.is_over.fetch_or(key.0, Ordering::Relaxed);
            done.send_replace(Some(page));
        };
        tokio::spawn(async move {
            let _turn = waiting.scrapes.turn().await;
            // The dropped sender reports a panic.
            let _ = tokio::task::spawn_blocking(make).await;
        });
        rendering
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PageKey, Weak<Rendering>>> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
