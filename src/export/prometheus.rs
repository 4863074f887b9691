//! Pull: what the SDK collects, as Prometheus families, in the format that
//! the client asked for.

use std::collections::HashMap;
use std::ops::Range;
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
use super::exposition::{Exposition, Format, unit_word};
use super::pipeline::{self, Pipeline};

/// Points of one part of the targets. What is gathered takes about a kilobyte
/// a point until it is written: it is gathered and written part by part.
const MOST_POINTS: usize = 5_000;

/// Providers of its own, read through `opentelemetry-prometheus`.
#[derive(Debug)]
pub struct Pull {
    parts: Vec<(Range<usize>, Pipeline, Registry)>,
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
        resource: &Resource,
        targets: &[Arc<Target>],
        scope_labels: bool,
        compat: Option<Compat>,
    ) -> Result<Pull, PullError> {
        let mut all = Vec::new();
        for part in pipeline::parts(targets, MOST_POINTS) {
            let registry = Registry::new();
            // Every part has the same resource; it is told once.
            let reader = reader(&registry, scope_labels, part.start == 0)?;
            let pipeline = Pipeline::new(reader, resource.clone(), targets, &part);
            all.push((part, pipeline, registry));
        }
        Ok(Pull { parts: all, units: units(), compat })
    }

    /// What the view has, in a format. Blocks: not for an async thread.
    pub fn scrape(
        &self,
        view: &Arc<View>,
        own: Vec<MetricFamily>,
        format: Format,
    ) -> Result<Vec<u8>, PullError> {
        let unit_of = |name: &str| self.units.get(name).copied();
        let mut exposition = Exposition::new(format, &unit_of);
        for (part, pipeline, registry) in &self.parts {
            let families = pipeline.with_view(view.clone(), || registry.gather());
            // A target that was attempted has at least its `up`.
            let mut own_readings = view.readings().skip(part.start).take(part.len());
            if families.is_empty() && own_readings.any(|reading| reading.up().is_some()) {
                return Err(PullError::Nothing);
            }
            exposition.add(families);
        }
        exposition.add(own);
        if let Some(compat) = self.compat {
            exposition.add(compat::families(view, compat));
        }
        Ok(exposition.finish())
    }
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
    if row.kind == Kind::Counter { format!("{name}_total") } else { name }
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
        let started: Moment = Duration::from_secs(1);
        let view = Arc::new(View { started, unix: 1.0, targets: vec![(target, snapshot)] });

        let page = pull.scrape(&view, Vec::new(), Format::Text004).unwrap();
        assert!(
            String::from_utf8(page).unwrap().contains("fedimeter_target_up{server_address=\"a.example\"")
        );
        pull.parts[0].1.shutdown();
        assert!(matches!(pull.scrape(&view, Vec::new(), Format::Text004), Err(PullError::Nothing)));
    }
}
