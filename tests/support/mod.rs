//! What several test binaries share. Each uses only a part of it.
#![allow(dead_code)]

pub mod documents;
pub mod families;
pub mod generated;
pub mod points;
pub mod recorded;
pub mod samples;
#[cfg(feature = "simulator")]
pub mod served;
#[cfg(feature = "simulator")]
pub mod sets;
pub mod sources;
pub mod trial;
pub mod venv;
