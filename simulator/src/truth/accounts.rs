//! Accounts: every instance has the same five, with different numbers.

use super::instance::Instance;
use crate::dates::{DAY, date};

/// Their names, the administrator first.
const USERNAMES: [&str; 5] = ["admin", "news", "ada", "lin", "archive"];

/// An account of a simulated instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The server's id, a number in decimal digits.
    pub id: String,
    /// The local part of its address.
    pub username: String,
    /// Number of followers; -1 if they are hidden (glitch-soc).
    pub followers: i64,
    /// Number of accounts that the account follows.
    pub following: i64,
    /// Number of its statuses.
    pub statuses: i64,
    /// The UTC day of its newest status, `2026-08-01`.
    pub last_status_at: Option<String>,
    /// When the account was created, in Unix seconds.
    pub created_at: i64,
}

/// Returns the accounts of an instance with their numbers.
pub(crate) fn accounts(instance: &Instance, now: i64) -> Vec<Account> {
    (0..USERNAMES.len()).map(|n| account(instance, now, n)).collect()
}

fn account(instance: &Instance, now: i64, n: usize) -> Account {
    let numbers = &instance.numbers;
    let share = |what: u64| numbers.unit(100 + 10 * n as u64 + what);
    let created_at = numbers.founded() + DAY * n as i64;
    // From Mastodon 3 on, the id of an account contains its creation time.
    let id = match n {
        0 => "1".to_owned(),
        _ if instance.version.since(3, 0) => ((created_at * 1000) << 16 | n as i64).to_string(),
        _ => (n + 1).to_string(),
    };
    // All five together write less than half of the instance's statuses.
    let pace = (numbers.statuses_per_second * 0.08 * share(1)).min(1e-4);
    let following = (20.0 + 400.0 * share(3)) as i64;
    Account {
        id,
        username: USERNAMES[n].to_owned(),
        followers: numbers.count(pace * (1.0 + 40.0 * share(2)), now) as i64,
        following,
        statuses: numbers.count(pace, now) as i64,
        last_status_at: numbers.last_counted(pace, now).and_then(date),
        created_at,
    }
}
