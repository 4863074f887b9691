//! Content negotiation for `/metrics`: format, escaping scheme and compression.
//!
//! It follows RFC 9110 section 12.5 and Prometheus's "Scrape protocol content
//! negotiation". No request is refused: unknown values are ignored, and if nothing else
//! is left the answer is text 0.0.4, Prometheus's last resort.

use std::borrow::Cow;
use std::cmp::Reverse;

use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_ENCODING};

use super::exposition::{Escaping, Format, Representation};

/// How to answer a request. The answer varies by `Accept` and `Accept-Encoding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Negotiated {
    /// The format of the body.
    pub format: Format,
    /// The scheme that the `Content-Type` names.
    pub escaping: Escaping,
    /// Whether to compress the body.
    pub gzip: bool,
}

impl Negotiated {
    /// The format and scheme of the body.
    #[must_use]
    pub fn representation(&self) -> Representation {
        Representation::new(self.format, self.escaping)
    }

    /// The `Content-Type` of the answer.
    #[must_use]
    pub fn content_type(&self) -> &'static str {
        self.format.content_type(self.escaping)
    }
}

/// Reads `Accept` and `Accept-Encoding`, which may each occur several times or not at
/// all.
#[must_use]
pub fn negotiate(headers: &HeaderMap) -> Negotiated {
    let joined = |name| {
        let values = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        values.collect::<Vec<_>>().join(",")
    };
    let (format, escaping) = accept(&joined(ACCEPT));
    Negotiated { format, escaping, gzip: accepts_gzip(&joined(ACCEPT_ENCODING)) }
}

/// The media types that we offer, in our order of preference.
///
/// Prometheus's own endpoints answer a plain `*/*` or `text/plain` with text 0.0.4, and
/// people with curl and browsers expect the same.
const OFFERS: [(Format, &str, &str, &str); 4] = [
    (Format::Text004, "text", "plain", "0.0.4"),
    (Format::OpenMetrics100, "application", "openmetrics-text", "1.0.0"),
    (Format::Text100, "text", "plain", "1.0.0"),
    (Format::OpenMetrics001, "application", "openmetrics-text", "0.0.1"),
];

/// Returns the format and escaping scheme for the value of `Accept`, which is empty if
/// the header is missing.
///
/// Each offer gets the weight of the most specific range that matches it. The offer
/// with the greatest weight wins. Among equals the more precisely named one wins, then
/// the one named first, then our order.
fn accept(value: &str) -> (Format, Escaping) {
    let ranges: Vec<Range> = split(value, ',').filter_map(Range::parse).collect();
    let mut best: Option<(_, Format, Escaping)> = None;
    for (format, main, sub, version) in OFFERS {
        let matching = ranges.iter().enumerate().filter(|(_, range)| range.matches(main, sub, version));
        let Some((position, range)) =
            matching.max_by_key(|(position, range)| (range.precision, range.weight, Reverse(*position)))
        else {
            continue;
        };
        // A version makes a range more specific for its offer, but no better than its
        // neighbour: `text/plain` comes before a later `text/plain;version=1.0.0`.
        let rank = (range.weight, range.precision.min(Precision::Type), Reverse(position));
        if range.weight > 0 && best.is_none_or(|(highest, ..)| rank > highest) {
            best = Some((rank, format, range.escaping));
        }
    }
    best.map_or((Format::Text004, Escaping::default()), |(_, format, escaping)| (format, escaping))
}

/// One element of `Accept`.
struct Range<'a> {
    main: &'a str,
    sub: &'a str,
    version: Option<Cow<'a, str>>,
    escaping: Escaping,
    weight: u16,
    precision: Precision,
}

/// How specific a range is, from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Precision {
    Anything,
    MainType,
    Type,
    Version,
}

