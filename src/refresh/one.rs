//! One target that is asked by itself, and only for what is wanted of it: a probe.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use tokio::sync::OwnedSemaphorePermit;

use crate::clock::Moment;
use crate::endpoint::Endpoint;
use crate::snapshot::Snapshot;
use crate::target::Target;

use super::Refresher;
use super::log::Outages;
use super::polled::{Plan, Polled};
use super::run::Job;

/// What is kept of a target, by whoever holds this.
#[derive(Debug, Clone)]
pub struct One(Arc<Polled>);

impl One {
    /// Which target.
    #[must_use]
    pub fn target(&self) -> &Arc<Target> {
        self.0.target()
    }

    /// What is known of it.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.0.snapshot()
    }

    /// The same, and when its endpoints are asked for again.
    #[must_use]
    pub fn planned(&self) -> (Arc<Snapshot>, Plan) {
        self.0.planned()
    }

    /// Whether it could not be reached, or did not answer in time, when it was last asked.
    #[must_use]
    pub fn is_slow(&self) -> bool {
        self.0.is_slow()
    }

    /// Whether it is being asked.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.0.is_busy()
    }

    /// Whether any of these endpoints would be asked for now.
    #[must_use]
    pub fn is_due(&self, wanted: &[Endpoint], now: Moment) -> bool {
        self.0.is_due(now, wanted)
    }

    /// Waits until it is no longer being asked.
    pub async fn idle(&self) {
        self.0.idle().await;
    }
}

impl Refresher {
    /// The target of this name, if it is one of the targets.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<One> {
        let current = self.current();
        let mut by_name = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&by_name.targets, &current) {
            *by_name = ByName::of(current);
        }
        let place = by_name.places.get(name)?;
        Some(One(by_name.targets.get(*place)?.clone()))
    }

    /// A target that is none of the targets: no collection asks it, and nothing about it
    /// is logged.
    #[must_use]
    pub fn detached(&self, target: Target) -> One {
        let quiet = Arc::new(Outages::quiet());
        One(Arc::new(Polled::new(target, quiet, self.changes.clone(), self.clock.now())))
    }

    /// The same server under other settings; what is known of it stays.
    #[must_use]
    pub fn succeeded(&self, one: &One, target: Target) -> One {
        One(Arc::new(one.0.succeeded_by(target, self.clock.now())))
    }

    /// Asks for what is stale of these endpoints and not being asked for. The turn is
    /// held until that has ended.
    pub fn ask(&self, one: &One, wanted: Arc<[Endpoint]>, turn: OwnedSemaphorePermit) {
        // As for collections: the lane ends with the runtime.
        if let Some(job) = Job::claim_of(&one.0, self.clock.now(), wanted, turn) {
            self.client.prepare_for_one(one.target());
            let lane = if one.is_slow() { &self.lanes.slow } else { &self.lanes.normal };
            let _ = lane.send(job);
        }
    }

    /// From now on such targets may be at addresses of these networks, too.
    #[cfg(feature = "program")]
    pub fn permit(&self, networks: &[ipnet::IpNet]) {
        self.client.permit(networks);
    }

    /// Such a target is not asked any more.
    pub fn forget(&self, one: &One) {
        self.client.forget(one.target());
    }
}

/// The targets by their names, as they were when one was last looked for.
#[derive(Debug, Default)]
pub struct ByName {
    targets: Arc<[Arc<Polled>]>,
    places: HashMap<Arc<str>, usize>,
}

impl ByName {
    fn of(targets: Arc<[Arc<Polled>]>) -> ByName {
        let mut places = HashMap::with_capacity(targets.len());
        for (place, polled) in targets.iter().enumerate() {
            // Of two that differ by their attributes alone, the first.
            places.entry(polled.target().name.clone()).or_insert(place);
        }
        ByName { targets, places }
    }
}
