//! Public lists of which only the length counts.

use std::sync::Arc;

use crate::fetch::Take;
use crate::snapshot::{Count, Facts, OTHER, Tally};

use super::{Answer, Ask, Attempt};
use crate::document::{Document, Fields, Top};

/// Decoded bytes of a list that is counted while it streams in.
const MAX_STREAMED: usize = 32 << 20;
/// Decoded bytes of a list that is looked into.
const MAX_READ: usize = 8 << 20;

/// Severities of a domain block that are shown to the public.
const SHOWN: [&str; 2] = ["silence", "suspend"];

impl Attempt<'_> {
    /// The length of the list at `path`.
    pub(super) async fn length(&self, path: &str, facts: fn(Arc<Count>) -> Facts) -> Answer {
        let mut answer = Answer::new(self);
        let ask = Ask::get(self.url(path)).known_as(self.etag.as_deref()).take(Take::Length(MAX_STREAMED));
        if let Some(reply) = self.ask(&mut answer, ask).await {
            answer.facts = reply.length.map(|length| facts(Count(length).into()));
        }
        answer
    }

    /// Domain blocks by severity.
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

/// Items by `severity`; those that give none are `missing`. Nothing where one
/// is no object.
pub fn by_severity(doc: &mut Document, known: &[&'static str], missing: &'static str) -> Option<Tally> {
    let mut tally = Tally::of(known);
    let read =
        |f: &mut Fields<'_>| if f.get("severity").is_none() { missing } else { f.member("severity", known) };
    doc.each_counted(|f| tally.add(read(f), 1))?;
    Some(tally)
}
