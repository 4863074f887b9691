//! Reads a JSON answer leniently: a field that is missing, null or of a wrong type is
//! absent, and does not affect other fields.

pub mod length;

use std::fmt;
use std::sync::Arc;

use crate::clean::Cleaner;
use crate::json::{Kind, Malformed, Members, Raw};
use crate::snapshot::OTHER;

/// The maximum number of problems that are kept for a document.
const MAX_PROBLEMS: usize = 64;
/// The maximum length of a text that is kept, in bytes.
const MAX_TEXT: usize = 200;
/// The maximum length of a number in a message, in bytes.
const MAX_NUMBER: usize = 40;
/// The maximum length of a path in a message, in bytes. Servers choose some of its
/// keys.
const MAX_PATH: usize = 120;
/// The maximum number of objects in lists that are read from a document. No server has
/// as many days, accounts in a batch, or posts on a page.
const MAX_ITEMS: usize = 1_000;

/// The type of an answer's top level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Top {
    /// A JSON object.
    Object,
    /// A JSON array.
    Array,
}

impl Top {
    fn kind(self) -> Kind {
        match self {
            Top::Object => Kind::Object,
            Top::Array => Kind::Array,
        }
    }
}

/// Why a whole answer could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// The body is not JSON.
    #[error("the body is not JSON ({0})")]
    NotJson(String),
    /// The body is an HTML page.
    #[error("the body is not JSON (it looks like a web page)")]
    WebPage,
    /// The body is JSON, but of another type than the endpoint's.
    #[error("expected {wanted}, found {found}")]
    WrongTop {
        /// The expected type.
        wanted: &'static str,
        /// The type in the answer.
        found: &'static str,
    },
    /// The answer is an object with an `error` that is not null, whatever the HTTP
    /// status.
    #[error("the server says: {0}")]
    ErrorObject(String),
}

impl From<Malformed> for DocumentError {
    fn from(at: Malformed) -> DocumentError {
        match at.first {
            None => DocumentError::NotJson("it is empty".to_owned()),
            Some(b'<') => DocumentError::WebPage,
            Some(_) => DocumentError::NotJson(format!("line {}, column {}", at.line, at.column)),
        }
    }
}

/// One answer, and the problems in it. It is read in place: see `json.rs`.
#[derive(Debug)]
pub struct Document<'a> {
    root: Raw<'a>,
    members: Members<'a>,
    cleaner: Cleaner,
    notes: Notes,
}

/// The results of reading a document.
#[derive(Debug, Default)]
struct Notes {
    problems: Vec<String>,
    /// The number of objects in lists that were read.
    items: usize,
}

