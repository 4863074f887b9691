//! Prepares gathered families for a format: merges them, checks them against each other
//! and sorts them.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};

use super::Format;

/// Merges families of the same name, and sorts families by name and series by the values
/// of the labels with which they were gathered.
///
/// A family that contradicts an earlier one is dropped, because a scraper would refuse
/// the whole body.
pub(super) fn merge(gathered: Vec<MetricFamily>, format: Format) -> Vec<Family> {
    let mut families: Vec<Family> = Vec::with_capacity(gathered.len());
    let mut by_name: HashMap<String, usize> = HashMap::with_capacity(gathered.len());
    let mut claimed: HashSet<String> = HashSet::with_capacity(gathered.len());

    for mut family in gathered {
        if family.get_metric().is_empty() {
            continue;
        }
        if let Some(&first) = by_name.get(family.name()) {
            let first = &mut families[first].gathered;
            if first.get_field_type() == family.get_field_type() {
                if first.help().is_empty() {
                    first.set_help(family.help().to_owned());
                }
                first.mut_metric().append(family.mut_metric());
            } else {
                warn_once(family.name(), OTHER_TYPE);
            }
            continue;
        }
        let Some(family) = Family::new(family, format) else { continue };
        let claims = claims(family.name(), family.kind, format);
        if claims.iter().any(|name| claimed.contains(name)) {
            warn_once(family.gathered_name(), CLAIMED);
            continue;
        }
        claimed.extend(claims);
        by_name.insert(family.gathered_name().to_owned(), families.len());
        families.push(family);
    }

    for family in &mut families {
        family.sort();
    }
    families.sort_by(|a, b| a.name().cmp(b.name()));
    families
}

/// Why a family is left out that is another than one before.
pub(super) const OTHER_TYPE: &str = "its type differs from that of an earlier family of the same name";
/// Why a family is left out whose samples would be taken for another's.
pub(super) const CLAIMED: &str = "its samples would bear the names of another family's";

/// A family in the form that the format requires.
pub(super) struct Family {
    gathered: MetricFamily,
    kind: Kind,
    /// The length of the part of the gathered name that is the family's name in this
    /// format.
    name_len: usize,
}

/// The type in the `# TYPE` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
    /// OpenMetrics only: `target_info`, which carries its content in labels.
    /// OpenTelemetry reports other `_info` metrics as gauges, and they stay gauges.
    Info,
    /// OpenMetrics only: a counter whose name lacks `_total`. OpenMetrics cannot show
    /// it as a counter.
    Unknown,
}

impl Family {
    fn new(gathered: MetricFamily, format: Format) -> Option<Self> {
        let name = gathered.name();
        // OpenMetrics adds the suffixes of counters and infos to samples only.
        let (kind, suffix) = match gathered.get_field_type() {
            MetricType::COUNTER if !format.is_openmetrics() => (Kind::Counter, ""),
            MetricType::COUNTER if name.ends_with("_total") => (Kind::Counter, "_total"),
            MetricType::COUNTER => (Kind::Unknown, ""),
            MetricType::GAUGE if format.is_openmetrics() && name == "target_info" => (Kind::Info, "_info"),
            MetricType::GAUGE => (Kind::Gauge, ""),
            MetricType::HISTOGRAM => (Kind::Histogram, ""),
            MetricType::SUMMARY | MetricType::UNTYPED => {
                warn_once(name, "summaries and untyped metrics are not supported");
                return None;
            }
        };
        let name_len = name.len() - suffix.len();
        Some(Self { gathered, kind, name_len })
    }

    /// The name in the registry, including the `_total` of a counter. Samples have this
    /// name, and those of histograms a further suffix.
    pub(super) fn gathered_name(&self) -> &str {
        self.gathered.name()
    }

    /// The name in `# TYPE` and `# HELP`.
    pub(super) fn name(&self) -> &str {
        &self.gathered.name()[..self.name_len]
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn help(&self) -> &str {
        self.gathered.help()
    }

    pub(super) fn series(&self) -> &[Metric] {
        self.gathered.get_metric()
    }

    /// Takes the series out of the family, so that each can be freed after it is
    /// written.
    pub(super) fn take_series(&mut self) -> Vec<Metric> {
        self.gathered.take_metric()
    }

    /// A registry gathers in the very order of [`by_labels`]: with only one,
    /// nothing is left to do, which matters at hundreds of thousands of series.
    fn sort(&mut self) {
        let series = self.gathered.mut_metric();
        if series.is_sorted_by(|a, b| by_labels(a, b) == Ordering::Less) {
            return;
        }
        series.sort_by(by_labels);
        let before = series.len();
        series.dedup_by(|later, first| by_labels(first, later) == Ordering::Equal);
        // Every provider of a process has the same `target_info`.
        if series.len() < before && self.gathered.name() != "target_info" {
            warn_once(self.gathered.name(), "a series occurs twice; the first one is kept");
        }
    }
}

/// The names that no other family's samples may bear. `_created` is reserved by
/// OpenMetrics, whether it is written or not.
pub(super) fn claims(name: &str, kind: Kind, format: Format) -> Vec<String> {
    let suffixes: &[&str] = match kind {
        Kind::Counter if format.is_openmetrics() => &["", "_total", "_created"],
        Kind::Histogram if format.is_openmetrics() => &["", "_bucket", "_sum", "_count", "_created"],
        Kind::Histogram => &["", "_bucket", "_sum", "_count"],
        Kind::Info => &["", "_info"],
        Kind::Counter | Kind::Gauge | Kind::Unknown => &[""],
    };
    suffixes.iter().map(|suffix| format!("{name}{suffix}")).collect()
}

/// By number of labels, then by values, then by names.
fn by_labels(a: &Metric, b: &Metric) -> Ordering {
    let (a, b) = (a.get_label(), b.get_label());
    a.len()
        .cmp(&b.len())
        .then_with(|| a.iter().map(LabelPair::value).cmp(b.iter().map(LabelPair::value)))
        .then_with(|| a.iter().map(LabelPair::name).cmp(b.iter().map(LabelPair::name)))
}

/// Says what was left out, once per family and reason: a scrape every few
/// seconds would repeat it for ever.
pub(super) fn warn_once(family: &str, reason: &'static str) {
    static LOGGED: Mutex<BTreeSet<(String, &'static str)>> = Mutex::new(BTreeSet::new());
    let mut logged = LOGGED.lock().unwrap_or_else(PoisonError::into_inner);
    if logged.insert((family.to_owned(), reason)) {
        tracing::warn!(family, reason, "a metric, or a part of it, is missing from the exposition");
    }
}
