//! The Prometheus side's formats: gathered metric families, written as text
//! 0.0.4, text 1.0.0 or OpenMetrics.
//!
//! Names are those that `opentelemetry-prometheus` made, which are legal in
//! every format and under every escaping scheme, so that a series is called
//! the same whatever a scraper negotiates.

mod family;
mod label;
mod text;
mod unit;

use std::collections::{BTreeMap, HashSet};

use prometheus::proto::MetricFamily;

use text::Created;

pub use unit::unit_word;

/// A text format that Prometheus can scrape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Prometheus text 0.0.4, which everything understands.
    Text004,
    /// Prometheus text 1.0.0: the same bytes as 0.0.4 where all names are
    /// legal without quotes, as ours are.
    Text100,
    /// OpenMetrics 0.0.1, the draft that older Prometheus versions ask for; the
    /// same bytes as 1.0.0.
    OpenMetrics001,
    /// OpenMetrics 1.0.0.
    OpenMetrics100,
}

impl Format {
    /// What people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Text004 => "Prometheus text 0.0.4",
            Self::Text100 => "Prometheus text 1.0.0",
            Self::OpenMetrics001 => "OpenMetrics 0.0.1",
            Self::OpenMetrics100 => "OpenMetrics 1.0.0",
        }
    }

    /// The `Content-Type` of a body in this format. Only the 1.0.0 formats
    /// know of escaping schemes; for the others `escaping` says nothing.
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

    /// Whether OpenMetrics' rules hold rather than those of Prometheus text.
    #[must_use]
    pub fn is_openmetrics(self) -> bool {
        matches!(self, Self::OpenMetrics001 | Self::OpenMetrics100)
    }
}

/// How names outside `[a-zA-Z0-9_:]` are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Escaping {
    /// Each foreign character becomes an underscore.
    #[default]
    Underscores,
    /// A name with foreign characters becomes `U__` and their code points; a
    /// legal name stays.
    Values,
    /// Foreign names stand in quotes; a legal name stays.
    AllowUtf8,
    /// A dot becomes `_dot_`, and every underscore is doubled.
    Dots,
}

/// What a page is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Representation {
    /// The format.
    pub format: Format,
    /// The scheme that names are in.
    pub escaping: Escaping,
}

impl Representation {
    /// A format, and the scheme that was asked for with it: of the formats, only those of
    /// version 1.0.0 know of schemes.
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

/// Writes families in a format, batch by batch, so that what was gathered of
/// one batch is freed before the next is.
///
/// Families of the same name become one, whose series stand in the order of
/// the batches and within a batch sorted by their labels. A family whose type
/// or sample names contradict an earlier one is left out with a warning, and
/// of two points of the very same series in a batch the first stays; two
/// batches must not have the same series. Families are sorted by name. There
/// are no timestamps: a point is as old as the scrape.
///
/// Summaries and untyped families do not come from OpenTelemetry and are left
/// out with a warning.
pub struct Exposition<'a> {
    format: Format,
    unit_of: &'a dyn Fn(&str) -> Option<&'static str>,
    /// Since when a series counts, Unix seconds, where that is told.
    created: Option<&'a Created<'a>>,
    /// By the name that the format shows.
    written: BTreeMap<String, Written>,
    claimed: HashSet<String>,
}

/// A family so far: its metadata, then a chunk a batch.
struct Written {
    kind: family::Kind,
    chunks: Vec<Vec<u8>>,
}

impl<'a> Exposition<'a> {
    /// Nothing yet. `unit_of` gives the unit word of a family by its gathered
    /// name, with `_total` where it is a counter; OpenMetrics names the unit
    /// where the family's name ends with it, as it demands.
    #[must_use]
    pub fn new(format: Format, unit_of: &'a dyn Fn(&str) -> Option<&'static str>) -> Exposition<'a> {
        Exposition { format, unit_of, created: None, written: BTreeMap::new(), claimed: HashSet::new() }
    }

    /// Tells since when counters and histograms count, where `created` knows.
    #[must_use]
    pub fn with_created(mut self, created: &'a Created<'a>) -> Exposition<'a> {
        self.created = Some(created);
        self
    }

    /// Adds what was gathered.
    pub fn add(&mut self, gathered: Vec<MetricFamily>) {
        for family in family::merge(gathered, self.format) {
            let written = match self.written.get_mut(family.name()) {
                Some(written) if written.kind == family.kind() => written,
                Some(_) => {
                    family.warn("its type differs from that of an earlier family of the same name");
                    continue;
                }
                None => {
                    let claims = family.claims(self.format);
                    if claims.iter().any(|name| self.claimed.contains(name)) {
                        family.warn(family::CLAIMED);
                        continue;
                    }
                    self.claimed.extend(claims);
                    let mut metadata = Vec::with_capacity(256);
                    let unit = (self.unit_of)(family.gathered_name());
                    text::push_metadata(&mut metadata, &family, unit, self.format);
                    let written = Written { kind: family.kind(), chunks: vec![metadata] };
                    self.written.entry(family.name().to_owned()).or_insert(written)
                }
            };
            let mut chunk = Vec::with_capacity(text::estimate(&family));
            text::push_series(&mut chunk, family, self.format, self.created);
            written.chunks.push(chunk);
        }
    }

    /// The whole body, in parts.
    #[must_use]
    pub fn finish(self) -> Vec<Vec<u8>> {
        let mut body: Vec<Vec<u8>> = self.written.into_values().flat_map(|written| written.chunks).collect();
        if self.format.is_openmetrics() {
            body.push(b"# EOF\n".to_vec());
        }
        body
    }
}

/// Writes one batch.
#[must_use]
pub fn encode(
    families: Vec<MetricFamily>,
    format: Format,
    unit_of: &dyn Fn(&str) -> Option<&'static str>,
) -> Vec<u8> {
    let mut exposition = Exposition::new(format, unit_of);
    exposition.add(families);
    exposition.finish().concat()
}
