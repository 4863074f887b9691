//! Batches for push: all targets, divided so that each batch becomes one request.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;

use crate::log_once::LogOnce;
use crate::snapshot::View;
use crate::target::Target;

use super::cut::{Cutter, MAX_PUSHED_POINTS, Order};
use super::delta::Delta;
use super::pipeline::{SharedReader, pushing};

/// Collects all targets for an exporter that pushes. Each batch becomes one request.
#[derive(Debug)]
pub struct Batches {
    pipelines: Pipelines,
    failing: LogOnce,
}

#[derive(Debug)]
enum Pipelines {
    /// Cumulative temporality: any pipeline can collect any slice of the targets.
    Shared(Cutter<SharedReader, Infallible>),
    /// Delta temporality: each target stays in its pipeline, which holds the last
    /// reported values.
    Delta(Mutex<Delta>),
}

impl Batches {
    /// Creates batches for these targets. Later views may contain other targets.
    #[must_use]
    pub fn new(temporality: Temporality, resource: &Resource, targets: &[Arc<Target>]) -> Batches {
        let pipelines = if temporality == Temporality::Delta {
            Pipelines::Delta(Mutex::new(Delta::new(resource)))
        } else {
            let resource = resource.clone();
            let make = move |slices: &[&[Arc<Target>]]| Ok(pushing(temporality, &resource, slices));
            let Ok(cutter) = Cutter::new(MAX_PUSHED_POINTS, Order::AS_THEY_ARE, targets, make);
            Pipelines::Shared(cutter)
        };
        Batches { pipelines, failing: LogOnce::default() }
    }

    /// Collects the view. Blocks: do not call it on an async thread.
    #[must_use]
    pub fn collect(&self, view: &Arc<View>) -> Vec<ResourceMetrics> {
        match &self.pipelines {
            Pipelines::Shared(cutter) => {
                let Ok(cut) = cutter.of(view);
                let slices = cut.slices.iter().map(|slice| view.part(slice.iter().copied()));
                let read = |slice| {
                    let Ok(metrics) = cut.pool.read(slice, |reader| self.one(reader));
                    metrics
                };
                slices.map(read).collect()
            }
            Pipelines::Delta(delta) => {
                delta.lock().unwrap_or_else(PoisonError::into_inner).collect(view, |reader| self.one(reader))
            }
        }
    }

    fn one(&self, reader: &SharedReader) -> ResourceMetrics {
        let mut metrics = ResourceMetrics::default();
        match reader.collect(&mut metrics) {
            Err(e) if self.failing.begins() => {
                tracing::error!(
                    "collections fail in the SDK and lose points: {e}; restart fedimeter, and please report \
                     this"
                );
            }
            Ok(()) if self.failing.ends() => tracing::info!("collections no longer fail in the SDK"),
            _ => {}
        }
        metrics
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use opentelemetry_sdk::metrics::data::{AggregatedMetrics, Metric, MetricData};

    use super::*;
    use crate::export::delta::tests::{failures, metrics, targets, view};

    /// Points of a gauge, from all batches.
    fn gauge_points(batches: &[ResourceMetrics], name: &str) -> usize {
        let points = |metric: &Metric| match metric.data() {
            AggregatedMetrics::I64(MetricData::Gauge(gauge)) => gauge.data_points().count(),
            data => panic!("{data:?}"),
        };
        metrics(batches).filter(|metric| metric.name() == name).map(points).sum()
    }

    fn expected(targets: &[Arc<Target>], value: fn(u64) -> u64) -> BTreeMap<String, u64> {
        let host = |target: &Arc<Target>| target.url.host_str().unwrap().to_owned();
        targets.iter().enumerate().map(|(i, target)| (host(target), value(i as u64 + 1))).collect()
    }

    #[test]
    fn a_shared_pipeline_reports_each_slice_and_nothing_of_the_one_before() {
        let targets = targets(1_500);
        let view = view(&targets);
        let batches = Batches::new(Temporality::Cumulative, &Resource::builder_empty().build(), &targets);
        for _ in 0..3 {
            let collected = batches.collect(&view);
            assert!(collected.len() > 1, "several slices");
            assert_eq!(failures(&collected), expected(&targets, |n| n));
            assert_eq!(gauge_points(&collected, "fedimeter.target.up"), targets.len());
        }
    }

    #[test]
    fn delta_differences_survive_a_change_of_targets() {
        let all = targets(3);
        let batches = Batches::new(Temporality::Delta, &Resource::builder_empty().build(), &all[..2]);
        assert_eq!(failures(&batches.collect(&view(&all[..2]))), expected(&all[..2], |n| n));
        // After one more target joins, the others report only what changed, which is
        // nothing.
        let mut found = failures(&batches.collect(&view(&all)));
        assert_eq!(found.remove("i00002.example"), Some(3));
        assert!(found.values().all(|difference| *difference == 0), "{found:?}");
    }
}
