//! A YAML file as a tree whose nodes know their line and path, and a reader that
//! records errors and continues.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};

use super::error::{Errors, Place};
use super::suggest::{did_you_mean, list};

/// The maximum size of a file, five times that of a fleet of 30,000 targets with
/// settings.
pub const MAX_FILE: u64 = 16 << 20;

/// The maximum indentation. The tree is built and dropped recursively, and deeper
/// nesting needs more indentation, so this limits the stack. (For flow style the parser
/// has its own limit, 255.)
const MAX_INDENT: usize = 200;

/// A YAML file that is being read.
pub struct Document<'s> {
    file: Arc<str>,
    lines: Vec<&'s str>,
    errors: &'s Errors,
    root: Option<MarkedYaml<'s>>,
}

impl<'s> Document<'s> {
    /// Parses `text`, the content of the file at `path`. A file that is not YAML has
    /// one error and no root; an empty file has no root.
    pub fn parse(path: &'s Path, text: &'s str, errors: &'s Errors) -> Document<'s> {
        // Some editors write a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut document = Document {
            file: path.display().to_string().into(),
            lines: lines(text).collect(),
            errors,
            root: None,
        };
        if let Some((line, message)) = first_too_deep(&document.lines) {
            document.fail(line, message);
            return document;
        }
        match MarkedYaml::load_from_str(text) {
            Ok(roots) if roots.len() > 1 => {
                let line = roots[1].span.start.line();
                document.fail(line, "a second document (`---`); keep one configuration in each file");
            }
            Ok(mut roots) => {
                let empty = |root: &MarkedYaml<'_>| root.data.is_null() || root.data.is_badvalue();
                document.root = roots.pop().filter(|root| !empty(root));
            }
            Err(e) => {
                let what = match e.info() {
                    "duplicated key in mapping" => {
                        "a key appears twice in one map; keep one of them".to_owned()
                    }
                    info => format!("not YAML: {info}, at column {}", e.marker().col() + 1),
                };
                document.fail(e.marker().line(), what);
            }
        }
        document
    }

    /// Returns the outermost node, unless the file is empty or invalid.
    pub fn root(&self) -> Option<Node<'_>> {
        self.root.as_ref().map(|yaml| Node { document: self, yaml, path: String::new() })
    }

    fn fail(&self, line: usize, message: impl Into<String>) {
        self.errors.push(Place::line(&self.file, line, "").error(message));
    }
}

/// Splits lines by the rules of YAML: a carriage return alone ends a line, too.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

/// Returns the error about a text that is nested too deeply.
pub fn too_deep(text: &str) -> Option<String> {
    let (line, message) = first_too_deep(&lines(text).collect::<Vec<_>>())?;
    Some(format!("{message}, in line {line}"))
}

/// Finds the first line with too much indentation.
fn first_too_deep(lines: &[&str]) -> Option<(usize, String)> {
    let line = lines.iter().position(|line| is_too_deep(line))?;
    Some((line + 1, format!("nested too deeply; at most {MAX_INDENT} columns of indentation")))
}

/// Whether a line has too much indentation. Block collections begin after spaces and
/// the indicators of outer ones.
fn is_too_deep(line: &str) -> bool {
    let content = line.find(|c: char| !matches!(c, ' ' | '\t' | '-' | '?' | ':'));
    content.unwrap_or(line.trim_end().len()) > MAX_INDENT
}

/// One node of a [`Document`]. Its readers return `None` after an error, which they
/// record.
#[derive(Clone)]
pub struct Node<'d> {
    document: &'d Document<'d>,
    yaml: &'d MarkedYaml<'d>,
    path: String,
}

impl<'d> Node<'d> {
    /// Returns the file, line and path.
    pub fn place(&self) -> Place {
        Place::line(&self.document.file, self.yaml.span.start.line(), &self.path)
    }

    /// Records an error at this node.
    pub fn error(&self, message: impl Into<String>) {
        self.document.errors.push(self.place().error(message));
    }

