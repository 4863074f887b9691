//! The Prometheus side's formats: gathered metric families, written as text
//! 0.0.4, text 1.0.0 or OpenMetrics.
//!
//! Names are those that `opentelemetry-prometheus` made, which are legal in
//! every format and under every escaping scheme, so that a series is called
//! the same whatever a scraper negotiates.

mod family;
mod text;
mod unit;

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use prometheus::proto::MetricFamily;

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
        }
    }

    /// Whether OpenMetrics' rules hold rather than those of Prometheus text.
    #[must_use]
    pub fn is_openmetrics(self) -> bool {
        matches!(self, Self::OpenMetrics001 | Self::OpenMetrics100)
    }
}

/// How names outside `[a-zA-Z0-9_:]` are written, of the schemes that leave
/// our names as they are.
///
/// The fourth scheme of Prometheus, `dots`, doubles every underscore: a body
/// with our names is not in it, and says so by answering `underscores`.
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
}

/// Writes families in a format.
///
/// `families` is what one `Registry::gather()` returned, or several one after
/// the other: families of the same name become one, a family whose type or
/// sample names contradict an earlier one is left out with a warning, and of
/// two points of the very same series the first stays. Families are sorted by
/// name and series by their labels. There are no timestamps: a point is as old
/// as the scrape.
///
/// `unit_of` gives the unit word of a family by its gathered name, with
/// `_total` where it is a counter; OpenMetrics names the unit where the
/// family's name ends with it, as it demands.
///
/// Summaries and untyped families do not come from OpenTelemetry and are left
/// out with a warning.
#[must_use]
pub fn encode(
    families: Vec<MetricFamily>,
    format: Format,
    unit_of: &dyn Fn(&str) -> Option<&'static str>,
) -> Vec<u8> {
    let families = family::merge(families, format);
    let mut body = Vec::with_capacity(families.iter().map(text::estimate).sum::<usize>() + 16);
    for family in families {
        let unit = unit_of(family.gathered_name());
        text::push_family(&mut body, family, unit, format);
    }
    if format.is_openmetrics() {
        body.extend_from_slice(b"# EOF\n");
    }
    body
}

/// Compresses a body for `Content-Encoding: gzip`, fast rather than small:
/// label sets repeat so much that the fastest level saves more than nine tenths.
#[must_use]
pub fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 8 + 64), Compression::fast());
    // Writing to a vector cannot fail.
    let _ = encoder.write_all(body);
    encoder.finish().unwrap_or_default()
}
