//! `/api/v1/accounts/:id` and `/api/v1/accounts/lookup`.

use jiff::civil::Date;
use serde_json::Value;

use crate::snapshot::Account;

use super::document::{Document, Fields};

/// Reads an account. −1 followers is how glitch-soc hides them.
pub fn account(doc: &mut Document) -> Account {
    let f = &mut doc.fields();
    // A suspended account (3.3 and later) answers with all counts 0: they are
    // not its counts.
    if f.flag("suspended") == Some(true) {
        return Account::default();
    }
    Account {
        followers: f.count_or_hidden("followers_count"),
        following: f.count_or_hidden("following_count"),
        statuses: f.count_or_hidden("statuses_count"),
        last_status: last_status(f),
    }
}

fn last_status(f: &mut Fields<'_>) -> Option<i64> {
    let day = f.text("last_status_at")?;
    let midnight = midnight(&day);
    if midnight.is_none() {
        f.wrong("last_status_at", &Value::String(day.to_string()));
    }
    midnight
}

/// Midnight UTC of a day, Unix seconds. Mastodon 3.0 gave a whole instant
/// where later versions give the day. Nothing was posted before 1970.
fn midnight(day: &str) -> Option<i64> {
    let date: Date = day.get(..10)?.parse().ok()?;
    let zoned = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_second()).filter(|second| *second > 0)
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
        for (day, problems) in [
            (r#""yesterday, ünïcode""#, 1),
            (r#""1969-12-31""#, 1),
            (r#""1970-01-01""#, 1),
            (r#""-009999-01-01""#, 1),
            ("null", 0),
        ] {
            let json = format!(r#"{{"last_status_at":{day}}}"#);
            let mut doc = Document::parse(json.as_bytes(), Top::Object).unwrap();
            assert_eq!(account(&mut doc), Account::default(), "{day}");
            assert_eq!(doc.into_problems().len(), problems, "{day}");
        }
    }
}
