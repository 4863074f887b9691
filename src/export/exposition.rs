//! The formats of `/metrics`: writes gathered metric families as Prometheus text 0.0.4,
//! Prometheus text 1.0.0 or OpenMetrics.

mod family;
mod joined;
mod label;
mod quoted;
mod text;
mod unit;

use std::collections::{BTreeMap, HashSet};

use prometheus::proto::MetricFamily;

use super::chunk::{Chunk, Deflater};
use super::page::{self, Page};

pub use joined::Joined;
pub use unit::unit_word;

/// A text format that Prometheus can scrape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Prometheus text 0.0.4, which every scraper understands.
    Text004,
    /// Prometheus text 1.0.0. The bytes equal those of 0.0.4 unless a name needs
    /// quotes.
    Text100,
    /// OpenMetrics 0.0.1, the draft that older Prometheus versions request. The bytes
    /// equal those of 1.0.0.
    OpenMetrics001,
    /// OpenMetrics 1.0.0.
    OpenMetrics100,
}

impl Format {
    /// The name of the format, for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Text004 => "Prometheus text 0.0.4",
            Self::Text100 => "Prometheus text 1.0.0",
            Self::OpenMetrics001 => "OpenMetrics 0.0.1",
            Self::OpenMetrics100 => "OpenMetrics 1.0.0",
        }
    }

    /// The `Content-Type` of a body in this format. Only the 1.0.0 formats name an
    /// escaping scheme; the others ignore `escaping`.
    #[must_use]
    pub fn content_type(self, escaping: Escaping) -> &'static str {
        match (self, escaping) {
            (Self::Text004, _) => "text/plain; version=0.0.4; charset=utf-8",
            (Self::Text100, Escaping::Underscores) => {
                "text/plain; version=1.0.0; charset=utf-8; escaping=underscores"
            }
            (Self::Text100, Escaping::Values) => "text/plain; version=1.0.0; charset=utf-8; escaping=values",
            (Self::Text100, Escaping::AllowUtf8) => {
                "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8"
            }
            (Self::Text100, Escaping::Dots) => "text/plain; version=1.0.0; charset=utf-8; escaping=dots",
            (Self::OpenMetrics001, _) => "application/openmetrics-text; version=0.0.1; charset=utf-8",
            (Self::OpenMetrics100, Escaping::Underscores) => {
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
            }
            (Self::OpenMetrics100, Escaping::Values) => {
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=values"
            }
            (Self::OpenMetrics100, Escaping::AllowUtf8) => {
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8"
            }
            (Self::OpenMetrics100, Escaping::Dots) => {
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=dots"
            }
        }
    }

    /// Whether the format follows the rules of OpenMetrics rather than those of
    /// Prometheus text.
    #[must_use]
    pub fn is_openmetrics(self) -> bool {
        matches!(self, Self::OpenMetrics001 | Self::OpenMetrics100)
    }
}

/// How names with characters outside `[a-zA-Z0-9_:]` are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Escaping {
    /// Each other character becomes an underscore.
    #[default]
    Underscores,
    /// A name with other characters becomes `U__` followed by their code points. A
    /// legal name stays.
    Values,
    /// A name with other characters is written in quotes. A legal name stays.
    AllowUtf8,
    /// A dot becomes `_dot_`, and each underscore is doubled.
    Dots,
}

/// The format of a page and the escaping scheme of its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Representation {
    /// The format.
    pub format: Format,
    /// The escaping scheme of the names.
    pub escaping: Escaping,
}

impl Representation {
    /// Combines a format with the requested escaping scheme. Only the formats of
    /// version 1.0.0 support schemes.
    #[must_use]
    pub fn new(format: Format, escaping: Escaping) -> Representation {
        let knows = matches!(format, Format::Text100 | Format::OpenMetrics100);
        Representation { format, escaping: if knows { escaping } else { Escaping::Underscores } }
    }
}

impl From<Format> for Representation {
    fn from(format: Format) -> Representation {
        Representation::new(format, Escaping::Underscores)
    }
}

/// Writes families in a format, batch by batch, so that one batch is freed before the
/// next is gathered.
///
/// Families of the same name are merged. Their series keep the order of the batches,
/// and within a batch they are sorted by their labels. A family is omitted with a
/// warning if its type or sample names contradict an earlier family. If a batch
/// contains a series twice, the first one is kept; two batches must not contain the
/// same series. Families are sorted by name. Points have no timestamps, because they
/// are as old as the scrape.
///
/// Summaries and untyped families do not come from OpenTelemetry and are left
/// out with a warning.
#[derive(Debug, Default)]
pub struct Batch(Vec<Written>);

