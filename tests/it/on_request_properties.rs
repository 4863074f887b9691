//! Administrators' documents, lists, posts and hashtags with arbitrary JSON in any field:
//! no panics, no negative numbers, no labels outside closed sets, and no number of a list
//! with an invalid item.

use crate::support::documents;
use fedimeter::api::{admin, lists, tag, timeline};
use fedimeter::document::length::ArrayLength;
use fedimeter::document::{Document, Top};
use fedimeter::snapshot::{OTHER, Reports, Tally};
use jiff::civil::date;
use proptest::prelude::*;

const REPORTS: &str = r#"[{"id":"1","category":"spam","assigned_account":null,"created_at":"2026-08-01T10:00:00.000Z"},
    {"id":"2","category":"violation","assigned_account":{"id":"7"},"created_at":"2026-07-01T10:00:00.000Z"}]"#;
const MEASURES: &str = r#"[{"key":"active_users","total":"9","data":[{"date":"2026-07-31T00:00:00Z","value":"5"},
    {"date":"2026-08-01T00:00:00Z","value":"7"}]},{"key":"new_users","data":[{"date":"2026-08-01","value":"3"}]}]"#;
const LANGUAGES: &str =
    r#"[{"key":"languages","data":[{"key":"en","value":"12"},{"key":"pt-BR","value":"3"}]}]"#;
const RETENTION: &str = r#"[{"period":"2026-06-01T00:00:00Z","frequency":"month","data":[
    {"date":"2026-06-01T00:00:00Z","rate":1.0,"value":"40"},{"date":"2026-07-01T00:00:00Z","rate":0.25,"value":"10"}]}]"#;
const TAG: &str = r#"{"name":"art","history":[{"day":"1785542400","uses":"12","accounts":"7"},
    {"day":"1785456000","uses":"3","accounts":"2"}]}"#;
const POSTS: &str = r#"[{"id":"1","created_at":"2026-08-01T10:00:00.000Z"}]"#;
const BLOCKS: &str =
    r#"[{"domain":"a.example","severity":"silence"},{"domain":"b.example","severity":"suspend"}]"#;
const SEVERITIES: [&str; 2] = ["silence", "suspend"];

fn parsed(body: &str, top: Top) -> Option<Document<'_>> {
    Document::parse(body.as_bytes(), top).ok()
}

/// The items of a list, if all of them are objects.
fn objects(body: &str) -> Option<i64> {
    let items = serde_json::from_str::<serde_json::Value>(body).ok()?.as_array()?.clone();
    items.iter().all(serde_json::Value::is_object).then_some(items.len() as i64)
}

fn closed(tally: &Tally, set: &[&str]) -> bool {
    tally.0.iter().all(|(member, n)| *n >= 0 && (set.contains(member) || *member == OTHER))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reports_are_whole_or_nothing(document in documents::mutated(REPORTS)) {
        let Some(mut doc) = parsed(&document.body, Top::Array) else { return Ok(()) };
        let mut reports = Reports::default();
        let whole = admin::read_reports(&mut doc, &mut reports).is_some();
        prop_assert!(closed(&reports.open, &["spam", "legal", "violation", "other"]));
        prop_assert!(reports.unassigned >= 0 && reports.oldest.is_none_or(|at| at > 0.0));
        if let Ok(serde_json::Value::Array(_)) = serde_json::from_str(&document.body) {
            prop_assert_eq!(whole.then(|| reports.open.0.iter().map(|(_, n)| n).sum::<i64>()), objects(&document.body));
        }
    }

    #[test]
    fn blocks_are_whole_or_nothing(document in documents::mutated(BLOCKS)) {
        let Some(mut doc) = parsed(&document.body, Top::Array) else { return Ok(()) };
        let tally = lists::by_severity(&mut doc, &SEVERITIES, "_OTHER");
        prop_assert!(tally.as_ref().is_none_or(|tally| closed(tally, &SEVERITIES)));
        if let Ok(serde_json::Value::Array(_)) = serde_json::from_str(&document.body) {
            prop_assert_eq!(tally.map(|t| t.0.iter().map(|(_, n)| n).sum::<i64>()), objects(&document.body));
        }
    }

    #[test]
    fn measures_are_no_less_than_zero(document in documents::mutated(MEASURES)) {
        let Some(mut doc) = parsed(&document.body, Top::Array) else { return Ok(()) };
        let read = admin::read_measures(&mut doc, date(2026, 8, 1));
        prop_assert!(read.today.iter().chain(&read.yesterday).flatten().all(|n| *n >= 0));
    }

    #[test]
    fn languages_are_a_closed_set(document in documents::mutated(LANGUAGES)) {
        let Some(mut doc) = parsed(&document.body, Top::Array) else { return Ok(()) };
        let read = admin::read_languages(&mut doc);
        let short = |code: &str| (2..=3).contains(&code.len()) || code == OTHER;
        prop_assert!(read.0.len() <= 10 && read.0.iter().all(|(code, n)| short(code) && *n >= 0));
    }

    #[test]
    fn retention_is_a_share(document in documents::mutated(RETENTION)) {
        let Some(mut doc) = parsed(&document.body, Top::Array) else { return Ok(()) };
        let rate = admin::read_retention(&mut doc, date(2026, 6, 1), date(2026, 7, 1));
        prop_assert!(rate.is_none_or(|rate| (0.0..=1.0).contains(&rate)));
    }

    #[test]
    fn hashtags_and_posts(tagged in documents::mutated(TAG), posts in documents::mutated(POSTS)) {
        if let Some(mut doc) = parsed(&tagged.body, Top::Object) {
            let day = tag::newest_day(&mut doc);
            let counts = day.map(|day| [Some(day.day), day.uses, day.accounts]);
            prop_assert!(counts.into_iter().flatten().flatten().all(|n| n >= 0));
        }
        if let Some(mut doc) = parsed(&posts.body, Top::Array) {
            prop_assert!(timeline::newest_post(&mut doc, timeline::Origin::Any, 2e9).is_none_or(|at| at > 0.0 && at <= 2e9));
        }
    }

    #[test]
    fn a_streamed_length_is_that_of_the_list(document in documents::mutated(BLOCKS), piece in 1..40usize) {
        let mut length = ArrayLength::default();
        let fed = document.body.as_bytes().chunks(piece).try_for_each(|chunk| length.feed(chunk));
        if let Ok(length) = fed.and_then(|()| length.end()) {
            let list: Option<Vec<serde_json::Value>> = serde_json::from_str(&document.body).ok();
            if let Some(list) = list {
                prop_assert_eq!(length, list.len() as i64);
            }
        }
    }
}
