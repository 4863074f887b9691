//! What clients of the bridge may take.

use std::time::Duration;

/// Limits on clients of the bridge. The defaults leave room for any number of
/// Prometheus servers that behave, and bound what others can take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Open connections over all listeners. Another one takes the place of the
    /// connection that has waited longest for its client.
    pub max_connections: usize,
    /// Responses with metrics or pages under way at once. `node_exporter`,
    /// whose `--web.max-requests` this is, has the same default.
    pub max_requests: usize,
    /// From a connection's start, or the first byte of a further request, to
    /// the end of the request's headers.
    pub header_timeout: Duration,
    /// From a response to the next request on the same connection. Longer than
    /// the usual scrape intervals, so that Prometheus keeps its connection.
    pub idle_timeout: Duration,
    /// From the first byte of a response to its last.
    pub write_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_connections: 256,
            max_requests: 40,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(300),
            write_timeout: Duration::from_secs(60),
        }
    }
}
