//! What the bridge keeps between two reloads: the configuration that was last accepted,
//! and the last content of the lists of targets.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::config::{Apart, ConfigError, ConfigErrors, Loaded, Place, effective_yaml};
use crate::identity;
use crate::snapshot::{Configured, ReloadFacts, SourceFacts};
use crate::target::Target;

use super::ask::{Answer, Asked};

/// The number of a list's errors that are logged in full.
const MAX_TOLD: usize = 5;

/// The current configuration and lists.
pub struct Kept {
    /// The configuration.
    pub loaded: Loaded,
    /// The result of the last reload.
    pub reload: ReloadFacts,
    files: Vec<SourceFacts>,
    urls: Vec<UrlList>,
}

/// A URL that lists targets.
struct UrlList {
    url: Url,
    facts: SourceFacts,
    /// Its last answer that could be read.
    text: Option<String>,
    /// The errors that were logged.
    told: Vec<String>,
}

impl Kept {
    /// Creates the state at the start of the bridge.
    pub fn new(loaded: Loaded, unix: f64) -> Kept {
        let reload = ReloadFacts { successful: true, unix, hash: hash(&loaded) };
        let mut kept = Kept { loaded, reload, files: Vec::new(), urls: Vec::new() };
        kept.follow_configuration(unix);
        kept
    }

    /// Replaces the configuration.
    pub fn replace(&mut self, loaded: Loaded, unix: f64) {
        self.reload = ReloadFacts { successful: true, unix, hash: hash(&loaded) };
        self.loaded = loaded;
        self.follow_configuration(unix);
    }

    /// Updates the lists after the files were read. URLs that are still configured keep
    /// their last answer.
    fn follow_configuration(&mut self, unix: f64) {
        let Loaded { config, .. } = &self.loaded;
        let facts = |name: Arc<str>| SourceFacts { name, targets: 0, successful: true, unix: Some(unix) };
        self.files = config.discovery.files.iter().map(|file| facts(file.written.clone())).collect();
        let mut before = std::mem::take(&mut self.urls);
        self.urls = config
            .discovery
            .urls
            .iter()
            .map(|url| match before.iter().position(|list| list.url == *url) {
                Some(place) => before.swap_remove(place),
                None => UrlList::new(url),
            })
            .collect();
    }

    /// Records which lists could not be read.
    pub fn lists_failed(&mut self, errors: &ConfigErrors) {
        let patterns = &self.loaded.config.discovery.files;
        let is_in = |error: &ConfigError, files: &[std::path::PathBuf]| {
            let named = error.place.file.as_ref().map_or(error.place.path.as_str(), |(file, _)| file);
            files.iter().any(|file| file == Path::new(named))
        };
        for (pattern, facts) in patterns.iter().zip(&mut self.files) {
            let files = pattern.files().unwrap_or_default();
            facts.successful =
                !errors.iter().any(|error| is_in(error, &files) || error.place == pattern.place);
        }
    }

    /// Returns the URLs that list targets.
    pub fn urls(&self) -> &[Url] {
        &self.loaded.config.discovery.urls
    }

    /// Returns the requests for the URLs.
    pub fn asked(&self) -> Vec<Asked> {
        let discovery = &self.loaded.config.discovery;
        let authorities = self.loaded.defaults.draft.target.authorities.clone();
        let asked = |url: &Url| Asked::new(url.clone(), discovery.token_file.clone(), authorities.clone());
        discovery.urls.iter().map(asked).collect()
    }

    /// Returns the interval between requests.
    pub fn interval(&self) -> Duration {
        self.loaded.config.discovery.interval
    }

