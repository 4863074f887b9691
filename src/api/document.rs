//! A JSON answer, read leniently: a field that is missing, null or of a wrong
//! type is absent and never hides its neighbours.

use std::sync::Arc;

use serde_json::Value;

use crate::snapshot::OTHER;

use super::repair::repaired;

/// Problems of one document that are kept.
const MOST_PROBLEMS: usize = 64;

/// What stands at the top of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Top {
    /// A JSON object.
    Object,
    /// A JSON array.
    Array,
}

/// Why an answer as a whole could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// Not JSON at all.
    #[error("the body is not JSON ({0})")]
    NotJson(String),
    /// JSON, but not the shape that the endpoint has.
    #[error("the body is {found} where {wanted} is due")]
    WrongTop {
        /// What was due.
        wanted: &'static str,
        /// What was there.
        found: &'static str,
    },
    /// An object with a non-null `error`, whatever the HTTP status.
    #[error("the server says: {0}")]
    ErrorObject(String),
}

/// One answer and what was odd in it.
#[derive(Debug)]
pub struct Document {
    root: Value,
    problems: Vec<String>,
}

impl Document {
    /// Parses a body whose top level must be of the given shape.
    pub fn parse(body: &[u8], top: Top) -> Result<Document, DocumentError> {
        let body = without_bom(body);
        let read = serde_json::from_slice(body)
            .or_else(|e| repaired(body).map_or(Err(e), |body| serde_json::from_slice(&body)));
        let root: Value = read.map_err(|e| {
            DocumentError::NotJson(match body.trim_ascii_start().first() {
                None => "it is empty".to_owned(),
                Some(b'<') => "it looks like a web page".to_owned(),
                Some(_) => format!("line {}, column {}", e.line(), e.column()),
            })
        })?;
        if let Some(error) = root.get("error").filter(|e| !e.is_null()) {
            return Err(DocumentError::ErrorObject(excerpt(error)));
        }
        match (top, &root) {
            (Top::Object, Value::Object(_)) | (Top::Array, Value::Array(_)) => {
                Ok(Document { root, problems: Vec::new() })
            }
            _ => Err(DocumentError::WrongTop {
                wanted: if top == Top::Object { "an object" } else { "an array" },
                found: kind(&root),
            }),
        }
    }

