//! Numbers of Mastodon and other fediverse servers as OpenTelemetry metrics.
//!
//! The program `fedimeter` exports them to Prometheus and over OTLP. This library puts
//! the same instruments on an application's own [`MeterProvider`]. A collection of that
//! provider asks the servers for stale values, waits until a deadline, and observes the
//! answers. If a server does not report a number, the metric has no point.
//!
//! ```
//! use std::time::Duration;
//!
//! use fedimeter::{OnDemand, Target};
//! use opentelemetry_sdk::metrics::SdkMeterProvider;
//!
//! // An application adds its reader here.
//! let provider = SdkMeterProvider::builder().build();
//!
//! let target = Target::builder("mastodon.example").attribute("team", "social").build()?;
//! let source = OnDemand::builder([target]).deadline(Duration::from_secs(10)).build()?;
//! fedimeter::register(&provider, source);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`metrics::rows`] lists all metrics. Switch the default features off when you embed
//! the library: they contain the program, with its command line, web server and
//! exporters, and the simulator of `fedimeter demo`.
//!
//! Only the items on this page are meant for applications. The other modules are public
//! for the program and its tests, are not documented here, and change without notice.
//!
//! [`MeterProvider`]: opentelemetry::metrics::MeterProvider
#![warn(missing_docs)]

// For applications, in reading order.
mod on_demand;
pub use on_demand::{OnDemand, OnDemandBuilder, OnDemandError, register};
pub mod target;
pub use target::{Target, TargetBuilder, TargetError};
pub mod endpoint;
pub mod metrics;

// How the numbers are obtained, for the program and for tests.
#[doc(hidden)]
pub mod api;
mod clean;
#[doc(hidden)]
pub mod clock;
#[doc(hidden)]
pub mod document;
#[doc(hidden)]
pub mod fetch;
#[doc(hidden)]
pub mod instruments;
mod json;
mod log_once;
#[doc(hidden)]
pub mod outcome;
#[doc(hidden)]
pub mod refresh;
#[doc(hidden)]
pub mod snapshot;
#[doc(hidden)]
pub mod software;
#[doc(hidden)]
pub mod tls;

// The program: exporters, settings, web server, command line.
#[cfg(feature = "program")]
#[doc(hidden)]
pub mod bridge;
#[cfg(feature = "program")]
#[doc(hidden)]
pub mod catalogue;
#[cfg(feature = "program")]
#[doc(hidden)]
pub mod cli;
#[cfg(feature = "program")]
#[doc(hidden)]
pub mod config;
#[cfg(feature = "program")]
mod descriptors;
#[cfg(feature = "program")]
#[doc(hidden)]
pub mod export;
#[cfg(feature = "program")]
#[doc(hidden)]
pub mod exposure;
#[cfg(feature = "program")]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(feature = "program")]
#[doc(hidden)]
pub mod healthcheck;
#[cfg(feature = "program")]
mod identity;
#[cfg(feature = "program")]
#[doc(hidden)]
pub mod init;
#[cfg(feature = "program")]
#[doc(hidden)]
pub mod listing;
#[cfg(feature = "program")]
mod log_queue;
#[cfg(feature = "program")]
#[doc(hidden)]
pub mod logging;
#[cfg(feature = "program")]
#[doc(hidden)]
pub mod notify;
#[cfg(feature = "program")]
#[doc(hidden)]
pub mod probe;
#[cfg(feature = "program")]
mod process;
#[cfg(feature = "program")]
#[doc(hidden)]
pub mod reload;
#[cfg(feature = "program")]
#[doc(hidden)]
pub mod runtime;
#[cfg(feature = "program")]
#[doc(hidden)]
pub mod serve;
#[cfg(feature = "program")]
#[doc(hidden)]
pub mod server;
#[cfg(feature = "program")]
mod stamp;
#[cfg(feature = "program")]
mod token_files;
#[cfg(feature = "simulator")]
#[doc(hidden)]
pub use fedimeter_simulator as simulator;

// The `runbook_url` of an alert leads to this page, at the alert's own heading.
#[cfg(doc)]
#[doc = include_str!("../docs/runbook.md")]
pub mod runbook {}
