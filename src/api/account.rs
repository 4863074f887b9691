//! `/api/v1/accounts/:id` and `/api/v1/accounts/lookup`.

use jiff::civil::Date;

use crate::snapshot::Account;

use super::document::Document;

/// Reads an account. −1 followers is how glitch-soc hides them.
pub fn account(doc: &mut Document) -> Account {
    let f = &mut doc.fields();
    let last_status = f.text("last_status_at").and_then(|day| midnight(&day));
    // A suspended account (3.3 and later) answers with all counts 0: they are
    // not its counts.
    if f.flag("suspended") == Some(true) {
        return Account::default();
    }
    Account {
        followers: f.count_or_hidden("followers_count"),
        following: f.count_or_hidden("following_count"),
        statuses: f.count_or_hidden("statuses_count"),
        last_status,
    }
}

/// Midnight UTC of a day, Unix seconds. Mastodon 3.0 gave a whole instant
/// where later versions give the day.
fn midnight(day: &str) -> Option<i64> {
    let date: Date = day.get(..10)?.parse().ok()?;
    let zoned = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::document::Top;

    fn read(json: &str) -> Account {
        account(&mut Document::parse(json.as_bytes(), Top::Object).unwrap())
    }

    #[test]
    fn an_account_as_servers_show_it() {
        let full = r#"{"followers_count":3,"following_count":0,"statuses_count":"12","last_status_at":"2026-08-01"}"#;
        let expected = Account {
            followers: Some(3),
            following: Some(0),
            statuses: Some(12),
            last_status: Some(1_785_542_400),
        };
        assert_eq!(read(full), expected);
        assert_eq!(read(r#"{"followers_count":-1}"#), Account::default());
        assert_eq!(read(r#"{"suspended":true,"followers_count":0}"#), Account::default());
        let old = read(r#"{"last_status_at":"2019-10-05T12:00:00.000Z"}"#);
        assert_eq!(old.last_status, Some(1_570_233_600));
        assert_eq!(read(r#"{"last_status_at":"yesterday, ünïcode"}"#), Account::default());
    }
}
