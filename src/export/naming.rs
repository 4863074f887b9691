//! Names on `/metrics`: how OpenTelemetry names become Prometheus names (the
//! translation strategy), and how names are written for scrapers that accept only some
//! characters (the escaping scheme of the request).
//!
//! `opentelemetry-prometheus` gathers names by `UnderscoreEscapingWithSuffixes`. For
//! another strategy each gathered name is looked up in the table of metrics, which
//! holds the original.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::Arc;

use opentelemetry_sdk::Resource;
use prometheus::proto::{LabelPair, MetricFamily};

use crate::metrics::attributes::ATTRIBUTES;
use crate::metrics::{Kind, Row, rows};
use crate::snapshot::View;
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
    /// The labels' names on the page, by gathered name, for labels from the table and
    /// the resource.
    labels: HashMap<String, String>,
    /// The unit words by scheme: every slice of a page asks for them.
    units: HashMap<Escaping, HashMap<String, &'static str>>,
}

impl Names {
    /// Prepares the names for this strategy, including those of the resource's
    /// attributes.
    #[must_use]
    pub fn new(strategy: Strategy, resource: &Resource) -> Names {
        let gathered = Strategy::default();
        let families = rows().map(|row| (gathered.family(row), strategy.family(row))).collect();
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
        Names { strategy, families, labels, units: schemes.map(units).into() }
    }

    /// Whether a page with this scheme shows the names as they were gathered.
    #[must_use]
    pub fn are_as_gathered(&self, escaping: Escaping) -> bool {
        self.strategy == Strategy::default() && escaping != Escaping::Dots
    }

    /// The unit words of families, by their names under a scheme.
    #[must_use]
    pub fn units(&self, escaping: Escaping) -> Option<&HashMap<String, &'static str>> {
        self.units.get(&escaping)
    }

    /// The name of a target's attribute.
    #[must_use]
    pub fn label(&self, key: &str, escaping: Escaping) -> String {
        if self.strategy.is_utf8() { escaped(key, escaping) } else { escaped(&underscored(key), escaping) }
    }

    /// Renames families and labels by the strategy and the scheme. The view supplies
    /// the user's own attributes.
    pub fn rename(&self, families: &mut [MetricFamily], view: &View, escaping: Escaping) {
        if self.are_as_gathered(escaping) {
            return;
        }
        let mut own: HashMap<String, &str> = HashMap::new();
        if self.strategy.is_utf8() {
            for (target, _) in &view.targets {
                own.extend(target.identity.iter().map(|(key, _)| (underscored(key), &**key)));
            }
        }
        let of_label = |name: &str| {
            let original = if self.strategy.is_utf8() {
                self.labels.get(name).map(String::as_str).or_else(|| own.get(name).copied())
            } else {
                None
            };
            escaped(original.unwrap_or(name), escaping)
        };
        for family in families {
            let name = self.families.get(family.name()).map_or(family.name(), String::as_str);
            family.set_name(escaped(name, escaping));
            for metric in family.mut_metric() {
                let mut labels: Vec<LabelPair> = metric.take_label();
                for label in &mut labels {
                    label.set_name(of_label(label.name()));
                }
                metric.set_label(labels);
            }
        }
    }
}

/// When counters started counting: those of a target when the bridge first knew the
/// target, all others when the bridge started.
pub struct Starts {
    names: HashSet<String>,
    targets: HashMap<Vec<(String, String)>, f64>,
}

impl Starts {
    /// Of a view, whose attributes `label` names as the page does.
    pub fn of(view: &View, label: impl Fn(&str) -> String) -> Starts {
        let (mut names, mut targets) = (HashSet::new(), HashMap::new());
        for (target, snapshot) in &view.targets {
            let identity = labels(target, &label);
            names.extend(identity.iter().map(|(name, _)| name.clone()));
            let age = view.started.since(snapshot.since).as_secs_f64();
            targets.insert(identity, view.unix - age);
        }
        Starts { names, targets }
    }

    /// Returns the start time of a series.
    #[must_use]
    pub fn find(&self, labels: &[LabelPair]) -> Option<f64> {
        let identity = labels.iter().filter(|label| self.names.contains(label.name()));
        let mut identity: Vec<(String, String)> =
            identity.map(|label| (label.name().to_owned(), label.value().to_owned())).collect();
        identity.sort();
        self.targets.get(&identity).copied()
    }
}

/// Returns the labels that a target's attributes become, sorted by name. `name` names
/// an attribute.
pub fn labels(target: &Target, name: impl Fn(&str) -> String) -> Vec<(String, String)> {
    let label = |(key, value): &(Arc<str>, AttributeValue)| (name(key), value.to_string());
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
