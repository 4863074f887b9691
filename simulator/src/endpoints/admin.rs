//! Endpoints for administrators: the figures of the dashboard, and lists of reports,
//! accounts, blocks and trends.

pub(crate) mod dashboard;
pub(crate) mod lists;
pub(crate) mod people;
pub(crate) mod trends;
