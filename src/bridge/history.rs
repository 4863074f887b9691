//! The last hours of each target, for the lines on the pages. Memory is bounded: each
//! target keeps a fixed number of samples, whose distance grows over time, and a fleet
//! that is larger than the setting keeps none.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Moment;
use crate::listing::Headline;
use crate::snapshot::{Reading, Slot, View};

/// The maximum number of samples of a target.
const MAX_SAMPLES: usize = 180;
/// The first and the last distance between two samples, in seconds. A quarter of an
/// hour of the demo is kept in full, and a bridge keeps eight hours.
const MIN_STEP: u32 = 5;
const MAX_STEP: u32 = 160;

/// The last hours of all targets.
#[derive(Debug)]
pub struct History {
    max_targets: usize,
    headline: Headline,
    targets: Mutex<HashMap<Arc<str>, Samples>>,
}

/// Values of one target over time, oldest first, each with its age in seconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    /// Users.
    pub users: Vec<(f64, Option<f64>)>,
    /// Posts.
    pub posts: Vec<(f64, Option<f64>)>,
    /// The response time of the document that shows the server up, in seconds.
    pub took: Vec<(f64, Option<f64>)>,
}

/// Users, posts and response time at one moment. Absent values are NaN.
#[derive(Debug, Clone, Copy)]
struct Sample {
    /// The time in seconds, counted by the bridge's clock.
    at: u32,
    values: [f64; 3],
}

#[derive(Debug)]
struct Samples {
    /// The seconds of which one sample is kept.
    step: u32,
    kept: VecDeque<Sample>,
}

impl Default for Samples {
    fn default() -> Samples {
        Samples { step: MIN_STEP, kept: VecDeque::new() }
    }
}

impl History {
    /// Creates a history for fleets of up to this many targets.
    #[must_use]
    pub fn new(max_targets: usize) -> History {
        History { max_targets, headline: Headline::new(), targets: Mutex::default() }
    }

    /// Adds the values of a collection.
    pub fn record(&self, view: &View) {
        if view.targets.len() > self.max_targets {
            return;
        }
        let at = seconds(view.started) as u32;
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        for reading in view.readings() {
            let values = [
                self.headline.users(&reading).map(|n| n as f64),
                self.headline.posts(&reading).map(|n| n as f64),
                took(&reading),
            ];
            let sample = Sample { at, values: values.map(|value| value.unwrap_or(f64::NAN)) };
            targets.entry(reading.target.name.clone()).or_default().push(sample);
        }
        // The targets may have changed.
        if targets.len() > view.targets.len() {
            targets.retain(|name, _| view.targets.iter().any(|(target, _)| target.name == *name));
        }
    }

    /// Returns the last hours of a target, or nothing if none are kept.
    #[must_use]
    pub fn series(&self, target: &str, now: Moment) -> Option<Series> {
        let targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = &targets.get(target)?.kept;
        let of = |i: usize| {
            let value = |sample: &Sample| Some(sample.values[i]).filter(|value| !value.is_nan());
            kept.iter()
                .map(|sample| ((seconds(now) - f64::from(sample.at)).max(0.0), value(sample)))
                .collect()
        };
        Some(Series { users: of(0), posts: of(1), took: of(2) })
    }
}

fn seconds(at: Moment) -> f64 {
    at.since(Moment::ORIGIN).as_secs_f64()
}

/// The response time of the first document that shows the server up.
fn took(r: &Reading<'_>) -> Option<f64> {
    let slots = r.snapshot.slots.iter();
    let read = slots.filter(|slot| slot.endpoint.shows_up() && slot.is_ok());
    read.filter_map(Slot::took).map(|took| took.as_secs_f64()).find(|seconds| *seconds > 0.0)
}

impl Samples {
    fn push(&mut self, sample: Sample) {
        self.keep(sample);
        while self.kept.len() > MAX_SAMPLES {
            if self.step < MAX_STEP {
                self.step *= 2;
                let all = std::mem::take(&mut self.kept);
                for sample in all {
                    self.keep(sample);
                }
            } else {
                self.kept.pop_front();
            }
        }
    }

    /// Of the samples within one step the last one is kept.
    fn keep(&mut self, sample: Sample) {
        if self.kept.back().is_some_and(|last| last.at / self.step == sample.at / self.step) {
            self.kept.pop_back();
        }
        self.kept.push_back(sample);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(times: impl Iterator<Item = u32>) -> Samples {
        let mut samples = Samples::default();
        for at in times {
            samples.push(Sample { at, values: [f64::from(at), 0.0, 0.0] });
            assert!(samples.kept.len() <= MAX_SAMPLES);
        }
        samples
    }

    /// At first every sample is kept, later one of many, and in the end eight hours.
    #[test]
    fn samples_grow_apart_and_stay_few() {
        let few = samples((0..500).step_by(5));
        assert_eq!((few.step, few.kept.len()), (MIN_STEP, 100));
        let hour = samples((0..3600).step_by(5));
        assert_eq!(hour.step, 20);
        assert_eq!((hour.kept[0].at, hour.kept.back().unwrap().at), (15, 3595));
        let week = samples((0..7 * 86_400).step_by(60));
        assert_eq!((week.step, week.kept.len()), (MAX_STEP, MAX_SAMPLES));
        let hours = (week.kept.back().unwrap().at - week.kept[0].at) / 3600;
        assert_eq!(hours, 7, "almost eight");
    }

    #[test]
    fn of_one_step_the_last_stays() {
        let same = samples([100, 101, 104, 105].into_iter());
        assert_eq!(same.kept.iter().map(|sample| sample.at).collect::<Vec<_>>(), [104, 105]);
    }
}
