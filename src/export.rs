//! From the SDK to the outside.

pub mod exposition;
pub mod negotiation;