impl<'a> Document<'a> {
    /// Parses a body whose top level must have the given type.
    pub fn parse(body: &'a [u8], top: Top) -> Result<Document<'a>, DocumentError> {
        Document::parse_with(body, top, Cleaner::default())
    }

    /// The same, for a server that may repeat our secrets.
    pub fn parse_with(body: &'a [u8], top: Top, cleaner: Cleaner) -> Result<Document<'a>, DocumentError> {
        let root = Raw::parse(body)?;
        let members = Members::of(root);
        if let Some(error) = members.get("error").filter(|error| error.kind() != Kind::Null) {
            let words = match error.kind() {
                Kind::Text => cleaner.clean_characters(error.characters(), MAX_TEXT),
                kind => kind_name(kind).to_owned(),
            };
            return Err(DocumentError::ErrorObject(words));
        }
        if root.kind() != top.kind() {
            let (wanted, found) = (kind_name(top.kind()), kind_name(root.kind()));
            return Err(DocumentError::WrongTop { wanted, found });
        }
        Ok(Document { root, members, cleaner, notes: Notes::default() })
    }

    /// Returns the fields of the object at the top level.
    pub fn fields(&mut self) -> Fields<'_> {
        let (members, cleaner, notes) = (&self.members, &self.cleaner, &mut self.notes);
        Fields { members, place: Place::Top, cleaner, notes }
    }

    /// Calls `read` with the fields of each item of the array at the top level, and
    /// counts the items. Returns `None` if one is not an object, because the count then
    /// means nothing.
    pub fn each_counted(&mut self, mut read: impl FnMut(&mut Fields<'_>)) -> Option<usize> {
        let root = self.root;
        let mut fields = self.fields();
        let (mut items, mut objects) = (0, 0);
        for (i, item) in root.items().enumerate() {
            items += 1;
            objects += usize::from(fields.one_of("", i, item, &mut read).is_some());
        }
        (objects == items).then_some(items)
    }

    /// Calls `read` with the fields of each object in the array at the top level.
    pub fn each<T>(&mut self, read: impl FnMut(&mut Fields<'_>) -> T) -> Vec<T> {
        let root = self.root;
        self.fields().each_of("", root, read)
    }

    /// Returns the problems: paths and types, never values.
    #[must_use]
    pub fn into_problems(self) -> Vec<String> {
        self.notes.problems
    }
}

/// The position of an object in its document.
#[derive(Debug, Clone, Copy)]
enum Place<'a> {
    Top,
    /// An item of the list at a path of another object.
    Item {
        of: &'a Place<'a>,
        list: &'a str,
        index: usize,
    },
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Top => Ok(()),
            Place::Item { of, list, index } => write!(f, "{of}{list}[{index}]."),
        }
    }
}

/// The fields of one object in an answer.
pub struct Fields<'a> {
    members: &'a Members<'a>,
    place: Place<'a>,
    cleaner: &'a Cleaner,
    notes: &'a mut Notes,
}

