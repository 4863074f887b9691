//! The rows of `/api/v1/instance/activity`, in two formats.
//!
//! Up to 3.4 a row is an ISO week that begins on Monday in the server's time zone. From
//! 3.5 on rows are windows relative to the moment when the server, once a day, computes
//! them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::instance::Instance;
use super::numbers::Numbers;
use crate::dates::{DAY, midnight};

const WEEK: i64 = 7 * DAY;

/// A row of `/api/v1/instance/activity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActivityRow {
    /// Unix time in seconds: up to Mastodon 3.4 a Monday 00:00 in the server's time
    /// zone, from 3.5 the second of the computation.
    pub week: i64,
    /// Number of local statuses.
    pub statuses: u64,
    /// Number of distinct users seen.
    pub logins: u64,
    /// Number of new users.
    pub registrations: u64,
}

/// The rows of an instance at a Unix time in seconds, in the shape of its version.
pub(crate) fn rows(instance: &Instance, now: i64) -> Vec<ActivityRow> {
    if instance.version.since(3, 5) {
        return rolling(&instance.numbers, now);
    }
    let zone = time_zone(instance);
    weekly(&instance.numbers, now, |monday| local_midnight(monday, &zone))
}

/// Half of the old servers are in central Europe, where a week is an hour longer or
/// shorter twice a year.
fn time_zone(instance: &Instance) -> TimeZone {
    if instance.numbers.unit(20) < 0.5 {
        // Spelt out, so that no time zone database is needed.
        TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap_or(TimeZone::UTC)
    } else {
        TimeZone::UTC
    }
}

/// Returns the instant at which a UTC day's date begins in `zone`.
fn local_midnight(day: i64, zone: &TimeZone) -> i64 {
    let date = Timestamp::from_second(day).map(|at| at.to_zoned(TimeZone::UTC).date());
    let start = date.and_then(|date| date.to_zoned(zone.clone()));
    start.map_or(day, |start| start.timestamp().as_second())
}

/// Returns when the server last computed the activity figures, which it caches for a
/// day.
fn filled(numbers: &Numbers, now: i64) -> i64 {
    let second = (numbers.unit(1) * DAY as f64) as i64;
    now - (now - second).rem_euclid(DAY)
}

/// The rows of Mastodon 3.5 and later: row 0 is the current day, the others are six
/// days each, 7 days apart.
fn rolling(numbers: &Numbers, now: i64) -> Vec<ActivityRow> {
    let filled = filled(numbers, now);
    let today = midnight(filled);
    (0..12)
        .map(|n| {
            let start = today - n * WEEK;
            let end = if n == 0 { filled } else { start + 6 * DAY };
            row(numbers, filled - n * WEEK, start, end)
        })
        .collect()
}

/// The rows of Mastodon up to 3.4: ISO weeks in UTC, row 0 the current one. `label`
/// returns the start of a week as the server writes it.
fn weekly(numbers: &Numbers, now: i64, label: impl Fn(i64) -> i64) -> Vec<ActivityRow> {
    let filled = filled(numbers, now);
    let monday = monday(filled);
    (0..12)
        .map(|n| {
            let start = monday - n * WEEK;
            row(numbers, label(start), start, filled.min(start + WEEK))
        })
        .collect()
}

fn row(numbers: &Numbers, week: i64, start: i64, end: i64) -> ActivityRow {
    // Distinct users grow more slowly than the days over which they are counted.
    let days = (end - start) as f64 / DAY as f64;
    let logins = numbers.active_month(start) as f64 * (days / 28.0).powf(0.45);
    ActivityRow {
        week,
        statuses: numbers.statuses(end) - numbers.statuses(start),
        logins: logins.round() as u64,
        registrations: numbers.users(end) - numbers.users(start),
    }
}

/// Monday 00:00 UTC of the ISO week of `now`. 1970-01-01 was a Thursday.
fn monday(now: i64) -> i64 {
    now - (now + 3 * DAY).rem_euclid(WEEK)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_785_592_262; // Saturday 2026-08-01T13:51:02Z

    #[test]
    fn rows_are_plausible_for_every_size() {
        for index in 0..2000 {
            let n = Numbers::new(7, index);
            for rows in [rolling(&n, NOW), weekly(&n, NOW, |week| week)] {
                assert_eq!(rows.len(), 12);
                assert!(rows[0].logins <= n.active_month(NOW));
                assert!(rows.iter().all(|r| r.registrations <= n.users(NOW)));
            }
        }
    }

    #[test]
    fn windows_are_those_of_the_field() {
        let n = Numbers::new(1, 0);
        let filled = filled(&n, NOW);
        assert!(filled <= NOW && NOW - filled < DAY);
        assert_eq!(super::filled(&n, filled), filled);
        let rolling = rolling(&n, NOW);
        assert!(rolling.iter().enumerate().all(|(i, row)| row.week == filled - i as i64 * WEEK));
        let today = filled - filled.rem_euclid(DAY);
        assert_eq!(rolling[1].statuses, n.statuses(today - DAY) - n.statuses(today - WEEK));
        let weekly = weekly(&n, NOW, |week| week);
        assert_eq!(monday(NOW), 1_785_110_400, "Monday 2026-07-27");
        assert_eq!(weekly[1].week, monday(filled) - WEEK);
        assert_eq!(weekly[1].statuses, n.statuses(monday(filled)) - n.statuses(monday(filled) - WEEK));
    }

    #[test]
    fn weeks_begin_at_local_midnight() {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        // Monday 2026-03-30 is the first in summer time, Monday 2026-03-23 the last before.
        assert_eq!(local_midnight(1_774_828_800, &zone), 1_774_828_800 - 7200);
        assert_eq!(local_midnight(1_774_224_000, &zone), 1_774_224_000 - 3600);
        assert_eq!(local_midnight(1_774_224_000, &TimeZone::UTC), 1_774_224_000);
    }
}
