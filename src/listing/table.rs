//! A collection as a table for people. On a terminal no line exceeds the terminal's
//! width; otherwise nothing is cut.

use std::fmt::Write;

use crate::clean::one_line;
use crate::metrics::{Number, ShownAs, rows};
use crate::outcome::Outcome;
use crate::snapshot::{Reading, Slot, View};

use super::label;

/// The minimum width of a name. A shorter one would say nothing.
const MIN_NAME: usize = 20;

/// How a table is formatted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Layout {
    /// Whether the table is coloured.
    pub is_coloured: bool,
    /// The width of the terminal, if the output is one.
    pub width: Option<usize>,
}

impl Layout {
    fn paint(self, code: &str, text: &str) -> String {
        if self.is_coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Returns the width that remains besides these columns.
    fn left(self, taken: usize) -> usize {
        self.width.map_or(usize::MAX, |width| width.saturating_sub(taken).max(MIN_NAME))
    }
}

/// Formats the view: each target's metrics, aligned, and below them the outcome of each
/// endpoint.
#[must_use]
pub fn table(view: &View, layout: Layout) -> String {
    let mut out = String::new();
    for (i, r) in view.readings().enumerate() {
        if i > 0 {
            out.push('\n');
        }
        let (colour, state) = match r.up() {
            Some(true) => ("32", "up"),
            Some(false) => ("31", "down"),
            None => ("33", "no answer yet"),
        };
        let name = cut(&one_line(&r.target.name), layout.left(2 + state.len()));
        // Writing into memory cannot fail.
        let _ = writeln!(out, "{}  {}", layout.paint("1", &name), layout.paint(colour, state));
        metrics(&mut out, &r, layout);
        endpoints(&mut out, &r.snapshot.slots, layout);
    }
    out
}

/// A point for display: a number, a time, or labels whose value means nothing.
enum Shown {
    Number { value: String, unit: &'static str },
    Instant(String),
    Info,
}

struct Line {
    name: &'static str,
    labels: Vec<(&'static str, String)>,
    shown: Shown,
}

fn lines(r: &Reading<'_>) -> Vec<Line> {
    let mut lines = Vec::new();
    for row in rows().filter(|row| row.shown != ShownAs::Asking) {
        row.points(r, &mut |value, labels| {
            let instant = if row.name.ends_with(".timestamp") { instant(value) } else { None };
            let shown = match instant {
                _ if row.name.rsplit('.').next() == Some("info") => Shown::Info,
                Some(at) => Shown::Instant(at),
                None => Shown::Number { value: number(value), unit: row.unit.trim_matches(['{', '}']) },
            };
            let labels = labels.iter().map(|(key, value)| (*key, one_line(&label(value)))).collect();
            lines.push(Line { name: row.name, labels, shown });
        });
    }
    lines
}

impl Line {
    /// Formats the name with its labels.
    fn named(&self, key: impl Fn(&'static str) -> &'static str) -> String {
        if self.labels.is_empty() {
            return self.name.to_owned();
        }
        let labels: Vec<String> =
            self.labels.iter().map(|(name, value)| format!("{}={value}", key(name))).collect();
        format!("{}{{{}}}", self.name, labels.join(", "))
    }

    /// The same within this width.
    fn fitted(&self, width: usize) -> String {
        let whole = self.named(|key| key);
        if columns(&whole) <= width {
            return whole;
        }
        // The part of a key before its last dot repeats the metric's name.
        cut(&self.named(|key| key.rsplit('.').next().unwrap_or(key)), width)
    }
}

fn metrics(out: &mut String, r: &Reading<'_>, layout: Layout) {
    let lines = lines(r);
    let (mut names, mut values, mut units, mut instants) = (0, 0, 0, 0);
    for line in &lines {
        match &line.shown {
            Shown::Number { value, unit } => {
                values = values.max(columns(value));
                units = units.max(columns(unit));
            }
            Shown::Instant(at) => instants = instants.max(columns(at)),
            Shown::Info => continue,
        }
        names = names.max(columns(&line.named(|key| key)));
    }
    // A time has no unit, and uses the width of the unit, too.
    let names = names.min(layout.left(4 + (values + 2 + units).max(instants)));
    for line in lines {
        match &line.shown {
            Shown::Number { value, unit } => {
                let name = pad(&line.fitted(names), names);
                let value = layout.paint("36", &format!("{value:>values$}"));
                let unit =
                    if unit.is_empty() { String::new() } else { format!("  {}", layout.paint("2", unit)) };
                let _ = writeln!(out, "  {name}  {value}{unit}");
            }
            Shown::Instant(at) => {
                let name = pad(&line.fitted(names), names);
                let _ = writeln!(out, "  {name}  {}", layout.paint("36", at));
            }
            Shown::Info => {
                let _ = writeln!(out, "  {}", line.name);
                let keys = line.labels.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
                for (key, value) in &line.labels {
                    let value = cut(value, layout.left(keys + 6));
                    let _ = writeln!(out, "    {key:keys$}  {}", layout.paint("36", &value));
                }
            }
        }
    }
}

fn endpoints(out: &mut String, slots: &[Slot], layout: Layout) {
    let names = slots.iter().map(|s| s.endpoint.name().len()).max().unwrap_or(0);
    let mut above = None;
    for slot in slots {
        let (colour, word) = match slot.outcome() {
            Some(Outcome::Ok) => ("32", "ok"),
            Some(Outcome::NotOffered) => ("33", "not_offered"),
            Some(Outcome::Failed(error)) => ("31", error.name()),
            None => ("33", "no answer yet"),
        };
        let word = layout.paint(colour, &format!("{word:<15}"));
        let mut line = format!("  {:<names$}  {word}", slot.endpoint.name());
        if let Some(took) = slot.took() {
            let _ = write!(line, "  {:>7} ms", grouped(took.as_millis() as i64));
        }
        if let Some(response) = slot.response() {
            let _ = write!(line, "  {:>11} B", grouped(response.size as i64));
        }
        // A server that cannot be reached has one reason for all.
        let remark = slot.remark().map(|remark| if above == Some(remark) { "as above" } else { remark });
        above = slot.remark();
        match (remark, layout.width) {
            (Some(reason), None) => {
                let _ = write!(line, "  {reason}");
            }
            (Some(reason), Some(_)) => {
                for part in wrapped(reason, layout.left(6)) {
                    let _ = write!(line, "\n      {part}");
                }
            }
            (None, _) => {}
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

fn columns(text: &str) -> usize {
    text.chars().count()
}

fn pad(text: &str, width: usize) -> String {
    format!("{text:<width$}")
}

/// Cuts a text to this width. The middle is removed, because names begin with their
/// subject and end with what distinguishes them.
fn cut(text: &str, width: usize) -> String {
    let characters: Vec<char> = text.chars().collect();
    if characters.len() <= width {
        return text.to_owned();
    }
    let tail = (width.saturating_sub(1)) / 2;
    let head = width.saturating_sub(1) - tail;
    let mut out: String = characters[..head].iter().collect();
    out.push('…');
    out.extend(&characters[characters.len() - tail..]);
    out
}

/// Breaks a text into lines of this width, between words if possible.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let word = cut(word, width);
        let last = lines.last().map_or(0, |line| columns(line));
        if last > 0 && last + 1 + columns(&word) > width {
            lines.push(word);
        } else if let Some(line) = lines.last_mut() {
            if last > 0 {
                line.push(' ');
            }
            line.push_str(&word);
        }
    }
    lines
}

/// Formats an integer with commas between its thousands.
fn grouped(n: i64) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut out = if n < 0 { "-".to_owned() } else { String::new() };
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

fn number(value: Number) -> String {
    match value {
        Number::Int(n) => grouped(n),
        Number::Float(f) => {
            let text = format!("{f:.3}");
            let (whole, rest) = text.split_once('.').unwrap_or((&text, "0"));
            match whole.parse() {
                Ok(n) if n != 0 => format!("{}.{rest}", grouped(n)),
                _ => text,
            }
        }
    }
}

/// Formats a Unix time as a date, if a calendar contains it.
fn instant(value: Number) -> Option<String> {
    let seconds = match value {
        Number::Int(n) => n,
        Number::Float(f) => f as i64,
    };
    jiff::Timestamp::from_second(seconds).ok().map(|at| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_apart() {
        for (n, text) in
            [(0, "0"), (999, "999"), (1000, "1,000"), (-1_234_567, "-1,234,567"), (100_000, "100,000")]
        {
            assert_eq!(grouped(n), text);
        }
        assert_eq!(number(Number::Float(-0.25)), "-0.250");
        assert_eq!(number(Number::Float(12345.5)), "12,345.500");
        assert_eq!(instant(Number::Int(0)).as_deref(), Some("1970-01-01T00:00:00Z"));
        assert_eq!(instant(Number::Int(i64::MAX)), None);
    }

    #[test]
    fn what_is_too_long_is_cut_in_its_middle() {
        assert_eq!(cut("abcdefgh", 8), "abcdefgh");
        assert_eq!(cut("abcdefghi", 8), "abcd…ghi");
        assert_eq!(cut("éééééé", 4), "éé…é");
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("abcdefghijk l", 5), ["ab…jk", "l"]);
        assert_eq!(wrapped("", 5), [""]);
    }
}
