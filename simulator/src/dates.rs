//! Days and timestamps as Mastodon writes them.

use jiff::Timestamp;

/// Seconds in a UTC day.
pub(crate) const DAY: i64 = 86_400;

/// Returns the beginning of a time's UTC day. Both are Unix times in seconds.
pub(crate) fn midnight(at: i64) -> i64 {
    at - at.rem_euclid(DAY)
}

/// Returns the UTC day of a Unix time in seconds: `2026-08-01`.
pub(crate) fn date(at: i64) -> Option<String> {
    Timestamp::from_second(at).ok().map(|at| at.strftime("%Y-%m-%d").to_string())
}

/// Formats a Unix time in milliseconds: `2026-08-01T13:51:02.000Z`.
pub(crate) fn instant(millis: i64) -> String {
    let at = Timestamp::from_millisecond(millis).unwrap_or_default();
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}
