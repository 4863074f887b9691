//! Names on `/metrics`: how OpenTelemetry names become Prometheus names (the
//! translation strategy), and how names are written for scrapers that accept only some
//! characters (the escaping scheme of the request).
//!
//! `opentelemetry-prometheus` gathers names by `UnderscoreEscapingWithSuffixes`. For
//! another strategy each gathered name is looked up in the table of metrics, which
//! holds the original.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use opentelemetry_sdk::Resource;
use prometheus::proto::{LabelPair, MetricFamily};

use crate::instruments::PLACE;
use crate::metrics::attributes::ATTRIBUTES;
use crate::metrics::{Kind, Row, rows};
use crate::target::{AttributeValue, Target};

use super::exposition::{Escaping, unit_word};

/// OpenTelemetry's translation strategies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Strategy {
    /// `mastodon_instance_users`, `fedimeter_endpoint_duration_seconds`.
    #[default]
    UnderscoreEscapingWithSuffixes,
    /// `mastodon_instance_users`, `fedimeter_endpoint_duration`.
    UnderscoreEscapingWithoutSuffixes,
    /// `mastodon.instance.users`, `fedimeter.endpoint.duration_seconds`.
    NoUtf8EscapingWithSuffixes,
    /// `mastodon.instance.users`, `fedimeter.endpoint.duration`.
    NoTranslation,
}

impl Strategy {
    /// Whether names keep their dots.
    #[must_use]
    pub fn is_utf8(self) -> bool {
        matches!(self, Strategy::NoUtf8EscapingWithSuffixes | Strategy::NoTranslation)
    }

    /// Returns the name of a row's family under this strategy.
    #[must_use]
    pub fn family(self, row: &Row) -> String {
        let mut name = if self.is_utf8() { row.name.to_owned() } else { row.name.replace('.', "_") };
        if matches!(self, Strategy::UnderscoreEscapingWithSuffixes | Strategy::NoUtf8EscapingWithSuffixes) {
            if let Some(unit) = unit_word(row.unit) {
                name = format!("{name}_{unit}");
            }
            if row.kind() == Kind::Counter {
                name.push_str("_total");
            }
        }
        name
    }
}

/// The translation of all names on a page.
#[derive(Debug)]
pub struct Names {
    strategy: Strategy,
    /// The families' names on the page, by gathered name.
    families: HashMap<String, String>,
    /// The help texts, by gathered name.
    help: HashMap<String, &'static str>,
    /// The labels' names on the page, by gathered name, for labels from the table and
    /// the resource.
    labels: HashMap<String, String>,
    /// The unit words by scheme: every slice of a page asks for them.
    units: HashMap<Escaping, HashMap<String, &'static str>>,
    /// The gathered name of the label with a target's place.
    place: String,
}

impl Names {
    /// Prepares the names for this strategy, including those of the resource's
    /// attributes.
    #[must_use]
    pub fn new(strategy: Strategy, resource: &Resource) -> Names {
        let gathered = Strategy::default();
        let families = rows().map(|row| (gathered.family(row), strategy.family(row))).collect();
        let help = rows().map(|row| (gathered.family(row), row.description)).collect();
        let known = ATTRIBUTES.iter().map(|attribute| attribute.name.to_owned());
        let of_resource = resource.iter().map(|(key, _)| key.to_string());
        let built_in = ["server.address", "server.port"].map(str::to_owned);
        let labels =
            known.chain(of_resource).chain(built_in).map(|name| (underscored(&name), name)).collect();
        let units = |escaping| {
            let named = |row: &Row| Some((escaped(&strategy.family(row), escaping), unit_word(row.unit)?));
            (escaping, rows().filter_map(named).collect())
        };
        let schemes = [Escaping::Underscores, Escaping::Values, Escaping::AllowUtf8, Escaping::Dots];
        Names {
            strategy,
            families,
            help,
            labels,
            units: schemes.map(units).into(),
            place: underscored(PLACE),
        }
    }

    /// Whether a page with this scheme shows the names as they were gathered.
    #[must_use]
    pub fn are_as_gathered(&self, escaping: Escaping) -> bool {
        self.strategy == Strategy::default() && escaping != Escaping::Dots
    }