/// A family as it is written.
#[derive(Debug)]
struct Written {
    name: String,
    kind: family::Kind,
    metadata: Chunk,
    series: Chunk,
}

/// How families are written.
#[derive(Clone, Copy)]
pub struct Writer<'a> {
    /// The format.
    pub format: Format,
    /// The unit word for a family's gathered name, which includes the `_total` of a
    /// counter. OpenMetrics requires that a family's name ends with its unit, so the
    /// unit is written only then.
    pub unit_of: &'a dyn Fn(&str) -> Option<&'static str>,
    /// The labels of the targets to whose places series belong.
    pub joined: Option<&'a Joined>,
    /// When series started counting.
    pub created: Created,
}

/// When counters and histograms started counting, where OpenMetrics pages say so.
#[derive(Debug, Clone, Copy)]
pub enum Created {
    /// It is not written.
    Unwritten,
    /// All at this time, in Unix seconds.
    At(f64),
    /// When the bridge first knew the target of the series.
    ByTarget,
}

impl Writer<'_> {
    /// Writes gathered families.
    #[must_use]
    pub fn write(&self, gathered: Vec<MetricFamily>) -> Batch {
        let written = |family: family::Family| {
            let mut metadata = Vec::with_capacity(256);
            let unit = (self.unit_of)(family.gathered_name());
            text::push_metadata(&mut metadata, &family, unit, self.format);
            let (name, kind) = (family.name().to_owned(), family.kind());
            let mut series = Vec::with_capacity(text::estimate(&family, self.joined));
            text::push_series(&mut series, family, self.format, self.joined, self.created);
            Written { name, kind, metadata: Chunk::plain(metadata), series: Chunk::plain(series) }
        };
        Batch(family::merge(gathered, self.format).into_iter().map(written).collect())
    }
}

impl Batch {
    /// Returns the batch for keeping: compressed, if it is large.
    #[must_use]
    pub fn to_keep(mut self) -> Batch {
        /// The size up to which text is kept uncompressed, in bytes.
        const MAX_PLAIN: usize = page::MAX_PLAIN / 2;
        if self.0.iter().map(|family| family.series.length()).sum::<usize>() > MAX_PLAIN {
            let mut deflater = Deflater::default();
            for family in &mut self.0 {
                family.series = deflater.pack(&family.series);
            }
        }
        self
    }
}

/// The body of a page, made of batches.
///
/// Families of the same name are merged, and their series keep the order of the
/// batches. A family is omitted with a warning if its type or sample names contradict
/// an earlier one. Two batches must not contain the same series. Families are sorted by
/// name.
#[derive(Debug)]
pub struct Exposition<'a> {
    format: Format,
    /// The families by their name in this format. The first one supplies the metadata.
    families: BTreeMap<&'a str, Vec<&'a Written>>,
    claimed: HashSet<String>,
}

impl<'a> Exposition<'a> {
    /// Creates an empty body.
    #[must_use]
    pub fn new(format: Format) -> Exposition<'a> {
        Exposition { format, families: BTreeMap::new(), claimed: HashSet::new() }
    }

    /// Adds a batch.
    pub fn add(&mut self, batch: &'a Batch) {
        for family in &batch.0 {
            match self.families.get_mut(&*family.name) {
                Some(parts) if parts.first().is_some_and(|first| first.kind == family.kind) => {
                    parts.push(family);
                }
                Some(_) => family::warn_once(&family.name, family::OTHER_TYPE),
                None => {
                    let claims = family::claims(&family.name, family.kind, self.format);
                    if claims.iter().any(|name| self.claimed.contains(name)) {
                        family::warn_once(&family.name, family::CLAIMED);
                        continue;
                    }
                    self.claimed.extend(claims);
                    self.families.insert(&family.name, vec![family]);
                }
            }
        }
    }

    /// Returns the whole body, in parts.
    #[must_use]
    pub fn finish(self) -> Vec<Chunk> {
        let mut body = Vec::new();
        for parts in self.families.into_values() {
            body.extend(parts.first().map(|first| first.metadata.clone()));
            body.extend(parts.iter().map(|part| part.series.clone()));
        }
        if self.format.is_openmetrics() {
            body.push(Chunk::plain(b"# EOF\n".to_vec()));
        }
        body
    }
}

/// Writes a single batch.
#[must_use]
pub fn encode(
    families: Vec<MetricFamily>,
    format: Format,
    unit_of: &dyn Fn(&str) -> Option<&'static str>,
) -> Vec<u8> {
    let batch = Writer { format, unit_of, joined: None, created: Created::Unwritten }.write(families);
    let mut exposition = Exposition::new(format);
    exposition.add(&batch);
    Page::new(&exposition.finish()).text().into_owned()
}
