//! Writes families as bytes: names, labels, numbers and their escapes.

use std::io::Write as _;

use prometheus::proto::Histogram;

use super::family::{Family, Kind};
use super::joined::{Joined, Labels};
use super::quoted::{is_plain, push_escaped, push_name_in_metadata};
use super::{Created, Format};

/// The largest number up to which a double holds every integer exactly.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Appends a family's samples.
pub(super) fn push_series(
    out: &mut Vec<u8>,
    mut family: Family,
    format: Format,
    joined: Option<&Joined>,
    created: Created,
) {
    let series = family.take_series();
    let counts = format.is_openmetrics() && matches!(family.kind(), Kind::Counter | Kind::Histogram);
    let name = family.gathered_name();
    for metric in series {
        let labels = Labels::of(metric.get_label(), joined);
        match family.kind() {
            Kind::Histogram => push_histogram(out, name, labels, metric.get_histogram(), format),
            Kind::Counter | Kind::Unknown => {
                push_sample(out, name, labels, metric.get_counter().get_value());
            }
            Kind::Gauge | Kind::Info => push_sample(out, name, labels, metric.get_gauge().get_value()),
        }
        let since = match created {
            Created::Unwritten => None,
            Created::At(since) => Some(since),
            Created::ByTarget => labels.since(),
        };
        if let Some(since) = since.filter(|_| counts) {
            push_suffixed(out, family.name(), "_created", labels, since);
        }
    }
}

/// Estimates the size of a family in bytes from its first series.
pub(super) fn estimate(family: &Family, joined: Option<&Joined>) -> usize {
    let series = family.series();
    let line = series.first().map_or(0, |first| {
        let labels = Labels::of(first.get_label(), joined).estimate();
        let lines = match family.kind() {
            Kind::Histogram => first.get_histogram().get_bucket().len() + 3,
            _ => 1,
        };
        lines * (family.gathered_name().len() + labels + 24)
    });
    series.len() * line + family.help().len() + 4 * family.gathered_name().len() + 64
}

/// Appends a family's metadata.
pub(super) fn push_metadata(out: &mut Vec<u8>, family: &Family, unit: Option<&str>, format: Format) {
    let mut quoted = Vec::new();
    push_name_in_metadata(&mut quoted, family.name());
    let name = &quoted[..];
    if !family.help().is_empty() {
        out.extend_from_slice(b"# HELP ");
        out.extend_from_slice(name);
        out.push(b' ');
        push_escaped(out, family.help(), format.is_openmetrics());
        out.push(b'\n');
    }
    out.extend_from_slice(b"# TYPE ");
    out.extend_from_slice(name);
    out.extend_from_slice(match family.kind() {
        Kind::Counter => b" counter\n",
        Kind::Gauge => b" gauge\n",
        Kind::Histogram => b" histogram\n",
        Kind::Info => b" info\n",
        Kind::Unknown => b" unknown\n",
    });
    let unit = unit.filter(|unit| {
        format.is_openmetrics()
            && family.kind() != Kind::Info
            && family.name().strip_suffix(unit).is_some_and(|stem| stem.ends_with('_'))
    });
    if let Some(unit) = unit {
        out.extend_from_slice(b"# UNIT ");
        out.extend_from_slice(name);
        out.push(b' ');
        out.extend_from_slice(unit.as_bytes());
        out.push(b'\n');
    }
}

fn push_sample(out: &mut Vec<u8>, name: &str, labels: Labels<'_>, value: f64) {
    push_suffixed(out, name, "", labels, value);
}

fn push_suffixed(out: &mut Vec<u8>, name: &str, suffix: &str, labels: Labels<'_>, value: f64) {
    let is_open = push_name(out, name, suffix);
    if labels.push(out, is_open) {
        out.push(b'}');
    }
    out.push(b' ');
    push_number(out, value);
    out.push(b'\n');
}

fn push_histogram(out: &mut Vec<u8>, name: &str, labels: Labels<'_>, histogram: &Histogram, format: Format) {
    // All lines of a series share their labels, which are therefore formatted once.
    // This works for names before the braces and for quoted names inside them.
    let mut shared = Vec::with_capacity(128);
    let is_quoted = !is_plain(name);
    let is_open = labels.push(&mut shared, is_quoted);

    let mut bucket = |bound: f64, count: u64| {
        push_name(out, name, "_bucket");
        out.extend_from_slice(&shared);
        out.push(if is_open { b',' } else { b'{' });
        out.extend_from_slice(b"le=\"");
        push_bound(out, bound, format);
        out.extend_from_slice(b"\"} ");
        push_count(out, count);
        out.push(b'\n');
    };
    let buckets = histogram.get_bucket().iter().filter(|bucket| bucket.upper_bound() < f64::INFINITY);
    let mut negative = false;
    for finite in buckets {
        negative |= finite.upper_bound() < 0.0;
        bucket(finite.upper_bound(), finite.cumulative_count());
    }
    bucket(f64::INFINITY, histogram.get_sample_count());

    // In OpenMetrics a value that can fall is not a sum, and a histogram without a sum
    // has no count.
    if negative && format.is_openmetrics() {
        return;
    }
    if is_open {
        shared.push(b'}');
    }
    for suffix in ["_sum", "_count"] {
        push_name(out, name, suffix);
        out.extend_from_slice(&shared);
        out.push(b' ');
        if suffix == "_sum" {
            push_number(out, histogram.get_sample_sum());
        } else {
            push_count(out, histogram.get_sample_count());
        }
        out.push(b'\n');
    }
}

/// Writes a sample's name, either before its labels or quoted as the first of them.
/// Returns whether a brace is open afterwards.
fn push_name(out: &mut Vec<u8>, name: &str, suffix: &str) -> bool {
    if is_plain(name) {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(suffix.as_bytes());
        return false;
    }
    out.extend_from_slice(b"{\"");
    push_escaped(out, name, true);
    out.extend_from_slice(suffix.as_bytes());
    out.push(b'"');
    true
}

/// Writes a sample's value: integers without a fraction, other numbers with the fewest
/// digits that read back as the same double.
fn push_number(out: &mut Vec<u8>, value: f64) {
    if value.fract() == 0.0 && value.abs() <= EXACT {
        if value < 0.0 {
            out.push(b'-');
        }
        push_count(out, value.abs() as u64);
    } else if value.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    } else if (1e-6..1e21).contains(&value.abs()) {
        let _ = write!(out, "{value}");
    } else {
        let _ = write!(out, "{value:e}");
    }
}

fn push_count(out: &mut Vec<u8>, mut count: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (count % 10) as u8;
        count /= 10;
        if count == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

/// Writes the value of `le`. It is a label, so its spelling is part of the series'
/// identity. This is the spelling of Go's client libraries: the shortest form, with an
/// exponent from 1e6 up and below 1e-4. OpenMetrics adds `.0` to integers.
fn push_bound(out: &mut Vec<u8>, bound: f64, format: Format) {
    if bound.is_infinite() {
        push_number(out, bound);
    } else if bound == 0.0 || (1e-4..1e6).contains(&bound.abs()) {
        let _ = write!(out, "{bound}");
        if format.is_openmetrics() && bound.fract() == 0.0 {
            out.extend_from_slice(b".0");
        }
    } else {
        let scientific = format!("{bound:e}");
        let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
        let _ = write!(out, "{mantissa}e{sign}{exponent:0>2}");
    }
}
