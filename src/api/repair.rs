//! What is JSON but for a number or a piece of text that no program can hold,
//! made readable: such a field must not hide its neighbours.

use std::borrow::Cow;

/// Stands for every number beyond the range of a float: no count is as large.
const BEYOND: &[u8] = b"1e300";
/// U+FFFD, as an escape.
const REPLACEMENT: &[u8] = b"\\ufffd";

/// The body with numbers beyond the range of a float made smaller, lone
/// surrogates (text that a server cut within an emoji) and bytes that are no
/// UTF-8 replaced. `None` where nothing of the kind is in it.
#[must_use]
pub fn repaired(body: &[u8]) -> Option<Vec<u8>> {
    let text = String::from_utf8_lossy(body);
    let mut changed = matches!(text, Cow::Owned(_));
    let mut rest = text.as_bytes();
    let mut out = Vec::with_capacity(rest.len());
    let mut in_string = false;
    while let Some(&byte) = rest.first() {
        let (taken, instead) = match byte {
            b'\\' if in_string => escape(rest),
            b'"' => {
                in_string = !in_string;
                (1, None)
            }
            b'-' | b'0'..=b'9' if !in_string => number(rest),
            _ => (1, None),
        };
        changed |= instead.is_some();
        out.extend_from_slice(instead.unwrap_or(&rest[..taken]));
        rest = &rest[taken..];
    }
    changed.then_some(out)
}

/// Length of the escape at the start, both halves of a surrogate pair taken
/// together, and what to write in its place.
fn escape(text: &[u8]) -> (usize, Option<&'static [u8]>) {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    match (unit(0), unit(6)) {
        (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => (12, None),
        (Some(0xd800..=0xdfff), _) => (6, Some(REPLACEMENT)),
        _ => (text.len().min(2), None),
    }
}

/// Length of the number at the start, and what to write in its place.
fn number(text: &[u8]) -> (usize, Option<&'static [u8]>) {
    let is_part = |b: &u8| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    let end = text.iter().position(|b| !is_part(b)).unwrap_or(text.len());
    let value = std::str::from_utf8(&text[..end]).ok().and_then(|number| number.parse::<f64>().ok());
    (end, value.is_some_and(f64::is_infinite).then_some(BEYOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_program_can_hold() {
        let digits = "9".repeat(400);
        let long = format!(r#"{{"a":{digits},"b":"{digits}"}}"#);
        let long_repaired = format!(r#"{{"a":1e300,"b":"{digits}"}}"#);
        for (body, expected) in [
            (br#"{"a":1e400,"b":-1E+999}"#.as_slice(), Some(r#"{"a":1e300,"b":1e300}"#)),
            (long.as_bytes(), Some(&*long_repaired)),
            (br#""cut \ud83d""#, Some(r#""cut \ufffd""#)),
            (br#""\udc00\ud83d\ude00""#, Some(r#""\ufffd\ud83d\ude00""#)),
            (b"\"caf\xe9\"", Some("\"caf\u{fffd}\"")),
            (br#"{"a":"1e400 \" 1e400 \\","b":1e300}"#, None),
            (br#""\ud83d\ude00""#, None),
            (b"\"\\", None),
            (b"\"\\u12", None),
            (b"", None),
        ] {
            let found = repaired(body).map(|b| String::from_utf8(b).unwrap());
            assert_eq!(found.as_deref(), expected, "{}", String::from_utf8_lossy(body));
        }
    }
}
