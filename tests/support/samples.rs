//! A reader of the text format 0.0.4, written from its specification.

use std::collections::BTreeMap;

/// A sample line.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// All samples of an exposition.
///
/// # Panics
///
/// On a line that is neither a comment nor a sample, and on a duplicate series.
pub fn samples(text: &str) -> Vec<Sample> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let samples: Vec<Sample> =
        lines.map(|line| sample(line).unwrap_or_else(|| panic!("no sample: {line}"))).collect();
    let mut series: Vec<_> = samples.iter().map(|s| (&s.name, &s.labels)).collect();
    series.sort();
    for pair in series.windows(2) {
        assert!(pair[0] != pair[1], "it stands twice: {:?}", pair[0]);
    }
    samples
}

/// The samples with this name.
pub fn named<'a>(samples: &'a [Sample], name: &str) -> Vec<&'a Sample> {
    samples.iter().filter(|sample| sample.name == name).collect()
}

/// The value of the only sample with this name; `None` if there is none.
pub fn only(samples: &[Sample], name: &str) -> Option<f64> {
    let found = named(samples, name);
    assert!(found.len() <= 1, "{name} has several samples: {found:?}");
    found.first().map(|sample| sample.value)
}

fn sample(line: &str) -> Option<Sample> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            assert!(labels.insert(label.to_owned(), value).is_none(), "a label stands twice: {line}");
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        rest = &rest[1..];
    }
    let value = rest.strip_prefix(' ')?.parse().ok()?;
    Some(Sample { name: name.to_owned(), labels, value })
}

/// The text before the closing quote, unescaped, and the rest after it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((i, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[i + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                c => value.push(c),
            },
            c => value.push(c),
        }
    }
    None
}
