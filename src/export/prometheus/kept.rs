//! The text of the last pages, by format and by slice of the targets. It is taken again
//! while it would be written again as it was: while the snapshots are the same, no
//! lifetime that it was read by has ended, and no day or window of a rate limit.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crate::clock::Moment;
use crate::export::exposition::{Batch, Escaping, Representation};
use crate::export::page::Page;
use crate::snapshot::{Snapshot, View};
use crate::target::Target;

use super::PullCut;

/// How long the text of a format is kept that nobody asks for.
const UNASKED: Duration = Duration::from_secs(300);
/// How long the bridge's own part is taken again.
const OWN: Duration = Duration::from_secs(1);

/// Whether it is OpenMetrics, and the scheme of names: versions of a format are the same
/// text.
type Key = (bool, Escaping);

/// What is kept of all formats.
#[derive(Debug, Default)]
pub struct Kept(Mutex<HashMap<Key, Format>>);

/// What is kept of one format.
#[derive(Debug)]
pub struct Format {
    /// Of which cut the slices are.
    cut: Weak<PullCut>,
    asked: Moment,
    /// As far as they have been made.
    pub slices: Vec<Option<Arc<SliceText>>>,
    /// The bridge itself.
    pub own: Option<Arc<SliceText>>,
    page: Option<Made>,
}

/// The last page, and what it was made of.
#[derive(Debug)]
struct Made {
    parts: Vec<Arc<SliceText>>,
    page: Weak<Page>,
    /// The same, if it is small. A large one is kept only while a client takes it.
    #[expect(dead_code, reason = "it is kept, not read")]
    small: Option<Arc<Page>>,
    from: (Moment, f64),
    until: (Moment, f64),
    /// How many changes of what is known there had been.
    changes: u64,
}

impl Kept {
    /// Takes what is kept of a format; for another cut, nothing is.
    pub fn take(&self, cut: &Arc<PullCut>, shown: Representation, view: &View) -> Format {
        let mut formats = self.lock();
        formats.retain(|_, kept| view.started.since(kept.asked) < UNASKED);
        let kept = formats.remove(&key(shown)).filter(|kept| kept.cut.as_ptr() == Arc::as_ptr(cut));
        let nothing = || Format {
            cut: Arc::downgrade(cut),
            asked: view.started,
            slices: vec![None; cut.slices.len()],
            own: None,
            page: None,
        };
        Format { asked: view.started, ..kept.unwrap_or_else(nothing) }
    }

    /// Keeps it for the next page.
    pub fn put(&self, shown: Representation, kept: Format) {
        self.lock().insert(key(shown), kept);
    }

    /// The last page of a format, if it holds at this time, and if `is_same` says that
    /// nothing has changed since so many changes.
    pub fn page(
        &self,
        shown: Representation,
        now: (Moment, f64),
        is_same: impl Fn(u64) -> bool,
    ) -> Option<Arc<Page>> {
        let mut formats = self.lock();
        let kept = formats.get_mut(&key(shown))?;
        let made =
            kept.page.as_ref().filter(|made| kept.own.is_some() && is_within(made.from, made.until, now))?;
        let page = made.page.upgrade().filter(|_| is_same(made.changes))?;
        kept.asked = now.0;
        Some(page)
    }

    /// Lets the next page have the bridge's own part as it is then.
    pub fn forget_own(&self) {
        self.lock().values_mut().for_each(|kept| kept.own = None);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Format>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(shown: Representation) -> Key {
    (shown.format.is_openmetrics(), shown.escaping)
}

impl Format {
    /// The last page, if it was made of the very same parts.
    pub fn page_of(&self, parts: &[Arc<SliceText>]) -> Option<Arc<Page>> {
        let made = self.page.as_ref()?;
        let is_same =
            made.parts.len() == parts.len() && made.parts.iter().zip(parts).all(|(a, b)| Arc::ptr_eq(a, b));
        made.page.upgrade().filter(|_| is_same)
    }

    /// Notes the page that was made, when there had been so many changes.
    pub fn has_page(&mut self, parts: Vec<Arc<SliceText>>, page: &Arc<Page>, changes: u64) {
        let from = |of: (Moment, f64), part: &Arc<SliceText>| (of.0.max(part.from.0), of.1.max(part.from.1));
        let until =
            |of: (Moment, f64), part: &Arc<SliceText>| (of.0.min(part.until.0), of.1.min(part.until.1));
        self.page = Some(Made {
            from: parts.iter().fold((Moment::ORIGIN, 0.0), from),
            until: parts.iter().fold((Moment::at(Duration::MAX), f64::MAX), until),
            page: Arc::downgrade(page),
            small: page.is_small().then(|| page.clone()),
            changes,
            parts,
        });
    }
}

/// Whether a time is between two, the second left out.
fn is_within(from: (Moment, f64), until: (Moment, f64), now: (Moment, f64)) -> bool {
    (from.0..until.0).contains(&now.0) && (from.1..until.1).contains(&now.1)
}

/// The text of a slice, and how long it holds.
#[derive(Debug)]
pub struct SliceText {
    batch: Batch,
    /// The snapshots that it was made of. They are only told from others: one that is
    /// changed in place while it is known here gets another address.
    of: Vec<Weak<Snapshot>>,
    from: (Moment, f64),
    until: (Moment, f64),
}

impl SliceText {
    /// What was written of this slice.
    pub fn new(batch: Batch, slice: &View) -> SliceText {
        let of = slice.targets.iter().map(|(_, snapshot)| Arc::downgrade(snapshot)).collect();
        SliceText { batch, of, from: (slice.started, slice.unix), until: slice.holds_until() }
    }

    /// What was written of the bridge itself.
    pub fn for_a_second(batch: Batch, view: &View) -> SliceText {
        let from = (view.started, view.unix);
        SliceText { batch, of: Vec::new(), from, until: (view.started + OWN, f64::MAX) }
    }

    /// What was written.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// Whether these targets would be written as they were.
    pub fn holds(&self, view: &View, targets: &[(Arc<Target>, Arc<Snapshot>)]) -> bool {
        is_within(self.from, self.until, (view.started, view.unix))
            && self.of.len() == targets.len()
            && self.of.iter().zip(targets).all(|(of, (_, now))| of.as_ptr() == Arc::as_ptr(now))
    }
}
