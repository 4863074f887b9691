//! Polls ahead of collections, so that they find everything fresh, and a large fleet is
//! not polled all at once.
//!
//! Collections come at an interval. Within it, or within its last minute, each target has
//! its own time, by a hash of its name, at which its due endpoints are requested, with
//! those that become due later in the interval. What may not be requested yet is requested
//! as soon as it may be, so a fleet that was polled all at once is spread over a few
//! intervals. If three collections in a row do not come, nothing is polled until the next
//! collection.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::clock::Moment;
use crate::fetch::FLEET;

use super::Refresher;
use super::polled::Polled;
use super::run::Job;

/// Whether targets are polled ahead of collections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Prefetch {
    /// With [`FLEET`] targets or more.
    #[default]
    Auto,
    /// With any number of targets.
    Always,
    /// Never: a collection requests everything that it needs.
    Never,
}

/// Collections with less time between them are not periodic: a person may be looking at
/// the page.
const SHORTEST: Duration = Duration::from_secs(4);
/// The number of gaps between collections from which the interval is derived.
const GAPS: usize = 8;
/// How many times as long as the shortest gap the interval may be. Without this limit
/// a person who looks at the page a few times a day would be an interval of hours.
const LONGEST: u32 = 16;
/// The number of collections that may be missed.
const MAX_MISSED: u32 = 3;
/// The longest time before a collection at which targets are polled ahead of it. What was
/// read earlier would no longer be fresh, and would be requested again.
const WINDOW: Duration = Duration::from_secs(60);
/// The part of this time, or of a shorter interval, in which targets have their times.
/// It excludes the beginning, where the collection before polls, and the end, where the
/// answer would come too late.
const SPREAD: Range<f64> = 0.11..0.95;
/// How long after its time a server is expected to have answered, or to have timed out:
/// at most this, and this part of the window.
const ANSWERED: (Duration, f64) = (Duration::from_secs(10), 1.0 / 6.0);
/// The parts of the window at which the others are no longer waited for: once while there
/// is time to write a large page, and once for what has come meanwhile.
const NEAR: [f64; 2] = [0.92, 0.97];
/// How many times in a window it is told what has been polled.
const TOLD: usize = 16;
/// How often the clock is checked, because tests move it.
const TICK: Duration = Duration::from_millis(200);

impl Prefetch {
    fn is_on(self, targets: usize) -> bool {
        match self {
            Prefetch::Auto => targets >= FLEET,
            Prefetch::Always => true,
            Prefetch::Never => false,
        }
    }
}

/// The times of collections.
#[derive(Debug, Default)]
pub struct Rhythm {
    state: Mutex<Beats>,
    came: Notify,
    polled: watch::Sender<Ahead>,
}

/// What has been polled ahead of a collection.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Ahead {
    /// The part of the targets, by their [turns](crate::target::Target::turn).
    pub part: f64,
    /// When the collection is expected.
    pub collection: Moment,
}

impl Ahead {
    /// Returns the part of the targets whose pages are to be written, by their turns, after
    /// those up to `written`: each once in an interval, and twice before its end all
    /// that have changed since, because not every server can be polled at its own time.
    #[must_use]
    pub fn to_write(&self, written: f64) -> Range<f64> {
        if written < self.part && self.part < 1.0 { written..self.part } else { 0.0..self.part }
    }
}

#[derive(Debug, Default)]
struct Beats {
    last: Option<Moment>,
    gaps: VecDeque<Duration>,
}

impl Rhythm {
    /// Records that a collection begins.
    pub fn beat(&self, now: Moment) {
        let mut beats = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = beats.last {
            let gap = now.since(last);
            if gap < SHORTEST {
                return;
            }
            if beats.gaps.len() == GAPS {
                beats.gaps.pop_front();
            }
            beats.gaps.push_back(gap);
        }
        beats.last = Some(now);
        drop(beats);
        self.came.notify_one();
    }

    /// Whether a collection has begun since then.
    fn has_come_since(&self, then: Moment) -> bool {
        let beats = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        beats.last.is_some_and(|last| last > then)
    }

    /// Returns the time of the last collection, and the interval: the longest of the
    /// last gaps except one, which may be a pause. Two collectors that come shortly after
    /// each other leave a long gap, in which everything is to be polled.
    fn interval(&self) -> Option<(Moment, Duration)> {
        let beats = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut gaps: Vec<Duration> = beats.gaps.iter().copied().collect();
        gaps.sort_unstable();
        let longest = *gaps.get(gaps.len().saturating_sub(2))?;
        Some((beats.last?, longest.min(gaps.first()?.saturating_mul(LONGEST))))
    }
}

/// The times of targets in one interval, by their places.
#[derive(Debug, Default)]
struct Round {
    times: BinaryHeap<Reverse<(Moment, usize)>>,
    begin: Moment,
    /// From when on targets are polled.
    opens: Moment,
    /// How many steps it was told: of [`TOLD`], and of [`NEAR`].
    told: usize,
    end: Moment,
}

/// The intervals since the last collection.
#[derive(Debug, Default)]
struct Rounds {
    /// When the last collection began.
    last: Moment,
    /// The number of collections that have not come since.
    missed: u32,
    round: Round,
}

