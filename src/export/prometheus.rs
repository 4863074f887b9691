//! Pull: what the SDK collects, as Prometheus families, in the format that
//! the client asked for.

use std::collections::HashMap;
use std::sync::Arc;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::reader::MetricReader;
use prometheus::Registry;
use prometheus::proto::MetricFamily;

use crate::config::Compat;
use crate::metrics::{Kind, Row, rows};
use crate::snapshot::View;
use crate::target::Target;

use super::compat;
use super::exposition::{self, Format, unit_word};
use super::pipeline::Pipeline;

/// A provider of its own, read through `opentelemetry-prometheus`.
#[derive(Debug)]
pub struct Pull {
    pipeline: Pipeline,
    registry: Registry,
    units: HashMap<String, &'static str>,
    compat: Option<Compat>,
}

/// A scrape that cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The exporter cannot be set up.
    #[error("the Prometheus exporter cannot be set up: {0}")]
    Setup(String),
    /// The SDK's pipeline gave nothing at all, not even the target's own info.
    #[error("the SDK collected nothing; restart fedimeter, and please report this")]
    Nothing,
}

impl Pull {
    /// Makes the instruments for these targets.
    pub fn new(
        resource: Resource,
        targets: &[Arc<Target>],
        scope_labels: bool,
        compat: Option<Compat>,
    ) -> Result<Pull, PullError> {
        let registry = Registry::new();
        let reader = reader(&registry, scope_labels)?;
        let pipeline = Pipeline::new(reader, resource, targets, &(0..targets.len()));
        Ok(Pull { pipeline, registry, units: units(), compat })
    }

    /// What the view has, in a format. Blocks: not for an async thread.
    pub fn scrape(
        &self,
        view: &Arc<View>,
        own: Vec<MetricFamily>,
        format: Format,
    ) -> Result<Vec<u8>, PullError> {
        let mut families = self.pipeline.with_view(view.clone(), || self.registry.gather());
        if families.is_empty() {
            return Err(PullError::Nothing);
        }
        families.extend(own);
        if let Some(compat) = self.compat {
            families.extend(compat::families(view, compat));
        }
        Ok(exposition::encode(families, format, &|name| self.units.get(name).copied()))
    }
}

/// A reader through which the registry gathers.
pub(super) fn reader(
    registry: &Registry,
    scope_labels: bool,
) -> Result<impl MetricReader + use<>, PullError> {
    let mut exporter = opentelemetry_prometheus::exporter().with_registry(registry.clone());
    if !scope_labels {
        exporter = exporter.scope_info_enabled(false);
    }
    exporter.build().map_err(|e| PullError::Setup(e.to_string()))
}

/// Unit words by family name.
fn units() -> HashMap<String, &'static str> {
    rows().filter_map(|row| Some((family_name(row), unit_word(row.unit)?))).collect()
}

/// A row's family in Prometheus (`UnderscoreEscapingWithSuffixes`).
#[must_use]
pub fn family_name(row: &Row) -> String {
    let mut name = row.name.replace('.', "_");
    if let Some(unit) = unit_word(row.unit) {
        name = format!("{name}_{unit}");
    }
    if row.kind == Kind::Counter { format!("{name}_total") } else { name }
}
