//! Pipelines of the SDK, and how a few of them serve any number of targets.
//!
//! Callbacks report the pinned snapshots, and an observable instrument reports only
//! what the running collection observed. So a pipeline need not belong to fixed
//! targets: a slice of the targets is pinned and collected, then the next one. The SDK
//! allocates its tables in advance; their size depends on the slice, not on the fleet.
//! Delta temporality is the exception: the SDK computes differences by attribute set,
//! so each target stays in its pipeline.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::Duration;

use opentelemetry::InstrumentationScope;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{
    Instrument, InstrumentKind, ManualReader, Pipeline as SdkPipeline, SdkMeterProvider, Stream, Temporality,
};

use crate::instruments::{self, Pinned, Whose};
use crate::metrics::rows;
use crate::snapshot::View;
use crate::target::Target;

/// The maximum number of pipelines of one exporter. More parallel collections take
/// turns, slice by slice.
const MAX_PIPELINES: usize = 4;

/// A reader that can still be used after the provider has taken ownership of it.
#[derive(Clone)]
pub struct SharedReader(Arc<ManualReader>);

impl SharedReader {
    /// Creates a reader with this temporality.
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

/// A provider of the SDK with its reader and the view that its callbacks read. It runs
/// one collection at a time.
#[derive(Debug)]
pub struct Pipeline<R> {
    pinned: Arc<Pinned<View>>,
    reader: R,
    /// Keeps the provider alive: readers hold it only weakly.
    #[cfg_attr(not(test), expect(dead_code, reason = "it is kept, not read"))]
    provider: SdkMeterProvider,
}

impl<R> Pipeline<R> {
    /// Creates the instruments for these slices of targets. The SDK collects through
    /// `sdk_reader`; collections read through `reader`, and learn about which target a
    /// point is as `whose` says.
    #[must_use]
    pub fn new(
        sdk_reader: impl MetricReader,
        reader: R,
        resource: Resource,
        (scope, whose): (InstrumentationScope, Whose),
        slices: &[&[Arc<Target>]],
    ) -> Pipeline<R> {
        let provider = SdkMeterProvider::builder()
            .with_resource(resource)
            .with_reader(sdk_reader)
            .with_view(room_for(slices))
            .build();
        let pinned = Arc::new(Pinned::default());
        let source: Arc<dyn instruments::Source> = pinned.clone();
        instruments::register(&provider.meter_with_scope(scope), &source, &slices.concat(), whose);
        Pipeline { pinned, reader, provider }
    }

    /// Runs `read` while the callbacks see this view. Blocks: do not call it on an
    /// async thread.
    pub(super) fn read<T>(&self, view: Arc<View>, read: impl FnOnce(&R) -> T) -> T {
        self.pinned.with(view, || read(&self.reader))
    }

