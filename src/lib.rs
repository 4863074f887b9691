//! fedimeter, an OpenTelemetry metrics bridge for Mastodon and the fediverse.
#![warn(missing_docs)]

pub mod config;
pub mod endpoint;
pub mod export;
#[cfg(feature = "simulator")]
pub mod simulator;
pub mod target;
pub mod tls;
