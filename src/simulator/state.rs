//! What the running simulator knows: its instances, what tests have changed
//! about them, and what it was asked.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use http::HeaderMap;
use jiff::Timestamp;

use super::admin::truth::AdminTruth;
use super::faults::Fault;
use super::numbers::Numbers;
use super::reply::Reply;
use super::tokens::TokenSpec;
use super::truth::Truth;
use super::version::{GENERATIONS, Version};
use super::{Clock, Settings};

/// The first instances have names worth reading on a graph; the others are
/// called `i00008` and so on.
const NAMES: [&str; 8] = ["art", "science", "books", "games", "social", "town", "music", "garden"];

/// Of an instance, so many different paths are counted one by one.
const COUNTED_PATHS: usize = 256;

/// Everything that requests share.
pub(super) struct Shared {
    pub settings: Settings,
    pub instances: Vec<Instance>,
    pub port: u16,
    tokens: Mutex<Vec<Arc<TokenSpec>>>,
    clock: AtomicI64,
    log: Mutex<VecDeque<Request>>,
}

/// One simulated server.
pub(super) struct Instance {
    pub index: usize,
    pub version: Version,
    pub numbers: Numbers,
    requests: AtomicUsize,
    state: Mutex<State>,
}

/// What changes about an instance.
pub(super) struct State {
    pub switches: Switches,
    /// Path or pattern, and what goes wrong there.
    pub faults: Vec<(String, Fault)>,
    /// Answers that stand in for the instance's own, by exact path.
    pub answers: HashMap<String, Reply>,
    /// What the instance says instead of its own numbers.
    pub pinned: Option<Arc<Truth>>,
    pub pinned_admin: Option<Arc<AdminTruth>>,
    /// By rule: the end of the running rate limit window, and the requests in it.
    windows: [(i64, u32); 2],
    paths: HashMap<Box<str>, usize>,
}

/// What an instance's admin has decided.
///
/// By default everything is on and open but for the list of blocked domains, and one instance in three asks for
/// approval or is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // Each is a setting of its own on a real server.
pub struct Switches {
    /// Off: `/api/v1/instance/activity` is an empty 404.
    pub activity_api: bool,
    /// Off: `/api/v1/instance/peers` is an empty 404.
    pub peers_api: bool,
    /// Who sees `/api/v1/instance/domain_blocks`.
    pub show_domain_blocks: ShowDomainBlocks,
    /// Off: the public timelines are 422 for those without a token, from 3.0.
    pub timeline_preview: bool,
    /// `LIMITED_FEDERATION_MODE`: 401 for the instance documents up to 4.3, and
    /// from 4.4 an `active_month` of 0.
    pub limited_federation: bool,
    /// `DISALLOW_UNAUTHENTICATED_API_ACCESS`: 401 for accounts, timelines,
    /// emojis, hashtags.
    pub authenticated_only: bool,
    /// Plain requests without `X-Forwarded-Proto: https` are sent to https, as
    /// a production server does.
    pub force_ssl: bool,
    /// Whether anyone can sign up.
    pub registrations_open: bool,
    /// Whether sign-ups wait for approval.
    pub approval_required: bool,
    /// Whether a contact account is set.
    pub contact_account: bool,
}

/// Who sees which domains an instance blocks; for others the list is an empty 404.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShowDomainBlocks {
    /// Nobody.
    Disabled,
    /// Those with a token.
    Users,
    /// Everyone.
    All,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Request {
    /// The instance that answered.
    pub instance: usize,
    /// `GET`, …
    pub method: http::Method,
    /// Path and query.
    pub target: String,
    /// HTTP/1.1 or HTTP/2.
    pub version: http::Version,
    /// All of them; over HTTP/2, `host` is made from the authority.
    pub headers: HeaderMap,
    /// What a form or JSON document has in the body.
    pub body: Bytes,
}

/// One moment of the simulator's clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub seconds: i64,
    pub micros: i64,
}

impl Shared {
    pub fn new(settings: Settings, port: u16) -> Shared {
        let texts: Vec<&str> = match settings.versions.as_slice() {
            [] => GENERATIONS.to_vec(),
            texts => texts.iter().map(String::as_str).collect(),
        };
        let versions: Vec<Version> = texts.into_iter().map(Version::new).collect();
        let instances: Vec<Instance> = (0..settings.instances.max(1))
            .map(|index| Instance::new(settings.seed, index, versions[index % versions.len()].clone()))
            .collect();
        for rule in &settings.faults {
            for instance in instances.iter().filter(|i| rule.instance.is_none_or(|index| index == i.index)) {
                instance.state().faults.push((rule.path.clone(), rule.fault.clone()));
            }
        }
        let clock = AtomicI64::new(match settings.clock {
            Clock::Fixed(seconds) => seconds,
            Clock::System => 0,
        });
        let owner = settings.token.as_deref().map(TokenSpec::everything);
        let tokens = owner.into_iter().chain(settings.tokens.iter().cloned()).map(Arc::new).collect();
        let (tokens, log) = (Mutex::new(tokens), Mutex::default());
        Shared { settings, instances, port, tokens, clock, log }
    }

