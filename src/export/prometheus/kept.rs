//! Keeps the text of the last pages, by format and by slice of the targets. The text is
//! reused while it would stay the same: while the snapshots are the same, no lifetime
//! in them has ended, and no day or rate limit window has changed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crate::clock::Moment;
use crate::export::exposition::{self, Batch, Escaping, Representation};
use crate::export::page::Page;
use crate::snapshot::{Snapshot, View};

use super::PullCut;

/// How long the text of a format is kept that is not requested. It exceeds the usual
/// intervals of scrapes, ahead of which it is written.
const UNASKED: Duration = Duration::from_secs(1200);
/// How long the bridge's own part is reused.
const OWN: Duration = Duration::from_secs(1);

/// Whether it is OpenMetrics, and the escaping scheme. The versions of a format have
/// the same text.
type Key = (bool, Escaping);

/// The kept texts of all formats.
#[derive(Debug, Default)]
pub struct Kept(Mutex<HashMap<Key, Format>>);

/// The kept text of one format.
#[derive(Debug)]
pub struct Format {
    /// The cut to which the slices belong.
    cut: Weak<PullCut>,
    asked: Moment,
    /// The texts of the slices that have been written.
    pub slices: Vec<Option<Arc<SliceText>>>,
    /// The text about the bridge itself.
    pub own: Option<Arc<SliceText>>,
    page: Option<Made>,
}

/// The last page, and its parts.
#[derive(Debug)]
struct Made {
    parts: Vec<Arc<SliceText>>,
    page: Weak<Page>,
    is_brief: bool,
    /// The same page, if it is small. A large page is kept only while a client
    /// downloads it.
    #[expect(dead_code, reason = "it is kept, not read")]
    small: Option<Arc<Page>>,
    from: (Moment, f64),
    until: (Moment, f64),
    /// The number of changes to the known facts when it was made.
    changes: u64,
}

impl Kept {
    /// Takes the kept text of a format. For another cut nothing is kept.
    pub fn take(&self, cut: &Arc<PullCut>, shown: Representation, view: &View) -> Format {
        let mut formats = self.lock();
        formats.retain(|_, kept| view.started.since(kept.asked) < UNASKED);
        let kept = formats.remove(&key(shown));
        let asked = kept.as_ref().map_or(view.started, |kept| kept.asked);
        let kept = kept.filter(|kept| kept.cut.as_ptr() == Arc::as_ptr(cut));
        let nothing = || Format {
            cut: Arc::downgrade(cut),
            asked,
            slices: vec![None; cut.slices.len()],
            own: None,
            page: None,
        };
        kept.unwrap_or_else(nothing)
    }

    /// The formats that were requested not long ago.
    pub fn requested(&self, now: Moment) -> Vec<Representation> {
        let formats = self.lock();
        let requested = formats.iter().filter(|(_, kept)| now.since(kept.asked) < UNASKED);
        let shown = |((is_openmetrics, escaping), _): (&Key, _)| {
            let format = if *is_openmetrics {
                exposition::Format::OpenMetrics100
            } else {
                exposition::Format::Text100
            };
            Representation::new(format, *escaping)
        };
        requested.map(shown).collect()
    }

    /// Keeps the text for the next page.
    pub fn put(&self, shown: Representation, kept: Format) {
        self.lock().insert(key(shown), kept);
    }

    /// Returns the last page of a format, if it is valid at this time, and if `is_same`
    /// confirms that nothing has changed since that number of changes.
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

    /// Whether the last page in a format was [brief](Page::is_brief).
    pub fn is_brief(&self, shown: Representation) -> bool {
        let formats = self.lock();
        formats.get(&key(shown)).and_then(|kept| kept.page.as_ref()).is_some_and(|made| made.is_brief)
    }

    /// Makes the next page write the bridge's own part again.
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
    /// Records a request for the format.
    pub fn is_requested(&mut self, now: Moment) {
        self.asked = now;
    }

    /// Returns the last page, if it consists of the same parts.
    pub fn page_of(&self, parts: &[Arc<SliceText>]) -> Option<Arc<Page>> {
        let made = self.page.as_ref()?;
        let is_same =
            made.parts.len() == parts.len() && made.parts.iter().zip(parts).all(|(a, b)| Arc::ptr_eq(a, b));
        made.page.upgrade().filter(|_| is_same)
    }

    /// Records the page, and the number of changes when it was made.
    pub fn has_page(&mut self, parts: Vec<Arc<SliceText>>, page: &Arc<Page>, changes: u64) {
        let from = |of: (Moment, f64), part: &Arc<SliceText>| (of.0.max(part.from.0), of.1.max(part.from.1));
        let until =
            |of: (Moment, f64), part: &Arc<SliceText>| (of.0.min(part.until.0), of.1.min(part.until.1));
        self.page = Some(Made {
            from: parts.iter().fold((Moment::ORIGIN, 0.0), from),
            until: parts.iter().fold((Moment::at(Duration::MAX), f64::MAX), until),
            page: Arc::downgrade(page),
            is_brief: page.is_brief(),
            small: page.is_small().then(|| page.clone()),
            changes,
            parts,
        });
    }
}

/// Whether a time is between two others, excluding the second.
fn is_within(from: (Moment, f64), until: (Moment, f64), now: (Moment, f64)) -> bool {
    (from.0..until.0).contains(&now.0) && (from.1..until.1).contains(&now.1)
}

/// The text of a slice, and how long it is valid.
#[derive(Debug)]
pub struct SliceText {
    batch: Batch,
    /// The snapshots from which it was written. They are only compared: a snapshot that
    /// is changed in place while it is known here gets another address.
    of: Vec<Weak<Snapshot>>,
    from: (Moment, f64),
    until: (Moment, f64),
}

impl SliceText {
    /// Creates the text of this slice.
    pub fn new(batch: Batch, slice: &View) -> SliceText {
        let of = slice.targets.iter().map(|(_, snapshot)| Arc::downgrade(snapshot)).collect();
        let [from, until] = slice.holds_between();
        SliceText { batch, of, from, until }
    }

    /// Creates the text about the bridge itself.
    pub fn for_a_second(batch: Batch, view: &View) -> SliceText {
        let from = (view.started, view.unix);
        SliceText { batch, of: Vec::new(), from, until: (view.started + OWN, f64::MAX) }
    }

    /// Returns the written batch.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// Whether the text of this part of the view would be the same.
    pub fn holds(&self, view: &View, places: &[usize]) -> bool {
        is_within(self.from, self.until, (view.started, view.unix))
            && self.of.len() == places.len()
            && self.of.iter().zip(places).all(|(of, place)| {
                view.targets.get(*place).is_some_and(|(_, now)| of.as_ptr() == Arc::as_ptr(now))
            })
    }
}
