//! Probes: a client names one server, and gets the metrics of that server only.
//!
//! A configured target is polled through the state that the bridge keeps of it, with
//! its own token and attributes. For any other server the last answers are kept here,
//! so that it is not requested again before their lifetimes end. A query contains a
//! host and a module, and nothing else.

mod cache;
mod gate;
mod query;
mod report;
mod settings;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use url::Url;

use crate::bridge::{Bridge, MAX_COLLECTION};
use crate::clock::Moment;
use crate::config::{Config, Loaded, ProbedTargets};
use crate::endpoint::Endpoint;
use crate::export::exposition::{Format, Representation};
use crate::export::page::Page;
use crate::export::probed::{ProbeStats, Probed};
use crate::export::prometheus::PullError;
use crate::export::self_metrics::SelfMetrics;
use crate::fetch::{Client, ClientError};
use crate::log_once::LogOnce;
use crate::refresh::{One, Refresher};
use crate::snapshot::{ProbeOutcome, Snapshot, View};
use crate::target::Target;

use cache::Cache;
use gate::Gate;
use settings::Settings;

pub use query::Query;

/// Answers probes. It needs a Tokio runtime.
#[derive(Debug)]
pub struct Prober {
    bridge: Arc<Bridge>,
    /// Polls servers that are not configured, with a separate client, so no probe takes
    /// a connection or a turn from the fleet.
    refresher: Refresher,
    pages: Probed,
    settings: Mutex<Arc<Settings>>,
    cache: Mutex<Cache>,
    gate: Gate,
    stats: Arc<ProbeStats>,
    unanswered: LogOnce,
}

/// Why a probe has no metrics, in one sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The query has no target, or an unknown module.
    #[error("{0}")]
    Invalid(String),
    /// The target may not be probed.
    #[error("{0} may not be probed: probe.allow in the configuration of fedimeter does not have it")]
    Forbidden(String),
    /// Too many other servers are being polled.
    #[error(
        "fedimeter asks {0} servers for probes at once and not this one: probe less often, or raise \
         probe.max_concurrent"
    )]
    Busy(usize),
    /// No page could be written.
    #[error("no metrics: {0}")]
    Failed(String),
}

impl Refused {
    fn outcome(&self) -> ProbeOutcome {
        match self {
            Refused::Invalid(_) => ProbeOutcome::Invalid,
            Refused::Forbidden(_) => ProbeOutcome::Forbidden,
            Refused::Busy(_) => ProbeOutcome::Busy,
            Refused::Failed(_) => ProbeOutcome::Failed,
        }
    }
}

/// The result of a probe.
#[derive(Debug)]
struct Found {
    one: One,
    view: Arc<View>,
    module: String,
    is_configured: bool,
    began: Moment,
    took: Duration,
    within: Duration,
    /// The deadline passed before the last answer.
    is_late: bool,
}

