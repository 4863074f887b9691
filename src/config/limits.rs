//! The limits for clients of the bridge.

use std::time::Duration;

/// The limits for clients of the bridge. The defaults leave room for any number of
/// well-behaved Prometheus servers, and limit other clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The maximum number of open connections over all listeners. A further one
    /// replaces the connection that has waited longest for its client.
    pub max_connections: usize,
    /// The maximum number of responses with metrics or pages at the same time. The
    /// default equals that of `--web.max-requests` in `node_exporter`.
    pub max_requests: usize,
    /// The time from a connection's start, or the first byte of a further request, to
    /// the end of the request's headers.
    pub header_timeout: Duration,
    /// The time from a response to the next request on the same connection. It exceeds
    /// the usual scrape intervals, so that Prometheus keeps its connection.
    pub idle_timeout: Duration,
    /// The time from the first byte of a response to its last.
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
