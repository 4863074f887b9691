//! From the SDK to the outside.

pub mod otlp;
pub mod push;
