//! Pull: turns what the SDK collects into Prometheus families, in the format that the
//! client requested.

mod kept;
mod page_writer;

use std::ops::Range;
use std::sync::Arc;

use opentelemetry::InstrumentationScope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::reader::MetricReader;
use prometheus::Registry;
use prometheus::proto::MetricFamily;

use crate::clock::Moment;
use crate::instruments::{SCOPE, Whose};
use crate::metrics::{Row, UP};
use crate::snapshot::View;
use crate::target::Target;

use super::compat::Compat;
use super::cut::{Cut, Cutter, Order};
use super::exposition::{Batch, Exposition, Representation};
use super::naming::{self, Strategy};
use super::page::Page;
use super::pipeline::Pipeline;

pub use page_writer::PageWriter;

use kept::{Kept, SliceText};

/// The maximum number of points in one slice of the targets. Gathered points take about
/// a kilobyte each until they are written, so each slice is gathered and written before
/// the next.
const MAX_POINTS: usize = 5_000;

/// The exporter behind `/metrics`. Its pipelines are read through
/// `opentelemetry-prometheus`.
#[derive(Debug)]
pub struct Pull {
    cutter: Cutter<Registry, PullError>,
    writer: PageWriter,
    kept: Kept,
}

type PullCut = Cut<Registry, PullError>;

/// The bridge's metrics about itself.
#[derive(Debug, Default)]
pub struct OwnFamilies {
    /// The families.
    pub families: Vec<MetricFamily>,
    /// When the bridge's counters started counting, in Unix seconds.
    pub since: f64,
}

/// What a page contains.
#[derive(Debug, Clone, Copy)]
pub struct PullSettings {
    /// Whether series carry `otel_scope_*` labels.
    pub scope_labels: bool,
    /// Whether the page contains `target_info`.
    pub target_info: bool,
    /// Whether OpenMetrics pages say when counters started counting.
    pub created: bool,
    /// How OpenTelemetry names are translated.
    pub strategy: Strategy,
    /// The older exporter whose metric names are added.
    pub compat: Option<Compat>,
}

impl Default for PullSettings {
    fn default() -> PullSettings {
        PullSettings {
            scope_labels: true,
            target_info: true,
            created: false,
            strategy: Strategy::default(),
            compat: None,
        }
    }
}

/// The family that shows the resource.
const TARGET_INFO: &str = "target_info";

/// Why a scrape cannot be answered.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PullError {
    /// The Prometheus exporter cannot be created.
    #[error("failed to set up the Prometheus exporter: {0}")]
    Setup(String),
    /// The SDK's pipeline returned nothing, not even `up` of a target.
    #[error("the SDK collected nothing; restart fedimeter, and please report this")]
    Nothing,
    /// All clients of this scrape have disconnected.
    #[error("all clients of this scrape have disconnected")]
    Unwanted,
}

impl Pull {
    /// Creates the instruments for these targets. Later views may contain other
    /// targets.
    pub fn new(
        resource: &Resource,
        targets: &[Arc<Target>],
        settings: PullSettings,
    ) -> Result<Pull, PullError> {
        let target_info = settings.target_info;
        let writer = PageWriter::new(resource, settings);
        let resource = resource.clone();
        let make = move |slices: &[&[Arc<Target>]]| {
            let registry = Registry::new();
            // The writer adds the scope's labels when it joins points and targets.
            let reader = reader(&registry, false, target_info)?;
            Ok(Pipeline::new(reader, registry, resource.clone(), (scope(), Whose::Place), slices))
        };
        let (cutter, kept) = (Cutter::new(MAX_POINTS, ORDER, targets, make)?, Kept::default());
        Ok(Pull { cutter, writer, kept })
    }

    /// The simplest representation that gives the same page.
    #[must_use]
    pub fn simplest(&self, shown: Representation) -> Representation {
        let is_plain = self.writer.names().are_as_gathered(shown.escaping);
        if is_plain { Representation::from(shown.format) } else { shown }
    }