    /// Applies the answers. Returns whether anything changed.
    pub fn take(&mut self, answers: Vec<Answer>, unix: f64) -> bool {
        let mut is_new = false;
        for Answer { url, text } in answers {
            // A reload may have removed the URL meanwhile.
            let Some(list) = self.urls.iter_mut().find(|list| list.url == url) else { continue };
            let readable = text.and_then(|text| {
                let read = self.loaded.defaults.behind_url(&text, &list.facts.name, false);
                read.map(|_| text).map_err(|e| e.to_string())
            });
            match readable {
                Ok(text) => {
                    if !list.facts.successful && list.text.is_some() {
                        tracing::info!("{url} lists targets again");
                    }
                    (list.facts.successful, list.facts.unix) = (true, Some(unix));
                    is_new |= list.text.as_deref() != Some(&*text);
                    list.text = Some(text);
                }
                Err(why) => {
                    if list.facts.successful || list.told.first() != Some(&why) {
                        let holds = if list.text.is_some() {
                            "its last list stays in effect"
                        } else {
                            "it has no earlier list"
                        };
                        tracing::error!("targets_url {url} cannot be read, and {holds}: {why}");
                        list.told = vec![why];
                    }
                    list.facts.successful = false;
                }
            }
        }
        is_new
    }

    /// Returns all targets, those of the configuration and its files first. A target
    /// that is listed twice counts once.
    pub fn targets(&mut self) -> Vec<Target> {
        let Loaded { config, places, defaults, .. } = &self.loaded;
        let is_public = !config.discovery.allow_private;
        let mut listed: Vec<(Place, Target)> =
            places.iter().cloned().zip(config.targets.iter().cloned()).collect();
        let mut complaints = Vec::new();
        for list in &self.urls {
            let read = list
                .text
                .as_ref()
                .and_then(|text| defaults.behind_url(text, &list.facts.name, is_public).ok());
            let read = read.unwrap_or_default();
            listed.extend(read.targets);
            complaints.push(read.wrong.iter().map(ToString::to_string).collect::<Vec<_>>());
        }
        let mut apart = Apart::default();
        let mut targets = Vec::new();
        for (place, target) in &listed {
            match apart.add(place, target) {
                Ok(()) if config.shard.has(target) => targets.push(target.clone()),
                Ok(()) => {}
                Err(error) => {
                    let of =
                        self.urls.iter().position(|list| target.source.as_ref() == Some(&list.facts.name));
                    if let Some(of) = of.and_then(|of| complaints.get_mut(of)) {
                        of.push(error.to_string());
                    }
                }
            }
        }
        for (list, complaints) in self.urls.iter_mut().zip(complaints) {
            list.tell(complaints);
        }
        for facts in self.files.iter_mut().chain(self.urls.iter_mut().map(|list| &mut list.facts)) {
            facts.targets =
                targets.iter().filter(|target| target.source.as_ref() == Some(&facts.name)).count();
        }
        targets
    }

    /// Returns what the bridge reports about its configuration.
    pub fn facts(&self) -> Configured {
        let shard = self.loaded.config.shard;
        let shard = shard.is_part().then_some((shard.index, shard.total));
        let urls = self.urls.iter().map(|list| &list.facts);
        Configured { reload: self.reload, shard, sources: self.files.iter().chain(urls).cloned().collect() }
    }
}

impl UrlList {
    fn new(url: &Url) -> UrlList {
        let facts = SourceFacts { name: url.as_str().into(), targets: 0, successful: true, unix: None };
        UrlList { url: url.clone(), facts, text: None, told: Vec::new() }
    }

    /// Logs the errors of single entries, if they are news.
    fn tell(&mut self, complaints: Vec<String>) {
        if complaints == self.told || !self.facts.successful {
            return;
        }
        for complaint in complaints.iter().take(MAX_TOLD) {
            tracing::warn!("left out: {complaint}");
        }
        if complaints.len() > MAX_TOLD {
            tracing::warn!("{}: {} more entries are skipped", self.url, complaints.len() - MAX_TOLD);
        }
        self.told = complaints;
    }
}

/// Returns a hash that is the same for the same configuration on every machine.
fn hash(loaded: &Loaded) -> u64 {
    identity::hash(&effective_yaml(&loaded.config))
}
