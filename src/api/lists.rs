//! Public lists of which only the length is used.

use std::sync::Arc;

use crate::fetch::Take;
use crate::snapshot::{Count, Facts, OTHER, Tally};

use super::{Answer, Ask, Attempt};
use crate::document::{Document, Fields, Top};

/// The maximum decoded size of a list that is counted while it streams in, in bytes.
const MAX_STREAMED: usize = 32 << 20;
/// The maximum decoded size of a list whose items are read, in bytes.
const MAX_READ: usize = 8 << 20;

/// The severities of a public domain block.
const SHOWN: [&str; 2] = ["silence", "suspend"];

impl Attempt<'_> {
    /// Counts the items of the list at `path`.
    pub(super) async fn length(&self, path: &str, facts: fn(Arc<Count>) -> Facts) -> Answer {
        let mut answer = Answer::new(self);
        let ask = Ask::get(self.url(path)).known_as(self.etag.as_deref()).take(Take::Length(MAX_STREAMED));
        if let Some(reply) = self.ask(&mut answer, ask).await {
            answer.facts = reply.length.map(|length| facts(Count(length).into()));
        }
        answer
    }

    /// Counts domain blocks by severity.
    pub(super) async fn domain_blocks(&self) -> Answer {
        let mut answer = Answer::new(self);
        let url = self.url("/api/v1/instance/domain_blocks");
        let ask = Ask::get(url).known_as(self.etag.as_deref()).take(Take::UpTo(MAX_READ));
        if let Some(reply) = self.ask(&mut answer, ask).await {
            let read =
                |doc: &mut Document| Some(Facts::DomainBlocks(by_severity(doc, &SHOWN, OTHER)?.into()));
            answer.facts = answer.decode(&reply, Top::Array, read).await.flatten();
        }
        answer
    }
}

/// Counts items by `severity`. Items without one count as `missing`. Returns `None` if
/// an item is not an object.
pub fn by_severity(doc: &mut Document, known: &[&'static str], missing: &'static str) -> Option<Tally> {
    let mut tally = Tally::of(known);
    let read =
        |f: &mut Fields<'_>| if f.get("severity").is_none() { missing } else { f.member("severity", known) };
    doc.each_counted(|f| tally.add(read(f), 1))?;
    Some(tally)
}
