//! The accounts that a target lists: `/api/v1/accounts/:id`, `/api/v1/accounts/lookup`,
//! and 40 at once if the server supports it.

use jiff::civil::Date;
use percent_encoding::utf8_percent_encode;

use crate::snapshot::{Account, Facts};
use crate::target::AccountRef;

use super::{Answer, Attempt, SEGMENT};
use crate::document::{Fields, Top};

/// The number of accounts in one request of `GET /api/v1/accounts?id[]=` (Mastodon
/// 4.3).
const BATCH: usize = 40;

impl Attempt<'_> {
    /// Reads the listed accounts. Accounts that could be read are reported even if
    /// others could not.
    pub(super) async fn accounts(&self) -> Answer {
        let listed = &self.target.accounts;
        let at_once = listed.len() > 1 && self.mastodon().is_some_and(|version| version >= (4, 3));
        let (mut whole, mut read) = if at_once {
            self.accounts_at_once().await
        } else {
            (Answer::new(self), vec![None; listed.len()])
        };
        for (account, read) in listed.iter().zip(&mut read).filter(|(_, read)| read.is_none()) {
            if whole.is_stopped() {
                break;
            }
            let with_token = whole.requests.with_token;
            let (mut one, mut found) = self.account(with_token, account).await;
            // Ids are numbers on Mastodon, and words on other servers.
            if one.requests.status == Some(404)
                && let AccountRef::Acct(word) = account
                && !word.contains('@')
            {
                let (by_id, account) = self.account(with_token, &AccountRef::Id(word.clone())).await;
                found = account.filter(|account| account.id.as_deref() == Some(&**word));
                if found.is_some() {
                    one = by_id;
                }
            }
            *read = found;
            whole = whole.and(one, account.label());
        }
        let is_any_read = read.iter().any(Option::is_some);
        if is_any_read { whole.with_part(Facts::Accounts(read.into())) } else { whole }
    }

    /// Reads one account in its own request.
    async fn account(&self, with_token: bool, account: &AccountRef) -> (Answer, Option<Account>) {
        let asked = self.ask(&path(account)).with_token(with_token).send().await;
        asked.read(Top::Object, |doc| self::account(&mut doc.fields())).await
    }

    /// Reads accounts with known ids, many in one request. Returns them in the order of
    /// the target's list; accounts that are missing in the answer get their own
    /// requests.
    async fn accounts_at_once(&self) -> (Answer, Vec<Option<Account>>) {
        let before = self.reading();
        let before = before.snapshot.slots.iter().find_map(|slot| match slot.facts() {
            Some(Facts::Accounts(known)) => Some(known.clone()),
            _ => None,
        });
        let id = |(i, account): (usize, &AccountRef)| match account {
            AccountRef::Id(id) => Some((i, id.clone())),
            AccountRef::Acct(_) => Some((i, before.as_ref()?.get(i)?.as_ref()?.id.clone()?)),
        };
        let ids: Vec<(usize, _)> = self.target.accounts.iter().enumerate().filter_map(id).collect();
        let mut whole = Answer::new(self);
        let mut read = vec![None; self.target.accounts.len()];
        for batch in ids.chunks(BATCH).filter(|batch| batch.len() > 1) {
            let query: Vec<String> =
                batch.iter().map(|(_, id)| format!("id[]={}", utf8_percent_encode(id, SEGMENT))).collect();
            let ask = self.ask(&format!("/api/v1/accounts?{}", query.join("&")));
            let asked = ask.with_token(whole.requests.with_token).send().await;
            let (one, found) = asked.read(Top::Array, |doc| doc.each(account)).await;
            for account in found.unwrap_or_default() {
                if let Some((i, _)) = batch.iter().find(|(_, id)| account.id.as_ref() == Some(id)) {
                    read[*i] = Some(account);
                }
            }
            whole = whole.and(one, "accounts");
            if whole.is_stopped() {
                break;
            }
        }
        (whole, read)
    }
}

fn path(account: &AccountRef) -> String {
    match account {
        AccountRef::Id(id) => format!("/api/v1/accounts/{}", utf8_percent_encode(id, SEGMENT)),
        AccountRef::Acct(acct) => {
            format!("/api/v1/accounts/lookup?acct={}", utf8_percent_encode(acct, SEGMENT))
        }
    }
}

