//! Metrics of the accounts and hashtags that the target lists.

use crate::endpoint::Endpoint;
use crate::snapshot::{Account, Reading, TagUse};
use crate::target::Target;

use super::{Emit, Label, Read, Row, gauge};

const ACCT: &str = "mastodon.account.acct";
const TAG: &str = "mastodon.tag.name";
const LISTED_TAGS: &str = "listed in `tags`";
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
    .on(LISTED)
    .from(&[Endpoint::Accounts]),
    gauge(
        "mastodon.account.following",
        "{account}",
        "Accounts that the account follows.",
        "the account's `following_count`",
        Read::Ints(|r, emit| each(r, emit, |a| a.following), listed),
    )
    .by(&[ACCT])
    .on(LISTED)
    .from(&[Endpoint::Accounts]),
    gauge(
        "mastodon.account.statuses",
        "{status}",
        "Posts of the account that the server knows.",
        "the account's `statuses_count`",
        Read::Ints(|r, emit| each(r, emit, |a| a.statuses), listed),
    )
    .by(&[ACCT])
    .on(LISTED)
    .from(&[Endpoint::Accounts]),
    gauge(
        "mastodon.account.last_status.timestamp",
        "s",
        "Midnight UTC of the day of the account's last post.",
        "the account's `last_status_at`",
        Read::Ints(|r, emit| each(r, emit, |a| a.last_status), listed),
    )
    .by(&[ACCT])
    .on(LISTED)
    .from(&[Endpoint::Accounts]),
    gauge(
        "mastodon.tag.uses",
        "{use}",
        "Posts with the hashtag on the current UTC day that the server knows.",
        "the newest day of the hashtag's `history`",
        Read::Ints(|r, emit| each_tag(r, emit, |t| t.uses), |t| t.tags.len()),
    )
    .by(&[TAG])
    .on(LISTED_TAGS)
    .from(&[Endpoint::Tags])
    .unless(not_used_today),
    gauge(
        "mastodon.tag.accounts",
        "{account}",
        "Accounts that used the hashtag on the current UTC day that the server knows.",
        "the newest day of the hashtag's `history`",
        Read::Ints(|r, emit| each_tag(r, emit, |t| t.accounts), |t| t.tags.len()),
    )
    .by(&[TAG])
    .on(LISTED_TAGS)
    .from(&[Endpoint::Tags])
    .unless(not_used_today),
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

/// Only while the newest day is today: before the first use of a day the
/// server still has yesterday there.
fn is_of_today(r: &Reading<'_>, tag: &TagUse) -> bool {
    r.is_day_of(tag.day)
}

fn each_tag(r: &Reading<'_>, emit: Emit<'_, i64>, of: fn(&TagUse) -> Option<i64>) {
    let known = r.tags().unwrap_or_default();
    for (tag, name) in known.iter().zip(&r.target.tags) {
        if let Some(value) = tag.as_ref().filter(|t| is_of_today(r, t)).and_then(of) {
            emit(value, &[(TAG, Label::Text(name.clone()))]);
        }
    }
}

fn not_used_today(r: &Reading<'_>) -> Option<&'static str> {
    let known = r.tags()?;
    let used = known.iter().flatten().any(|tag| is_of_today(r, tag));
    (!used && known.iter().any(Option::is_some)).then_some("nobody has used a listed hashtag today (UTC)")
}
