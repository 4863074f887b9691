use std::collections::BTreeMap;

use super::*;
use crate::endpoint::Endpoint;
use crate::outcome::Outcome;
use crate::refresh::schedule::{Attempted, Candidate, Choice, Ended, Timing};
use crate::target::Target;

fn at(seconds: f64) -> Moment {
    Moment::at(Duration::from_secs_f64(seconds))
}

fn turn(i: u32) -> f64 {
    let url = format!("https://i{i}.example").parse().unwrap();
    Target::new(url, None, None, &BTreeMap::new()).turn()
}

#[test]
fn the_interval_is_the_one_at_which_collections_come() {
    let rhythm = Rhythm::default();
    assert_eq!(rhythm.interval(), None);
    rhythm.beat(at(100.0));
    assert_eq!(rhythm.interval(), None, "one collection is no interval");
    assert!(rhythm.has_come_since(at(99.0)) && !rhythm.has_come_since(at(100.0)));
    rhythm.beat(at(160.0));
    assert_eq!(rhythm.interval(), Some((at(160.0), Duration::from_secs(60))));
    // A person looks at the page.
    rhythm.beat(at(161.0));
    assert_eq!(rhythm.interval(), Some((at(160.0), Duration::from_secs(60))));
    // A second collector.
    rhythm.beat(at(180.0));
    assert_eq!(rhythm.interval(), Some((at(180.0), Duration::from_secs(20))));
    // It goes again.
    for beat in [240.0, 300.0, 360.0, 420.0] {
        rhythm.beat(at(beat));
    }
    assert_eq!(rhythm.interval(), Some((at(420.0), Duration::from_secs(60))));
    // A pause is no interval.
    rhythm.beat(at(9000.0));
    assert_eq!(rhythm.interval(), Some((at(9000.0), Duration::from_secs(60))));
    // Neither are looks of a person.
    for beat in [9010.0, 20_000.0, 30_000.0, 40_000.0] {
        rhythm.beat(at(beat));
    }
    assert_eq!(rhythm.interval(), Some((at(40_000.0), Duration::from_secs(160))));
}

fn turns() -> impl Iterator<Item = f64> {
    (0..100).map(turn)
}

#[test]
fn collectors_that_come_shortly_after_each_other_find_everything_polled() {
    for apart in [5.0, 8.0, 14.0, 30.0] {
        let (rhythm, mut rounds) = (Rhythm::default(), Rounds::default());
        for beat in (0..3).flat_map(|i| [f64::from(i) * 60.0, f64::from(i) * 60.0 + apart]) {
            rhythm.beat(at(beat));
        }
        let mut come = Vec::new();
        for second in 121 + apart as u32..180 {
            let now = at(f64::from(second));
            rounds.advance(now, rhythm.interval().unwrap(), false, turns);
            come.extend(rounds.round.come(now));
            assert!(!rounds.round.is_over(), "{apart}: after {second}");
        }
        come.sort_unstable();
        come.dedup();
        assert_eq!(come.len(), 100, "{apart}");
    }
}

#[test]
fn other_targets_do_not_count_as_a_collection() {
    let (mut rounds, mut come) = (Rounds::default(), Vec::new());
    for second in 100..600 {
        let now = at(f64::from(second));
        rounds.advance(now, (at(100.0), Duration::from_secs(60)), second % 7 == 0, turns);
        come.push(rounds.round.come(now).len());
    }
    assert!(rounds.round.is_over());
    let come_in = |seconds: std::ops::Range<usize>| come[seconds].iter().sum::<usize>();
    assert!(come_in(0..60) >= 100 && come_in(60..120) >= 100 && come_in(120..180) >= 100, "{come:?}");
    assert_eq!(come_in(180..500), 0);
}