impl Prober {
    /// Creates a prober with these settings. `pages` writes the results.
    ///
    /// # Errors
    ///
    /// If the HTTP client cannot be set up.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    pub fn new(
        bridge: Arc<Bridge>,
        pages: Probed,
        config: &Config,
        targets: ProbedTargets,
        own: &Arc<SelfMetrics>,
    ) -> Result<Prober, ClientError> {
        // There are many servers, and each is polled rarely.
        let http = crate::fetch::Http { kept_per_host: 1, ..config.http.clone() };
        let client = Client::new(http)?;
        client.permit(&config.probe.allow.networks());
        let refresher = Refresher::new(Vec::new(), client, bridge.refresher().clock().clone());
        let listener = own.clone();
        refresher.listen(move |endpoint, outcome, took| listener.requested(endpoint, outcome, took));
        let stats = Arc::<ProbeStats>::default();
        own.has_probes(stats.clone());
        Ok(Prober {
            bridge,
            refresher,
            pages,
            settings: Mutex::new(Arc::new(Settings::new(&config.probe, targets, 0))),
            cache: Mutex::new(Cache::new(config.probe.max_targets, config.probe.forget_after)),
            gate: Gate::new(config.probe.max_concurrent, config.probe.max_waiting),
            stats,
            unanswered: LogOnce::default(),
        })
    }

    /// Applies another configuration, except for settings that need a restart. The
    /// state of probed targets is kept.
    pub fn replace(&self, loaded: &Loaded) {
        let probe = &loaded.config.probe;
        self.refresher.permit(&probe.allow.networks());
        let mut settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        *settings = Arc::new(Settings::new(probe, loaded.probed_targets(), settings.generation + 1));
    }

    /// How long a probe may take if neither client nor module sets a shorter time.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.bridge.deadline()
    }

    /// Returns the metrics of the target that a query names, `within` this time.
    ///
    /// # Errors
    ///
    /// If the query is refused, or no page could be written.
    pub async fn page(
        self: &Arc<Self>,
        query: &str,
        within: Duration,
        shown: Representation,
    ) -> Result<Arc<Page>, Refused> {
        let page = async {
            let query = Query::parse(query).map_err(Refused::Invalid)?;
            let found = self.find(&query, within).await?;
            let up = outcome(&found.view);
            let (prober, view) = (self.clone(), found.view);
            let page = blocking(move || prober.pages.page(&view, shown)).await?;
            Ok((Arc::new(page), up))
        };
        self.counted(page.await)
    }

    /// Returns the same result as a report for people: what was requested, how it
    /// ended, and why numbers are absent.
    ///
    /// # Errors
    ///
    /// As [`Prober::page`].
    pub async fn report(self: &Arc<Self>, query: &str, within: Duration) -> Result<String, Refused> {
        let report = async {
            let query = Query::parse(query).map_err(Refused::Invalid)?;
            let found = self.find(&query, within).await?;
            let up = outcome(&found.view);
            let prober = self.clone();
            let report = move || {
                let page = prober.pages.page(&found.view, Format::Text004.into())?;
                Ok(report::text(&found, &String::from_utf8_lossy(&page.text())))
            };
            Ok((blocking(report).await?, up))
        };
        self.counted(report.await)
    }

    /// Records the outcome of a probe.
    fn counted<T>(&self, answer: Result<(T, ProbeOutcome), Refused>) -> Result<T, Refused> {
        self.stats.ended(answer.as_ref().map_or_else(Refused::outcome, |(_, outcome)| *outcome));
        match &answer {
            Err(Refused::Failed(why)) if self.unanswered.begins() => {
                tracing::error!("probes cannot be answered: {why}");
            }
            Ok(_) if self.unanswered.ends() => tracing::info!("probes are answered again"),
            _ => {}
        }
        answer.map(|(answer, _)| answer)
    }

    async fn find(&self, query: &Query, within: Duration) -> Result<Found, Refused> {
        let began = Instant::now();
        let settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let module = settings.module(&query.module).map_err(Refused::Invalid)?;
        let within = within.min(module.deadline.unwrap_or(MAX_COLLECTION)).min(MAX_COLLECTION);
        let deadline = tokio::time::Instant::now() + within;
        let clock = self.bridge.refresher().clock();
        let (started, unix) = (clock.now(), clock.unix());

        let name = name_of(&query.url);
        let configured = self.bridge.refresher().find(&name);
        let is_configured = configured.is_some();
        let (one, refresher) = match configured {
            Some(one) => (one, self.bridge.refresher()),
            None => (self.one(&settings, &query.url, &name, started)?, &self.refresher),
        };
        let target = module.narrowed(one.target(), is_configured);
        let wanted: Arc<[Endpoint]> = target.endpoints.clone().into();
        if one.is_due(&wanted, started) {
            let turn = self.gate.turn(one.is_slow(), deadline).await;
            let turn = turn.ok_or(Refused::Busy(self.gate.at_once()))?;
            refresher.ask(&one, wanted, turn);
        }
        let is_late = tokio::select! {
            biased;
            () = one.idle() => false,
            () = self.bridge.ended() => true,
            () = tokio::time::sleep_until(deadline) => true,
        };
        let snapshot = one.snapshot();
        // There are fewer turns for requests than for probes if few files may be open.
        if is_late && snapshot.is_waiting && !self.bridge.is_ending() {
            return Err(Refused::Busy(self.gate.at_once()));
        }
        let view = View::new(started, unix, vec![(target.clone(), part(&snapshot, &target))]);
        // The client waits no longer, so a first answer that is still missing has timed
        // out.
        let view = Arc::new(if is_late { view.ended_by(within) } else { view });
        tracing::debug!(
            server = &*target.name,
            module = query.module,
            outcome = outcome(&view).name(),
            elapsed = ?began.elapsed(),
            "probed"
        );
        let (module, took) = (query.module.clone(), began.elapsed());
        Ok(Found { one, view, module, is_configured, began: started, took, within, is_late })
    }

    /// Returns the state of a server that is not configured, if it may be probed.
    fn one(&self, settings: &Settings, url: &Url, name: &Arc<str>, now: Moment) -> Result<One, Refused> {
        if !settings.allow.permits(url) {
            return Err(Refused::Forbidden(name.to_string()));
        }
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = cache.asked(name, now);
        let one = match kept {
            Some(kept) if kept.generation == settings.generation => kept.one.clone(),
            kept => {
                let target = settings.targets.target(url).map_err(|e| Refused::Invalid(e.to_string()))?;
                let one = match kept {
                    Some(kept) if **kept.one.target() == target => kept.one.clone(),
                    Some(kept) => self.refresher.succeeded(&kept.one, target),
                    None => self.refresher.detached(target),
                };
                cache.keep(name, one.clone(), settings.generation, now);
                one
            }
        };
        for forgotten in cache.forget(now) {
            self.refresher.forget(&forgotten);
        }
        self.stats.has_targets(cache.len());
        Ok(one)
    }
}

/// The name of a target for the server at this URL.
fn name_of(url: &Url) -> Arc<str> {
    Target::new(url.clone(), None, None, &BTreeMap::new()).name
}

/// The known facts of the endpoints that a target has here.
fn part(snapshot: &Arc<Snapshot>, target: &Target) -> Arc<Snapshot> {
    if snapshot.slots.len() == target.endpoints.len() {
        return snapshot.clone();
    }
    let slots = snapshot.slots.iter().filter(|slot| target.endpoints.contains(&slot.endpoint)).cloned();
    Arc::new(Snapshot { slots: slots.collect(), ..Snapshot::clone(snapshot) })
}

fn outcome(view: &View) -> ProbeOutcome {
    match view.readings().next().and_then(|reading| reading.up()) {
        Some(true) => ProbeOutcome::Up,
        Some(false) => ProbeOutcome::Down,
        None => ProbeOutcome::Unknown,
    }
}

/// Pipelines block while others use them and while they are read.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PullError> + Send + 'static,
) -> Result<T, Refused> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|_| Refused::Failed("making them panicked; please report this".to_owned()))?;
    done.map_err(|e| Refused::Failed(e.to_string()))
}
