//! Reads single variables by the specification's rules for each type.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine;
use http::{HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;

use crate::export::otlp::{Headers, Protocol};

/// A warning about an ignored value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The variable.
    pub variable: String,
    /// What is wrong, and what is used instead.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.variable, self.message)
    }
}

/// An environment, and the errors found in it.
pub(super) struct Reader<'a> {
    environment: &'a dyn Fn(&str) -> Option<String>,
    pub warnings: Vec<Warning>,
    /// Variables that are set but have no effect at all.
    pub ignored: BTreeSet<String>,
}

impl<'a> Reader<'a> {
    pub fn new(environment: &'a dyn Fn(&str) -> Option<String>) -> Reader<'a> {
        Reader { environment, warnings: Vec::new(), ignored: BTreeSet::new() }
    }

    /// Returns the variable's value. An empty value counts as missing.
    pub fn text(&self, name: &str) -> Option<String> {
        let value = (self.environment)(name)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// Records a warning once, even if several signals read the variable.
    pub fn warn(&mut self, variable: &str, message: impl Into<String>) {
        let warning = Warning { variable: variable.to_owned(), message: message.into() };
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// Returns the first of `names` that is set and valid, as `parse` reads it.
    fn first<T>(
        &mut self,
        names: &[&str],
        mut parse: impl FnMut(&mut Self, &str, &str) -> Option<T>,
    ) -> Option<T> {
        names.iter().find_map(|name| {
            let value = self.text(name)?;
            let parsed = parse(self, name, &value);
            if parsed.is_none() {
                self.ignored.insert((*name).to_owned());
            }
            parsed
        })
    }

    pub fn string(&mut self, names: &[&str]) -> Option<String> {
        self.first(names, |_, _, value| Some(value.to_owned()))
    }

    pub fn boolean(&mut self, names: &[&str]) -> bool {
        self.first(names, |reader, name, value| {
            let is_true = value.eq_ignore_ascii_case("true");
            if !is_true && !value.eq_ignore_ascii_case("false") {
                reader.warn(name, format!("{value:?} is neither true nor false: taken as false"));
            }
            Some(is_true)
        })
        .unwrap_or(false)
    }

    /// Returns one of `choices`, whose names are in lower case.
    pub fn choice<T: Copy>(&mut self, names: &[&str], choices: &[(&str, T)]) -> Option<T> {
        self.first(names, |reader, name, value| {
            let lower = value.to_ascii_lowercase();
            let found = choices.iter().find(|(choice, _)| *choice == lower).map(|(_, is)| *is);
            if found.is_none() {
                let known: Vec<&str> = choices.iter().map(|(choice, _)| *choice).collect();
                reader.warn(name, format!("{value:?} is not one of {}: ignored", known.join(", ")));
            }
            found
        })
    }

    /// Returns a positive number of milliseconds, up to 49 days, so that sums of them
    /// do not overflow clocks.
    pub fn milliseconds(&mut self, names: &[&str], default: Duration) -> Duration {
        self.number::<u32>(names, "a whole number of milliseconds from 1 to 4294967295", |ms| ms > 0)
            .map_or(default, |ms| Duration::from_millis(ms.into()))
    }

    pub fn number<T: FromStr + Copy>(
        &mut self,
        names: &[&str],
        what: &str,
        is_right: impl Fn(T) -> bool,
    ) -> Option<T> {
        self.first(names, |reader, name, value| {
            let number = value.parse().ok().filter(|number| is_right(*number));
            if number.is_none() {
                reader.warn(name, format!("{value:?} is not {what}: ignored"));
            }
            number
        })
    }

    /// Reads `key=value,key=value`. Invalid entries are skipped, and warnings never
    /// repeat values.
    pub fn headers(&mut self, names: &[&str], protocol: Protocol) -> Headers {
        self.first(names, |reader, name, value| {
            let mut headers = Headers::default();
            if is_quoted(value) {
                reader.warn(name, QUOTED.to_owned());
                return None;
            }
            for (number, entry) in entries(value) {
                let header = entry.split_once('=').and_then(|(key, value)| {
                    let key = HeaderName::from_bytes(key.trim().as_bytes()).ok()?;
                    // A `%` that begins no code is kept, because tokens may contain
                    // one.
                    let value: Vec<u8> = percent_decode_str(value.trim()).collect();
                    Some((key, HeaderValue::from_bytes(&value).ok()?))
                });
                match header {
                    Some((key, _)) if Headers::is_reserved(&key) => {
                        reader
                            .warn(name, format!("entry {number}: the protocol itself sets {key}: left out"));
                    }
                    Some((key, value)) if protocol == Protocol::Grpc && !is_metadata(&key, &value) => {
                        reader.warn(
                            name,
                            format!(
                                "entry {number}: gRPC wants base64 in a header that ends in -bin, and the \
                                 value of {key} is none: left out"
                            ),
                        );
                    }
                    Some((key, value)) => headers.insert(key, value),
                    None => reader.warn(
                        name,
                        format!("entry {number} is not name=value with the characters of a header: left out"),
                    ),
                }
            }
            Some(headers)
        })
        .unwrap_or_default()
    }

    /// Warns about each of `names` that is set, because it has no effect.
    pub fn unused(&mut self, names: &[&str], why: &str) {
        for name in names {
            if self.text(name).is_some() {
                self.warn(name, format!("without effect: {why}"));
                self.ignored.insert((*name).to_owned());
            }
        }
    }

    /// Reads `key=value,key=value` in percent-encoding. One error makes the whole value
    /// invalid.
    pub fn attributes(&mut self, name: &str) -> Vec<(String, String)> {
        self.first(&[name], |reader, name, value| {
            let mut attributes: Vec<(String, String)> = Vec::new();
            if is_quoted(value) {
                reader.warn(name, QUOTED.to_owned());
                return None;
            }
            for (number, entry) in entries(value) {
                let pair = entry
                    .split_once('=')
                    .and_then(|(key, value)| Some((decode(key.trim())?, decode(value.trim())?)))
                    .filter(|(key, _)| !key.is_empty());
                let Some((key, value)) = pair else {
                    reader.warn(
                        name,
                        format!(
                            "entry {number} is not key=value in percent-encoding: the whole value is ignored"
                        ),
                    );
                    return None;
                };
                attributes.retain(|(other, _)| *other != key);
                attributes.push((key, value));
            }
            Some(attributes)
        })
        .unwrap_or_default()
    }
}

/// Returns the entries of a list, counted from 1. Empty ones, as after a last comma,
/// are skipped.
pub(super) fn entries(list: &str) -> impl Iterator<Item = (usize, &str)> {
    list.split(',').map(str::trim).enumerate().filter(|(_, entry)| !entry.is_empty()).map(|(i, e)| (i + 1, e))
}

/// Whether gRPC can carry the header: binary metadata must be base64, padded or not.
fn is_metadata(key: &HeaderName, value: &HeaderValue) -> bool {
    if !key.as_str().ends_with("-bin") {
        return true;
    }
    let digits = value.to_str().unwrap_or_default().trim_end_matches('=');
    base64::engine::general_purpose::STANDARD_NO_PAD.decode(digits).is_ok()
}

/// Decodes strictly: two hexadecimal digits after each `%`, and UTF-8 as the result.
fn decode(text: &str) -> Option<String> {
    let codes_are_whole = text
        .split('%')
        .skip(1)
        .all(|rest| rest.as_bytes().get(..2).is_some_and(|code| code.iter().all(u8::is_ascii_hexdigit)));
    if !codes_are_whole {
        return None;
    }
    percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

const QUOTED: &str =
    "the whole value is in quotes, which belong to it here: remove them; until then the value is ignored";

/// Whether a whole list is in quotes, as some programs leave them when they read
/// environment files. No key begins with a quote.
fn is_quoted(value: &str) -> bool {
    let value = value.trim();
    ['"', '\''].iter().any(|quote| value.len() > 1 && value.starts_with(*quote) && value.ends_with(*quote))
}
