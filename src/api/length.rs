//! The length of a JSON array, counted while it streams in: memory does not
//! grow with the list.

use json_event_parser::{JsonEvent, LowLevelJsonParser, LowLevelJsonParserResult};

use super::document::DocumentError;

/// Nesting that no list of a server has.
const DEEPEST: usize = 64;
/// One token (a domain, a text) that is longer is no list of a server.
const LONGEST_TOKEN: usize = 1 << 20;

/// Counts the items of an array at the top of a JSON text.
pub struct ArrayLength {
    parser: LowLevelJsonParser,
    /// What the parser could not use yet: the beginning of a token.
    rest: Vec<u8>,
    /// How long `rest` was when the parser had last seen all of it.
    seen: usize,
    depth: usize,
    items: i64,
    begun: bool,
}

impl Default for ArrayLength {
    fn default() -> ArrayLength {
        let parser = LowLevelJsonParser::new().with_max_stack_size(DEEPEST);
        ArrayLength { parser, rest: Vec::new(), seen: 0, depth: 0, items: 0, begun: false }
    }
}

impl ArrayLength {
    /// Takes the next bytes.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), DocumentError> {
        self.rest.extend_from_slice(chunk);
        // The parser begins a cut token anew. Were it asked at each of many small
        // pieces, a long token would cost the square of its length.
        if self.rest.len() >= 2 * self.seen || self.rest.len() > LONGEST_TOKEN {
            self.advance(false)?;
        }
        if self.rest.len() > LONGEST_TOKEN {
            return Err(DocumentError::NotJson("one value is over a megabyte long".to_owned()));
        }
        Ok(())
    }

    /// The number of items, when all bytes were fed.
    pub fn end(mut self) -> Result<i64, DocumentError> {
        if self.rest.is_empty() && !self.begun {
            return Err(DocumentError::NotJson("it is empty".to_owned()));
        }
        self.advance(true)?;
        Ok(self.items)
    }

    fn advance(&mut self, ending: bool) -> Result<(), DocumentError> {
        let mut used = 0;
        let done = loop {
            let LowLevelJsonParserResult { event, consumed_bytes } =
                self.parser.parse_next(&self.rest[used..], ending);
            used += consumed_bytes;
            let Some(event) = event else { break Ok(()) };
            let event = match event {
                Ok(event) => event,
                Err(e) => {
                    let web_page = !self.begun && self.rest.trim_ascii_start().starts_with(b"<");
                    let what = if web_page {
                        "it looks like a web page".to_owned()
                    } else {
                        format!("line {}", e.location().start.line + 1)
                    };
                    break Err(DocumentError::NotJson(what));
                }
            };
            if matches!(event, JsonEvent::Eof) {
                break Ok(());
            }
            if !std::mem::replace(&mut self.begun, true) && !matches!(event, JsonEvent::StartArray) {
                break Err(DocumentError::WrongTop { wanted: "an array", found: top(&event) });
            }
            match event {
                JsonEvent::StartArray if self.depth == 1 => {
                    break Err(DocumentError::WrongTop {
                        wanted: "a list of texts or objects",
                        found: "an array of other things",
                    });
                }
                JsonEvent::StartArray | JsonEvent::StartObject => {
                    self.items += i64::from(self.depth == 1);
                    self.depth += 1;
                }
                JsonEvent::EndArray | JsonEvent::EndObject => self.depth = self.depth.saturating_sub(1),
                JsonEvent::ObjectKey(_) | JsonEvent::Eof => {}
                JsonEvent::String(_) => self.items += i64::from(self.depth == 1),
                // No list of a server is of these.
                _ if self.depth == 1 => {
                    break Err(DocumentError::WrongTop {
                        wanted: "a list of texts or objects",
                        found: "an array of other things",
                    });
                }
                _ => {}
            }
        };
        self.rest.drain(..used);
        self.seen = self.rest.len();
        done
    }
}

fn top(event: &JsonEvent<'_>) -> &'static str {
    match event {
        JsonEvent::StartObject => "an object",
        JsonEvent::String(_) => "a string",
        JsonEvent::Number(_) => "a number",
        JsonEvent::Boolean(_) => "a boolean",
        _ => "null",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(json: &[u8], chunk: usize) -> Result<i64, String> {
        let mut length = ArrayLength::default();
        for part in json.chunks(chunk) {
            length.feed(part).map_err(|e| e.to_string())?;
        }
        length.end().map_err(|e| e.to_string())
    }

    #[test]
    fn arrays_are_counted_in_any_pieces() {
        let big =
            format!("[{}]", (0..5000).map(|i| format!("\"i{i}.example\"")).collect::<Vec<_>>().join(","));
        for (json, expected) in [
            ("[]", 0),
            (" [ ] ", 0),
            (r#"["a","b,]","c\"]"]"#, 3),
            (r#"[{"domain":"a","x":[1,[2]],"y":null},{"z":true},"b"]"#, 3),
            (big.as_str(), 5000),
        ] {
            for chunk in [1, 2, 7, 4096] {
                assert_eq!(length(json.as_bytes(), chunk), Ok(expected), "{json:.40} in {chunk}");
            }
        }
    }

    #[test]
    fn what_is_no_array_says_so() {
        for (json, expected) in [
            ("", "the body is not JSON (it is empty)"),
            ("<html>", "the body is not JSON (it looks like a web page)"),
            ("{}", "the body is an object where an array is due"),
            (r#"{"error":"Gone"}"#, "the body is an object where an array is due"),
            ("\"x\"", "the body is a string where an array is due"),
            ("[\"a\",", "the body is not JSON (line 1)"),
            ("[{} {}]", "the body is not JSON (line 1)"),
            ("[\"a\"]]", "the body is not JSON (line 1)"),
            ("[1]", "the body is an array of other things where a list of texts or objects is due"),
            ("[[\"a\"]]", "the body is an array of other things where a list of texts or objects is due"),
            ("[\"a\"", "the body is not JSON (line 1)"),
        ] {
            for chunk in [1, 3, 4096] {
                assert_eq!(length(json.as_bytes(), chunk), Err(expected.to_owned()), "{json} in {chunk}");
            }
        }
    }
}
