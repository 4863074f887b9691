//! fedimeter, an OpenTelemetry metrics bridge for Mastodon and the fediverse.
#![warn(missing_docs)]

pub mod api;
pub mod clock;
pub mod config;
pub mod endpoint;
pub mod export;
pub mod fetch;
pub mod outcome;
pub mod refresh;
#[cfg(feature = "simulator")]
pub mod simulator;
pub mod snapshot;
pub mod target;
pub mod tls;
