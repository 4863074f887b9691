//! What push sends: all targets, a batch a request.

use std::collections::HashMap;
use std::convert::Infallible;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;

use crate::instruments::pushed_scope;
use crate::log_once::LogOnce;
use crate::metrics::{Kind, rows};
use crate::snapshot::View;
use crate::target::Target;

use super::pipeline::{Pipeline, Pool, SharedReader};

/// Points of one push request at most. A collector refuses a gRPC message over
/// 4 MiB, and a point takes 80 to 100 bytes.
const MAX_POINTS: usize = 40_000;
/// Bytes that the points of one push request may take, by estimate.
const MAX_BYTES: usize = 5 << 19;
/// Collects all targets for an exporter that pushes, a batch a request.
#[derive(Debug)]
pub struct Batches {
    pipelines: Pipelines,
    failing: LogOnce,
}

#[derive(Debug)]
enum Pipelines {
    /// Any pipeline collects any slice.
    Shared { pool: Pool<SharedReader, Infallible>, slices: Vec<Range<usize>> },
    /// Each target keeps its pipeline, and with it the state of its differences.
    Delta(Mutex<DeltaPipelines>),
}

#[derive(Debug)]
struct DeltaPipelines {
    resource: Resource,
    pipelines: Vec<Pipeline<SharedReader>>,
    /// Which of them has a target, by the target's name.
    place: HashMap<Arc<str>, usize>,
}

impl Batches {
    /// Batches of these targets.
    #[must_use]
    pub fn new(temporality: Temporality, resource: &Resource, targets: &[Arc<Target>]) -> Batches {
        let pipelines = if temporality == Temporality::Delta {
            let (pipelines, place) = Default::default();
            Pipelines::Delta(Mutex::new(DeltaPipelines { resource: resource.clone(), pipelines, place }))
        } else {
            let slices = slices(targets, MAX_POINTS);
            let (resource, targets, of) = (resource.clone(), targets.to_vec(), slices.clone());
            let make = move || {
                let slices: Vec<_> = of.iter().map(|slice| &targets[slice.clone()]).collect();
                Ok(pushing(temporality, &resource, &slices))
            };
            let Ok(pool) = Pool::new(make);
            Pipelines::Shared { pool, slices }
        };
        Batches { pipelines, failing: LogOnce::default() }
    }

    /// Collects what the view has. Blocks: not for an async thread.
    #[must_use]
    pub fn collect(&self, view: &Arc<View>) -> Vec<ResourceMetrics> {
        match &self.pipelines {
            Pipelines::Shared { pool, slices } => slices
                .iter()
                .map(|range| {
                    let Ok(metrics) = pool.read(view.slice(range.clone()), |reader| self.one(reader));
                    metrics
                })
                .collect(),
            Pipelines::Delta(delta) => {
                let mut delta = delta.lock().unwrap_or_else(PoisonError::into_inner);
                let views = delta.placed(view);
                let pipelines = delta.pipelines.iter_mut().zip(views);
                pipelines
                    .map(|(pipeline, view)| pipeline.read(Arc::new(view), |reader| self.one(reader)))
                    .collect()
            }
        }
    }

    fn one(&self, reader: &SharedReader) -> ResourceMetrics {
        let mut metrics = ResourceMetrics::default();
        match reader.collect(&mut metrics) {
            Err(e) if self.failing.begins() => {
                tracing::error!(
                    "collections fail in the SDK and lose points: {e}; restart fedimeter, and please report this"
                );
            }
            Ok(()) if self.failing.ends() => tracing::info!("collections no longer fail in the SDK"),
            _ => {}
        }
        metrics
    }
}

impl DeltaPipelines {
    /// The view divided among the pipelines. Targets that have none yet get new
    /// ones; the others stay where they are.
    fn placed(&mut self, view: &View) -> Vec<View> {
        let new: Vec<Arc<Target>> = view
            .targets
            .iter()
            .map(|(target, _)| target)
            .filter(|target| !self.place.contains_key(&target.name))
            .cloned()
            .collect();
        for slice in slices(&new, MAX_POINTS) {
            let targets = &new[slice];
            self.place.extend(targets.iter().map(|target| (target.name.clone(), self.pipelines.len())));
            self.pipelines.push(pushing(Temporality::Delta, &self.resource, &[targets]));
        }
        let mut views: Vec<View> = self.pipelines.iter().map(|_| view.without_targets()).collect();
        for (target, snapshot) in &view.targets {
            views[self.place[&target.name]].targets.push((target.clone(), snapshot.clone()));
        }
        views
    }
}

fn pushing(
    temporality: Temporality,
    resource: &Resource,
    slices: &[&[Arc<Target>]],
) -> Pipeline<SharedReader> {
    let reader = SharedReader::new(temporality);
    Pipeline::new(reader.clone(), reader, resource.clone(), pushed_scope(), slices)
}

