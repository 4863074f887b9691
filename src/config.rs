//! What the user asked for, checked: YAML, environment and flags become one
//! [`Config`], or every error at once.

pub mod otel;

use std::net::SocketAddr;
use std::time::Duration;

use crate::target::Target;

/// The whole configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Servers to poll, each once.
    pub targets: Vec<Target>,
    /// Where `/metrics` listens; empty when pull is off.
    pub listen: Vec<SocketAddr>,
    /// Old names beside ours on `/metrics`.
    pub compat: Option<Compat>,
    /// How servers are asked.
    pub http: Http,
    /// How long a collection may take when nobody sets a shorter time.
    pub deadline: Duration,
    /// Whether `/metrics` carries `otel_scope_*` labels.
    pub scope_labels: bool,
}

/// The names of older exporters, for dashboards that know them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Compat {
    /// The 2018 Python exporter: `mastodon_user_count`, one target, no labels.
    Dada,
    /// systemli's exporter: `mastodon_users{host="…"}`.
    Systemli,
}

/// Limits and manners of the HTTP client.
#[derive(Debug, Clone)]
pub struct Http {
    /// Requests under way in all.
    pub max_requests: usize,
    /// Requests under way per host.
    pub max_requests_per_host: usize,
    /// Time to connect, TLS included.
    pub connect_timeout: Duration,
    /// Time for a whole request.
    pub timeout: Duration,
    /// Decoded bytes of a body.
    pub max_body: usize,
    /// A URL in the User-Agent by which an admin can reach whoever runs this.
    pub contact: String,
}

impl Default for Http {
    fn default() -> Http {
        Http {
            max_requests: 256,
            max_requests_per_host: 2,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(10),
            max_body: 1 << 20,
            contact: "https://crates.io/crates/fedimeter".to_owned(),
        }
    }
}
