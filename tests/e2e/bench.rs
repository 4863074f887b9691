//! Helpers of the scenarios: free ports, timeouts, HTTP.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use crate::support::{http, ports};

/// How long an event may take that should happen soon. Several programs start
/// simultaneously, on few cores.
pub const PATIENCE: Duration = Duration::from_secs(120);
pub const TICK: Duration = Duration::from_millis(100);

/// A runtime for clients and receivers of the tests.
pub static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());

/// An address at which nobody listens.
pub fn free_address() -> String {
    ports::free().to_string()
}

/// Polls until there is a value.
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Result<T, String>) -> T {
    let began = Instant::now();
    loop {
        match ask() {
            Ok(found) => return found,
            Err(last) if began.elapsed() > PATIENCE => panic!("{what}: {last}"),
            Err(_) => std::thread::sleep(TICK),
        }
    }
}

/// The body of a response, whose status must be 200.
pub fn get(url: &str) -> Result<String, String> {
    let get = async { http::client().get(url).send().await?.error_for_status()?.text().await };
    RUNTIME.block_on(get).map_err(|e: reqwest::Error| format!("{url}: {e}"))
}

/// The JSON of a response, whose status must be 200.
pub fn get_json(url: &str) -> Result<Value, String> {
    serde_json::from_str(&get(url)?).map_err(|e| format!("{url}: {e}"))
}
