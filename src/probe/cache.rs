//! Keeps probed targets in the order of their last probe: at most a number of targets,
//! and each at most for some time.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::refresh::One;

/// The targets by name.
#[derive(Debug)]
pub struct Cache<T = One> {
    most: usize,
    forget_after: Duration,
    kept: HashMap<Arc<str>, Kept<T>>,
    /// The names by the time of their last probe, the oldest first.
    order: BTreeMap<u64, Arc<str>>,
    asked: u64,
}

/// A target, with what decides when it is forgotten.
#[derive(Debug)]
pub struct Kept<T> {
    /// The state of the target.
    pub one: T,
    /// The settings from which it was created.
    pub generation: u64,
    asked: u64,
    at: Moment,
}

impl<T> Cache<T> {
    /// Creates a cache for at most this many targets, each kept for this long after its
    /// last probe.
    pub fn new(most: usize, forget_after: Duration) -> Cache<T> {
        let (kept, order) = (HashMap::new(), BTreeMap::new());
        Cache { most: most.max(1), forget_after, kept, order, asked: 0 }
    }

    /// The number of targets.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Returns the target of this name, and notes that it is probed now.
    pub fn asked(&mut self, name: &str, now: Moment) -> Option<&Kept<T>> {
        let kept = self.kept.get_mut(name)?;
        self.asked += 1;
        let name = self.order.remove(&kept.asked)?;
        self.order.insert(self.asked, name);
        (kept.asked, kept.at) = (self.asked, now);
        Some(kept)
    }

    /// Stores a target under a name.
    pub fn keep(&mut self, name: &Arc<str>, one: T, generation: u64, now: Moment) {
        self.asked += 1;
        let kept = Kept { one, generation, asked: self.asked, at: now };
        if let Some(before) = self.kept.insert(name.clone(), kept) {
            self.order.remove(&before.asked);
        }
        self.order.insert(self.asked, name.clone());
    }

    /// Removes targets that are too many or too old.
    pub fn forget(&mut self, now: Moment) -> Vec<T> {
        let mut forgotten = Vec::new();
        while let Some((_, name)) = self.order.first_key_value() {
            let is_old = self.kept.get(name).is_none_or(|kept| now.since(kept.at) >= self.forget_after);
            if !is_old && self.kept.len() <= self.most {
                break;
            }
            let Some((_, name)) = self.order.pop_first() else { break };
            forgotten.extend(self.kept.remove(&name).map(|kept| kept.one));
        }
        forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::at(Duration::from_secs(seconds))
    }

    #[test]
    fn who_was_not_asked_for_longest_goes_first() {
        let mut cache = Cache::new(2, Duration::from_secs(60));
        for (name, second) in [("a", 0), ("b", 1)] {
            cache.keep(&name.into(), name, 0, at(second));
        }
        assert!(cache.forget(at(1)).is_empty());
        assert!(cache.asked("a", at(2)).is_some() && cache.asked("c", at(2)).is_none());
        cache.keep(&"c".into(), "c", 0, at(3));
        assert_eq!(cache.forget(at(3)), ["b"]);
        // Stored again under the same name, it is in the order only once.
        cache.keep(&"a".into(), "a2", 1, at(4));
        assert_eq!((cache.len(), cache.order.len()), (2, 2));
        assert_eq!(cache.asked("a", at(5)).map(|kept| (kept.one, kept.generation)), Some(("a2", 1)));
        assert_eq!(cache.forget(at(64)), ["c"]);
        assert_eq!(cache.forget(at(65)), ["a2"]);
        assert_eq!((cache.len(), cache.order.len()), (0, 0));
    }
}
