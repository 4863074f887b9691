//! Pipelines for delta temporality. The SDK computes differences by attribute set, so
//! each target keeps its pipeline, and with it what was last reported of it, whatever
//! targets come and go beside it.

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

/// What the SDK knows a target by.
type Identity = Arc<[(Arc<str>, AttributeValue)]>;

/// The pipelines, and which of them has which target.
#[derive(Debug)]
pub struct Delta {
    resource: Resource,
    pipelines: Vec<Pipeline<SharedReader>>,
    places: BTreeMap<Identity, Place>,
    /// Places whose targets have gone.
    free: HashMap<Room, Vec<usize>>,
}

/// A target's place in a pipeline.
#[derive(Debug)]
struct Place {
    pipeline: usize,
    target: Arc<Target>,
    room: Room,
    /// Since when its counters counted when they were last told.
    since: Moment,
}

/// For how many points of each row there is room.
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
    /// No pipelines yet.
    pub fn new(resource: &Resource) -> Delta {
        let (pipelines, places, free) = Default::default();
        Delta { resource: resource.clone(), pipelines, places, free }
    }

    /// Reads every target through its pipeline. Blocks: not for an async thread.
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
                // It went and came back since it was last told, and counts from zero: no
                // difference is right. Left out once, it begins anew for the SDK, too.
                if place.since == snapshot.since {
                    views[place.pipeline].targets.push(known());
                }
                place.since = snapshot.since;
            }
            // Its old pipeline says what is new since the last time. The new one begins
            // with all there ever was: that was said already.
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
        // The SDK has let go of them only now that a collection did not observe them.
        for place in gone.into_iter().chain(outgrown.into_values()) {
            self.free.entry(place.room).or_default().push(place.pipeline);
        }
        collected
    }

    /// Takes out the places of targets that the view does not have.
    fn without_those_of(&mut self, view: &View) -> Vec<Place> {
        let there: BTreeSet<&Identity> = view.targets.iter().map(|(target, _)| &target.identity).collect();
        self.places.extract_if(.., |identity, _| !there.contains(identity)).map(|(_, place)| place).collect()
    }

    /// Gives a place to each target that has none, and a new one to each that needs more
    /// room than it has; these places are returned.
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
        // Apart, because the first collection of the grown ones is not reported.
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
    use crate::outcome::{ErrorType, Outcome};
    use crate::snapshot::{Slot, Snapshot};
    use crate::target::AccountRef;

    /// So many targets.
    pub fn targets(number: usize) -> Vec<Arc<Target>> {
        let url = |i| url::Url::parse(&format!("https://i{i:05}.example")).unwrap();
        (0..number).map(|i| Arc::new(Target::new(url(i), None, None, &BTreeMap::new()))).collect()
    }

    /// The targets, each with as many failures as its place.
    pub fn view(targets: &[Arc<Target>]) -> Arc<View> {
        let known = |(i, target): (usize, &Arc<Target>)| {
            let mut slot = Slot::new(Endpoint::InstanceV2);
            slot.outcome = Some(Outcome::Failed(ErrorType::Connect));
            slot.count(ErrorType::Connect, i as u64 + 1);
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
        // The last two go; for a round their places are not free.
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
        // Fewer than before, and no difference below zero.
        assert_eq!(collect(&mut delta, &since(9)), found(&[]));
        assert_eq!(collect(&mut delta, &since(9)), found(&[("i00000.example", 2), ("i00001.example", 1)]));
        assert_eq!(collect(&mut delta, &since(9)), found(&[("i00000.example", 0), ("i00001.example", 0)]));
    }

    /// A target that is asked for more after a change of its settings needs more room.
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
