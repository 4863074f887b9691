//! A Mastodon server that never was: for the demo, the tests and the load run.
//!
//! One listener plays any number of instances, told apart by the `Host`
//! header: `art.localhost`, `science.localhost`, …, `i00042.localhost`. They
//! run the versions 4.6, 4.2, 3.4 and 2.4 in turn and answer as those do, in
//! shapes, headers and manners; what they say is worked out from a seed and
//! the clock when they are asked. Whatever can go wrong on the way is there as
//! a [`Fault`].
//!
//! ```no_run
//! # async fn run() -> std::io::Result<()> {
//! use fedimeter::simulator::{Fault, Settings, Simulator};
//!
//! let simulator = Simulator::start(Settings::default(), ([127, 0, 0, 1], 0).into()).await?;
//! println!("{:?}", simulator.urls());
//! simulator.set_fault(1, "/api/*", Some(Fault::Status(503)));
//! println!("{} users", simulator.truth(0).users);
//! # Ok(())
//! # }
//! ```
//!
//! In reading order: `server` (the way of a request), `routes` (the table of
//! endpoints), one file per family of endpoints, those of the administration
//! under `admin`, `tokens`, `limits`, `numbers`, `faults` and `broken` (what
//! they do).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use http::{HeaderMap, StatusCode};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

mod accounts;
mod activity;
mod admin;
mod blocks;
mod broken;
mod call;
mod community;
mod faults;
mod health;
mod instance;
mod limits;
mod nodeinfo;
mod numbers;
mod paging;
mod peers;
mod reply;
mod routes;
mod server;
mod state;
#[cfg(test)]
mod tests;
mod timelines;
mod tokens;
mod truth;
mod version;

pub use admin::truth::{AdminTruth, Day, IpBlocks, PRIVATE, Report, Trending};
pub use faults::{Fault, FaultRule, MAX_BODY, ParseFaultError};
pub use state::{Request, ShowDomainBlocks, Switches};
pub use tokens::{TokenSpec, permission};
pub use truth::{Account, ActivityRow, DomainBlocks, Tag, Truth};

use reply::{Content, Reply};
use state::{Instance, Shared};

/// What a simulator is like.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Number of instances, at least 1.
    pub instances: usize,
    /// What the numbers are made from: the same seed gives the same ones.
    pub seed: u64,
    /// Where the time comes from.
    pub clock: Clock,
    /// Mastodon versions that instances have in turn; when empty, one each of
    /// 4.6, 4.2, 3.4 and 2.4.
    pub versions: Vec<String>,
    /// Whether answers carry `Cache-Control` and `Vary`. Without, a client
    /// sees every change at once; `ETag` is there all the same.
    pub cache_headers: bool,
    /// Requests to `/api` that an instance answers in five minutes; `None` for
    /// the limit of its version (300, before 2.9 it was 7500).
    pub rate_limit: Option<u32>,
    /// Requests with `page`, `max_id`, `min_id` or `since_id` that an instance
    /// answers in fifteen minutes; `None` for 300. There is no such limit
    /// before 2.9.
    pub paging_rate_limit: Option<u32>,
    /// An access token that is good for everything.
    pub token: Option<String>,
    /// More access tokens, until [`Simulator::set_tokens`] replaces them.
    pub tokens: Vec<TokenSpec>,
    /// Number of requests that [`Simulator::request_log`] remembers, 0 for none.
    pub request_log: usize,
    /// What is wrong from the beginning.
    pub faults: Vec<FaultRule>,
}

impl Default for Settings {
    /// Eight instances on the system's clock, as well-behaved as real ones.
    fn default() -> Settings {
        Settings {
            instances: 8,
            seed: 0,
            clock: Clock::System,
            versions: Vec::new(),
            cache_headers: true,
            rate_limit: None,
            paging_rate_limit: None,
            token: None,
            tokens: Vec::new(),
            request_log: 1024,
            faults: Vec::new(),
        }
    }
}

/// Where the simulator's time comes from. Faults that delay or come back after
/// a while use the same clock for *when*, real time for *how long*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The system's.
    System,
    /// This Unix time in seconds, until [`Simulator::set_time`] or
    /// [`Simulator::advance`] moves it.
    Fixed(i64),
}

/// A running simulator; it stops, with every connection, when dropped.
///
/// Methods that take an instance's number panic when there is no such instance.
pub struct Simulator {
    addr: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Simulator {
    /// Listens and serves, on the runtime that this is called from. Port 0
    /// takes a free one.
    ///
    /// # Errors
    ///
    /// When the address can't be listened on.
    pub async fn start(settings: Settings, listen: SocketAddr) -> io::Result<Simulator> {
        let listener = TcpListener::bind(listen).await?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared::new(settings, addr.port()));
        let task = tokio::spawn(server::run(listener, Arc::clone(&shared)));
        Ok(Simulator { addr, shared, task })
    }

    /// Stops serving and closes every connection; the port is free afterwards.
    pub async fn shutdown(mut self) {
        self.task.abort();
        // Cancelled, as it was told to be.
        let _ = (&mut self.task).await;
    }

    /// Serves until the task ends, which by itself it never does.
    pub async fn run(mut self) {
        let _ = (&mut self.task).await;
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Number of instances.
    #[must_use]
    #[allow(clippy::len_without_is_empty)] // There is always one.
    pub fn len(&self) -> usize {
        self.shared.instances.len()
    }

    /// The URLs of all instances, without a slash at the end.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        (0..self.len()).map(|i| self.url(i)).collect()
    }