impl Rounds {
    /// Continues to the interval of this time, for targets with these turns. If they
    /// are others than the last time, their times in the running interval replace those
    /// of the earlier ones.
    fn advance<T: Iterator<Item = f64>>(
        &mut self,
        now: Moment,
        (last, interval): (Moment, Duration),
        are_others: bool,
        turns: impl Fn() -> T,
    ) {
        if self.last != last {
            *self = Rounds { last, missed: 0, round: Round::new(last, interval, turns()) };
        } else if are_others && !self.round.is_over() {
            self.round = Round::new(self.round.begin, interval, turns());
        }
        if now >= self.round.end && self.missed < MAX_MISSED {
            self.missed += 1;
            self.round = match self.missed {
                MAX_MISSED => Round::default(),
                _ => Round::new(self.round.end, interval, turns()),
            };
        }
    }
}

impl Round {
    /// Creates the interval that begins at this time, for targets with these turns.
    fn new(begin: Moment, interval: Duration, turns: impl Iterator<Item = f64>) -> Round {
        let window = interval.min(WINDOW);
        let opens = begin + interval.saturating_sub(window);
        let time = |turn| opens + window.mul_f64(SPREAD.start + (SPREAD.end - SPREAD.start) * turn);
        let times = turns.enumerate().map(|(place, turn)| Reverse((time(turn), place))).collect();
        Round { times, begin, opens, told: 0, end: begin + interval }
    }

    /// Whether nothing of the interval is left.
    fn is_over(&self) -> bool {
        self.end == Moment::ORIGIN
    }

    /// Returns the part of the targets that have been polled and should have answered,
    /// by their turns, if it is another step since the last call. Shortly before the next
    /// collection these are all.
    fn polled(&mut self, now: Moment) -> Option<f64> {
        if self.is_over() {
            return None;
        }
        let window = self.end.since(self.opens).as_secs_f64();
        let passed = now.since(self.opens).as_secs_f64() / window;
        let answered = passed - (ANSWERED.0.as_secs_f64() / window).min(ANSWERED.1);
        let turns = (answered - SPREAD.start) / (SPREAD.end - SPREAD.start);
        let step = match NEAR.iter().filter(|near| **near <= passed).count() {
            0 => (turns.clamp(0.0, 1.0) * TOLD as f64) as usize,
            near => TOLD + near,
        };
        let is_another = step > self.told;
        self.told = self.told.max(step);
        is_another.then_some((step as f64 / TOLD as f64).min(1.0))
    }

    /// Returns the next target whose time has come.
    fn pop(&mut self, now: Moment) -> Option<usize> {
        let Reverse((at, place)) = *self.times.peek()?;
        if at > now {
            return None;
        }
        self.times.pop();
        Some(place)
    }

    /// Records that the target has more to be requested at this time. After the end of
    /// the interval, that is left to the next one.
    fn again(&mut self, place: usize, at: Moment) {
        if at < self.end {
            self.times.push(Reverse((at, place)));
        }
    }

    /// Returns the targets whose time has come. Each is in it once, so that no time that
    /// [`Round::again`] records keeps this from its end.
    fn come(&mut self, now: Moment) -> Vec<usize> {
        std::iter::from_fn(|| self.pop(now)).collect()
    }
}

impl Refresher {
    /// What has been polled ahead of the next collection.
    #[must_use]
    pub fn polled_ahead(&self) -> watch::Receiver<Ahead> {
        self.rhythm.polled.subscribe()
    }

    /// Whether a collection has begun since then. Those that are not periodic do not count.
    #[must_use]
    pub fn was_collected_since(&self, then: Moment) -> bool {
        self.rhythm.has_come_since(then)
    }

    /// Polls ahead of collections, until it is dropped.
    pub async fn prefetch(&self, prefetch: Prefetch) {
        let mut rounds = Rounds::default();
        // The targets to which the places in the round belong.
        let mut of: Arc<[Arc<Polled>]> = Arc::default();
        loop {
            let now = self.clock.now();
            let targets = self.current();
            match self.rhythm.interval().filter(|_| prefetch.is_on(targets.len())) {
                Some(rhythm) => {
                    let turns = || targets.iter().map(|polled| polled.target().turn());
                    rounds.advance(now, rhythm, !Arc::ptr_eq(&of, &targets), turns);
                    of.clone_from(&targets);
                    let (begin, end) = (rounds.round.begin, rounds.round.end);
                    for place in rounds.round.come(now) {
                        let Some(polled) = targets.get(place) else { continue };
                        // A collection would find due what becomes due until it comes.
                        if let Some(job) = Job::claim_by(polled, now, end) {
                            self.send(polled, job);
                        }
                        if let Some(due) = polled.next_due(now, begin, end) {
                            rounds.round.again(place, due);
                        }
                    }
                    if let Some(part) = rounds.round.polled(now) {
                        self.rhythm.polled.send_replace(Ahead { part, collection: end });
                    }
                }
                None => rounds = Rounds::default(),
            }
            // A collection begins a round. Without one, only the remaining times of
            // this round follow.
            let came = self.rhythm.came.notified();
            if rounds.round.is_over() {
                came.await;
            } else {
                let _ = tokio::time::timeout(TICK, came).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
