//! Polls one target by itself, and only the wanted endpoints: for a probe.

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

/// The state of a target, which lives as long as this value.
#[derive(Debug, Clone)]
pub struct One(Arc<Polled>);

impl One {
    /// The target.
    #[must_use]
    pub fn target(&self) -> &Arc<Target> {
        self.0.target()
    }

    /// The known facts.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.0.snapshot()
    }

    /// The known facts, and when the endpoints will be requested again.
    #[must_use]
    pub fn planned(&self) -> (Arc<Snapshot>, Plan) {
        self.0.planned()
    }

    /// Whether the server was unreachable, or did not answer in time, at the last
    /// attempt.
    #[must_use]
    pub fn is_slow(&self) -> bool {
        self.0.is_slow()
    }

    /// Whether the target is being polled.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.0.is_busy()
    }

    /// Whether any of these endpoints would be requested now.
    #[must_use]
    pub fn is_due(&self, wanted: &[Endpoint], now: Moment) -> bool {
        self.0.is_due(now, Some(wanted))
    }

    /// Waits until the target is no longer being polled.
    pub async fn idle(&self) {
        self.0.idle().await;
    }
}

impl Refresher {
    /// Returns the configured target of this name.
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

    /// Creates a target that is not configured: no collection polls it, and nothing
    /// about it is logged.
    #[must_use]
    pub fn detached(&self, target: Target) -> One {
        let quiet = Arc::new(Outages::quiet());
        One(Arc::new(Polled::new(target, quiet, self.changes.clone(), self.clock.now())))
    }

    /// Returns the same server with other settings. The known facts are kept.
    #[must_use]
    pub fn succeeded(&self, one: &One, target: Target) -> One {
        One(Arc::new(one.0.succeeded_by(target, self.clock.now())))
    }

    /// Requests those of these endpoints that are due and not being requested yet. The
    /// turn is held until that has ended.
    pub fn ask(&self, one: &One, wanted: Arc<[Endpoint]>, turn: OwnedSemaphorePermit) {
        // As with collections, the lane ends with the runtime.
        if let Some(job) = Job::claim_of(&one.0, self.clock.now(), wanted, turn) {
            self.client.prepare_for_one(one.target());
            let lane = if one.is_slow() { &self.lanes.slow } else { &self.lanes.normal };
            let _ = lane.send(job);
        }
    }

    /// Permits addresses of these networks for such targets from now on.
    #[cfg(feature = "program")]
    pub fn permit(&self, networks: &[ipnet::IpNet]) {
        self.client.permit(networks);
    }

    /// Stops polling such a target.
    pub fn forget(&self, one: &One) {
        self.client.forget(one.target());
    }
}

/// The targets by their names, as they were at the last look-up.
#[derive(Debug, Default)]
pub struct ByName {
    targets: Arc<[Arc<Polled>]>,
    places: HashMap<Arc<str>, usize>,
}

impl ByName {
    fn of(targets: Arc<[Arc<Polled>]>) -> ByName {
        let mut places = HashMap::with_capacity(targets.len());
        for (place, polled) in targets.iter().enumerate() {
            // If two differ only by their attributes, the first is used.
            places.entry(polled.target().name.clone()).or_insert(place);
        }
        ByName { targets, places }
    }
}