    /// The URL of an instance: `http://art.localhost:3000`.
    #[must_use]
    pub fn url(&self, i: usize) -> String {
        format!("http://{}", self.host(i))
    }

    /// The `Host` header that means an instance: `art.localhost:3000`. Any
    /// other, an address for example, means instance 0.
    #[must_use]
    pub fn host(&self, i: usize) -> String {
        format!("{}.localhost:{}", self.instance(i).label(), self.addr.port())
    }

    /// What an instance says right now when it is asked by its own name.
    #[must_use]
    pub fn truth(&self, i: usize) -> Truth {
        let instance = self.instance(i);
        let (pinned, switches) = {
            let state = instance.state();
            (state.pinned.clone(), state.switches)
        };
        match pinned {
            Some(truth) => Truth::clone(&truth),
            None => Truth::of(instance, switches, self.now(), self.host(i)),
        }
    }

    /// Makes an instance say this from now on (all but `domain` and
    /// `version`), or with `None` its own numbers again.
    pub fn set_truth(&self, i: usize, truth: Option<Truth>) {
        self.instance(i).state().pinned = truth.map(Arc::new);
    }

    /// What an instance tells its admins right now.
    #[must_use]
    pub fn admin_truth(&self, i: usize) -> AdminTruth {
        let instance = self.instance(i);
        let (pinned, switches) = {
            let state = instance.state();
            (state.pinned_admin.clone(), state.switches)
        };
        match pinned {
            Some(truth) => AdminTruth::clone(&truth),
            None => AdminTruth::of(instance, switches, self.now()),
        }
    }

    /// Makes an instance tell its admins this from now on, or with `None` its
    /// own numbers again.
    pub fn set_admin_truth(&self, i: usize, truth: Option<AdminTruth>) {
        self.instance(i).state().pinned_admin = truth.map(Arc::new);
    }

    /// Changes what an instance's admin has decided.
    pub fn switch(&self, i: usize, change: impl FnOnce(&mut Switches)) {
        change(&mut self.instance(i).state().switches);
    }

    /// Makes these the tokens that all instances know; those that they knew
    /// are dead, [`Settings::token`] included.
    pub fn set_tokens(&self, tokens: Vec<TokenSpec>) {
        self.shared.set_tokens(tokens);
    }

    /// Sets or removes what goes wrong at a path of an instance: an exact
    /// path, a prefix that ends in `*`, or `*`. The exact path goes before the
    /// prefix, the longer prefix before the shorter.
    pub fn set_fault(&self, i: usize, path: &str, fault: Option<Fault>) {
        let mut state = self.instance(i).state();
        state.faults.retain(|(pattern, _)| pattern != path);
        state.faults.extend(fault.map(|fault| (path.to_owned(), fault)));
    }

    /// Makes an instance answer with this at an exact path, whatever its
    /// version and switches. `headers` go as they are, `Content-Type` included;
    /// an `ETag` is added where there is none.
    pub fn set_answer(
        &self,
        i: usize,
        path: &str,
        status: StatusCode,
        headers: HeaderMap,
        body: impl Into<Bytes>,
    ) {
        let reply = Reply { status, headers, content: Content::Raw(body.into()) };
        self.instance(i).state().answers.insert(path.to_owned(), reply);
    }

    /// [`set_answer`](Simulator::set_answer) with 200 and JSON's content type.
    pub fn set_json(&self, i: usize, path: &str, body: impl Into<Bytes>) {
        let reply = Reply { content: Content::Raw(body.into()), ..Reply::json(serde_json::Value::Null) }
            .with(http::header::CONTENT_TYPE, "application/json; charset=utf-8");
        self.instance(i).state().answers.insert(path.to_owned(), reply);
    }

    /// [`set_answer`](Simulator::set_answer) for `/robots.txt`.
    pub fn set_robots(&self, i: usize, body: impl Into<Bytes>) {
        let plain = http::HeaderValue::from_static("text/plain; charset=utf-8");
        let headers = HeaderMap::from_iter([(http::header::CONTENT_TYPE, plain)]);
        self.set_answer(i, "/robots.txt", StatusCode::OK, headers, body);
    }

    /// Gives a path back to the instance's own answer.
    pub fn remove_answer(&self, i: usize, path: &str) {
        self.instance(i).state().answers.remove(path);
    }

    /// Requests that have arrived for an exact path, a prefix that ends in
    /// `*`, or `*` for all; faulty ones count too. Queries don't matter. Only
    /// an instance's first 256 different paths are counted singly.
    #[must_use]
    pub fn requests(&self, i: usize, path: &str) -> usize {
        self.instance(i).requests(path)
    }

    /// The last requests of all instances, oldest first, as many as
    /// [`Settings::request_log`] says.
    #[must_use]
    pub fn request_log(&self) -> Vec<Request> {
        self.shared.log().iter().cloned().collect()
    }

    /// Forgets the last requests; the counters stay.
    pub fn clear_request_log(&self) {
        self.shared.log().clear();
    }

    /// The simulator's time, Unix time in seconds.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.shared.now().seconds
    }

    /// Sets a [`Clock::Fixed`] to this Unix time; the system's can't be set.
    pub fn set_time(&self, seconds: i64) {
        self.shared.set_clock(|_| seconds);
    }

    /// Moves a [`Clock::Fixed`] forward, by whole seconds.
    pub fn advance(&self, time: Duration) {
        self.shared.set_clock(|now| now.saturating_add_unsigned(time.as_secs()));
    }

    fn instance(&self, i: usize) -> &Instance {
        &self.shared.instances[i]
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.task.abort();
    }
}