    /// The fields of the object at the top.
    pub fn fields(&mut self) -> Fields<'_> {
        Fields { value: &self.root, path: String::new(), problems: &mut self.problems }
    }

    /// The same as [`Document::each`], for lists that are counted: nothing
    /// where one item is no object, because then their number means nothing.
    pub fn each_counted<T>(&mut self, read: impl FnMut(&mut Fields<'_>) -> T) -> Option<Vec<T>> {
        let items = self.root.as_array().map_or(0, Vec::len);
        let read = self.each(read);
        (read.len() == items).then_some(read)
    }

    /// Calls `read` with the fields of each object in the array at the top.
    pub fn each<T>(&mut self, read: impl FnMut(&mut Fields<'_>) -> T) -> Vec<T> {
        each_of(&self.root, "", &mut self.problems, read)
    }

    /// What was of a wrong type: paths and kinds, never values.
    #[must_use]
    pub fn into_problems(self) -> Vec<String> {
        self.problems
    }
}

fn each_of<T>(
    list: &Value,
    path: &str,
    problems: &mut Vec<String>,
    mut read: impl FnMut(&mut Fields<'_>) -> T,
) -> Vec<T> {
    let Value::Array(items) = list else { return Vec::new() };
    let mut all = Vec::with_capacity(items.len());
    for (i, item) in items.iter().enumerate() {
        let mut fields = Fields { value: item, path: format!("{path}[{i}]."), problems };
        if item.is_object() {
            all.push(read(&mut fields));
        } else {
            fields.wrong("", item);
        }
    }
    all
}

/// The fields below one object of an answer.
pub struct Fields<'a> {
    value: &'a Value,
    path: String,
    problems: &'a mut Vec<String>,
}

impl<'a> Fields<'a> {
    /// The value at a dotted path; `None` where anything on the way is missing
    /// or null. What is neither object nor absent on the way is a problem.
    pub fn get(&mut self, path: &str) -> Option<&'a Value> {
        let mut value = self.value;
        for (done, key) in path.split('.').enumerate() {
            value = match value {
                Value::Object(map) => map.get(key)?,
                Value::Null => return None,
                // PHP writes an empty object as an empty array.
                Value::Array(list) if list.is_empty() => return None,
                other => {
                    let way: Vec<&str> = path.split('.').take(done).collect();
                    self.wrong(&way.join("."), other);
                    return None;
                }
            };
        }
        (!value.is_null()).then_some(value)
    }

    /// A count: a whole number from 0 to 2^63−1, as a JSON number or a string
    /// of digits.
    pub fn count(&mut self, path: &str) -> Option<i64> {
        let value = self.get(path)?;
        let count = whole(value).filter(|n| *n >= 0);
        if count.is_none() {
            self.wrong(path, value);
        }
        count
    }

    /// A count that some servers nest: `{"all": 3, "direct": 1}`.
    pub fn count_or_all(&mut self, path: &str) -> Option<i64> {
        if self.get(path)?.is_object() { self.count(&format!("{path}.all")) } else { self.count(path) }
    }

    /// A count of which −1 is documented to mean hidden.
    pub fn count_or_hidden(&mut self, path: &str) -> Option<i64> {
        if whole(self.get(path)?) == Some(-1) { None } else { self.count(path) }
    }

    /// A yes or no; also as a string, in any case (`"FALSE"` was seen).
    pub fn flag(&mut self, path: &str) -> Option<bool> {
        let value = self.get(path)?;
        let flag = match value {
            Value::Bool(flag) => Some(*flag),
            Value::String(s) if s.eq_ignore_ascii_case("true") => Some(true),
            Value::String(s) if s.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        };
        if flag.is_none() {
            self.wrong(path, value);
        }
        flag
    }

    /// A text that is not empty.
    pub fn text(&mut self, path: &str) -> Option<Arc<str>> {
        match self.get(path)? {
            Value::String(s) => (!s.trim().is_empty()).then(|| clip(s.trim(), 200).into()),
            other => {
                self.wrong(path, other);
                None
            }
        }
    }

    /// Calls `read` with the fields of each object in the array at a path.
    pub fn each_in<T>(&mut self, path: &str, read: impl FnMut(&mut Fields<'_>) -> T) -> Vec<T> {
        match self.get(path) {
            Some(list @ Value::Array(_)) => {
                each_of(list, &format!("{}{path}", self.path), self.problems, read)
            }
            Some(other) => {
                self.wrong(path, other);
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    /// A text as the member of a closed set that it is, else [`OTHER`].
    pub fn member(&mut self, path: &str, known: &[&'static str]) -> &'static str {
        let text = self.text(path);
        known.iter().find(|member| text.as_deref() == Some(**member)).copied().unwrap_or(OTHER)
    }

    /// The length of a list.
    pub fn length(&mut self, path: &str) -> Option<i64> {
        match self.get(path)? {
            Value::Array(list) => Some(list.len() as i64),
            other => {
                self.wrong(path, other);
                None
            }
        }
    }

    /// Notes that a value is of a wrong type or out of range.
    pub fn wrong(&mut self, path: &str, value: &Value) {
        let path = format!("{}{path}", self.path);
        let path = if path.is_empty() { "the document" } else { path.trim_end_matches('.') };
        // Numbers are nothing private, and what is wrong with them is their value.
        let what = match value {
            Value::Number(n) => format!("the number {n}"),
            other => kind(other).to_owned(),
        };
        let problem = format!("{path} is {what}");
        // What several fields are below is one problem, not one of each. More
        // than a few are those of a long list, and say nothing new.
        if self.problems.len() < MOST_PROBLEMS && !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }
}

/// A whole number: an int, a float with a whole value, or a string of digits.
fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Number(n) => n.as_i64().or_else(|| {
            let f = n.as_f64().filter(|_| !n.is_u64())?;
            // 2^63 is exact as a float; everything below it fits.
            (f.fract() == 0.0 && f.abs() < 9_223_372_036_854_775_808.0).then_some(f as i64)
        }),
        Value::String(s) => {
            let s = s.trim();
            let digits = s.strip_prefix('-').unwrap_or(s);
            (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())).then(|| s.parse().ok())?
        }
        _ => None,
    }
}

/// The JSON type's name, with its article where one is due.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// What the server said of its error: at most 200 characters, on one line.
fn excerpt(error: &Value) -> String {
    let text = match error {
        Value::String(s) => s.clone(),
        other => other.to_string(),
    };
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    clip(line.trim(), 200).to_owned()
}

/// At most `most` bytes of a text, cut between characters.
fn clip(text: &str, most: usize) -> &str {
    if text.len() <= most {
        return text;
    }
    let end = (0..=most).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    &text[..end]
}

fn without_bom(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(json: &str) -> (Option<i64>, Vec<String>) {
        let mut doc = Document::parse(json.as_bytes(), Top::Object).unwrap();
        let n = doc.fields().count("a.b");
        (n, doc.into_problems())
    }

    #[test]
    fn counts_come_in_many_shapes() {
        for (json, expected) in [
            (r#"{"a":{"b":7}}"#, Some(7)),
            (r#"{"a":{"b":0}}"#, Some(0)),
            (r#"{"a":{"b":7.0}}"#, Some(7)),
            (r#"{"a":{"b":1e3}}"#, Some(1000)),
            (r#"{"a":{"b":"29662653"}}"#, Some(29_662_653)),
            (r#"{"a":{"b":9223372036854775807}}"#, Some(i64::MAX)),
            (r#"{"a":{"b":null}}"#, None),
            (r#"{"a":{}}"#, None),
            (r#"{"a":[]}"#, None),
            (r#"{"a":null}"#, None),
            (r"{}", None),
        ] {
            let (n, problems) = counted(json);
            assert_eq!(n, expected, "{json}");
            assert!(problems.is_empty(), "{json}: {problems:?}");
        }
    }

    #[test]
    fn a_field_that_no_program_can_hold_hides_no_other() {
        for (json, problems) in [
            (br#"{"a":{"b":7},"c":1e999}"#.as_slice(), 0),
            (br#"{"a":{"b":7,"c":1e999}}"#, 1),
            (br#"{"a":{"b":7},"title":"\ud83d"}"#, 0),
            (b"{\"a\":{\"b\":7},\"title\":\"\xff\"}", 0),
        ] {
            let mut doc = Document::parse(json, Top::Object).unwrap();
            let mut fields = doc.fields();
            assert_eq!(fields.count("a.b"), Some(7));
            assert_eq!(fields.count("a.c"), None);
            assert_eq!(doc.into_problems().len(), problems);
        }
    }

    #[test]
    fn one_wrong_object_is_one_problem() {
        let mut doc = Document::parse(br#"{"a":"x","d":1.5}"#, Top::Object).unwrap();
        let mut fields = doc.fields();
        assert_eq!((fields.count("a.b"), fields.count("d"), fields.flag("a.c")), (None, None, None));
        assert_eq!(doc.into_problems(), ["a is a string", "d is the number 1.5"]);
    }

    #[test]
    fn what_is_no_count_is_named() {
        for (json, expected) in [
            (r#"{"a":{"b":-1}}"#, "a.b is the number -1"),
            (r#"{"a":{"b":1.5}}"#, "a.b is the number 1.5"),
            (r#"{"a":{"b":9223372036854775808}}"#, "a.b is the number 9223372036854775808"),
            (r#"{"a":{"b":18446744073709551616}}"#, "a.b is the number 1.8446744073709552e+19"),
            (r#"{"a":{"b":"many"}}"#, "a.b is a string"),
            (r#"{"a":{"b":""}}"#, "a.b is a string"),
            (r#"{"a":{"b":true}}"#, "a.b is a boolean"),
            (r#"{"a":{"b":{}}}"#, "a.b is an object"),
            (r#"{"a":[1]}"#, "a is an array"),
            (r#"{"a":"x"}"#, "a is a string"),
        ] {
            let (n, problems) = counted(json);
            assert_eq!(n, None, "{json}");
            assert_eq!(problems, [expected], "{json}");
        }
    }

    #[test]
    fn the_top_level_decides() {
        let error = |json: &str, top| Document::parse(json.as_bytes(), top).unwrap_err().to_string();
        assert_eq!(error("", Top::Object), "the body is not JSON (it is empty)");
        assert_eq!(error("<html>", Top::Object), "the body is not JSON (it looks like a web page)");
        assert_eq!(error("[]", Top::Object), "the body is an array where an object is due");
        assert_eq!(error(r#"{"error":"Gone"}"#, Top::Array), "the server says: Gone");
        assert!(Document::parse(br#"{"error":null}"#, Top::Object).is_ok());
    }

    #[test]
    fn hidden_and_nested_counts() {
        let mut doc = Document::parse(br#"{"f":-1,"g":-2,"p":{"all":3,"direct":1}}"#, Top::Object).unwrap();
        let mut fields = doc.fields();
        assert_eq!(fields.count_or_hidden("f"), None);
        assert_eq!(fields.count_or_hidden("g"), None);
        assert_eq!(fields.count_or_all("p"), Some(3));
        assert_eq!(doc.into_problems(), ["g is the number -2"]);
    }
}