impl<'a> Fields<'a> {
    /// Returns the value at a dotted path, or `None` if a part of the path is missing
    /// or null. If a part is not an object, that is a problem.
    pub fn get(&mut self, path: &str) -> Option<Raw<'a>> {
        let mut keys = path.split('.');
        let mut value = self.members.get(keys.next()?)?;
        for (done, key) in keys.enumerate() {
            value = match value.kind() {
                Kind::Object => value.get(key)?,
                Kind::Null => return None,
                // PHP writes an empty object as an empty array.
                Kind::Array if value.is_empty() => return None,
                _ => {
                    let way: Vec<&str> = path.split('.').take(done + 1).collect();
                    self.wrong(&way.join("."), value);
                    return None;
                }
            };
        }
        (value.kind() != Kind::Null).then_some(value)
    }

    /// Reads a count: an integer from 0 to 2^63−1, as a JSON number or a string of
    /// digits.
    pub fn count(&mut self, path: &str) -> Option<i64> {
        let value = self.get(path)?;
        let count = whole(value).filter(|n| *n >= 0);
        if count.is_none() {
            self.wrong(path, value);
        }
        count
    }

    /// Reads a count that some servers nest: `{"all": 3, "direct": 1}`.
    pub fn count_or_all(&mut self, path: &str) -> Option<i64> {
        let nested = self.get(path)?.kind() == Kind::Object;
        if nested { self.count(&format!("{path}.all")) } else { self.count(path) }
    }

    /// Reads a count for which −1 is documented to mean hidden.
    pub fn count_or_hidden(&mut self, path: &str) -> Option<i64> {
        if whole(self.get(path)?) == Some(-1) { None } else { self.count(path) }
    }

    /// Reads a boolean, also from a string in any case (`"FALSE"` was seen).
    pub fn flag(&mut self, path: &str) -> Option<bool> {
        let value = self.get(path)?;
        let spelt = |word: &str| value.text().is_some_and(|text| text.eq_ignore_ascii_case(word));
        let flag = match value.boolean() {
            Some(flag) => Some(flag),
            None if spelt("true") => Some(true),
            None if spelt("false") => Some(false),
            None => None,
        };
        if flag.is_none() {
            self.wrong(path, value);
        }
        flag
    }

    /// Reads a text that is not empty, cleaned and without our secrets.
    pub fn text(&mut self, path: &str) -> Option<Arc<str>> {
        let value = self.get(path)?;
        if value.kind() != Kind::Text {
            self.wrong(path, value);
            return None;
        }
        let text = self.cleaner.clean_characters(value.characters(), MAX_TEXT);
        (!text.is_empty()).then(|| text.into())
    }

    /// Calls `read` with the fields of each object in the array at a path.
    pub fn each_in<T>(&mut self, path: &str, read: impl FnMut(&mut Fields<'_>) -> T) -> Vec<T> {
        let Some(list) = self.get(path) else { return Vec::new() };
        if list.kind() != Kind::Array {
            self.wrong(path, list);
        }
        self.each_of(path, list, read)
    }

    /// Reads a text as a member of a closed set, or else as [`OTHER`].
    pub fn member(&mut self, path: &str, known: &[&'static str]) -> &'static str {
        let text = self.text(path);
        known.iter().find(|member| text.as_deref() == Some(**member)).copied().unwrap_or(OTHER)
    }

    /// Reads the length of a list.
    pub fn length(&mut self, path: &str) -> Option<i64> {
        let value = self.get(path)?;
        if value.kind() != Kind::Array {
            self.wrong(path, value);
            return None;
        }
        Some(value.items().count() as i64)
    }

    fn each_of<T>(
        &mut self,
        list: &str,
        value: Raw<'_>,
        mut read: impl FnMut(&mut Fields<'_>) -> T,
    ) -> Vec<T> {
        let mut all = Vec::new();
        for (index, item) in value.items().enumerate() {
            if self.notes.items == MAX_ITEMS {
                break;
            }
            self.notes.items += 1;
            all.extend(self.one_of(list, index, item, &mut read));
        }
        all
    }

    /// Reads an item of a list. Returns `None` if it is not an object.
    fn one_of<T>(
        &mut self,
        list: &str,
        index: usize,
        item: Raw<'_>,
        read: &mut impl FnMut(&mut Fields<'_>) -> T,
    ) -> Option<T> {
        let place = Place::Item { of: &self.place, list, index };
        let members = Members::of(item);
        let mut fields = Fields { members: &members, place, cleaner: self.cleaner, notes: self.notes };
        if item.kind() == Kind::Object {
            return Some(read(&mut fields));
        }
        fields.wrong("", item);
        None
    }

    /// Records that a value has a wrong type or is out of range.
    pub fn wrong(&mut self, path: &str, value: Raw<'_>) {
        // Further problems come from a long list, and say nothing new.
        if self.notes.problems.len() >= MAX_PROBLEMS {
            return;
        }
        let path = self.cleaner.clean(&format!("{}{path}", self.place), MAX_PATH);
        let path = if path.is_empty() { "the document" } else { path.trim_end_matches('.') };
        // A number is not private, and its value is what is wrong with it.
        let problem = match value.number() {
            Some(number) => format!("{path} is the number {}", self.cleaner.clean(number, MAX_NUMBER)),
            None => format!("{path} is {}", kind_name(value.kind())),
        };
        // A problem in a common parent of several fields is recorded once.
        if !self.notes.problems.contains(&problem) {
            self.notes.problems.push(problem);
        }
    }
}

/// Reads an integer: from an integer, a float without a fraction, or a string of
/// digits.
fn whole(value: Raw<'_>) -> Option<i64> {
    if let Some(text) = value.text() {
        let text = text.trim();
        let digits = text.strip_prefix('-').unwrap_or(text);
        let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        return if is_number { text.parse().ok() } else { None };
    }
    value.whole()
}

/// Returns the name of the JSON type with its article.
pub(super) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Null => "null",
        Kind::Boolean => "a boolean",
        Kind::Number => "a number",
        Kind::Text => "a string",
        Kind::Array => "an array",
        Kind::Object => "an object",
    }
}

#[cfg(test)]
mod tests;
