//! Pipelines for delta temporality. The SDK computes differences by attribute set. So
//! each target stays in one pipeline, which holds the target's last reported values,
//! while other targets come and go.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;

use crate::clock::Moment;
use crate::metrics::rows;
use crate::snapshot::View;
use crate::target::{AttributeValue, Target};

use super::cut::{MAX_PUSHED_POINTS, slices};
use super::pipeline::{Pipeline, SharedReader, pushing};

/// The attributes by which the SDK identifies a target.
type Identity = Arc<[(Arc<str>, AttributeValue)]>;

/// The pipelines, and the place of each target in them.
#[derive(Debug)]
pub struct Delta {
    resource: Resource,
    pipelines: Vec<Pipeline<SharedReader>>,
    places: BTreeMap<Identity, Place>,
    /// Places of removed targets, free for others.
    free: HashMap<Room, Vec<usize>>,
}

/// A target's place in a pipeline.
#[derive(Debug)]
struct Place {
    pipeline: usize,
    target: Arc<Target>,
    room: Room,
    /// When the target's counters last started from zero, as of the last report.
    since: Moment,
}

/// The number of points that a place has room for, by row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Room(Box<[usize]>);

impl Room {
    fn of(target: &Target) -> Room {
        Room(rows().map(|row| row.most(target)).collect())
    }

    fn is_enough_for(&self, other: &Room) -> bool {
        self.0.iter().zip(&other.0).all(|(ours, theirs)| ours >= theirs)
    }
}

impl Delta {
    /// Creates the collection without pipelines.
    pub fn new(resource: &Resource) -> Delta {
        let (pipelines, places, free) = Default::default();
        Delta { resource: resource.clone(), pipelines, places, free }
    }

    /// Reads every target through its pipeline. Blocks: do not call it on an async
    /// thread.
    pub fn collect(
        &mut self,
        view: &View,
        read: impl Fn(&SharedReader) -> ResourceMetrics,
    ) -> Vec<ResourceMetrics> {
        let gone = self.without_those_of(view);
        let outgrown = self.place(view);
        let mut views: Vec<View> = self.pipelines.iter().map(|_| view.without_targets()).collect();
        for (target, snapshot) in &view.targets {
            let known = || (target.clone(), snapshot.clone());
            if let Some(place) = self.places.get_mut(&target.identity) {
                // The target was removed and added again since the last report, so its
                // counters start from zero and every difference would be wrong.
                // Skipping one collection makes the SDK start again, too.
                if place.since == snapshot.since {
                    views[place.pipeline].targets.push(known());
                }
                place.since = snapshot.since;
            }
            // The old pipeline reports what changed since the last collection. The new
            // one would report all counts since the start, which were reported before.
            if let Some(old) = outgrown.get(&target.identity).filter(|old| old.since == snapshot.since) {
                views[old.pipeline].targets.push(known());
            }
        }
        let is_new_for_old = |i: usize| outgrown.keys().any(|identity| self.places[identity].pipeline == i);
        let pipelines = self.pipelines.iter().zip(views).enumerate();
        let collected = pipelines.filter_map(|(i, (pipeline, view))| {
            let is_told = !view.targets.is_empty() && !is_new_for_old(i);
            let metrics = pipeline.read(Arc::new(view), &read);
            is_told.then_some(metrics)
        });
        let collected = collected.collect();
        // The SDK forgets an attribute set only after a collection that did not observe
        // it.
        for place in gone.into_iter().chain(outgrown.into_values()) {
            self.free.entry(place.room).or_default().push(place.pipeline);
        }
        collected
    }

    /// Removes and returns the places of targets that the view does not contain.
    fn without_those_of(&mut self, view: &View) -> Vec<Place> {
        let there: BTreeSet<&Identity> = view.targets.iter().map(|(target, _)| &target.identity).collect();
        self.places.extract_if(.., |identity, _| !there.contains(identity)).map(|(_, place)| place).collect()
    }

    /// Assigns a place to each new target, and a new place to each target that has
    /// outgrown its own. Returns the outgrown places.
    fn place(&mut self, view: &View) -> BTreeMap<Identity, Place> {
        let (mut new, mut grown, mut outgrown) = (Vec::new(), Vec::new(), BTreeMap::new());
        for (target, snapshot) in &view.targets {
            let Some(place) = self.places.get_mut(&target.identity) else {
                let room = Room::of(target);
                match self.free.get_mut(&room).and_then(Vec::pop) {
                    Some(pipeline) => self.put(target, pipeline, room, snapshot.since),
                    None => new.push((target.clone(), snapshot.since)),
                }
                continue;
            };
            if Arc::ptr_eq(&place.target, target) {
                continue;
            }
            if place.room.is_enough_for(&Room::of(target)) {
                place.target = target.clone();
            } else if let Some(place) = self.places.remove(&target.identity) {
                outgrown.insert(target.identity.clone(), place);
                grown.push((target.clone(), snapshot.since));
            }
        }
        // New and grown targets stay apart, because the first collection of the grown
        // ones is discarded.
        for unplaced in [new, grown] {
            let (targets, since): (Vec<Arc<Target>>, Vec<Moment>) = unplaced.into_iter().unzip();
            for slice in slices(&targets, MAX_PUSHED_POINTS) {
                let pipeline = self.pipelines.len();
                self.pipelines.push(pushing(Temporality::Delta, &self.resource, &[&targets[slice.clone()]]));
                for (target, since) in targets[slice.clone()].iter().zip(&since[slice]) {
                    self.put(target, pipeline, Room::of(target), *since);
                }
            }
        }
        outgrown
    }