    /// The help text of a family, by its gathered name.
    #[must_use]
    pub fn help(&self, gathered: &str) -> Option<&'static str> {
        self.help.get(gathered).copied()
    }

    /// The unit words of families, by their names under a scheme.
    #[must_use]
    pub fn units(&self, escaping: Escaping) -> Option<&HashMap<String, &'static str>> {
        self.units.get(&escaping)
    }

    /// The name of a target's attribute, or of the scope's label.
    #[must_use]
    pub fn label(&self, key: &str, escaping: Escaping) -> String {
        if self.strategy.is_utf8() { escaped(key, escaping) } else { escaped(&underscored(key), escaping) }
    }

    /// Renames families and labels by the strategy and the scheme. The places of targets
    /// keep their name, because they do not come on the page.
    pub fn rename(&self, families: &mut [MetricFamily], escaping: Escaping) {
        if self.are_as_gathered(escaping) {
            return;
        }
        let of_label = |name: &str| {
            let original = self.labels.get(name).filter(|_| self.strategy.is_utf8());
            escaped(original.map_or(name, String::as_str), escaping)
        };
        for family in families {
            let name = self.families.get(family.name()).map_or(family.name(), String::as_str);
            family.set_name(escaped(name, escaping));
            for metric in family.mut_metric() {
                let mut labels: Vec<LabelPair> = metric.take_label();
                for label in labels.iter_mut().filter(|label| label.name() != self.place) {
                    label.set_name(of_label(label.name()));
                }
                metric.set_label(labels);
            }
        }
    }
}

/// Returns the labels that a target's attributes become, sorted by name.
#[must_use]
pub fn labels(target: &Target) -> Vec<(String, String)> {
    let label = |(name, value): &(Arc<str>, AttributeValue)| (underscored(name), value.to_string());
    let mut labels: Vec<(String, String)> = target.identity.iter().map(label).collect();
    labels.sort();
    labels
}

/// The name that `opentelemetry-prometheus` gives to a label.
#[must_use]
pub fn underscored(name: &str) -> String {
    name.chars().map(|c| if is_legal(c) { c } else { '_' }).collect()
}

fn is_legal(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | ':')
}

/// Writes a name by a scheme, as Prometheus's document on escaping specifies.
#[must_use]
pub fn escaped(name: &str, escaping: Escaping) -> String {
    let is_plain = name.chars().all(is_legal) && !name.starts_with(|c: char| c.is_ascii_digit());
    match escaping {
        Escaping::AllowUtf8 => name.to_owned(),
        Escaping::Underscores => underscored(name),
        Escaping::Values if is_plain => name.to_owned(),
        Escaping::Values => name.chars().fold("U__".to_owned(), |mut out, c| {
            match c {
                '_' => out.push_str("__"),
                c if is_legal(c) => out.push(c),
                // Writing to text cannot fail.
                c => drop(write!(out, "_{:x}_", u32::from(c))),
            }
            out
        }),
        Escaping::Dots => name.chars().fold(String::new(), |mut out, c| {
            match c {
                '_' => out.push_str("__"),
                '.' => out.push_str("_dot_"),
                c if is_legal(c) => out.push(c),
                _ => out.push_str("__"),
            }
            out
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_strategy() {
        let row = |name: &str| rows().find(|row| row.name == name).unwrap();
        let names = |strategy: Strategy| {
            ["mastodon.instance.users", "fedimeter.endpoint.duration", "fedimeter.endpoint.failures"]
                .map(|name| strategy.family(row(name)))
        };
        assert_eq!(
            names(Strategy::UnderscoreEscapingWithSuffixes),
            [
                "mastodon_instance_users",
                "fedimeter_endpoint_duration_seconds",
                "fedimeter_endpoint_failures_total"
            ]
        );
        assert_eq!(
            names(Strategy::UnderscoreEscapingWithoutSuffixes),
            ["mastodon_instance_users", "fedimeter_endpoint_duration", "fedimeter_endpoint_failures"]
        );
        assert_eq!(
            names(Strategy::NoUtf8EscapingWithSuffixes),
            [
                "mastodon.instance.users",
                "fedimeter.endpoint.duration_seconds",
                "fedimeter.endpoint.failures_total"
            ]
        );
        assert_eq!(
            names(Strategy::NoTranslation),
            ["mastodon.instance.users", "fedimeter.endpoint.duration", "fedimeter.endpoint.failures"]
        );
    }

    #[test]
    fn schemes_write_names_as_prometheus_does() {
        for (name, underscores, values, dots) in [
            ("mastodon_users", "mastodon_users", "mastodon_users", "mastodon__users"),
            (
                "mastodon.last_week",
                "mastodon_last_week",
                "U__mastodon_2e_last__week",
                "mastodon_dot_last__week",
            ),
            ("größe", "gr__e", "U__gr_f6__df_e", "gr____e"),
            ("a:b", "a:b", "a:b", "a:b"),
        ] {
            assert_eq!(escaped(name, Escaping::Underscores), underscores);
            assert_eq!(escaped(name, Escaping::Values), values);
            assert_eq!(escaped(name, Escaping::Dots), dots);
            assert_eq!(escaped(name, Escaping::AllowUtf8), name);
        }
    }
}