    /// Makes the pipeline collect nothing from now on, as if it were poisoned.
    #[cfg(test)]
    pub fn shutdown(&self) {
        let _ = self.provider.shutdown();
    }
}

/// Creates a pipeline for an exporter that pushes, with room for these slices.
#[must_use]
pub fn pushing(
    temporality: Temporality,
    resource: &Resource,
    slices: &[&[Arc<Target>]],
) -> Pipeline<SharedReader> {
    let reader = SharedReader::new(temporality);
    let scope = (instruments::pushed_scope(), Whose::Attributes);
    Pipeline::new(reader.clone(), reader, resource.clone(), scope, slices)
}

/// Returns an SDK view that gives every row room for the points of any two of these
/// slices. The SDK silently merges points beyond its limit of 2,000 into one. It
/// forgets a gauge's attribute set only at the end of a collection that did not observe
/// it, so two consecutive slices need room at once.
fn room_for(slices: &[&[Arc<Target>]]) -> impl Fn(&Instrument) -> Option<Stream> + Send + Sync + use<> {
    let limits: HashMap<&'static str, usize> = rows()
        .filter(|row| !row.is_own())
        .map(|row| {
            let points = |slice: &&[Arc<Target>]| slice.iter().map(|target| row.most(target)).sum();
            let mut sizes: Vec<usize> = slices.iter().map(points).collect();
            sizes.sort_unstable_by(|a, b| b.cmp(a));
            let most: usize = sizes.iter().take(2).sum();
            // The SDK reserves one place for merged points.
            (row.name, (most + 1).next_power_of_two().max(16))
        })
        .collect();
    move |instrument| {
        let limit = *limits.get(instrument.name())?;
        Stream::builder().with_cardinality_limit(limit).build().ok()
    }
}

/// A few pipelines through which any slice of the targets can be read. The first one is
/// created at once, the others when collections overlap.
pub struct Pool<R, E> {
    make: Box<dyn Fn() -> Result<Pipeline<R>, E> + Send + Sync>,
    state: Mutex<PoolState<R>>,
    returned: Condvar,
}

struct PoolState<R> {
    idle: Vec<Arc<Pipeline<R>>>,
    made: usize,
}

impl<R, E> Pool<R, E> {
    /// Creates a pool whose pipelines come from `make`.
    ///
    /// # Errors
    ///
    /// When the first pipeline cannot be created.
    pub fn new(make: impl Fn() -> Result<Pipeline<R>, E> + Send + Sync + 'static) -> Result<Pool<R, E>, E> {
        let first = make()?;
        let state = Mutex::new(PoolState { idle: vec![Arc::new(first)], made: 1 });
        Ok(Pool { make: Box::new(make), state, returned: Condvar::new() })
    }

    /// Reads a slice through a pipeline that no other collection uses at the same time.
    /// Blocks, also while all pipelines are in use: do not call it on an async thread.
    ///
    /// # Errors
    ///
    /// When another pipeline cannot be created.
    pub fn read<T>(&self, slice: Arc<View>, read: impl FnOnce(&R) -> T) -> Result<T, E> {
        let taken = Lease { pool: self, pipeline: self.take()? };
        Ok(taken.pipeline.read(slice, read))
    }

    fn take(&self) -> Result<Arc<Pipeline<R>>, E> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(pipeline) = state.idle.pop() {
                return Ok(pipeline);
            }
            if state.made < MAX_PIPELINES {
                let pipeline = (self.make)()?;
                state.made += 1;
                return Ok(Arc::new(pipeline));
            }
            state = self.returned.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Shuts down the idle pipelines: see [`Pipeline::shutdown`].
    #[cfg(test)]
    #[allow(clippy::missing_panics_doc)]
    pub fn shutdown(&self) {
        self.state.lock().unwrap().idle.iter().for_each(|pipeline| pipeline.shutdown());
    }
}

impl<R: fmt::Debug, E> fmt::Debug for Pool<R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pool")
    }
}

/// A pipeline in use. It returns to the pool even after a panic.
struct Lease<'a, R, E> {
    pool: &'a Pool<R, E>,
    pipeline: Arc<Pipeline<R>>,
}

impl<R, E> Drop for Lease<'_, R, E> {
    fn drop(&mut self) {
        let mut state = self.pool.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.idle.push(self.pipeline.clone());
        self.pool.returned.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collections_that_meet_use_a_few_pipelines() {
        let make = || {
            let reader = SharedReader::new(Temporality::Cumulative);
            Ok::<_, ()>(Pipeline::new(
                reader,
                Mutex::new(()),
                Resource::builder_empty().build(),
                (instruments::pushed_scope(), Whose::Attributes),
                &[],
            ))
        };
        let pool = Pool::new(make).unwrap();
        let view = Arc::new(View::new(crate::clock::Moment::ORIGIN, 0.0, Vec::new()));
        let met = std::sync::Barrier::new(MAX_PIPELINES);
        std::thread::scope(|scope| {
            for _ in 0..2 * MAX_PIPELINES {
                scope.spawn(|| {
                    pool.read(view.clone(), |alone| {
                        let _alone = alone.try_lock().expect("nobody else uses this pipeline");
                        // Waits until the maximum number of collections is here at
                        // once.
                        met.wait();
                    })
                });
            }
        });
        let state = pool.state.lock().unwrap();
        assert_eq!((state.made, state.idle.len()), (MAX_PIPELINES, MAX_PIPELINES));
    }
}
