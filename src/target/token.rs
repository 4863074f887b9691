//! Access tokens, which never show.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// An access token. It never shows: not in `Debug`, not in an error.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Arc<str>);

impl Token {
    /// Wraps a token; the caller has trimmed and checked it.
    #[must_use]
    pub fn new(secret: &str) -> Token {
        Token(secret.into())
    }

    /// The secret itself, for the `Authorization` header only.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// A server's words without the token, which it may repeat: whole, or the
    /// beginning of it where the words were cut.
    #[must_use]
    pub fn hidden_in(&self, words: &str) -> String {
        let mut words = words.replace(&*self.0, "<secret>");
        let cut = (6..self.0.len()).rev().find(|n| self.0.get(..*n).is_some_and(|t| words.ends_with(t)));
        if let Some(cut) = cut {
            words.replace_range(words.len() - cut.., "<secret>");
        }
        words
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// Where a token was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenOrigin {
    /// A file, by its absolute path.
    File(PathBuf),
    /// An environment variable.
    Env(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_hidden_in_words_that_repeat_it() {
        let token = Token::new("abcdefghij");
        for (words, expected) in [
            ("no abcdefghij, no entry", "no <secret>, no entry"),
            ("no abcdefghij", "no <secret>"),
            ("cut: abcdefgh", "cut: <secret>"),
            ("cut: abcde", "cut: abcde"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(token.hidden_in(words), expected);
        }
    }
}
