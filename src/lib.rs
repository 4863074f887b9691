//! fedimeter, an OpenTelemetry metrics bridge for Mastodon and the fediverse.
#![warn(missing_docs)]

pub mod api;
pub mod bridge;
pub mod catalogue;
pub mod cli;
pub mod clock;
pub mod config;
pub mod endpoint;
pub mod export;
pub mod fetch;
#[doc(hidden)]
pub mod fuzzing;
pub mod healthcheck;
pub mod instruments;
pub mod listing;
pub mod logging;
pub mod metrics;
pub mod on_demand;
pub mod outcome;
mod process;
pub mod refresh;
pub mod serve;
pub mod server;
#[cfg(feature = "simulator")]
pub mod simulator;
pub mod snapshot;
pub mod software;
pub mod target;
pub mod tls;
pub use on_demand::{OnDemand, register};

// So that the `runbook_url` of an alert leads to a page that can be read, at the
// alert's own heading.
#[cfg(doc)]
#[doc = include_str!("../docs/runbook.md")]
pub mod runbook {}
