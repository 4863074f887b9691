//! Reads the configuration, its lists of targets and the files that it names again
//! while the bridge runs: on SIGHUP, on request, and when they change. Only one reload
//! runs at a time, and one with errors changes nothing.

mod ask;
mod kept;
mod watch;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::bridge::Bridge;
use crate::config::{Config, ConfigErrors, Loaded, needs_restart};
use crate::fetch::{Client, ClientError, Http};
use crate::probe::Prober;
use crate::refresh::Replaced;
use crate::stamp::LOOK_INTERVAL;

use kept::Kept;
use watch::{Seen, Watched};

/// Loads the configuration again. Its file is read, unless the text is given here.
pub type Load = Box<dyn Fn(Option<&str>) -> Result<Loaded, ConfigErrors> + Send + Sync>;

/// A configuration with which the bridge starts, and how to load it again.
pub struct Setup {
    /// The loaded configuration.
    pub loaded: Loaded,
    /// Loads the configuration again; `None` if the program created it.
    pub load: Option<Load>,
}

/// The configuration and lists, before a bridge exists.
pub struct Start {
    kept: Kept,
    load: Option<Arc<Load>>,
    client: Option<Arc<Client>>,
}

impl Start {
    /// Requests the URLs that list targets, once.
    ///
    /// # Errors
    ///
    /// When the HTTP client cannot be created.
    pub async fn of(setup: Setup, unix: f64) -> Result<Start, ClientError> {
        let Setup { loaded, load } = setup;
        let mut kept = Kept::new(loaded, unix);
        let mut client = None;
        if !kept.urls().is_empty() {
            let asking = client_of(&kept.loaded.config.http)?;
            let answers = ask::all(&asking, kept.asked()).await;
            kept.take(answers, unix);
            client = Some(asking);
        }
        Ok(Start { kept, load: load.map(Arc::new), client })
    }

    /// Adds the targets to start with, and what follows from their number.
    pub fn complete(&mut self, config: &mut Config) {
        config.targets = self.kept.targets();
        config.http.max_requests_per_host = self.kept.loaded.requests_per_host(config.targets.len());
    }
}

fn client_of(settings: &Http) -> Result<Arc<Client>, ClientError> {
    Client::new(settings.clone()).map(Arc::new)
}

/// The result of a reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reloaded {
    /// How the targets changed.
    pub replaced: Replaced,
    /// The changed settings that need a restart.
    pub restart: Vec<String>,
}

/// Reloads the configuration of a running bridge.
pub struct Reloader {
    bridge: Arc<Bridge>,
    load: Option<Arc<Load>>,
    /// Reads again what does not belong to the configuration.
    beside: Arc<dyn Fn() -> Result<(), ConfigErrors> + Send + Sync>,
    client: Mutex<Option<Arc<Client>>>,
    /// The configuration with which the process started.
    first: Loaded,
    kept: tokio::sync::Mutex<Kept>,
    /// Signals that the URLs may have changed.
    changed: Notify,
    prober: Option<Arc<Prober>>,
}

impl Reloader {
    /// Creates the reloader of a bridge. A reload also calls `beside`, and fails if
    /// that fails.
    #[must_use]
    pub fn new(
        bridge: Arc<Bridge>,
        start: Start,
        beside: impl Fn() -> Result<(), ConfigErrors> + Send + Sync + 'static,
    ) -> Reloader {
        let Start { kept, load, client } = start;
        let first = kept.loaded.clone();
        bridge.configured(kept.facts());
        let (client, kept) = (Mutex::new(client), tokio::sync::Mutex::new(kept));
        let (beside, changed) = (Arc::new(beside), Notify::new());
        Reloader { bridge, load, beside, client, first, kept, changed, prober: None }
    }

    /// What answers probes takes a reload, too.
    #[must_use]
    pub fn with_prober(mut self, prober: Option<Arc<Prober>>) -> Reloader {
        self.prober = prober;
        self
    }

    /// Whether `/-/reload` is allowed.
    #[must_use]
    pub fn is_over_http(&self) -> bool {
        self.first.config.reload.over_http
    }

    /// Loads the configuration again and applies it. The result is also logged.
    ///
    /// # Errors
    ///
    /// All errors, one in each line. Then nothing has changed.
    pub async fn reload(&self) -> Result<Reloaded, String> {
        let mut kept = self.kept.lock().await;
        let unix = self.bridge.refresher().clock().unix();
        let result = match self.loaded_with_the_rest().await {
            Ok(loaded) => {
                let restart = needs_restart(&self.first.config, &loaded.config);
                kept.replace(loaded, unix);
                if let Some(prober) = &self.prober {
                    prober.replace(&kept.loaded);
                }
                Ok(Reloaded { replaced: self.bridge.replace(kept.targets(), true), restart })
            }
            Err(errors) => {
                kept.reload.successful = false;
                Err(errors.to_string())
            }
        };
        self.bridge.configured(kept.facts());
        drop(kept);
        tell(&result);
        self.changed.notify_one();
        result
    }

