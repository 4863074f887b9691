//! The hashtags that a target lists: `/api/v1/tags/:name` (Mastodon 4.0).

use percent_encoding::utf8_percent_encode;

use crate::snapshot::{Facts, TagUse};

use super::{Answer, Attempt, SEGMENT};
use crate::document::{Document, Fields, Top};

impl Attempt<'_> {
    /// Reads the listed hashtags, with one request each.
    pub(super) async fn tags(&self) -> Answer {
        let mut whole = Answer::new(self);
        let mut read: Vec<Option<TagUse>> = vec![None; self.target.tags.len()];
        for (tag, read) in self.target.tags.iter().zip(&mut read) {
            let ask = self.ask(&format!("/api/v1/tags/{}", utf8_percent_encode(tag, SEGMENT)));
            let asked = ask.with_token(whole.requests.with_token).send().await;
            let (one, day) = asked.read(Top::Object, newest_day).await;
            *read = day.flatten();
            whole = whole.and(one, tag);
            if whole.is_stopped() {
                break;
            }
        }
        let is_any_read = read.iter().any(Option::is_some);
        if is_any_read { whole.with_part(Facts::Tags(read.into())) } else { whole }
    }
}

/// Reads the newest day of a hashtag's `history`.
pub fn newest_day(doc: &mut Document) -> Option<TagUse> {
    let day = |f: &mut Fields<'_>| {
        Some(TagUse { uses: f.count("uses"), accounts: f.count("accounts"), day: f.count("day")? })
    };
    let days = doc.fields().each_in("history", day);
    days.into_iter().flatten().max_by_key(|day| day.day)
}
