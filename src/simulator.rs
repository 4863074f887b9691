//! A Mastodon server that never was.

mod faults;

pub use faults::{Fault, FaultRule, MAX_BODY, ParseFaultError};