#[test]
fn each_target_has_a_time_of_its_own() {
    let turns = (0..10_000).map(turn);
    let mut round = Round::new(at(100.0), Duration::from_secs(60), turns);
    let mut asked = Vec::new();
    for second in 100..160 {
        let mut now = 0;
        while round.pop(at(f64::from(second))).is_some() {
            now += 1;
        }
        asked.push(now);
    }
    assert_eq!(asked.iter().sum::<usize>(), 10_000);
    // Even, and nothing at the begin and the end.
    assert!(asked[..6].iter().chain(&asked[58..]).all(|n| *n == 0), "{asked:?}");
    assert!(asked[8..57].iter().all(|n| (130..250).contains(n)), "{asked:?}");
    round.again(7, at(160.0));
    assert_eq!(round.pop(at(1e6)), None, "that is for the next interval");
    assert_eq!(round.polled(at(115.0)), None);
    assert_eq!((round.polled(at(141.9)), round.polled(at(143.0))), (Some(0.5), None));
    assert_eq!(round.polled(at(155.1)), Some(0.75));
    assert_eq!((round.polled(at(155.3)), round.polled(at(158.1))), (Some(1.0), None));
    assert_eq!((round.polled(at(158.2)), round.polled(at(159.9))), (Some(1.0), None));
    round.again(7, at(159.0));
    assert_eq!((round.come(at(158.0)), round.come(at(159.0))), (vec![], vec![7]));
}

/// A collection finds all of its page written, those that were polled out of turn included.
#[test]
fn what_has_changed_since_it_was_written_is_written_again_at_the_end() {
    let mut round = Round::new(at(100.0), Duration::from_secs(60), turns());
    let (mut written, mut parts) = (1.0, Vec::new());
    for second in 100..160 {
        let Some(part) = round.polled(at(f64::from(second))) else { continue };
        parts.push(Ahead { part, collection: round.end }.to_write(written));
        written = part;
    }
    let (steps, last) = parts.split_last_chunk::<2>().unwrap();
    assert!(steps.len() > 8 && steps[0].start == 0.0, "{steps:?}");
    assert!(steps.windows(2).all(|steps| steps[0].end.total_cmp(&steps[1].start).is_eq()), "{steps:?}");
    assert_eq!(*last, [0.0..1.0, 0.0..1.0], "before the end all");
}

/// What was read earlier would have to be read again.
#[test]
fn targets_are_polled_shortly_before_a_rare_collection() {
    let mut round = Round::new(at(100.0), Duration::from_secs(300), turns());
    assert_eq!((round.come(at(340.0)), round.polled(at(340.0))), (vec![], None));
    assert_eq!(round.come(at(398.0)).len(), 100);
    assert_eq!(round.polled(at(399.0)), Some(1.0));
}

/// After a start, all targets are polled at once, and again a minute later. They come
/// to their own times round by round.
#[test]
fn a_fleet_spreads_over_the_interval_in_a_few_rounds() {
    let interval = Duration::from_secs(60);
    let polled_at = |now: Moment| {
        let mut timing = Timing::default();
        let took = Attempted { began: now, now, retry_after: None };
        timing.enter(Ended::Read { lifetime: Duration::ZERO }, took, Endpoint::InstanceV2, interval);
        let outcome = Some(Outcome::Ok);
        let has_facts = true;
        let endpoint = Endpoint::InstanceV2;
        let one = Candidate { endpoint, timing, under_way: false, outcome, attempted: now, has_facts };
        Choice { all: vec![one], held_until: Moment::ORIGIN, now }
    };
    let mut all: Vec<Choice> = turns().map(|_| polled_at(at(60.0))).collect();
    let mut at_once = Vec::new();
    for minute in 1..8 {
        let (begin, end) = (at(f64::from(minute) * 60.0), at(f64::from(minute + 1) * 60.0));
        let mut round = Round::new(begin, interval, turns());
        let mut polled = Vec::new();
        for tenth in 0..600 {
            let now = begin + Duration::from_millis(100 * tenth);
            for place in round.come(now) {
                all[place].now = now;
                if !all[place].due_by(end).is_empty() {
                    assert!(now.since(all[place].all[0].attempted) >= interval.mul_f64(0.75));
                    all[place] = polled_at(now);
                    polled.push(tenth / 10);
                }
                if let Some(at) = all[place].next_due(begin, end) {
                    round.again(place, at);
                }
            }
        }
        assert_eq!(polled.len(), 100, "each once, ahead of the collection: {polled:?}");
        let most = (0..60).map(|second| polled.iter().filter(|at| **at == second).count()).max();
        at_once.push(most.unwrap());
    }
    // In the first round all but those whose own times are late; in the end a second has
    // a fiftieth of them, more or less.
    assert!(at_once[0] > 50 && at_once[4..].iter().all(|most| *most < 8), "{at_once:?}");
}
