//! Custom emojis, announcements, hashtags, and the times of the newest posts.

use super::instance::Instance;
use crate::dates::{DAY, midnight};

/// The hashtags that instances use; any other has no uses.
const TAGS: [&str; 4] = ["gardening", "introductions", "photography", "rust"];

/// A hashtag with its last seven UTC days, the current one first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Its name without `#`.
    pub name: String,
    /// Number of statuses with it, by day.
    pub uses: [i64; 7],
    /// Number of accounts that wrote them, by day.
    pub accounts: [i64; 7],
}

/// The number of custom emojis.
pub(crate) fn custom_emojis(instance: &Instance) -> usize {
    (instance.numbers.unit(50).powi(2) * 400.0) as usize
}

/// The number of published announcements, from 3.1.
pub(crate) fn announcements(instance: &Instance) -> usize {
    instance.numbers.up_to(51, 4.0)
}

/// The hashtags of an instance with their last seven days, today first.
pub(crate) fn tags(instance: &Instance, now: i64) -> Vec<Tag> {
    let numbers = &instance.numbers;
    let midnight = midnight(now);
    let tag = |(n, name): (usize, &&str)| {
        let rate = numbers.statuses_per_second * 0.02 * numbers.unit(60 + n as u64);
        let uses = std::array::from_fn(|days| {
            let start = midnight - days as i64 * DAY;
            (numbers.count(rate, now.min(start + DAY)) - numbers.count(rate, start)) as i64
        });
        // Some accounts write more than once.
        Tag { name: (*name).to_owned(), uses, accounts: uses.map(|uses| (uses * 4 + 4) / 5) }
    };
    TAGS.iter().enumerate().map(tag).collect()
}

/// When the newest local status was written, Unix time in milliseconds.
pub(crate) fn newest_local_ms(instance: &Instance, now: i64) -> Option<i64> {
    newest(instance, instance.numbers.statuses_per_second, now)
}

/// When the newest status of another server was written, Unix time in
/// milliseconds.
pub(crate) fn newest_remote_ms(instance: &Instance, now: i64) -> Option<i64> {
    newest(instance, 0.02 + 30.0 * instance.numbers.statuses_per_second, now)
}

fn newest(instance: &Instance, rate: f64, now: i64) -> Option<i64> {
    let numbers = &instance.numbers;
    // The post was written within the second before it counted.
    let part = numbers.count(rate, now).wrapping_mul(7919) % 1000;
    numbers.last_counted(rate, now).map(|second| second * 1000 - part as i64)
}
