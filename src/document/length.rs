//! Counts the items of a JSON array while it streams in, so that memory does not grow
//! with the list.

use crate::json::{Checker, Kind};

use super::{DocumentError, kind_name};

/// Counts the items of an array at the top level of a JSON text. The items must be
/// texts or objects, as in the lists of servers.
#[derive(Debug, Default)]
pub struct ArrayLength {
    checker: Checker,
    items: i64,
    top: Option<Kind>,
    has_others: bool,
}

impl ArrayLength {
    /// Reads the next bytes.
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), DocumentError> {
        let ArrayLength { checker, items, top, has_others } = self;
        let checked = checker.feed(piece, |depth, kind| match (depth, kind) {
            (0, kind) => *top = Some(kind),
            (1, Kind::Text | Kind::Object) => *items += 1,
            (1, _) => *has_others = true,
            _ => {}
        });
        let wrong = |wanted, found| Err(DocumentError::WrongTop { wanted, found });
        match self.top {
            Some(top) if top != Kind::Array => wrong(kind_name(Kind::Array), kind_name(top)),
            _ if self.has_others => wrong("a list of texts or objects", "an array of other things"),
            _ => Ok(checked?),
        }
    }

    /// Returns the number of items after all bytes.
    pub fn end(self) -> Result<i64, DocumentError> {
        self.checker.end()?;
        Ok(self.items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(json: &[u8], piece: usize) -> Result<i64, String> {
        let mut length = ArrayLength::default();
        for part in json.chunks(piece) {
            length.feed(part).map_err(|e| e.to_string())?;
        }
        length.end().map_err(|e| e.to_string())
    }

    #[test]
    fn arrays_are_counted_in_any_pieces() {
        let big =
            format!("[{}]", (0..5000).map(|i| format!("\"i{i}.example\"")).collect::<Vec<_>>().join(","));
        let deep = format!("[{{\"x\":{}{}}}]", "[".repeat(1000), "]".repeat(1000));
        for (json, expected) in [
            (&b"[]"[..], 0),
            (b" [ ] ", 0),
            (b"\xef\xbb\xbf[\"a\"]", 1),
            (br#"["a","b,]","c\"]"]"#, 3),
            (br#"[{"domain":"a","x":[1,[2]],"y":null},{"z":true},"b"]"#, 3),
            // An item that no program can decode counts, too.
            (b"[\"\\ud83d\",\"\xff\",{\"n\":1e999}]", 3),
            (deep.as_bytes(), 1),
            (big.as_bytes(), 5000),
        ] {
            for piece in [1, 2, 7, 4096] {
                let shown = String::from_utf8_lossy(json);
                assert_eq!(length(json, piece), Ok(expected), "{shown:.40} in {piece}");
            }
        }
    }

    #[test]
    fn what_is_no_array_says_so() {
        for (json, expected) in [
            ("", "the body is not JSON (it is empty)"),
            ("\n ", "the body is not JSON (it is empty)"),
            ("<html>", "the body is not JSON (it looks like a web page)"),
            ("\u{feff}\n<html>", "the body is not JSON (it looks like a web page)"),
            ("{}", "expected an array, found an object"),
            (r#"{"error":"Gone"}"#, "expected an array, found an object"),
            ("\"x\"", "expected an array, found a string"),
            ("[\"a\",", "the body is not JSON (line 1, column 6)"),
            ("[{} {}]", "the body is not JSON (line 1, column 5)"),
            ("[\"a\"]]", "the body is not JSON (line 1, column 6)"),
            ("[1]", "expected a list of texts or objects, found an array of other things"),
            ("[[\"a\"]]", "expected a list of texts or objects, found an array of other things"),
            ("[\"a\"", "the body is not JSON (line 1, column 5)"),
        ] {
            for piece in [1, 3, 4096] {
                assert_eq!(length(json.as_bytes(), piece), Err(expected.to_owned()), "{json} in {piece}");
            }
        }
    }
}
