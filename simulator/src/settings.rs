//! The settings of a simulator.

use crate::clock::Clock;
use crate::faults::FaultRule;
use crate::tokens::TokenSpec;

/// The settings of a simulator. The default is eight instances on the system's clock.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Number of instances; 0 counts as 1.
    pub instances: usize,
    /// The seed of the numbers: equal seeds give equal numbers.
    pub seed: u64,
    /// The clock of all instances.
    pub clock: Clock,
    /// The Mastodon versions of the instances in turn, such as `4.6.4`. If empty, 4.6,
    /// 4.2, 3.4 and 2.4.
    pub versions: Vec<String>,
    /// Whether responses contain `Cache-Control` and `Vary`. Without them a client sees
    /// every change at once. `ETag` is sent in both cases.
    pub cache_headers: bool,
    /// The number of requests to `/api` that an instance answers in five minutes;
    /// `None` for the limit of its version: 300 since 2.9, 7500 before.
    pub rate_limit: Option<u32>,
    /// The number of requests with `page`, `max_id`, `min_id` or `since_id` that an
    /// instance answers in fifteen minutes; `None` for 300. There is no such limit
    /// before 2.9.
    pub paging_rate_limit: Option<u32>,
    /// The secret of an access token with every scope and permission.
    pub token: Option<String>,
    /// Further access tokens, until
    /// [`Simulator::set_tokens`](crate::Simulator::set_tokens) replaces them.
    pub tokens: Vec<TokenSpec>,
    /// How many requests [`Simulator::request_log`](crate::Simulator::request_log)
    /// keeps; 0 for none.
    pub request_log: usize,
    /// Faults from the start. For a path, an exact rule precedes a prefix, and a longer
    /// prefix precedes a shorter one.
    pub faults: Vec<FaultRule>,
}

impl Default for Settings {
    /// Eight instances on the system's clock, without faults.
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
