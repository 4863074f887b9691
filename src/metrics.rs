//! THE TABLE: one row for each metric, with its name, unit, description and source, and
//! the pure function that reads it.

mod absence;
mod account;
mod admin;
pub mod attributes;
mod bridge;
mod configured;
mod instance;
mod lists;
mod nodeinfo;
mod probes;
mod row;
mod target;
pub mod uncounted;

pub use absence::{Absence, in_words};
pub use bridge::of;
pub use row::{Emit, Kind, Label, Number, Read, Row, ShownAs, Stability, Timing, Unless};

use row::{emit_tally, gauge};

use crate::endpoint::Endpoint;
use crate::target::Target;

/// The schema of OpenTelemetry's names: the release of the semantic conventions that
/// the table follows.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.45.0";

/// The families of the table, in the order of the documentation.
pub const FAMILIES: &[(&str, &[Row])] = &[
    ("The target", target::ROWS),
    ("The instance", instance::ROWS),
    ("What else an instance shows", lists::ROWS),
    ("NodeInfo", nodeinfo::ROWS),
    ("Accounts and hashtags", account::ROWS),
    ("Administration", admin::ROWS),
    ("The bridge itself", bridge::ROWS),
    ("The bridge's configuration", configured::ROWS),
    ("Probes", probes::ROWS),
];

/// Whether a target is up.
pub const UP: &str = target::UP;
/// The row that the bridge always has a point of.
pub const BUILD_INFO: &str = bridge::BUILD_INFO;

/// Whether an endpoint is needed: any metric of the target is read from it, or another
/// part of the program uses it.
#[must_use]
pub fn is_of_use(endpoint: Endpoint, target: &Target) -> bool {
    let is_read_from = |row: &&Row| row.shown != ShownAs::Asking && row.from.contains(&endpoint);
    let mut read = rows().filter(is_read_from).peekable();
    endpoint.shows_up() || read.peek().is_none() || read.any(|row| !target.leaves_out(row.name))
}

/// All rows.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    FAMILIES.iter().flat_map(|(_, rows)| rows.iter())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_table_keeps_the_conventions() {
        let mut seen = HashSet::new();
        for row in rows() {
            assert!(seen.insert(row.name), "{} stands twice", row.name);
            let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '_';
            assert!(row.name.chars().all(legal), "{}", row.name);
            let space = row.name.split('.').next().unwrap();
            let borrowed = row.is_own() && ["otel", "process"].contains(&space);
            assert!(["fedimeter", "mastodon", "nodeinfo"].contains(&space) || borrowed, "{}", row.name);
            assert!(!row.name.ends_with("total"), "{}", row.name);
            let unit = row.unit;
            let annotation = unit.starts_with('{') && unit.ends_with('}') && !unit.ends_with("s}");
            let plural_by_nature = unit == "{status}";
            assert!(
                ["", "s", "By"].contains(&unit) || annotation || plural_by_nature,
                "{}: {unit}",
                row.name
            );
            assert_eq!(
                row.name.ends_with(".timestamp"),
                unit == "s" && row.name.contains("timestamp"),
                "{}",
                row.name
            );
            assert!(row.description.ends_with('.'), "{}", row.name);
            assert!(!row.source.is_empty() && !row.on.is_empty(), "{}", row.name);
            assert!(row.attributes.is_sorted(), "{}", row.name);
            assert!(row.optional.iter().all(|a| row.attributes.contains(a)), "{}", row.name);
            for name in row.attributes {
                assert!(attributes::find(name).is_some(), "{}: {name}", row.name);
            }
        }
    }
}
