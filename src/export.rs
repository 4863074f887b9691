//! Exporters: how collected metrics leave the process, by push (OTLP) and pull
//! (`/metrics`).

pub mod batches;
pub mod chunk;
pub mod compat;
mod cut;
mod delta;
pub mod exposition;
pub mod naming;
pub mod negotiation;
pub mod otlp;
pub mod page;
pub mod pipeline;
pub mod probed;
pub mod prometheus;
pub mod push;
pub mod self_metrics;
pub mod telemetry;
