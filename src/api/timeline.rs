//! When the newest posts were made: is posting, is federation alive?

use jiff::Timestamp;

use crate::snapshot::{Facts, Timelines};

use super::document::{Document, Fields, Top};
use super::{Answer, Ask, Attempt};

impl Attempt<'_> {
    /// Asks for the newest post of the local and of the whole public timeline.
    pub(super) async fn timelines(&self) -> Answer {
        let mut whole = Answer::new(self);
        let mut newest = Timelines::default();
        for (query, label, value) in [
            ("local=true&limit=1", "local", &mut newest.local),
            ("limit=1", "federated", &mut newest.federated),
        ] {
            let mut one = Answer::new(self);
            one.with_token = whole.with_token;
            let url = self.url(&format!("/api/v1/timelines/public?{query}"));
            if let Some(reply) = self.ask(&mut one, Ask::get(url)).await {
                *value = one.decode(&reply, Top::Array, newest_post).flatten();
            }
            whole.merge(one, label);
            if whole.is_stopped() {
                break;
            }
        }
        if newest != Timelines::default() {
            whole.facts = Some(Facts::Timelines(newest.into()));
        }
        whole
    }
}

/// The latest `created_at` of the posts, Unix seconds.
pub fn newest_post(doc: &mut Document) -> Option<f64> {
    doc.each(|f| instant(f, "created_at")).into_iter().flatten().reduce(f64::max)
}

/// An ISO 8601 instant as Unix seconds.
pub(super) fn instant(f: &mut Fields<'_>, path: &str) -> Option<f64> {
    let value = f.get(path)?;
    let at = value.as_str().and_then(|text| text.trim().parse::<Timestamp>().ok());
    // Nothing was posted before 1970.
    let at = at.filter(|at| at.as_second() > 0);
    if at.is_none() {
        f.wrong(path, value);
    }
    at.map(|at| at.as_millisecond() as f64 / 1e3)
}