    fn put(&mut self, target: &Arc<Target>, pipeline: usize, room: Room, since: Moment) {
        self.places.insert(target.identity.clone(), Place { pipeline, target: target.clone(), room, since });
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use opentelemetry_sdk::metrics::data::{AggregatedMetrics, Metric, MetricData, ScopeMetrics};
    use opentelemetry_sdk::metrics::reader::MetricReader;

    use super::*;
    use crate::endpoint::Endpoint;
    use crate::outcome::ErrorType;
    use crate::snapshot::{Found, LastAttempt, Slot, Snapshot};
    use crate::target::AccountRef;

    /// Creates this number of targets.
    pub fn targets(number: usize) -> Vec<Arc<Target>> {
        let url = |i| url::Url::parse(&format!("https://i{i:05}.example")).unwrap();
        (0..number).map(|i| Arc::new(Target::new(url(i), None, None, &BTreeMap::new()))).collect()
    }

    /// A view in which target number n has n failures.
    pub fn view(targets: &[Arc<Target>]) -> Arc<View> {
        let known = |(i, target): (usize, &Arc<Target>)| {
            let mut slot = Slot::new(Endpoint::InstanceV2);
            let found = Found::failed(ErrorType::Connect, "refused");
            slot.record(LastAttempt::new(Moment::ORIGIN, found));
            slot.count(ErrorType::Connect, i as u64);
            (target.clone(), Arc::new(Snapshot { slots: vec![slot], ..Snapshot::default() }))
        };
        let targets = targets.iter().enumerate().map(known).collect();
        Arc::new(View::new(Moment::at(Duration::from_secs(1)), 1.0, targets))
    }

    /// All metrics of all batches.
    pub fn metrics(batches: &[ResourceMetrics]) -> impl Iterator<Item = &Metric> {
        batches.iter().flat_map(ResourceMetrics::scope_metrics).flat_map(ScopeMetrics::metrics)
    }

    /// Failures by server, from all batches.
    pub fn failures(batches: &[ResourceMetrics]) -> BTreeMap<String, u64> {
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

    fn collect(delta: &mut Delta, view: &View) -> BTreeMap<String, u64> {
        let read = |reader: &SharedReader| {
            let mut metrics = ResourceMetrics::default();
            reader.collect(&mut metrics).unwrap();
            metrics
        };
        failures(&delta.collect(view, read))
    }

    fn found(failures: &[(&str, u64)]) -> BTreeMap<String, u64> {
        failures.iter().map(|(server, n)| ((*server).to_owned(), *n)).collect()
    }

    #[test]
    fn places_of_targets_that_went_are_given_to_others() {
        let all = targets(6);
        let mut delta = Delta::new(&Resource::builder_empty().build());
        let first = found(&[("i00000.example", 1), ("i00001.example", 2), ("i00002.example", 3)]);
        assert_eq!(collect(&mut delta, &view(&all[..3])), first);
        // The last two targets are removed. Their places become free one collection
        // later.
        let next = found(&[("i00000.example", 0), ("i00003.example", 2)]);
        assert_eq!(collect(&mut delta, &view(&[all[0].clone(), all[3].clone()])), next);
        assert_eq!(delta.pipelines.len(), 2, "one for three targets, and one for the fourth");
        for come in 0..10 {
            let here = [all[0].clone(), all[3].clone(), all[4 + come % 2].clone()];
            let next = collect(&mut delta, &view(&here));
            assert_eq!((next.len(), next[&*here[2].name]), (3, 3), "it is new each time: {next:?}");
        }
        assert_eq!(delta.pipelines.len(), 2, "those who come and go share what there is");
    }

    #[test]
    fn a_target_that_counts_from_zero_again_is_told_as_new() {
        let all = targets(2);
        let mut delta = Delta::new(&Resource::builder_empty().build());
        let swapped = [all[1].clone(), all[0].clone()];
        let since = |seconds| {
            let mut view = view(&swapped);
            for (_, snapshot) in &mut Arc::get_mut(&mut view).unwrap().targets {
                Arc::make_mut(snapshot).since = Moment::at(Duration::from_secs(seconds));
            }
            view
        };
        assert_eq!(collect(&mut delta, &view(&all))["i00001.example"], 2);
        // The counters are lower than before, but no difference is negative.
        assert_eq!(collect(&mut delta, &since(9)), found(&[]));
        assert_eq!(collect(&mut delta, &since(9)), found(&[("i00000.example", 2), ("i00001.example", 1)]));
        assert_eq!(collect(&mut delta, &since(9)), found(&[("i00000.example", 0), ("i00001.example", 0)]));
    }

    /// A target needs more room after its settings ask for more endpoints.
    #[test]
    fn differences_outlive_a_move_to_where_there_is_more_room() {
        let mut all = targets(2);
        let mut delta = Delta::new(&Resource::builder_empty().build());
        let all_new = found(&[("i00000.example", 1), ("i00001.example", 2)]);
        assert_eq!(collect(&mut delta, &view(&all)), all_new);
        let grown = Arc::make_mut(&mut all[1]);
        grown.accounts.push(AccountRef::Acct("admin".into()));
        grown.select_endpoints(&[]);
        for _ in 0..3 {
            let nothing_new = found(&[("i00000.example", 0), ("i00001.example", 0)]);
            assert_eq!(collect(&mut delta, &view(&all)), nothing_new);
        }
        assert_eq!(delta.pipelines.len(), 2);
    }
}