    /// Writes the view in a format, as long as `is_wanted` returns true. Blocks: do not
    /// call it on an async thread.
    ///
    /// # Errors
    ///
    /// When the SDK returned nothing, or the page is no longer wanted.
    pub fn scrape(
        &self,
        view: &Arc<View>,
        own: &dyn Fn() -> OwnFamilies,
        shown: Representation,
        is_wanted: &dyn Fn() -> bool,
    ) -> Result<Arc<Page>, PullError> {
        let cut = self.cutter.of(view)?;
        let mut kept = self.kept.take(&cut, shown, view);
        kept.is_requested(view.started);
        let slices = (0..).zip(&mut kept.slices).map(|(slice, text)| match text {
            _ if !is_wanted() => Err(PullError::Unwanted),
            Some(text) if text.holds(view, &cut.slices[slice]) => Ok(text.clone()),
            text => Ok(text.insert(self.slice(&cut, view, slice, shown)?).clone()),
        });
        let made = slices.collect::<Result<Vec<_>, _>>();
        // The finished slices serve the next page, even if this one fails.
        let mut made = match made {
            Ok(slices) => slices,
            Err(e) => {
                self.kept.put(shown, kept);
                return Err(e);
            }
        };
        let own = match kept.own.take().filter(|own| own.holds(view, &[])) {
            Some(own) => own,
            None => Arc::new(SliceText::for_a_second(self.writer.own(own(), shown), view)),
        };
        made.push(own.clone());
        kept.own = Some(own);
        let page = kept.page_of(&made).unwrap_or_else(|| {
            let mut exposition = Exposition::new(shown.format);
            for text in &made {
                exposition.add(text.batch());
            }
            Arc::new(Page::new(&exposition.finish()))
        });
        kept.has_page(made, &page, view.changes);
        self.kept.put(shown, kept);
        Ok(page)
    }

    /// Writes one slice again of which something has changed, in a format that is
    /// requested, so that the next page has less to write. Only slices whose last target
    /// has its [turn](Target::turn) in this part of the interval, without its start.
    /// Returns whether there was one. Blocks: do not call it on an async thread.
    ///
    /// # Errors
    ///
    /// When the SDK returned nothing.
    pub fn write_ahead(&self, view: &Arc<View>, part: &Range<f64>) -> Result<bool, PullError> {
        let cut = self.cutter.of(view)?;
        for shown in self.kept.requested(view.started) {
            let mut kept = self.kept.take(&cut, shown, view);
            let slices = cut.slices.iter().zip(&cut.last_turns).zip(&kept.slices);
            let outdated = slices.into_iter().position(|((places, last), text)| {
                part.start < *last
                    && *last <= part.end
                    && !text.as_ref().is_some_and(|text| text.holds(view, places))
            });
            let written = outdated.map(|slice| (slice, self.slice(&cut, view, slice, shown)));
            if let Some((slice, Ok(text))) = &written {
                kept.slices[*slice] = Some(text.clone());
            }
            self.kept.put(shown, kept);
            if let Some((_, written)) = written {
                return written.map(|_| true);
            }
        }
        Ok(false)
    }

    /// Returns the last page in a format, if it would be the same now. `is_same` says
    /// whether nothing has changed since that number of changes.
    #[must_use]
    pub fn kept(
        &self,
        shown: Representation,
        (now, unix): (Moment, f64),
        is_same: impl Fn(u64) -> bool,
    ) -> Option<Arc<Page>> {
        self.kept.page(shown, (now, unix), is_same)
    }

    /// Whether the last page in a format was [brief](Page::is_brief).
    #[must_use]
    pub fn is_brief(&self, shown: Representation) -> bool {
        self.kept.is_brief(shown)
    }

    /// Makes the next page write the bridge's own metrics again.
    pub fn own_has_changed(&self) {
        self.kept.forget_own();
    }

    /// Writes a slice of the view for keeping.
    fn slice(
        &self,
        cut: &PullCut,
        view: &View,
        slice: usize,
        shown: Representation,
    ) -> Result<Arc<SliceText>, PullError> {
        let part = view.part(cut.slices[slice].iter().copied());
        let batch = self.batch(cut, &part, slice == 0, shown)?.to_keep();
        Ok(Arc::new(SliceText::new(batch, &part)))
    }

