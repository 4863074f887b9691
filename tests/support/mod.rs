//! What several test binaries share. Each uses only a part of it.
#![allow(dead_code)]

pub mod families;
pub mod generated;
pub mod venv;