/// Reads an account. glitch-soc hides followers as −1. Pleroma, Akkoma and kmyblue
/// report 0, and next to it that the followers are hidden.
pub fn account(f: &mut Fields<'_>) -> Account {
    // A suspended account (3.3 and later) is shown with all counts 0, which are not its
    // real counts.
    if f.flag("suspended") == Some(true) {
        return Account { id: f.text("id"), ..Account::default() };
    }
    let mut shown = |count: &str, flags: [&str; 2]| {
        let hidden = flags.iter().any(|flag| !flag.is_empty() && f.flag(flag) == Some(true));
        f.count_or_hidden(count).filter(|_| !hidden)
    };
    Account {
        followers: shown(
            "followers_count",
            ["pleroma.hide_followers_count", "other_settings.hide_followers_count"],
        ),
        following: shown(
            "following_count",
            ["pleroma.hide_follows_count", "other_settings.hide_following_count"],
        ),
        statuses: shown("statuses_count", ["", "other_settings.hide_statuses_count"]),
        id: f.text("id"),
        last_status: last_status(f),
    }
}

fn last_status(f: &mut Fields<'_>) -> Option<i64> {
    let midnight = f.text("last_status_at").and_then(|day| self::midnight(&day));
    if midnight.is_none()
        && let Some(value) = f.get("last_status_at")
    {
        f.wrong("last_status_at", value);
    }
    midnight
}

/// Returns midnight UTC of a day in Unix seconds. Mastodon 3.0 gave a full timestamp
/// where later versions give a day. Dates before 1970 are wrong.
fn midnight(day: &str) -> Option<i64> {
    let date: Date = day.get(..10)?.parse().ok()?;
    let zoned = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_second()).filter(|second| *second > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Document;

    fn read(json: &str) -> Account {
        account(&mut Document::parse(json.as_bytes(), Top::Object).unwrap().fields())
    }

    #[test]
    fn an_account_as_servers_show_it() {
        let full = r#"{"followers_count":3,"following_count":0,"statuses_count":"12","last_status_at":"2026-08-01"}"#;
        let expected = Account {
            id: None,
            followers: Some(3),
            following: Some(0),
            statuses: Some(12),
            last_status: Some(1_785_542_400),
        };
        assert_eq!(read(full), expected);
        assert_eq!(read(r#"{"followers_count":-1}"#), Account::default());
        assert_eq!(read(r#"{"suspended":true,"followers_count":0}"#), Account::default());
        for (flags, shown) in [
            (
                r#""pleroma":{"hide_followers_count":true,"hide_follows_count":false}"#,
                [None, Some(0), Some(0)],
            ),
            (r#""pleroma":{"hide_followers":true,"hide_follows_count":true}"#, [Some(0), None, Some(0)]),
            (r#""other_settings":{"hide_followers_count":true}"#, [None, Some(0), Some(0)]),
            (
                r#""other_settings":{"hide_following_count":true,"hide_statuses_count":true}"#,
                [Some(0), None, None],
            ),
        ] {
            let json = format!(r#"{{"followers_count":0,"following_count":0,"statuses_count":0,{flags}}}"#);
            let account = read(&json);
            assert_eq!([account.followers, account.following, account.statuses], shown, "{flags}");
        }
        let old = read(r#"{"last_status_at":"2019-10-05T12:00:00.000Z"}"#);
        assert_eq!(old.last_status, Some(1_570_233_600));
        for (day, problems) in [
            (r#""yesterday, ünïcode""#, 1),
            (r#""1969-12-31""#, 1),
            (r#""1970-01-01""#, 1),
            (r#""-009999-01-01""#, 1),
            ("null", 0),
        ] {
            let json = format!(r#"{{"last_status_at":{day}}}"#);
            let mut doc = Document::parse(json.as_bytes(), Top::Object).unwrap();
            assert_eq!(account(&mut doc.fields()), Account::default(), "{day}");
            assert_eq!(doc.into_problems().len(), problems, "{day}");
        }
    }
}