    /// The token with this secret.
    pub fn token(&self, secret: &str) -> Option<Arc<TokenSpec>> {
        lock(&self.tokens).iter().find(|token| token.secret == secret).map(Arc::clone)
    }

    pub fn set_tokens(&self, tokens: Vec<TokenSpec>) {
        *lock(&self.tokens) = tokens.into_iter().map(Arc::new).collect();
    }

    /// The time; a fixed clock stands until it is moved.
    pub fn now(&self) -> Now {
        match self.settings.clock {
            Clock::Fixed(_) => Now { seconds: self.clock.load(Ordering::SeqCst), micros: 0 },
            Clock::System => {
                let micros = Timestamp::now().as_microsecond();
                Now { seconds: micros.div_euclid(1_000_000), micros: micros.rem_euclid(1_000_000) }
            }
        }
    }

    pub fn set_clock(&self, change: impl Fn(i64) -> i64) {
        self.clock.store(change(self.clock.load(Ordering::SeqCst)), Ordering::SeqCst);
    }

    /// The instance that a `Host` header means, and whether it is its own
    /// name. Whoever asks by address or by a name of their own asks instance 0.
    pub fn by_host(&self, host: &str) -> (&Instance, bool) {
        let label = host.split(['.', ':']).next().unwrap_or_default().to_ascii_lowercase();
        let named = NAMES.iter().position(|name| *name == label);
        let numbered = || label.strip_prefix('i').and_then(|digits| digits.parse::<usize>().ok());
        match named.or_else(numbered).and_then(|index| self.instances.get(index)) {
            Some(instance) => (instance, true),
            None => (&self.instances[0], false), // There is always one.
        }
    }

    /// Puts a request on record, and drops the oldest.
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

impl Instance {
    fn new(seed: u64, index: usize, version: Version) -> Instance {
        let numbers = Numbers::new(seed, index);
        let door = numbers.unit(10);
        let switches = Switches {
            activity_api: true,
            peers_api: true,
            show_domain_blocks: ShowDomainBlocks::Disabled,
            timeline_preview: true,
            limited_federation: false,
            authenticated_only: false,
            force_ssl: false,
            registrations_open: door < 0.85,
            approval_required: (0.65..0.85).contains(&door),
            contact_account: numbers.unit(11) < 0.8,
        };
        let state = State {
            switches,
            faults: Vec::new(),
            answers: HashMap::new(),
            pinned: None,
            pinned_admin: None,
            windows: [(0, 0); 2],
            paths: HashMap::new(),
        };
        Instance { index, version, numbers, requests: AtomicUsize::new(0), state: Mutex::new(state) }
    }

    /// The first label of its host name.
    pub fn label(&self) -> String {
        NAMES.get(self.index).map_or_else(|| format!("i{:05}", self.index), |name| (*name).to_owned())
    }

    /// Its name for people.
    pub fn title(&self) -> String {
        match NAMES.get(self.index) {
            Some(name) => name[..1].to_uppercase() + &name[1..],
            None => format!("Instance {}", self.index),
        }
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

    /// The requests that arrived for a path or pattern.
    pub fn requests(&self, pattern: &str) -> usize {
        if pattern == "*" {
            return self.requests.load(Ordering::Relaxed);
        }
        self.state().paths.iter().filter(|(path, _)| matches(pattern, path)).map(|(_, count)| count).sum()
    }
}

impl State {
    /// The fault at a path now: an exact path goes before a pattern, and a
    /// longer pattern before a shorter one.
    pub fn fault(&self, path: &str, now: i64) -> Option<Fault> {
        let rules = self.faults.iter().filter(|(pattern, _)| matches(pattern, path));
        let rule = rules.max_by_key(|(pattern, _)| (!pattern.ends_with('*'), pattern.len()))?;
        rule.1.at(now).cloned()
    }

    /// Counts a request against the limit of a rule's window that ends at
    /// `end`: how many have come in it, this one included.
    pub fn spend(&mut self, rule: usize, end: i64) -> u32 {
        let window = &mut self.windows[rule];
        if window.0 != end {
            *window = (end, 0);
        }
        window.1 = window.1.saturating_add(1);
        window.1
    }
}

/// Whether a path is meant by an exact path or a prefix that ends in `*`.
fn matches(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => path.starts_with(prefix),
        None => pattern == path,
    }
}

/// What is behind these locks is whole at every step, so a thread that
/// panicked with one leaves nothing broken behind.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
