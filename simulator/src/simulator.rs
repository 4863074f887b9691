//! The running simulator, and how tests control it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use http::{HeaderMap, StatusCode};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::faults::Fault;
use crate::reply::{Content, Reply};
use crate::server;
use crate::settings::Settings;
use crate::state::{Request, Running, Shared};
use crate::tokens::TokenSpec;
use crate::truth::Truth;
use crate::truth::admin::AdminTruth;
use crate::truth::switches::Switches;

/// A running simulator. Dropping it stops it and closes every connection.
///
/// Instances are numbered from 0.
///
/// # Panics
///
/// Methods that take an instance's number panic when there is no such instance.
pub struct Simulator {
    addr: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Simulator {
    /// Listens on an address, and serves in a task of the current Tokio runtime. Port 0
    /// chooses a free port.
    ///
    /// # Errors
    ///
    /// The system's error if the address cannot be listened on.
    pub async fn start(settings: Settings, listen: SocketAddr) -> io::Result<Simulator> {
        let listener = TcpListener::bind(listen).await?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared::new(settings, addr.port()));
        let task = tokio::spawn(server::run(listener, Arc::clone(&shared)));
        Ok(Simulator { addr, shared, task })
    }

    /// Stops serving and closes every connection. Afterwards the port is free.
    pub async fn shutdown(mut self) {
        self.task.abort();
        // The task was aborted on purpose.
        let _ = (&mut self.task).await;
    }

    /// Serves until the future is dropped.
    pub async fn run(mut self) {
        let _ = (&mut self.task).await;
    }

    /// The address, with the port that was chosen.
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

    /// The `Host` header of an instance: `art.localhost:3000`. Any other value, such as
    /// an address, means instance 0.
    #[must_use]
    pub fn host(&self, i: usize) -> String {
        self.running(i).instance.host(self.addr.port())
    }

    /// What an instance currently answers to requests for its own host name.
    #[must_use]
    pub fn truth(&self, i: usize) -> Truth {
        let running = self.running(i);
        let (pinned, switches) = {
            let state = running.state();
            (state.pinned.clone(), state.switches)
        };
        match pinned {
            Some(truth) => Truth::clone(&truth),
            None => Truth::of(&running.instance, switches, self.now(), self.host(i)),
        }
    }

    /// Sets the values of an instance, except `domain` and `version`. `None` restores
    /// its own values.
    pub fn set_truth(&self, i: usize, truth: Option<Truth>) {
        self.running(i).state().pinned = truth.map(Arc::new);
    }

    /// What an instance currently shows to its administrators.
    #[must_use]
    pub fn admin_truth(&self, i: usize) -> AdminTruth {
        let running = self.running(i);
        let (pinned, switches) = {
            let state = running.state();
            (state.pinned_admin.clone(), state.switches)
        };
        match pinned {
            Some(truth) => AdminTruth::clone(&truth),
            None => AdminTruth::of(&running.instance, switches, self.now()),
        }
    }

    /// Sets the values for an instance's administrators. `None` restores its own
    /// values.
    pub fn set_admin_truth(&self, i: usize, truth: Option<AdminTruth>) {
        self.running(i).state().pinned_admin = truth.map(Arc::new);
    }

    /// Changes an instance's settings, as its administrator would.
    pub fn switch(&self, i: usize, change: impl FnOnce(&mut Switches)) {
        change(&mut self.running(i).state().switches);
    }

    /// Replaces the tokens of all instances, including [`Settings::token`]. A request
    /// with an older one gets 401.
    pub fn set_tokens(&self, tokens: Vec<TokenSpec>) {
        self.shared.set_tokens(tokens);
    }

    /// Sets or removes the fault at a path of an instance: an exact path, a prefix that
    /// ends in `*`, or `*` for all. An exact path precedes a prefix, and a longer
    /// prefix precedes a shorter one.
    pub fn set_fault(&self, i: usize, path: &str, fault: Option<Fault>) {
        let mut state = self.running(i).state();
        state.faults.retain(|(pattern, _)| pattern != path);
        state.faults.extend(fault.map(|fault| (path.to_owned(), fault)));
    }

    /// Sets the answer of an instance for an exact path, whatever its version and
    /// switches. `headers` are sent unchanged, so they need a `Content-Type`. A
    /// response with 200 and without an `ETag` gets one.
    pub fn set_answer(
        &self,
        i: usize,
        path: &str,
        status: StatusCode,
        headers: HeaderMap,
        body: impl Into<Bytes>,
    ) {
        let reply = Reply { status, headers, content: Content::Raw(body.into()) };
        self.running(i).state().answers.insert(path.to_owned(), reply);
    }

    /// [`set_answer`](Simulator::set_answer) with 200 and JSON's content type.
    pub fn set_json(&self, i: usize, path: &str, body: impl Into<Bytes>) {
        self.running(i).state().answers.insert(path.to_owned(), Reply::as_json(body));
    }

    /// [`set_answer`](Simulator::set_answer) for `/robots.txt`.
    pub fn set_robots(&self, i: usize, body: impl Into<Bytes>) {
        let plain = http::HeaderValue::from_static("text/plain; charset=utf-8");
        let headers = HeaderMap::from_iter([(http::header::CONTENT_TYPE, plain)]);
        self.set_answer(i, "/robots.txt", StatusCode::OK, headers, body);
    }

    /// Removes the answer set by [`set_answer`](Simulator::set_answer).
    pub fn remove_answer(&self, i: usize, path: &str) {
        self.running(i).state().answers.remove(path);
    }

    /// The number of requests for an exact path, a prefix that ends in `*`, or `*` for
    /// all, including those with a faulty response. The query does not matter. An
    /// instance counts its first 256 different paths separately; others only count in
    /// `*`.
    #[must_use]
    pub fn requests(&self, i: usize, path: &str) -> usize {
        self.running(i).requests(path)
    }

    /// The last requests to all instances, oldest first. [`Settings::request_log`] sets
    /// their number.
    #[must_use]
    pub fn request_log(&self) -> Vec<Request> {
        self.shared.log().iter().cloned().collect()
    }

    /// Clears the request log. The counters stay.
    pub fn clear_request_log(&self) {
        self.shared.log().clear();
    }

    /// The simulator's time in Unix seconds.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.shared.clock.now().seconds
    }

    /// Sets a [`Clock::Fixed`](crate::Clock::Fixed) to this Unix time in seconds. With
    /// the system's clock it has no effect.
    pub fn set_time(&self, seconds: i64) {
        self.shared.clock.set(|_| seconds);
    }

    /// Advances a [`Clock::Fixed`](crate::Clock::Fixed) by whole seconds.
    pub fn advance(&self, time: Duration) {
        self.shared.clock.set(|now| now.saturating_add_unsigned(time.as_secs()));
    }

    fn running(&self, i: usize) -> &Running {
        &self.shared.instances[i]
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.task.abort();
    }
}
