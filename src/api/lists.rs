//! Public lists of which only the length is used.

use std::sync::Arc;

use crate::fetch::Take;
use crate::snapshot::{Count, Facts, OTHER, Tally};

use super::ask::Asked;
use super::{Answer, Attempt};
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
        let ask = self.ask(path).if_changed().take(Take::Length(MAX_STREAMED));
        let Asked { answer, reply } = ask.send().await;
        let length = reply.and_then(|reply| reply.length);
        answer.with(length.map(|length| facts(Count(length).into())))
    }

    /// Counts domain blocks by severity.
    pub(super) async fn domain_blocks(&self) -> Answer {
        let ask = self.ask("/api/v1/instance/domain_blocks").if_changed().take(Take::UpTo(MAX_READ));
        let read = |doc: &mut Document| Some(Facts::DomainBlocks(by_severity(doc, &SHOWN, OTHER)?.into()));
        ask.send().await.facts(Top::Array, read).await
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
