//! The numbers of an instance as functions of its seed and the time: nothing
//! is counted, so ten thousand instances cost nothing until one is asked, and
//! the same seed and time always give the same answer.
//!
//! Everything that accumulates (users, statuses) is a rate times [`worked`],
//! a clock that runs faster in the evening and slower at night. What happened
//! in a window is a difference of two totals, so activity and totals agree.

use std::f64::consts::TAU;

use crate::dates::{DAY, midnight};

/// 2026-01-01T00:00:00Z, when an instance has exactly its nominal size.
const REFERENCE: i64 = 1_767_225_600;

/// The sizes of the named instances. The biggest has the newest of four versions.
const NAMED_USERS: [f64; 8] = [24_000.0, 310_000.0, 5_200.0, 61_000.0, 1_200_000.0, 140.0, 1_100.0, 3.0];

/// Rhythms of posting: relative strength and period in seconds. The strengths sum to
/// less than one, so totals never fall. The last period is not a multiple of a day, so
/// weeks differ.
const RHYTHMS: [(f64, f64); 3] = [(0.55, 86_400.0), (0.15, 604_800.0), (0.12, 839_000.0)];

/// The constants of one instance.
#[derive(Debug, Clone)]
pub(crate) struct Numbers {
    seed: u64,
    founded: i64,
    users_per_second: f64,
    pub statuses_per_second: f64,
    domains_per_second: f64,
    active_share: f64,
    half_year_factor: f64,
    phase: f64,
}

impl Numbers {
    pub fn new(seed: u64, index: usize) -> Numbers {
        let seed = mix(seed ^ mix(index as u64));
        let users = match NAMED_USERS.get(index) {
            Some(users) => *users,
            // Few instances are big: the median has about fifty users, the largest
            // nearly a million.
            None => 10_f64.powf(0.5 + 5.5 * unit(seed, 1).powf(2.2)),
        };
        let founded = REFERENCE - DAY * (600 + (unit(seed, 2) * 2600.0) as i64);
        let age = (REFERENCE - founded) as f64;
        Numbers {
            seed,
            founded,
            users_per_second: users / age,
            statuses_per_second: users * (40.0 + 160.0 * unit(seed, 3)) / age,
            domains_per_second: 220.0 * users.powf(0.38) * (0.7 + 0.6 * unit(seed, 4)) / age,
            active_share: 0.08 + 0.25 * unit(seed, 5),
            half_year_factor: 1.5 + 0.9 * unit(seed, 6),
            phase: TAU * unit(seed, 7),
        }
    }

    /// Returns a number in 0..1 for this instance and `salt`.
    pub fn unit(&self, salt: u64) -> f64 {
        unit(self.seed, 1000 + salt)
    }

    /// Returns an integer below `most` for this instance and `salt`.
    pub fn up_to(&self, salt: u64, most: f64) -> usize {
        (self.unit(salt) * most) as usize
    }

    /// Returns bits for this instance and `salt`.
    pub fn salted(&self, salt: u64) -> u64 {
        mix(self.seed ^ mix(1000 + salt))
    }

    /// Returns the nominal size.
    pub fn size(&self) -> f64 {
        self.users_per_second * (REFERENCE - self.founded) as f64
    }

    pub fn founded(&self) -> i64 {
        self.founded
    }

    pub fn users(&self, now: i64) -> u64 {
        1 + self.count(self.users_per_second, now)
    }

    pub fn statuses(&self, now: i64) -> u64 {
        self.count(self.statuses_per_second, now)
    }

    pub fn domains(&self, now: i64) -> u64 {
        self.count(self.domains_per_second, now)
    }

    /// Returns the distinct users of the 28 whole UTC days before today, which is
    /// constant all day.
    pub fn active_month(&self, now: i64) -> u64 {
        let midnight = midnight(now);
        let users = self.users(midnight);
        let wobble = 1.0 + 0.08 * (midnight as f64 / (37.0 * DAY as f64) * TAU + self.phase).sin();
        ((users as f64 * self.active_share * wobble).ceil() as u64).min(users)
    }

    /// Returns the distinct users of the 168 whole UTC days before today.
    pub fn active_half_year(&self, now: i64) -> u64 {
        let users = self.users(midnight(now));
        ((self.active_month(now) as f64 * self.half_year_factor) as u64).clamp(1, users)
    }

    /// Returns how often an event has happened that happens `rate` times a second on
    /// average.
    pub fn count(&self, rate: f64, now: i64) -> u64 {
        if now <= self.founded {
            return 0;
        }
        (rate * (self.worked(now) - self.worked(self.founded))) as u64
    }

    /// Returns when it last happened, to the second.
    pub fn last_counted(&self, rate: f64, now: i64) -> Option<i64> {
        let count = self.count(rate, now);
        if count == 0 {
            return None;
        }
        // At `earlier` the count was lower, at `now` it is still the same.
        let (mut earlier, mut later) = (self.founded, now);
        while later - earlier > 1 {
            let middle = earlier + (later - earlier) / 2;
            if self.count(rate, middle) < count {
                earlier = middle;
            } else {
                later = middle;
            }
        }
        Some(later)
    }

    /// Returns the time by the instance's own activity, in seconds: the integral of its
    /// rhythms.
    fn worked(&self, now: i64) -> f64 {
        let t = (now - REFERENCE) as f64;
        RHYTHMS.iter().fold(t, |sum, (strength, period)| {
            let speed = TAU / period;
            sum - strength / speed * (speed * t + self.phase).cos()
        })
    }
}

/// Returns a number in 0..1 from a seed and a salt.
fn unit(seed: u64, salt: u64) -> f64 {
    (mix(seed ^ mix(salt)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// The finaliser of SplitMix64: every bit of the input affects every bit of the output.
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_785_592_262; // Saturday 2026-08-01T13:51:02Z

    #[test]
    fn numbers_are_plausible_for_every_size() {
        for index in 0..2000 {
            let n = Numbers::new(7, index);
            let mut before = (0, 0, 0);
            for hour in 0..200 {
                let now = NOW + hour * 3600;
                let counts = (n.users(now), n.statuses(now), n.domains(now));
                assert!(counts.0 >= before.0 && counts.1 >= before.1 && counts.2 >= before.2, "{index}");
                before = counts;
                let (month, half) = (n.active_month(now), n.active_half_year(now));
                assert!(1 <= month && month <= half && half <= counts.0, "{index}: {month} {half}");
            }
        }
    }

    #[test]
    fn a_big_instance_moves_within_a_minute() {
        let n = Numbers::new(1, 4);
        assert!(n.statuses(NOW + 60) > n.statuses(NOW));
        let hours: Vec<u64> =
            (0..24).map(|h| n.statuses(NOW + (h + 1) * 3600) - n.statuses(NOW + h * 3600)).collect();
        let (low, high) = (hours.iter().min().unwrap(), hours.iter().max().unwrap());
        assert!(high > &(2 * low), "a day has a rhythm: {low} to {high}");
    }

    #[test]
    fn same_seed_same_numbers() {
        let numbers = |seed| (10..40).map(|i| Numbers::new(seed, i).statuses(NOW)).collect::<Vec<_>>();
        assert_eq!(numbers(3), numbers(3));
        assert_ne!(numbers(3), numbers(4));
    }
}
