//! A provider of the SDK with its reader and the view that it reads: one
//! exporter's own, or one of several among which push divides its points.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{
    InstrumentKind, ManualReader, Pipeline as SdkPipeline, SdkMeterProvider, Temporality,
};

use crate::instruments::{self, Pinned, SCOPE};
use crate::logging::Spell;
use crate::metrics::rows;
use crate::snapshot::View;
use crate::target::Target;

/// Points of one provider at most. A collector refuses a gRPC message over
/// 4 MiB, and a point takes 80 to 100 bytes.
const MOST_POINTS: usize = 40_000;
/// Bytes that the points of one provider may take, by estimate.
const MOST_BYTES: usize = 5 << 19;

/// A reader that can be asked after the provider took it.
#[derive(Clone)]
pub struct SharedReader(Arc<ManualReader>);

impl SharedReader {
    /// A reader with this temporality.
    #[must_use]
    pub fn new(temporality: Temporality) -> SharedReader {
        SharedReader(Arc::new(ManualReader::builder().with_temporality(temporality).build()))
    }
}

impl fmt::Debug for SharedReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedReader")
    }
}

impl MetricReader for SharedReader {
    fn register_pipeline(&self, pipeline: Weak<SdkPipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, rm: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(rm)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}

/// Instruments over a part of the targets, ready to be collected.
#[derive(Debug)]
pub struct Pipeline {
    pinned: Arc<Pinned>,
    /// One collection at a time sees one view.
    turn: Mutex<()>,
    /// Readers know their provider only weakly.
    #[cfg_attr(not(test), expect(dead_code, reason = "it is kept, not read"))]
    provider: SdkMeterProvider,
}

impl Pipeline {
    /// Makes the instruments for the targets in `part`, to be read by `reader`.
    #[must_use]
    pub fn new(
        reader: impl MetricReader,
        resource: Resource,
        targets: &[Arc<Target>],
        part: &Range<usize>,
    ) -> Pipeline {
        let provider = SdkMeterProvider::builder()
            .with_resource(resource)
            .with_reader(reader)
            .with_view(instruments::room_for(&targets[part.clone()]))
            .build();
        let pinned = Arc::new(Pinned::default());
        let source: Arc<dyn instruments::Source> = pinned.clone();
        instruments::register(&provider.meter(SCOPE), &source, targets, part);
        Pipeline { pinned, turn: Mutex::default(), provider }
    }

    /// Runs `read` with this view in the callbacks' sight. Blocks while they
    /// run: not for an async thread.
    pub fn with_view<T>(&self, view: Arc<View>, read: impl FnOnce() -> T) -> T {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.pinned.set(Some(view));
        let read = read();
        self.pinned.set(None);
        read
    }

    /// As good as poisoned: it collects nothing from now on.
    #[cfg(test)]
    pub fn shutdown(&self) {
        let _ = self.provider.shutdown();
    }
}

/// The pipelines of an exporter that pushes: each fits into one request.
#[derive(Debug)]
pub struct Divided(Vec<(Pipeline, SharedReader, Spell)>);

impl Divided {
    /// Divides the targets.
    #[must_use]
    pub fn new(temporality: Temporality, resource: &Resource, targets: &[Arc<Target>]) -> Divided {
        let one = |part: &Range<usize>| {
            let reader = SharedReader::new(temporality);
            (Pipeline::new(reader.clone(), resource.clone(), targets, part), reader, Spell::default())
        };
        Divided(parts(targets, MOST_POINTS).iter().map(one).collect())
    }

    /// Collects what the view has. Blocks: not for an async thread.
    #[must_use]
    pub fn collect(&self, view: &Arc<View>) -> Vec<ResourceMetrics> {
        let one = |(pipeline, reader, failing): &(Pipeline, SharedReader, Spell)| {
            let mut metrics = ResourceMetrics::default();
            match pipeline.with_view(view.clone(), || reader.collect(&mut metrics)) {
                Err(e) if failing.begins() => {
                    tracing::error!(
                        "collections fail in the SDK and lose points: {e}; restart fedimeter, and please report this"
                    );
                }
                Ok(()) if failing.ends() => tracing::info!("collections no longer fail in the SDK"),
                _ => {}
            }
            metrics
        };
        self.0.iter().map(one).collect()
    }
}

/// Divides targets into parts of so many points at most, each of which fits
/// into one export request.
#[must_use]
pub fn parts(targets: &[Arc<Target>], most_points: usize) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let (mut start, mut points, mut bytes) = (0, 0, 0);
    for (i, target) in targets.iter().enumerate() {
        let (own_points, own_bytes) = size(target);
        if i > start && (points + own_points > most_points || bytes + own_bytes > MOST_BYTES) {
            parts.push(start..i);
            (start, points, bytes) = (i, 0, 0);
        }
        points += own_points;
        bytes += own_bytes;
    }
    if start < targets.len() {
        parts.push(start..targets.len());
    }
    parts
}

/// Points that a target can have, and the bytes that they take in OTLP.
fn size(target: &Target) -> (usize, usize) {
    // Of the types of failure that exist, a target meets few.
    const FAILURE_TYPES: usize = 4;
    let points: usize = rows()
        .map(|row| match row.name {
            "fedimeter.endpoint.failures" => target.endpoints.len() * FAILURE_TYPES,
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
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn parts_cover_every_target_once_and_stay_small() {
        let url = |i| url::Url::parse(&format!("https://i{i:05}.example")).unwrap();
        let targets: Vec<Arc<Target>> =
            (0..10_000).map(|i| Arc::new(Target::new(url(i), None, None, &BTreeMap::new()))).collect();
        let parts = parts(&targets, MOST_POINTS);
        assert!(parts.len() > 1);
        assert_eq!(parts.iter().map(Range::len).sum::<usize>(), targets.len());
        assert!(parts.windows(2).all(|w| w[0].end == w[1].start));
        for part in parts {
            let points: usize = targets[part].iter().map(|t| size(t).0).sum();
            assert!(points <= MOST_POINTS);
        }
    }
}