    /// Writes a slice of the targets. The resource is written once.
    fn batch(
        &self,
        cut: &PullCut,
        slice: &Arc<View>,
        is_first: bool,
        shown: Representation,
    ) -> Result<Batch, PullError> {
        let mut families = cut.pool.read(slice.clone(), Registry::gather)?;
        if families.is_empty() && has_points(slice) {
            return Err(PullError::Nothing);
        }
        if !is_first {
            families.retain(|family| family.name() != TARGET_INFO);
        }
        Ok(self.writer.targets(families, slice, shown))
    }
}

/// Targets that are polled one after the other are in the same slice, so that a slice
/// is written once for the changes of all. Within a slice they have the order of their
/// series, which then need no sorting.
const ORDER: Order = Order { filled: by_turn, within: by_labels };

fn by_turn(targets: &[Arc<Target>]) -> Vec<usize> {
    let mut places = (Order::AS_THEY_ARE.filled)(targets);
    // The bits of numbers that are not negative order as the numbers do.
    places.sort_by_cached_key(|place| targets.get(*place).map(|target| target.turn().to_bits()));
    places
}

fn by_labels(targets: &[Arc<Target>], places: &mut [usize]) {
    places.sort_by_cached_key(|place| {
        let labels = targets.get(*place).map(|target| naming::labels(target)).unwrap_or_default();
        (labels.len(), labels.into_iter().map(|(_, value)| value).collect::<Vec<_>>())
    });
}

/// Whether something has to come of these targets: one that was attempted has at least
/// its `up`, unless nobody wants that.
pub(super) fn has_points(view: &View) -> bool {
    view.readings().any(|reading| reading.up().is_some() && !reading.target.leaves_out(UP))
}

/// The scope on `/metrics`.
pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(SCOPE).build()
}

/// Creates a reader that gathers into the registry, with or without `target_info`.
pub(super) fn reader(
    registry: &Registry,
    scope_labels: bool,
    target_info: bool,
) -> Result<impl MetricReader + use<>, PullError> {
    let mut exporter =
        opentelemetry_prometheus::exporter().with_registry(registry.clone()).scope_info_enabled(scope_labels);
    if !target_info {
        exporter = exporter.without_target_info();
    }
    exporter.build().map_err(|e| PullError::Setup(e.to_string()))
}

/// The name of a row's family in Prometheus (`UnderscoreEscapingWithSuffixes`).
#[must_use]
pub fn family_name(row: &Row) -> String {
    Strategy::default().family(row)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::endpoint::Endpoint;
    use crate::export::exposition::Format;
    use crate::outcome::ErrorType;
    use crate::snapshot::{Found, LastAttempt, Slot, Snapshot};

    /// A poisoned or stopped pipeline gathers nothing. Without an error, a page that
    /// lacks the target would look like a successful scrape.
    #[test]
    fn a_dead_pipeline_is_no_empty_page() {
        let url = url::Url::parse("https://a.example").unwrap();
        let target = Arc::new(Target::new(url, None, None, &BTreeMap::new()));
        let resource = Resource::builder_empty().build();
        let pull = Pull::new(&resource, std::slice::from_ref(&target), PullSettings::default()).unwrap();
        let mut slot = Slot::new(Endpoint::InstanceV2);
        let found = Found::failed(ErrorType::Connect, "refused");
        slot.record(LastAttempt::new(Moment::ORIGIN, found));
        let snapshot = Arc::new(Snapshot { slots: vec![slot], ..Snapshot::default() });
        let started = Moment::at(Duration::from_secs(1));
        let view = Arc::new(View::new(started, 1.0, vec![(target.clone(), snapshot.clone())]));
        let scrape = |view: &Arc<View>, is_wanted: bool| {
            pull.scrape(view, &OwnFamilies::default, Format::Text004.into(), &|| is_wanted)
        };
        let page = scrape(&view, true).unwrap();
        assert!(
            String::from_utf8_lossy(&page.text())
                .contains("fedimeter_target_up{server_address=\"a.example\"")
        );
        assert!(matches!(scrape(&view, false), Err(PullError::Unwanted)));
        pull.cutter.of(&view).unwrap().pool.shutdown();
        // The text of an unchanged snapshot is kept, so another one is needed.
        let changed = vec![(target, Arc::new(Snapshot::clone(&snapshot)))];
        let view = Arc::new(View::new(started, 1.0, changed));
        assert!(matches!(scrape(&view, true), Err(PullError::Nothing)));
    }
}
