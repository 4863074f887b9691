//! The accounts that the target lists.

use crate::snapshot::{Account, Reading};
use crate::target::Target;

use super::{Emit, Label, Read, Row, gauge};

const ACCT: &str = "mastodon.account.acct";
const LISTED: &str = "listed in `accounts`";

pub(super) const ROWS: &[Row] = &[
    gauge(
        "mastodon.account.followers",
        "{account}",
        "Followers of the account that the server knows; absent where the account hides them.",
        "the account's `followers_count`",
        Read::Ints(|r, emit| each(r, emit, |a| a.followers), listed),
    )
    .by(&[ACCT])
    .on(LISTED),
    gauge(
        "mastodon.account.following",
        "{account}",
        "Accounts that the account follows.",
        "the account's `following_count`",
        Read::Ints(|r, emit| each(r, emit, |a| a.following), listed),
    )
    .by(&[ACCT])
    .on(LISTED),
    gauge(
        "mastodon.account.statuses",
        "{status}",
        "Posts of the account that the server knows.",
        "the account's `statuses_count`",
        Read::Ints(|r, emit| each(r, emit, |a| a.statuses), listed),
    )
    .by(&[ACCT])
    .on(LISTED),
    gauge(
        "mastodon.account.last_status.timestamp",
        "s",
        "Midnight UTC of the day of the account's last post.",
        "the account's `last_status_at`",
        Read::Ints(|r, emit| each(r, emit, |a| a.last_status), listed),
    )
    .by(&[ACCT])
    .on(LISTED),
];

fn listed(target: &Target) -> usize {
    target.accounts.len()
}

fn each(r: &Reading<'_>, emit: Emit<'_, i64>, of: fn(&Account) -> Option<i64>) {
    let known = r.accounts().unwrap_or_default();
    for (account, label) in known.iter().zip(&r.target.accounts) {
        if let Some(value) = account.as_ref().and_then(of) {
            emit(value, &[(ACCT, Label::Text(label.label().clone()))]);
        }
    }
}