/// Divides targets into slices of so many points at most, each of which fits
/// into one export request.
#[must_use]
pub fn slices(targets: &[Arc<Target>], max_points: usize) -> Vec<Range<usize>> {
    let mut slices = Vec::new();
    let (mut start, mut points, mut bytes) = (0, 0, 0);
    for (i, target) in targets.iter().enumerate() {
        let (own_points, own_bytes) = size(target);
        if i > start && (points + own_points > max_points || bytes + own_bytes > MAX_BYTES) {
            slices.push(start..i);
            (start, points, bytes) = (i, 0, 0);
        }
        points += own_points;
        bytes += own_bytes;
    }
    if start < targets.len() {
        slices.push(start..targets.len());
    }
    slices
}

/// Points that a target can have, and the bytes that they take in OTLP.
fn size(target: &Target) -> (usize, usize) {
    // Of the types of failure that exist, a target meets few.
    const FAILURE_TYPES: usize = 4;
    let points: usize = rows()
        .map(|row| match row.kind() {
            Kind::Counter => row.most(target).min(target.endpoints.len() * FAILURE_TYPES),
            _ => row.most(target),
        })
        .sum();
    // Two timestamps and a value, framing, and each attribute twice framed.
    let identity: usize = target
        .identity
        .iter()
        .map(|(key, value)| {
            let text = match value {
                crate::target::AttributeValue::Text(text) => text.len(),
                crate::target::AttributeValue::Int(_) => 4,
            };
            key.len() + text + 10
        })
        .sum();
    (points, points * (80 + identity))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use opentelemetry_sdk::metrics::data::{AggregatedMetrics, Metric, MetricData, ScopeMetrics};

    use super::*;
    use crate::endpoint::Endpoint;
    use crate::outcome::{ErrorType, Outcome};
    use crate::snapshot::{Slot, Snapshot};

    fn targets(number: usize) -> Vec<Arc<Target>> {
        let url = |i| url::Url::parse(&format!("https://i{i:05}.example")).unwrap();
        (0..number).map(|i| Arc::new(Target::new(url(i), None, None, &BTreeMap::new()))).collect()
    }

    #[test]
    fn slices_cover_every_target_once_and_stay_small() {
        let targets = targets(10_000);
        let slices = slices(&targets, MAX_POINTS);
        assert!(slices.len() > 1);
        assert_eq!(slices.iter().map(Range::len).sum::<usize>(), targets.len());
        assert!(slices.windows(2).all(|w| w[0].end == w[1].start));
        for slice in slices {
            let points: usize = targets[slice].iter().map(|t| size(t).0).sum();
            assert!(points <= MAX_POINTS);
        }
    }

    /// The targets, each with as many failures as its place.
    fn view(targets: &[Arc<Target>]) -> Arc<View> {
        let known = |(i, target): (usize, &Arc<Target>)| {
            let mut slot = Slot::new(Endpoint::InstanceV2);
            slot.outcome = Some(Outcome::Failed(ErrorType::Connect));
            slot.count(ErrorType::Connect, i as u64 + 1);
            (target.clone(), Arc::new(Snapshot { slots: vec![slot], ..Snapshot::default() }))
        };
        let targets = targets.iter().enumerate().map(known).collect();
        Arc::new(View { started: crate::clock::Moment::at(Duration::from_secs(1)), unix: 1.0, targets })
    }

    fn metrics(batches: &[ResourceMetrics]) -> impl Iterator<Item = &Metric> {
        batches.iter().flat_map(ResourceMetrics::scope_metrics).flat_map(ScopeMetrics::metrics)
    }

    /// Points of a gauge, from all batches.
    fn gauge_points(batches: &[ResourceMetrics], name: &str) -> usize {
        let points = |metric: &Metric| match metric.data() {
            AggregatedMetrics::I64(MetricData::Gauge(gauge)) => gauge.data_points().count(),
            data => panic!("{data:?}"),
        };
        metrics(batches).filter(|metric| metric.name() == name).map(points).sum()
    }

    /// Failures by server, from all batches.
    fn failures(batches: &[ResourceMetrics]) -> BTreeMap<String, u64> {
        let mut found = BTreeMap::new();
        for metric in metrics(batches).filter(|metric| metric.name() == "fedimeter.endpoint.failures") {
            let AggregatedMetrics::U64(MetricData::Sum(sum)) = metric.data() else { panic!("{metric:?}") };
            for point in sum.data_points() {
                let server = point.attributes().find(|a| a.key.as_str() == "server.address").unwrap();
                let before = found.insert(server.value.to_string(), point.value());
                assert_eq!(before, None, "{server:?} is reported twice");
            }
        }
        found
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
        // One more target: those that were there report what is new, and nothing is.
        let mut found = failures(&batches.collect(&view(&all)));
        assert_eq!(found.remove("i00002.example"), Some(3));
        assert!(found.values().all(|difference| *difference == 0), "{found:?}");
    }
}