    /// Reads the lists of targets again, with the configuration that was last accepted.
    async fn read_lists(&self) {
        let mut kept = self.kept.lock().await;
        let unix = self.bridge.refresher().clock().unix();
        match self.loaded(Some(kept.loaded.text.clone().unwrap_or_default())).await {
            Ok(loaded) => {
                kept.replace(loaded, unix);
                let replaced = self.bridge.replace(kept.targets(), false);
                tracing::info!("the lists of targets changed; {}", in_words(replaced));
            }
            Err(errors) => {
                kept.lists_failed(&errors);
                for error in errors.iter() {
                    tracing::error!("{error}; the targets stay unchanged");
                }
            }
        }
        self.bridge.configured(kept.facts());
    }

    /// Requests the URLs that list targets, and applies changes.
    async fn ask(&self) {
        let asked = self.kept.lock().await.asked();
        if asked.is_empty() {
            return;
        }
        let client = match self.client(&self.first.config.http) {
            Ok(client) => client,
            Err(e) => return tracing::error!("targets_url cannot be requested: {e}"),
        };
        let answers = ask::all(&client, asked).await;
        let mut kept = self.kept.lock().await;
        if kept.take(answers, self.bridge.refresher().clock().unix()) {
            let replaced = self.bridge.replace(kept.targets(), false);
            tracing::info!("the lists of targets changed; {}", in_words(replaced));
        }
        self.bridge.configured(kept.facts());
    }

    fn client(&self, settings: &Http) -> Result<Arc<Client>, ClientError> {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*client {
            return Ok(client.clone());
        }
        Ok(client.insert(client_of(settings)?).clone())
    }

    async fn loaded_with_the_rest(&self) -> Result<Loaded, ConfigErrors> {
        let loaded = self.loaded(None).await?;
        let beside = self.beside.clone();
        let reading = tokio::task::spawn_blocking(move || beside());
        reading.await.unwrap_or_else(|e| Err(ConfigErrors::other(format!("loading it panicked: {e}"))))?;
        Ok(loaded)
    }

    async fn loaded(&self, text: Option<String>) -> Result<Loaded, ConfigErrors> {
        let Some(load) = self.load.clone() else { return Ok(self.first.clone()) };
        // Files may be on a disk that hangs.
        let loading = tokio::task::spawn_blocking(move || load(text.as_deref()));
        loading.await.unwrap_or_else(|e| Err(ConfigErrors::other(format!("loading it panicked: {e}"))))
    }

    /// Watches for changes, for as long as it is polled.
    pub async fn follow(self: Arc<Self>) {
        tokio::join!(self.follow_files(), self.follow_urls());
    }

    async fn follow_files(&self) {
        let mut seen = self.look().await;
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            let now = self.look().await;
            // A change while the files are read is noticed the next time.
            if now.configuration != seen.configuration {
                let _ = self.reload().await;
            } else if now.lists != seen.lists {
                self.read_lists().await;
            }
            seen = now;
        }
    }

    async fn look(&self) -> Seen {
        let watched = Watched::of(&self.kept.lock().await.loaded.config);
        tokio::task::spawn_blocking(move || watched.look()).await.unwrap_or_default()
    }

    async fn follow_urls(&self) {
        loop {
            let interval = self.kept.lock().await.interval();
            tokio::select! {
                () = tokio::time::sleep(interval) => {}
                () = self.changed.notified() => {}
            }
            self.ask().await;
        }
    }
}

impl fmt::Display for Reloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration was reloaded; {}", in_words(self.replaced))?;
        match &self.restart[..] {
            [] => Ok(()),
            restart => write!(f, "; these changes need a restart: {}", restart.join(", ")),
        }
    }
}

fn tell(result: &Result<Reloaded, String>) {
    match result {
        Ok(reloaded) if reloaded.restart.is_empty() => tracing::info!("{reloaded}"),
        Ok(reloaded) => tracing::warn!("{reloaded}"),
        Err(errors) => {
            for error in errors.lines() {
                tracing::error!(
                    "the configuration was not reloaded, and the previous one stays in effect: {error}"
                );
            }
        }
    }
}

/// Describes the changes to the targets: `3 targets stay, 1 is new`.
#[must_use]
pub fn in_words(replaced: Replaced) -> String {
    let Replaced { stayed, changed, added, removed } = replaced;
    let count = |n: usize, one: &str, several: &str| {
        (n > 0).then(|| format!("{n} {}", if n == 1 { one } else { several }))
    };
    let parts = [
        count(stayed, "stays", "stay"),
        count(changed, "has other settings", "have other settings"),
        count(added, "is new", "are new"),
        count(removed, "is gone", "are gone"),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() {
        "there are no targets".to_owned()
    } else {
        format!("targets: {}", parts.join(", "))
    }
}
