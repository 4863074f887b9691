//! `GET /api/v1/instance/activity`: twelve rows of text, in two shapes.
//!
//! Up to 3.4 a row is an ISO week that begins on Monday in the server's time
//! zone; from 3.5 rows are windows that slide with the moment in which the
//! server, once a day, works them out.

use http::StatusCode;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::call::{Call, needs_user};
use super::reply::Reply;
use super::state::Instance;
use super::truth::ActivityRow;

/// The body, which real servers keep for a day.
pub(super) fn activity(call: &Call<'_>) -> Reply {
    if call.switches.limited_federation && !call.authenticated() {
        return needs_user();
    }
    if !call.switches.activity_api || call.switches.limited_federation {
        return Reply::empty(StatusCode::NOT_FOUND);
    }
    let rows = call.say(|truth| truth.activity.clone(), rows);
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "week": row.week.to_string(),
                "statuses": row.statuses.to_string(),
                "logins": row.logins.to_string(),
                "registrations": row.registrations.to_string(),
            })
        })
        .collect();
    Reply::json(Value::Array(rows))
}

/// What the instance counts, in the shape of its version.
pub(super) fn rows(instance: &Instance, now: i64) -> Vec<ActivityRow> {
    if instance.version.since(3, 5) {
        return instance.numbers.rolling_activity(now);
    }
    let zone = time_zone(instance);
    instance.numbers.weekly_activity(now, |monday| local_midnight(monday, &zone))
}

/// Half of the old servers live in central Europe, whose weeks are an hour
/// longer or shorter twice a year.
fn time_zone(instance: &Instance) -> TimeZone {
    if instance.numbers.unit(20) < 0.5 {
        // Spelt out, so that no time zone database is needed.
        TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap_or(TimeZone::UTC)
    } else {
        TimeZone::UTC
    }
}

/// The instant in which a UTC day's date begins in `zone`.
fn local_midnight(day: i64, zone: &TimeZone) -> i64 {
    let date = Timestamp::from_second(day).map(|at| at.to_zoned(TimeZone::UTC).date());
    let start = date.and_then(|date| date.to_zoned(zone.clone()));
    start.map_or(day, |start| start.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_begin_at_local_midnight() {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        // Monday 2026-03-30 is the first in summer time, Monday 2026-03-23 the last before.
        assert_eq!(local_midnight(1_774_828_800, &zone), 1_774_828_800 - 7200);
        assert_eq!(local_midnight(1_774_224_000, &zone), 1_774_224_000 - 3600);
        assert_eq!(local_midnight(1_774_224_000, &TimeZone::UTC), 1_774_224_000);
    }
}
