//! The answers of instances without faults: one file for each family of endpoints. Each
//! converts its part of the [truth](crate::truth) into the JSON of the instance's
//! version.

pub(crate) mod accounts;
pub(crate) mod activity;
pub(crate) mod admin;
pub(crate) mod blocks;
pub(crate) mod community;
pub(crate) mod health;
pub(crate) mod instance;
pub(crate) mod needs;
pub(crate) mod nodeinfo;
mod paging;
pub(crate) mod peers;
pub(crate) mod timelines;
