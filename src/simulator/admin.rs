//! What only those see who run an instance: the figures of the dashboard, and
//! lists of reports, accounts, blocks and trends.

pub(super) mod dashboard;
pub(super) mod lists;
pub(super) mod people;
pub(super) mod trends;
pub(super) mod truth;
