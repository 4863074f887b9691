//! One value as one source gives it: a node of the file, or the text of a flag
//! or a variable. What is wrong with it is noted where it was given.

use super::error::{Errors, Place};
use super::yaml::Node;

/// The longest value of a flag or a variable that an error repeats.
const MAX_SHOWN: usize = 24;

/// A value, with the place that it was given at.
#[derive(Clone)]
pub enum Given<'a> {
    /// In the file.
    Node(Node<'a>),
    /// Outside it.
    Text(GivenText<'a>),
}

/// The text of a flag or a variable.
#[derive(Clone)]
pub struct GivenText<'a> {
    pub text: &'a str,
    pub place: Place,
    /// Whether it turns off what the setting turns on.
    pub turns_off: bool,
    pub errors: &'a Errors,
}

impl<'a> Given<'a> {
    /// Where it was given.
    pub fn place(&self) -> Place {
        match self {
            Given::Node(node) => node.place(),
            Given::Text(given) => given.place.clone(),
        }
    }

    /// Notes an error here.
    pub fn error(&self, message: impl Into<String>) {
        match self {
            Given::Node(node) => node.error(message),
            Given::Text(given) => given.errors.push(given.place.error(message)),
        }
    }

    /// A value that `parse` understands, and `expected` describes. A number counts
    /// as the text that it is written as.
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

    /// Text alone.
    pub fn text(&self, expected: &str) -> Option<String> {
        match self {
            Given::Node(node) => node.text(expected).map(str::to_owned),
            Given::Text(given) => Some(given.text.to_owned()),
        }
    }

    /// `true` or `false`; in a variable also the other words that are usual there.
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

    /// Whether it may be a list: in a flag or a variable everything may, with
    /// commas between its items.
    pub fn is_list(&self) -> bool {
        match self {
            Given::Node(node) => node.is_list(),
            Given::Text(_) => true,
        }
    }

    /// The items of a list.
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

    /// The keys and values of a map. Flags and variables have none.
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
    /// The place with the value, as in `FEDIMETER_TIMEOUT=5`: who reads the error may
    /// not see what a file of deployment made of it. What could hold a password or a
    /// token is left out.
    fn with_value(&self) -> Place {
        let plain = |c: char| c.is_ascii_graphic() && c != '@';
        let shows = self.text.len() <= MAX_SHOWN && self.text.chars().all(plain) && !self.text.contains("//");
        if shows { Place::outside(format!("{}={}", self.place, self.text)) } else { self.place.clone() }
    }
}
