//! Where the values of a checked text begin and end.

use super::{Kind, Raw, is_space};

/// Members of an object that are found again without another look at the text: few
/// objects have more, and hostile ones do not take more memory.
const MAX_INDEXED: usize = 64;

/// The members of an object, to be looked up more than once.
#[derive(Debug, Clone)]
pub struct Members<'a> {
    indexed: Vec<(Raw<'a>, Raw<'a>)>,
    others: Parts<'a>,
}

impl<'a> Members<'a> {
    /// The members of an object; none of anything else.
    #[must_use]
    pub fn of(object: Raw<'a>) -> Members<'a> {
        let mut others = Parts::of(object, Kind::Object);
        let next = |_| Some((others.next()?, others.next()?));
        let indexed = (0..MAX_INDEXED).map_while(next).collect();
        Members { indexed, others }
    }

    /// The member with this key; the last one where there are several.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Raw<'a>> {
        let with_key = |(name, _): &(Raw<'_>, Raw<'_>)| name.is_key(key);
        let other = self.others.clone().into_pairs().filter(with_key).last();
        other.or_else(|| self.indexed.iter().copied().rfind(with_key)).map(|(_, value)| value)
    }
}

/// The keys and values of an object, or the items of an array, in turn.
#[derive(Debug, Clone)]
pub(super) struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    pub(super) fn of(value: Raw<'a>, kind: Kind) -> Parts<'a> {
        let inside = value.0.get(1..value.0.len().saturating_sub(1)).unwrap_or_default();
        Parts(if value.kind() == kind { inside } else { &[] })
    }

    /// The members of an object, keys as texts.
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

/// Length of the value at the start of a checked text.
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

/// Length of the text in quotes at the start, the quotes included.
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
