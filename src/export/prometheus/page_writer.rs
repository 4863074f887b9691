//! Writes gathered families with the names and start times that a configuration wants.

use opentelemetry_sdk::Resource;
use prometheus::proto::MetricFamily;

use crate::export::compat::{self, Compat};
use crate::export::exposition::{Batch, Created, Joined, Representation, Writer};
use crate::export::naming::Names;
use crate::snapshot::View;

use super::{OwnFamilies, PullSettings};

/// What the pages of all targets and those of a probed one are written with.
#[derive(Debug)]
pub struct PageWriter {
    names: Names,
    created: bool,
    scope_labels: bool,
    compat: Option<Compat>,
}

impl PageWriter {
    /// Creates a writer with these settings.
    #[must_use]
    pub fn new(resource: &Resource, settings: PullSettings) -> PageWriter {
        let names = Names::new(settings.strategy, resource);
        let PullSettings { created, scope_labels, compat, .. } = settings;
        PageWriter { names, created, scope_labels, compat }
    }

    /// The names of metrics and labels.
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Writes what was gathered of these targets by their places, and the older names
    /// for them.
    #[must_use]
    pub fn targets(&self, mut families: Vec<MetricFamily>, view: &View, shown: Representation) -> Batch {
        for family in &mut families {
            // Each point would have its own copy if it came with the instruments.
            if let Some(help) = self.names.help(family.name()) {
                family.set_help(help.to_owned());
            }
        }
        if let Some(compat) = self.compat {
            families.extend(compat::families(view, compat));
        }
        let name = |key: &str| self.names.label(key, shown.escaping);
        let joined = Joined::new(view, self.scope_labels, name);
        self.write(families, shown, Some(&joined), Created::ByTarget)
    }

    /// Writes the bridge's own metrics.
    #[must_use]
    pub fn own(&self, own: OwnFamilies, shown: Representation) -> Batch {
        self.write(own.families, shown, None, Created::At(own.since))
    }

    fn write(
        &self,
        mut families: Vec<MetricFamily>,
        shown: Representation,
        joined: Option<&Joined>,
        created: Created,
    ) -> Batch {
        self.names.rename(&mut families, shown.escaping);
        let units = self.names.units(shown.escaping);
        let unit_of = |name: &str| units.and_then(|units| units.get(name).copied());
        let created = if self.created { created } else { Created::Unwritten };
        Writer { format: shown.format, unit_of: &unit_of, joined, created }.write(families)
    }
}
