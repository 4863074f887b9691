//! What a simulator is started with.

use crate::clock::Clock;
use crate::faults::FaultRule;
use crate::tokens::TokenSpec;

/// What a simulator is started with; the default is eight instances on the
/// system's clock.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Number of instances; 0 counts as 1.
    pub instances: usize,
    /// What the numbers follow from: equal seeds give equal numbers.
    pub seed: u64,
    /// The clock that all instances go by.
    pub clock: Clock,
    /// Mastodon versions that instances run in turn, like `4.6.4`; when empty,
    /// one each of 4.6, 4.2, 3.4 and 2.4.
    pub versions: Vec<String>,
    /// Whether responses have `Cache-Control` and `Vary`. Without them a client
    /// sees every change at once; `ETag` is sent in both cases.
    pub cache_headers: bool,
    /// Requests to `/api` that an instance answers in five minutes; `None` for
    /// the limit of its version: 300 since 2.9, 7500 before.
    pub rate_limit: Option<u32>,
    /// Requests with `page`, `max_id`, `min_id` or `since_id` that an instance
    /// answers in fifteen minutes; `None` for 300. There is no such limit
    /// before 2.9.
    pub paging_rate_limit: Option<u32>,
    /// The secret of an access token with every scope and permission.
    pub token: Option<String>,
    /// More access tokens, until [`Simulator::set_tokens`](crate::Simulator::set_tokens)
    /// replaces them.
    pub tokens: Vec<TokenSpec>,
    /// Number of requests that
    /// [`Simulator::request_log`](crate::Simulator::request_log) remembers; 0
    /// for none.
    pub request_log: usize,
    /// Faults from the start. Of two rules for one path the exact path is
    /// preferred, then the longer prefix.
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
