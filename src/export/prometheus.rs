//! Pull: what the SDK collects, as Prometheus families, in the format that
//! the client asked for.

use std::collections::HashMap;
use std::sync::Arc;

use opentelemetry::InstrumentationScope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::reader::MetricReader;
use prometheus::Registry;
use prometheus::proto::MetricFamily;

use crate::instruments::SCOPE;
use crate::metrics::{Kind, Row, rows};
use crate::snapshot::View;
use crate::target::Target;

use super::compat::{self, Compat};
use super::cut::Cutter;
use super::exposition::{Exposition, Format, unit_word};
use super::page::Page;
use super::pipeline::Pipeline;

/// Points of one slice of the targets. What is gathered takes about a kilobyte
/// a point until it is written: it is gathered and written slice by slice.
const MAX_POINTS: usize = 5_000;

/// Pipelines of its own, read through `opentelemetry-prometheus`.
#[derive(Debug)]
pub struct Pull {
    cutter: Cutter<Registry, PullError>,
    units: HashMap<String, &'static str>,
    compat: Option<Compat>,
}

/// The family that tells the resource.
const TARGET_INFO: &str = "target_info";

/// A scrape that cannot be answered.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PullError {
    /// The exporter cannot be set up.
    #[error("failed to set up the Prometheus exporter: {0}")]
    Setup(String),
    /// The SDK's pipeline gave nothing at all, not even the target's own info.
    #[error("the SDK collected nothing; restart fedimeter, and please report this")]
    Nothing,
    /// All who asked have left.
    #[error("nobody waits for the answer any more")]
    Unwanted,
}

impl Pull {
    /// Makes the instruments for these targets; views may come with others later.
    pub fn new(
        resource: &Resource,
        targets: &[Arc<Target>],
        scope_labels: bool,
        compat: Option<Compat>,
    ) -> Result<Pull, PullError> {
        let resource = resource.clone();
        let make = move |slices: &[&[Arc<Target>]]| {
            let registry = Registry::new();
            let reader = reader(&registry, scope_labels, true)?;
            Ok(Pipeline::new(reader, registry, resource.clone(), scope(), slices))
        };
        Ok(Pull { cutter: Cutter::new(MAX_POINTS, targets, make)?, units: units(), compat })
    }

    /// What the view has, in a format, while it is wanted. Blocks: not for an
    /// async thread.
    ///
    /// # Errors
    ///
    /// When the SDK gave nothing, or the page is no longer wanted.
    pub fn scrape(
        &self,
        view: &Arc<View>,
        own: Vec<MetricFamily>,
        format: Format,
        is_wanted: &dyn Fn() -> bool,
    ) -> Result<Page, PullError> {
        let unit_of = |name: &str| self.units.get(name).copied();
        let mut exposition = Exposition::new(format, &unit_of);
        let cut = self.cutter.of(view)?;
        for range in cut.slices.iter() {
            if !is_wanted() {
                return Err(PullError::Unwanted);
            }
            let slice = view.slice(range.clone());
            let mut families = cut.pool.read(slice.clone(), Registry::gather)?;
            // A target that was attempted has at least its `up`.
            if families.is_empty() && slice.readings().any(|reading| reading.up().is_some()) {
                return Err(PullError::Nothing);
            }
            // Every slice has the same resource; it is told once.
            if range.start > 0 {
                families.retain(|family| family.name() != TARGET_INFO);
            }
            exposition.add(families);
        }
        exposition.add(own);
        if let Some(compat) = self.compat {
            exposition.add(compat::families(view, compat));
        }
        Ok(Page::new(exposition.finish()))
    }
}

/// The scope on `/metrics`.
pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(SCOPE).build()
}

/// A reader through which the registry gathers, `target_info` included or not.
pub(super) fn reader(
    registry: &Registry,
    scope_labels: bool,
    target_info: bool,
) -> Result<impl MetricReader + use<>, PullError> {
    let mut exporter =
        opentelemetry_prometheus::exporter().with_registry(registry.clone()).scope_info_enabled(scope_labels);
    if !target_info {
        exporter = exporter.without_target_info();
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
    if row.kind() == Kind::Counter { format!("{name}_total") } else { name }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::clock::Moment;
    use crate::endpoint::Endpoint;
    use crate::outcome::{ErrorType, Outcome};
    use crate::snapshot::{Slot, Snapshot};

    /// A pipeline of the SDK that is poisoned or shut down gathers nothing. A
    /// page without the target would look like a scrape that went well.
    #[test]
    fn a_dead_pipeline_is_no_empty_page() {
        let url = url::Url::parse("https://a.example").unwrap();
        let target = Arc::new(Target::new(url, None, None, &BTreeMap::new()));
        let resource = Resource::builder_empty().build();
        let pull = Pull::new(&resource, std::slice::from_ref(&target), true, None).unwrap();
        let mut slot = Slot::new(Endpoint::InstanceV2);
        slot.outcome = Some(Outcome::Failed(ErrorType::Connect));
        let snapshot = Arc::new(Snapshot { slots: vec![slot], ..Snapshot::default() });
        let started = Moment::at(Duration::from_secs(1));
        let view = Arc::new(View { started, unix: 1.0, targets: vec![(target, snapshot)] });

        let scrape = |is_wanted| pull.scrape(&view, Vec::new(), Format::Text004, &|| is_wanted);
        let page = scrape(true).unwrap();
        assert!(
            String::from_utf8_lossy(&page.text())
                .contains("fedimeter_target_up{server_address=\"a.example\"")
        );
        assert!(matches!(scrape(false), Err(PullError::Unwanted)));
        pull.cutter.of(&view).unwrap().pool.shutdown();
        assert!(matches!(scrape(true), Err(PullError::Nothing)));
    }
}
