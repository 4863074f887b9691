//! Reads JSON in place: a text is checked once, and values are then found in it. No
//! tree is built, so reading needs almost no memory besides the text, whatever the text
//! contains. Numbers keep every digit, and nesting has no limit.

mod checker;
mod members;
mod number;

use std::borrow::Cow;

use self::members::Parts;

pub use self::checker::{Checker, Malformed};
pub use self::members::Members;

/// One value in a JSON text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raw<'a>(&'a [u8]);

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Whether a byte is white space between tokens (RFC 8259, 2). A form feed is not.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean,
    /// A number.
    Number,
    /// A text in quotes.
    Text,
    /// A list.
    Array,
    /// Members by key.
    Object,
}

impl<'a> Raw<'a> {
    /// Checks a whole text: see [`Checker`].
    ///
    /// # Errors
    ///
    /// When the text is not JSON.
    pub fn parse(text: &'a [u8]) -> Result<Raw<'a>, Malformed> {
        let mut checker = Checker::default();
        checker.feed(text, |_, _| {})?;
        checker.end()?;
        let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        let start = text.iter().take_while(|byte| is_space(**byte)).count();
        let end = text.iter().rev().take_while(|byte| is_space(**byte)).count();
        Ok(Raw(&text[start..text.len() - end]))
    }

    /// The type of the value.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self.0.first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::Text,
            Some(b't' | b'f') => Kind::Boolean,
            Some(b'n') | None => Kind::Null,
            Some(_) => Kind::Number,
        }
    }

    /// Returns the member of an object with this key. Of several the last one counts.
    #[must_use]
    pub fn get(self, key: &str) -> Option<Raw<'a>> {
        self.members().filter(|(name, _)| name.is_key(key)).last().map(|(_, value)| value)
    }

    /// Returns the members of an object, with their keys as texts. Empty for other
    /// types.
    pub fn members(self) -> impl Iterator<Item = (Raw<'a>, Raw<'a>)> {
        Parts::of(self, Kind::Object).into_pairs()
    }

    /// Returns the items of an array. Empty for other types.
    pub fn items(self) -> impl Iterator<Item = Raw<'a>> {
        Parts::of(self, Kind::Array)
    }

    /// Whether the value is an empty object or array.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.members().next().is_none() && self.items().next().is_none()
    }

    /// Decodes a text, with U+FFFD for invalid characters. Returns `None` for other
    /// types, and for texts that are too long.
    #[must_use]
    pub fn text(self) -> Option<Cow<'a, str>> {
        let inside = self.inside_quotes().filter(|inside| inside.len() <= MAX_TEXT)?;
        match std::str::from_utf8(inside) {
            Ok(text) if !inside.contains(&b'\\') => Some(Cow::Borrowed(text)),
            _ => Some(Cow::Owned(Characters(inside).collect())),
        }
    }

    /// Decodes a text of any length, character by character. Empty for other types.
    pub fn characters(self) -> impl Iterator<Item = char> {
        Characters(self.inside_quotes().unwrap_or_default())
    }

    fn inside_quotes(self) -> Option<&'a [u8]> {
        self.0.strip_prefix(b"\"")?.strip_suffix(b"\"")
    }

    /// Returns the digits of a number, as they are written.
    #[must_use]
    pub fn number(self) -> Option<&'a str> {
        if self.kind() == Kind::Number { std::str::from_utf8(self.0).ok() } else { None }
    }

    /// Returns the value of a boolean.
    #[must_use]
    pub fn boolean(self) -> Option<bool> {
        match self.0 {
            b"true" => Some(true),
            b"false" => Some(false),
            _ => None,
        }
    }

    /// Returns an integer that fits into 64 bits, by its digits: `12`, `12.0`, `1.2e1`.
    #[must_use]
    pub fn whole(self) -> Option<i64> {
        number::whole(self.number()?)
    }

    fn is_key(self, key: &str) -> bool {
        let inside = self.inside_quotes().unwrap_or_default();
        // Most keys contain no escapes.
        inside == key.as_bytes() || (inside.contains(&b'\\') && Characters(inside).eq(key.chars()))
    }
}

/// The maximum length of a text that is decoded at once, in bytes.
const MAX_TEXT: usize = 64 << 10;

/// Iterates over the characters of the text between two quotes.
struct Characters<'a>(&'a [u8]);

impl Iterator for Characters<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        let (c, length) = match self.0.first()? {
            b'\\' => escape(self.0),
            byte if byte.is_ascii() => (char::from(*byte), 1),
            _ => {
                // No character has more than four bytes.
                let start = &self.0[..self.0.len().min(4)];
                let chunk = start.utf8_chunks().next()?;
                match chunk.valid().chars().next() {
                    Some(c) => (c, c.len_utf8()),
                    None => (char::REPLACEMENT_CHARACTER, chunk.invalid().len()),
                }
            }
        };
        self.0 = &self.0[length..];
        Some(c)
    }
}

/// Returns the character of an escape, and the escape's length. A surrogate pair is one
/// escape.
fn escape(text: &[u8]) -> (char, usize) {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    match text.get(1) {
        Some(b'u') => match (unit(0), unit(6)) {
            (Some(high @ 0xd800..=0xdbff), Some(low @ 0xdc00..=0xdfff)) => {
                let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12)
            }
            (Some(code), _) => (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 6),
            (None, _) => (char::REPLACEMENT_CHARACTER, text.len().min(6)),
        },
        Some(b'b') => ('\u{8}', 2),
        Some(b'f') => ('\u{c}', 2),
        Some(b'n') => ('\n', 2),
        Some(b'r') => ('\r', 2),
        Some(b't') => ('\t', 2),
        Some(other) => (char::from(*other), 2),
        None => (char::REPLACEMENT_CHARACTER, 1),
    }
}

#[cfg(test)]
mod tests;
