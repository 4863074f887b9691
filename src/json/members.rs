//! Finds the beginning and end of the values in a checked text.

use super::{Kind, Raw, is_space};

/// The number of an object's members that are indexed. Few objects have more, and the
/// index of a hostile object stays small.
const MAX_INDEXED: usize = 64;

/// The members of an object, for repeated lookups.
#[derive(Debug, Clone)]
pub struct Members<'a> {
    indexed: Vec<(Raw<'a>, Raw<'a>)>,
    others: Parts<'a>,
}

impl<'a> Members<'a> {
    /// Indexes the members of an object. Empty for other types.
    #[must_use]
    pub fn of(object: Raw<'a>) -> Members<'a> {
        let mut others = Parts::of(object, Kind::Object);
        let next = |_| Some((others.next()?, others.next()?));
        let indexed = (0..MAX_INDEXED).map_while(next).collect();
        Members { indexed, others }
    }

    /// Returns the member with this key. Of several the last one counts.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Raw<'a>> {
        let with_key = |(name, _): &(Raw<'_>, Raw<'_>)| name.is_key(key);
        let other = self.others.clone().into_pairs().filter(with_key).last();
        other.or_else(|| self.indexed.iter().copied().rfind(with_key)).map(|(_, value)| value)
    }
}

/// Iterates over the keys and values of an object, or the items of an array.
#[derive(Debug, Clone)]
pub(super) struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    pub(super) fn of(value: Raw<'a>, kind: Kind) -> Parts<'a> {
        let inside = value.0.get(1..value.0.len().saturating_sub(1)).unwrap_or_default();
        Parts(if value.kind() == kind { inside } else { &[] })
    }

    /// Returns the members of an object, with their keys as texts.
    pub(super) fn into_pairs(mut self) -> impl Iterator<Item = (Raw<'a>, Raw<'a>)> {
        std::iter::from_fn(move || Some((self.next()?, self.next()?)))
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Raw<'a>;

    fn next(&mut self) -> Option<Raw<'a>> {
        let start = self.0.iter().position(|byte| !is_between_values(*byte))?;
        let rest = &self.0[start..];
        let (value, rest) = rest.split_at(length(rest));
        self.0 = rest;
        Some(Raw(value))
    }
}

fn is_between_values(byte: u8) -> bool {
    is_space(byte) || matches!(byte, b',' | b':')
}

/// Returns the length of the value at the start of a checked text.
fn length(text: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => at += string_length(&text[at..]),
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            byte if depth == 0 && is_between_values(*byte) => return at,
            _ => {
                at += 1;
                continue;
            }
        }
        if depth == 0 {
            return at;
        }
    }
    at
}

/// Returns the length of the text in quotes at the start, including the quotes.
fn string_length(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}
