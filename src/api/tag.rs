//! The hashtags that a target lists: `/api/v1/tags/:name` (Mastodon 4.0).

use percent_encoding::utf8_percent_encode;

use crate::snapshot::{Facts, TagUse};

use super::{Answer, Ask, Attempt, SEGMENT};
use crate::document::{Document, Fields, Top};

impl Attempt<'_> {
    /// Reads the listed hashtags, with one request each.
    pub(super) async fn tags(&self) -> Answer {
        let mut whole = Answer::new(self);
        let mut read: Vec<Option<TagUse>> = vec![None; self.target.tags.len()];
        for (tag, read) in self.target.tags.iter().zip(&mut read) {
            let mut one = Answer::new(self);
            one.with_token = whole.with_token;
            let url = self.url(&format!("/api/v1/tags/{}", utf8_percent_encode(tag, SEGMENT)));
            if let Some(reply) = self.ask(&mut one, Ask::get(url)).await {
                *read = one.decode(&reply, Top::Object, newest_day).await.flatten();
            }
            whole.merge(one, tag);
            if whole.is_stopped() {
                break;
            }
        }
        if read.iter().any(Option::is_some) {
            whole.tell_in_part(Facts::Tags(read.into()));
        }
        whole
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