impl<'a> Range<'a> {
    fn parse(element: &'a str) -> Option<Self> {
        let mut parts = split(element, ';');
        let (main, sub) = match parts.next()? {
            // Java's URL connection sends a bare `*`.
            "*" => ("*", "*"),
            media_type => media_type.split_once('/')?,
        };
        if main == "*" && sub != "*" {
            return None;
        }
        let mut range = Self {
            main,
            sub,
            version: None,
            escaping: Escaping::default(),
            weight: HEAVIEST,
            precision: match (main, sub) {
                ("*", _) => Precision::Anything,
                (_, "*") => Precision::MainType,
                _ => Precision::Type,
            },
        };
        for (name, value) in parts.filter_map(parameter) {
            // The weight may come at any position. Unknown parameters (`charset`,
            // `format`) exclude nothing.
            if name.eq_ignore_ascii_case("q") {
                range.weight = weight(&value)?;
            } else if name.eq_ignore_ascii_case("escaping") {
                range.escaping = escaping(&value);
            } else if name.eq_ignore_ascii_case("version") && range.precision >= Precision::Type {
                range.version = Some(value);
                range.precision = Precision::Version;
            }
        }
        Some(range)
    }

    fn matches(&self, main: &str, sub: &str, version: &str) -> bool {
        (self.main == "*" || self.main.eq_ignore_ascii_case(main))
            && (self.sub == "*" || self.sub.eq_ignore_ascii_case(sub))
            && self.version.as_deref().is_none_or(|wanted| wanted == version)
    }
}

/// The scheme of this name. An unknown name counts as missing, which means underscores.
fn escaping(asked: &str) -> Escaping {
    match asked.to_ascii_lowercase().as_str() {
        // The negotiation document's own examples use the second spelling.
        "allow-utf-8" | "allow-utf8" => Escaping::AllowUtf8,
        "values" => Escaping::Values,
        "dots" => Escaping::Dots,
        _ => Escaping::Underscores,
    }
}

/// Whether the value of `Accept-Encoding` allows compression. An empty value means no,
/// because a client that cannot decompress sends none.
fn accepts_gzip(value: &str) -> bool {
    let weight_of = |codings: &[&str]| {
        let weights = split(value, ',').filter_map(|element| {
            let mut parts = split(element, ';');
            let coding = parts.next()?;
            if !codings.iter().any(|name| coding.eq_ignore_ascii_case(name)) {
                return None;
            }
            let q = parts.filter_map(parameter).find(|(name, _)| name.eq_ignore_ascii_case("q"));
            q.map_or(Some(HEAVIEST), |(_, value)| weight(&value))
        });
        weights.max()
    };
    let gzip = weight_of(&["gzip", "x-gzip"]).or_else(|| weight_of(&["*"])).unwrap_or(0);
    gzip > 0 && gzip >= weight_of(&["identity"]).unwrap_or(0)
}

/// The default weight, in thousandths.
const HEAVIEST: u16 = 1000;

/// Reads a weight in thousandths. Returns `None` if it is not a number, because the
/// element's meaning is then unknown.
fn weight(value: &str) -> Option<u16> {
    if !value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let weight: f64 = value.parse().ok()?;
    // Even a tiny weight above 0 does not exclude.
    let least = u16::from(weight > 0.0);
    Some(((weight.min(1.0) * f64::from(HEAVIEST)).round() as u16).max(least))
}

/// Reads `name=value` or `name="value"`, with spaces allowed around the equals sign.
fn parameter(part: &str) -> Option<(&str, Cow<'_, str>)> {
    let (name, value) = part.split_once('=')?;
    let value = value.trim();
    let value = match value.strip_prefix('"') {
        Some(quoted) => Cow::Owned(quoted.trim_end_matches('"').replace('\\', "")),
        None => Cow::Borrowed(value),
    };
    Some((name.trim(), value))
}

/// Splits at separators outside quotes, and returns the trimmed parts that are not
/// empty.
fn split(value: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    let pieces = value.split(move |c| {
        let ends = c == separator && !quoted;
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\' && quoted && !escaped;
        ends
    });
    pieces.map(str::trim).filter(|piece| !piece.is_empty())
}

#[cfg(test)]
mod tests;
