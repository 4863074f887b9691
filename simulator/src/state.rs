//! The state of the running simulator: its instances, the changes by tests, and the
//! requests.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::RunningClock;
use crate::faults::Fault;
use crate::reply::Reply;
use crate::settings::Settings;
use crate::tokens::TokenSpec;
use crate::truth::Truth;
use crate::truth::admin::AdminTruth;
use crate::truth::instance::Instance;
use crate::truth::switches::Switches;
use crate::version::{GENERATIONS, Version};
use axum::body::Bytes;
use http::HeaderMap;

/// How many different paths of an instance are counted separately.
const COUNTED_PATHS: usize = 256;

/// The state that all requests share.
pub(crate) struct Shared {
    pub settings: Settings,
    pub instances: Vec<Running>,
    pub port: u16,
    tokens: Mutex<Vec<Arc<TokenSpec>>>,
    pub clock: RunningClock,
    log: Mutex<VecDeque<Request>>,
}

/// A running instance: the properties from the seed, and the changes by tests.
pub(crate) struct Running {
    pub instance: Instance,
    requests: AtomicUsize,
    state: Mutex<State>,
}

/// The changeable state of an instance.
pub(crate) struct State {
    pub switches: Switches,
    /// Paths or patterns with their faults.
    pub faults: Vec<(String, Fault)>,
    /// Answers that replace the instance's own, by exact path.
    pub answers: HashMap<String, Reply>,
    /// First answers by path and query, for the fault of a cache.
    kept: HashMap<String, Reply>,
    /// Values that replace the instance's own.
    pub pinned: Option<Arc<Truth>>,
    pub pinned_admin: Option<Arc<AdminTruth>>,
    /// For each rule: the end of the current rate limit window, and its requests.
    windows: [(i64, u32); 2],
    paths: HashMap<Box<str>, usize>,
}

/// A request as it arrived, in [`Simulator::request_log`](crate::Simulator::request_log).
#[derive(Debug, Clone)]
pub struct Request {
    /// The number of the instance, from 0.
    pub instance: usize,
    /// `GET`, …
    pub method: http::Method,
    /// Path and query: `/api/v1/timelines/public?limit=1`.
    pub target: String,
    /// HTTP/1.1 or HTTP/2.
    pub version: http::Version,
    /// All headers. For HTTP/2, `host` is made from the authority.
    pub headers: HeaderMap,
    /// The body; empty if there was none.
    pub body: Bytes,
}

impl State {
    /// Returns the first answer for this target, which may be this one.
    pub fn first(&mut self, target: &str, reply: Reply) -> Reply {
        if let Some(kept) = self.kept.get(target) {
            return kept.clone();
        }
        if self.kept.len() < COUNTED_PATHS {
            self.kept.insert(target.to_owned(), reply.clone());
        }
        reply
    }
}

impl Shared {
    pub fn new(settings: Settings, port: u16) -> Shared {
        let texts: Vec<&str> = match settings.versions.as_slice() {
            [] => GENERATIONS.to_vec(),
            texts => texts.iter().map(String::as_str).collect(),
        };
        let versions: Vec<Version> = texts.into_iter().map(Version::new).collect();
        let instances: Vec<Running> = (0..settings.instances.max(1))
            .map(|index| Instance::new(settings.seed, index, versions[index % versions.len()].clone()))
            .map(Running::new)
            .collect();
        for rule in &settings.faults {
            let meant = |index| rule.instance.is_none_or(|meant| meant == index);
            for running in instances.iter().filter(|running| meant(running.instance.index)) {
                running.state().faults.push((rule.path.clone(), rule.fault.clone()));
            }
        }
        let clock = RunningClock::new(settings.clock);
        let owner = settings.token.as_deref().map(TokenSpec::everything);
        let tokens = owner.into_iter().chain(settings.tokens.iter().cloned()).map(Arc::new).collect();
        let (tokens, log) = (Mutex::new(tokens), Mutex::default());
        Shared { settings, instances, port, tokens, clock, log }
    }

    /// Returns the token with this secret.
    pub fn token(&self, secret: &str) -> Option<Arc<TokenSpec>> {
        lock(&self.tokens).iter().find(|token| token.secret == secret).map(Arc::clone)
    }

    pub fn set_tokens(&self, tokens: Vec<TokenSpec>) {
        *lock(&self.tokens) = tokens.into_iter().map(Arc::new).collect();
    }

    /// Returns the instance of a `Host` header, and whether it is the instance's own
    /// name. An address, or any other name, means instance 0.
    pub fn by_host(&self, host: &str) -> (&Running, bool) {
        let label = host.split(['.', ':']).next().unwrap_or_default().to_ascii_lowercase();
        match Instance::index_of(&label).and_then(|index| self.instances.get(index)) {
            Some(running) => (running, true),
            None => (&self.instances[0], false), // There is always one.
        }
    }

    /// Adds a request to the log, and removes the oldest.
    pub fn record(&self, request: impl FnOnce() -> Request) {
        if self.settings.request_log == 0 {
            return;
        }
        let mut log = lock(&self.log);
        if log.len() >= self.settings.request_log {
            log.pop_front();
        }
        log.push_back(request());
    }

    pub fn log(&self) -> MutexGuard<'_, VecDeque<Request>> {
        lock(&self.log)
    }
}

impl Running {
    fn new(instance: Instance) -> Running {
        let state = State {
            switches: Switches::of(&instance),
            faults: Vec::new(),
            answers: HashMap::new(),
            kept: HashMap::new(),
            pinned: None,
            pinned_admin: None,
            windows: [(0, 0); 2],
            paths: HashMap::new(),
        };
        Running { instance, requests: AtomicUsize::new(0), state: Mutex::new(state) }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Counts a request.
    pub fn count(&self, path: &str) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let mut state = self.state();
        if let Some(count) = state.paths.get_mut(path) {
            *count += 1;
        } else if state.paths.len() < COUNTED_PATHS {
            state.paths.insert(path.into(), 1);
        }
    }

    /// Returns the number of requests for a path or pattern.
    pub fn requests(&self, pattern: &str) -> usize {
        if pattern == "*" {
            return self.requests.load(Ordering::Relaxed);
        }
        self.state().paths.iter().filter(|(path, _)| matches(pattern, path)).map(|(_, count)| count).sum()
    }
}

impl State {
    /// Returns the current fault at a path. An exact path precedes a pattern, and a
    /// longer pattern precedes a shorter one.
    pub fn fault(&self, path: &str, now: i64) -> Option<Fault> {
        let rules = self.faults.iter().filter(|(pattern, _)| matches(pattern, path));
        let rule = rules.max_by_key(|(pattern, _)| (!pattern.ends_with('*'), pattern.len()))?;
        rule.1.at(now).cloned()
    }

    /// Counts a request in the window of a rule that ends at `end`. Returns the number
    /// of its requests, including this one.
    pub fn spend(&mut self, rule: usize, end: i64) -> u32 {
        let window = &mut self.windows[rule];
        if window.0 != end {
            *window = (end, 0);
        }
        window.1 = window.1.saturating_add(1);
        window.1
    }
}

/// Whether a pattern, an exact path or a prefix that ends in `*`, matches a path.
fn matches(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => path.starts_with(prefix),
        None => pattern == path,
    }
}

/// The data behind these locks is consistent at every step, so a panic while one is
/// held does no harm.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
