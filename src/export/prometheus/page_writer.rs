//! Writes gathered families with the names and start times that a configuration wants.

use opentelemetry_sdk::Resource;
use prometheus::proto::MetricFamily;

use crate::export::compat::{self, Compat};
use crate::export::exposition::{Batch, Created, Representation, Writer};
use crate::export::naming::{Names, Starts};
use crate::snapshot::View;

use super::{OwnFamilies, PullSettings, joined};

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
        joined::join(&mut families, view, self.scope_labels);
        if let Some(compat) = self.compat {
            families.extend(compat::families(view, compat));
        }
        let starts = Starts::of(view, |key| self.names.label(key, shown.escaping));
        self.write(families, view, shown, &|labels| starts.find(labels))
    }

    /// Writes the bridge's own metrics.
    #[must_use]
    pub fn own(&self, own: OwnFamilies, view: &View, shown: Representation) -> Batch {
        self.write(own.families, &view.without_targets(), shown, &|_| Some(own.since))
    }

    fn write(
        &self,
        mut families: Vec<MetricFamily>,
        view: &View,
        shown: Representation,
        created: &Created<'_>,
    ) -> Batch {
        self.names.rename(&mut families, view, shown.escaping);
        let units = self.names.units(shown.escaping);
        let unit_of = |name: &str| units.and_then(|units| units.get(name).copied());
        let created = (self.created && shown.format.is_openmetrics()).then_some(created);
        Writer { format: shown.format, unit_of: &unit_of, created }.write(families)
    }
}
