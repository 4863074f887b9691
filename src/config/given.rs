//! A value from one source: a node of the file, or the text of a flag or a variable.
//! Errors are recorded with its place.

use super::error::{Errors, Place};
use super::yaml::Node;

/// The maximum length of a flag's or variable's value that an error repeats.
const MAX_SHOWN: usize = 24;

/// A value and its place.
#[derive(Clone)]
pub enum Given<'a> {
    /// A value in the file.
    Node(Node<'a>),
    /// A value outside the file.
    Text(GivenText<'a>),
}

/// The text of a flag or a variable.
#[derive(Clone)]
pub struct GivenText<'a> {
    pub text: &'a str,
    pub place: Place,
    /// Whether the flag turns off what the setting turns on.
    pub turns_off: bool,
    pub errors: &'a Errors,
}

impl<'a> Given<'a> {
    /// Returns the place of the value.
    pub fn place(&self) -> Place {
        match self {
            Given::Node(node) => node.place(),
            Given::Text(given) => given.place.clone(),
        }
    }

    /// Records an error at this place.
    pub fn error(&self, message: impl Into<String>) {
        match self {
            Given::Node(node) => node.error(message),
            Given::Text(given) => given.errors.push(given.place.error(message)),
        }
    }

    /// Returns a value that `parse` accepts and `expected` describes. A number counts
    /// as its text.
    pub fn parse<T>(&self, expected: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        match self {
            Given::Node(node) => node.parse(expected, parse),
            Given::Text(given) => match parse(given.text) {
                Ok(value) => Some(value),
                Err(message) => {
                    given.errors.push(given.with_value().error(message));
                    None
                }
            },
        }
    }

    /// Returns text only.
    pub fn text(&self, expected: &str) -> Option<String> {
        match self {
            Given::Node(node) => node.text(expected).map(str::to_owned),
            Given::Text(given) => Some(given.text.to_owned()),
        }
    }

    /// Returns `true` or `false`. Variables also accept other common words.
    pub fn boolean(&self) -> Option<bool> {
        let Given::Text(given) = self else {
            let Given::Node(node) = self else { return None };
            return node.boolean();
        };
        let on = match given.text.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" | "t" | "y" => true,
            "false" | "no" | "off" | "0" | "f" | "n" => false,
            _ => {
                given.errors.push(given.with_value().error("must be true or false"));
                return None;
            }
        };
        Some(on != given.turns_off)
    }

    /// Whether the value may be a list. Every flag or variable may be one, separated by
    /// commas.
    pub fn is_list(&self) -> bool {
        match self {
            Given::Node(node) => node.is_list(),
            Given::Text(_) => true,
        }
    }

    /// Returns the items of a list.
    pub fn items(&self, expected: &str) -> Option<Vec<Given<'a>>> {
        match self {
            Given::Node(node) => Some(node.items(expected)?.into_iter().map(Given::Node).collect()),
            Given::Text(given) => {
                let alone = !given.text.contains(',');
                let item = |(i, text)| {
                    let path = format!("{}[{i}]", given.place.path);
                    let place = if alone { given.place.clone() } else { Place::outside(path) };
                    Given::Text(GivenText { text, place, ..given.clone() })
                };
                Some(given.text.split(',').enumerate().map(item).collect())
            }
        }
    }

    /// Returns the keys and values of a map. Flags and variables have none.
    pub fn entries(&self, expected: &str) -> Option<Vec<(String, Node<'a>)>> {
        match self {
            Given::Node(node) => node.entries(expected),
            Given::Text(_) => {
                self.error(format!("cannot be {expected}; write it in the file"));
                None
            }
        }
    }
}

impl GivenText<'_> {
    /// Returns the place with the value, as in `FEDIMETER_TIMEOUT=5`, because
    /// deployment files can change a value unseen. What could contain a password or a
    /// token is omitted.
    fn with_value(&self) -> Place {
        let plain = |c: char| c.is_ascii_graphic() && c != '@';
        let shows = self.text.len() <= MAX_SHOWN && self.text.chars().all(plain) && !self.text.contains("//");
        if shows { Place::outside(format!("{}={}", self.place, self.text)) } else { self.place.clone() }
    }
}
