//! Helpers of the test programs. Each program uses a part of them.
#![allow(dead_code, unused_imports)]

pub mod dashboard;
pub mod documents;
pub mod expected;
pub mod families;
pub mod forward;
pub mod generated;
pub mod hostile_json;
pub mod http;
pub mod known;
#[cfg(unix)]
pub mod manager;
pub mod meter;
pub mod otlp_sink;
pub mod pki;
pub mod points;
pub mod poll;
pub mod ports;
pub mod program;
pub mod promql;
pub mod recorded;
pub mod rule_files;
pub mod samples;
pub mod semconv;
pub mod served;
pub mod sets;
pub mod sources;
pub mod trial;
pub mod venv;
pub mod yaml;
