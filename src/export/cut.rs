//! Divides the targets into slices that a pipeline reads one after the other. When a
//! view contains other targets than the last one, the slices are computed again.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use crate::metrics::{Kind, rows};
use crate::snapshot::View;
use crate::target::{AttributeValue, Target};

use super::pipeline::{Pipeline, Pool};

/// The maximum number of points in one push request. A Collector refuses a gRPC message
/// over 4 MiB, and a point takes 80 to 100 bytes.
pub const MAX_PUSHED_POINTS: usize = 40_000;
/// The maximum size of one slice's points in OTLP, in estimated bytes.
const MAX_BYTES: usize = 5 << 19;

/// Creates a pipeline with room for these slices.
type Make<R, E> = dyn Fn(&[&[Arc<Target>]]) -> Result<Pipeline<R>, E> + Send + Sync;

/// The order of the targets, by their places.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    /// In which order slices are filled.
    pub filled: fn(&[Arc<Target>]) -> Vec<usize>,
    /// Sorts a slice.
    pub within: fn(&[Arc<Target>], &mut [usize]),
}

impl Order {
    /// The order of the targets as they are.
    pub const AS_THEY_ARE: Order =
        Order { filled: |targets| (0..targets.len()).collect(), within: |_, _| {} };
}

/// Divides the targets of each view into slices, and keeps pipelines for them.
pub struct Cutter<R, E> {
    max_points: usize,
    order: Order,
    make: Arc<Make<R, E>>,
    current: Mutex<Arc<Cut<R, E>>>,
}

/// The targets of a view, divided into slices, and the pipelines that can hold a slice.
pub struct Cut<R, E> {
    targets: Arc<[Arc<Target>]>,
    /// The places in the view of each slice's targets.
    pub slices: Arc<[Box<[usize]>]>,
    /// The last [turn](Target::turn) of each slice's targets.
    pub last_turns: Box<[f64]>,
    /// The pipelines that read the slices.
    pub pool: Pool<R, E>,
}

impl<R: 'static, E: 'static> Cutter<R, E> {
    /// Creates a cutter whose slices have at most `max_points` points. `make` creates the
    /// pipelines.
    ///
    /// # Errors
    ///
    /// When `make` fails to create the first pipeline.
    pub fn new(
        max_points: usize,
        order: Order,
        targets: &[Arc<Target>],
        make: impl Fn(&[&[Arc<Target>]]) -> Result<Pipeline<R>, E> + Send + Sync + 'static,
    ) -> Result<Cutter<R, E>, E> {
        let make: Arc<Make<R, E>> = Arc::new(make);
        let current = Mutex::new(Arc::new(Cut::of(targets.into(), max_points, order, &make)?));
        Ok(Cutter { max_points, order, make, current })
    }

    /// Returns the slices of this view. Blocks while they are computed: do not call it
    /// on an async thread.
    ///
    /// # Errors
    ///
    /// When the first pipeline for new targets cannot be created.
    pub fn of(&self, view: &View) -> Result<Arc<Cut<R, E>>, E> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if !current.fits(view) {
            let targets = view.targets.iter().map(|(target, _)| target.clone()).collect();
            *current = Arc::new(Cut::of(targets, self.max_points, self.order, &self.make)?);
        }
        Ok(current.clone())
    }
}

impl<R: 'static, E: 'static> Cut<R, E> {
    fn of(
        targets: Arc<[Arc<Target>]>,
        max_points: usize,
        order: Order,
        make: &Arc<Make<R, E>>,
    ) -> Result<Cut<R, E>, E> {
        let mut places = (order.filled)(&targets);
        let target = |place: &usize| targets.get(*place);
        let ordered: Vec<Arc<Target>> = places.iter().filter_map(target).cloned().collect();
        let ranges = slices(&ordered, max_points);
        for range in &ranges {
            (order.within)(&targets, &mut places[range.clone()]);
        }
        let slices: Arc<[Box<[usize]>]> = ranges.iter().map(|range| places[range.clone()].into()).collect();
        let last_turn =
            |slice: &[usize]| slice.iter().filter_map(target).map(|target| target.turn()).fold(0.0, f64::max);
        let last_turns = slices.iter().map(|slice| last_turn(slice)).collect();
        let make = make.clone();
        let pool = Pool::new(move || {
            let slices: Vec<_> = ranges.iter().map(|slice| &ordered[slice.clone()]).collect();
            make(&slices)
        })?;
        Ok(Cut { targets, slices, last_turns, pool })
    }

    /// Whether the view has exactly the targets of this cut.
    fn fits(&self, view: &View) -> bool {
        self.targets.len() == view.targets.len()
            && self.targets.iter().zip(&view.targets).all(|(ours, (theirs, _))| Arc::ptr_eq(ours, theirs))
    }
}

impl<R, E> fmt::Debug for Cutter<R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cutter")
    }
}

/// Divides targets into slices of at most `max_points` points. Each slice fits into one
/// export request.
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

/// Returns the maximum number of points of a target, and their size in OTLP in bytes.
fn size(target: &Target) -> (usize, usize) {
    // A target meets only a few of the failure types.
    const FAILURE_TYPES: usize = 4;
    let points: usize = rows()
        .map(|row| match row.kind() {
            Kind::Counter => row.most(target).min(target.endpoints.len() * FAILURE_TYPES),
            _ => row.most(target),
        })
        .sum();
    // Two timestamps, a value and framing; each attribute adds two frames.
    let identity: usize = target
        .identity
        .iter()
        .map(|(key, value)| {
            let text = match value {
                AttributeValue::Text(text) => text.len(),
                AttributeValue::Int(_) => 4,
            };
            key.len() + text + 10
        })
        .sum();
    (points, points * (80 + identity))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn slices_cover_every_target_once_and_stay_small() {
        let url = |i| url::Url::parse(&format!("https://i{i:05}.example")).unwrap();
        let target = |i| Arc::new(Target::new(url(i), None, None, &BTreeMap::new()));
        let targets: Vec<Arc<Target>> = (0..10_000).map(target).collect();
        let slices = slices(&targets, MAX_PUSHED_POINTS);
        assert!(slices.len() > 1);
        assert_eq!(slices.iter().map(Range::len).sum::<usize>(), targets.len());
        assert!(slices.windows(2).all(|w| w[0].end == w[1].start));
        for slice in slices {
            let points: usize = targets[slice].iter().map(|t| size(t).0).sum();
            assert!(points <= MAX_PUSHED_POINTS);
        }
    }
}
