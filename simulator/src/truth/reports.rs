//! Reports, as a process that repeats itself.

use super::instance::Instance;
use crate::dates::DAY;

/// A report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The server's id; lists go by it, the highest first.
    pub id: u64,
    /// `spam`, `legal`, `violation` or `other`; shown from 3.5.
    pub category: String,
    /// Whether a moderator is assigned.
    pub assigned: bool,
    /// Whether it is resolved.
    pub resolved: bool,
    /// When it was created, Unix time in seconds.
    pub created_at: i64,
}

/// Reports come one by one, at the same distance, and are done with by the
/// time they are ten days old.
const OLDEST: i64 = 10 * DAY;

/// The reports of the last ten days, the newest first.
pub(crate) fn reports(instance: &Instance, now: i64) -> Vec<Report> {
    let process = Reporting::of(instance);
    process
        .between(now - OLDEST, now + 1)
        .rev()
        .map(|id| {
            let salt = process.salt(id);
            let category = match salt % 10 {
                0..3 => "spam",
                3..5 => "violation",
                5 => "legal",
                _ => "other",
            };
            Report {
                id: id as u64,
                category: category.to_owned(),
                assigned: salt / 10 % 5 < 2,
                resolved: process.resolved_at(id) <= now,
                created_at: process.opened_at(id),
            }
        })
        .collect()
}

/// The process that makes an instance's reports.
pub(super) struct Reporting {
    distance: i64,
    seed: u64,
}

impl Reporting {
    pub fn of(instance: &Instance) -> Reporting {
        // About one a day from 3000 users.
        let per_second = instance.numbers.size() / 3000.0 / DAY as f64;
        let distance = (1.0 / per_second.max(1e-9)).clamp(2400.0, 4.0 * DAY as f64) as i64;
        Reporting { distance, seed: instance.numbers.salted(80) }
    }

    /// The ids of those that come from `start` until before `end`.
    fn between(&self, start: i64, end: i64) -> std::ops::Range<i64> {
        let first = |at: i64| (at.max(0) + self.distance - 1) / self.distance;
        first(start)..first(end)
    }

    /// The number of reports that came in a time.
    pub fn opened_in(&self, start: i64, end: i64) -> i64 {
        self.between(start, end).count() as i64
    }

    /// The number of reports that were done in a time.
    pub fn resolved_in(&self, start: i64, end: i64) -> i64 {
        let resolved = self.between(start - OLDEST, end).map(|id| self.resolved_at(id));
        resolved.filter(|at| (start..end).contains(at)).count() as i64
    }

    fn opened_at(&self, id: i64) -> i64 {
        id * self.distance
    }

    fn resolved_at(&self, id: i64) -> i64 {
        self.opened_at(id) + 3600 + (self.salt(id) / 50) as i64 % (OLDEST - 3600)
    }

    fn salt(&self, id: i64) -> u64 {
        ((self.seed ^ id as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)) >> 16
    }
}