    /// Reads a map, which `due` describes, whose keys must be in `names`. Other keys
    /// are errors, with `advice` about them or the key that was probably meant.
    pub fn fields(
        &self,
        due: &str,
        names: &[&str],
        advice: impl Fn(&str) -> Option<String>,
    ) -> Option<Fields<'d>> {
        let entries = self.entries(due)?;
        let given = self.yaml.data.as_mapping().map_or(0, saphyr::AnnotatedMapping::len);
        let (known, unknown): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|(name, _)| names.contains(&name.as_str()));
        for (name, node) in unknown {
            if let Some(advice) = advice(&name) {
                node.error(advice);
                continue;
            }
            let mut meant = did_you_mean(&name, names);
            if meant.is_empty() {
                meant = format!("; known are {}", list(names));
            }
            node.error(format!("unknown key{meant}"));
        }
        Some(Fields { complete: known.len() == given, entries: known })
    }

    /// Returns the keys and values of a map, which `due` describes.
    pub fn entries(&self, due: &str) -> Option<Vec<(String, Node<'d>)>> {
        let Some(map) = self.yaml.data.as_mapping() else {
            self.wrong_type(due);
            return None;
        };
        let mut entries = Vec::with_capacity(map.len());
        for (key, value) in map {
            let Some(name) = key.data.as_str() else {
                Node { document: self.document, yaml: key, path: self.path.clone() }
                    .wrong_type("text as the key");
                continue;
            };
            let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
            let path = match (plain && !name.is_empty(), self.path.as_str()) {
                (true, "") => name.to_owned(),
                (true, path) => format!("{path}.{name}"),
                (false, path) => format!("{path}[{name:?}]"),
            };
            // The parser gives an empty value the place of the next token.
            let yaml = if value.data.is_null() { key } else { value };
            let node = Node { document: self.document, yaml, path };
            if value.data.is_null() {
                node.error("has no value; give one or remove the key");
            } else {
                entries.push((name.to_owned(), node));
            }
        }
        Some(entries)
    }

    /// Returns the items of a list, which `due` describes.
    pub fn items(&self, due: &str) -> Option<Vec<Node<'d>>> {
        let Some(items) = self.yaml.data.as_vec() else {
            self.wrong_type(due);
            return None;
        };
        let node = |(i, yaml)| Node { document: self.document, yaml, path: format!("{}[{i}]", self.path) };
        Some(items.iter().enumerate().map(node).collect())
    }

    /// Whether the node is a scalar, not a list or a map.
    pub fn is_text(&self) -> bool {
        self.yaml.data.is_string()
    }

    /// Whether the node is a map with this key.
    pub fn has_key(&self, name: &str) -> bool {
        self.yaml.data.as_mapping().is_some_and(|map| map.keys().any(|key| key.data.as_str() == Some(name)))
    }

    /// Whether the node is a list.
    pub fn is_list(&self) -> bool {
        self.yaml.data.is_sequence()
    }

    /// Returns text, which `due` describes.
    pub fn text(&self, due: &str) -> Option<&'d str> {
        let text = self.yaml.data.as_str();
        if text.is_none() {
            self.wrong_type(due);
        }
        text
    }

    /// Returns `true` or `false`.
    pub fn boolean(&self) -> Option<bool> {
        let value = self.yaml.data.as_bool();
        if value.is_none() {
            self.wrong_type("true or false");
        }
        value
    }

    /// Returns text or a number, as it is written.
    pub fn scalar(&self, due: &str) -> Option<String> {
        match &self.yaml.data {
            YamlData::Value(Scalar::String(text)) => Some(text.to_string()),
            YamlData::Value(number @ Scalar::Integer(i)) => Some(self.as_written(number, || i.to_string())),
            YamlData::Value(number @ Scalar::FloatingPoint(f)) => {
                Some(self.as_written(number, || f.to_string()))
            }
            _ => {
                self.wrong_type(due);
                None
            }
        }
    }

    /// Returns text, a number or a boolean, as it is written.
    pub fn any_scalar(&self, due: &str) -> Option<String> {
        match &self.yaml.data {
            YamlData::Value(Scalar::Boolean(value)) => Some(value.to_string()),
            _ => self.scalar(due),
        }
    }

    /// Returns a value that `parse` accepts. Its error is recorded.
    pub fn parse<T>(&self, due: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        match parse(&self.scalar(due)?) {
            Ok(value) => Some(value),
            Err(message) => {
                self.error(message);
                None
            }
        }
    }

    /// Returns a number as it is written in the file, so that `1.10` stays `1.10`.
    fn as_written(&self, number: &Scalar<'_>, otherwise: impl Fn() -> String) -> String {
        let start = self.yaml.span.start;
        let line = self.document.lines.get(start.line().saturating_sub(1)).copied().unwrap_or_default();
        let end = |c: char| c.is_whitespace() || matches!(c, ',' | ']' | '}');
        let written: String = line.chars().skip(start.col()).take_while(|c| !end(*c)).collect();
        // An alias, or an anchor before the number, may be written there.
        if Scalar::parse_from_cow(written.as_str().into()) == *number { written } else { otherwise() }
    }

    fn wrong_type(&self, due: &str) {
        let found = match &self.yaml.data {
            YamlData::Value(Scalar::Null) => "nothing",
            YamlData::Value(Scalar::Boolean(_)) => "a boolean",
            YamlData::Value(Scalar::Integer(_) | Scalar::FloatingPoint(_)) => "a number",
            YamlData::Value(Scalar::String(_)) | YamlData::Representation(..) => "text",
            YamlData::Sequence(_) => "a list",
            YamlData::Mapping(_) => "a map",
            YamlData::Tagged(..) => "a tagged value",
            YamlData::Alias(_) | YamlData::BadValue => "a value that contradicts its tag",
        };
        self.error(format!("expected {due}, found {found}"));
    }
}

/// The known keys of a map.
pub struct Fields<'d> {
    /// Whether all keys were known.
    pub complete: bool,
    entries: Vec<(String, Node<'d>)>,
}

impl<'d> Fields<'d> {
    /// Returns the value of a key, if it exists.
    pub fn get(&self, name: &str) -> Option<&Node<'d>> {
        self.entries.iter().find(|(key, _)| key == name).map(|(_, node)| node)
    }
}

/// Formats text as a YAML scalar, without quotes if it reads back as the same text.
pub fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:@+-".contains(c);
    let first = |c: char| c.is_ascii_alphanumeric() || c == '/';
    if text.starts_with(first)
        && text.chars().all(plain)
        && !text.ends_with(':')
        && matches!(Scalar::parse_from_cow(text.into()), Scalar::String(_))
    {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            // Characters that YAML calls non-printable or may read as a line break.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests;
