//! Access tokens, which are never shown.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use crate::clean::Cleaner;

/// How many replaced secrets are remembered. A request with one may still be running,
/// and a cache may repeat it.
const MAX_REPLACED: usize = 3;

/// The maximum length of a token. Mastodon's have 43 characters, and JWTs of other
/// servers a few thousand.
pub(crate) const MAX_TOKEN: usize = 16 << 10;

/// An access token. `Debug` and errors never show it. Clones are the same token:
/// replacing one replaces all.
#[derive(Clone)]
pub struct Token(Arc<RwLock<Secrets>>);

struct Secrets {
    current: Arc<str>,
    /// The last replaced secret comes first.
    replaced: Vec<Arc<str>>,
}

impl Token {
    /// Checks that a header can carry the token. Surrounding whitespace is removed.
    ///
    /// # Errors
    ///
    /// What is wrong, without repeating the token.
    pub fn parse(text: &str) -> Result<Token, String> {
        let token = text.trim();
        if token.is_empty() {
            return Err("is empty; write an access token into it".to_owned());
        }
        if token.len() > MAX_TOKEN {
            return Err(format!("is longer than {MAX_TOKEN} bytes; write only an access token into it"));
        }
        if token.lines().count() > 1 {
            return Err("has more than one line; write only an access token into it".to_owned());
        }
        if !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err("has a character that no access token has (a space, or one beyond ASCII); \
                        write only an access token into it"
                .to_owned());
        }
        Ok(Token::new(token))
    }

    /// Wraps a token that the caller has trimmed and checked.
    #[must_use]
    pub fn new(secret: &str) -> Token {
        Token(Arc::new(RwLock::new(Secrets { current: secret.into(), replaced: Vec::new() })))
    }

    /// The secret itself, for the `Authorization` header only.
    #[must_use]
    pub fn secret(&self) -> Arc<str> {
        self.read().current.clone()
    }

    fn secrets(&self) -> Vec<Arc<str>> {
        let secrets = self.read();
        std::iter::once(&secrets.current).chain(&secrets.replaced).cloned().collect()
    }

    /// Masks the secret, and those that it replaced, in text that is already in memory.
    /// The secret may have been replaced between a request and its answer.
    #[must_use]
    pub fn cleaner(&self) -> Cleaner {
        Cleaner::hiding(self.secrets().iter().map(|secret| (**secret).to_owned()))
    }

    /// Replaces the secret by that of another token.
    pub fn replace(&self, other: &Token) {
        let new = other.secret();
        let mut secrets = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if secrets.current != new {
            let old = std::mem::replace(&mut secrets.current, new);
            secrets.replaced.insert(0, old);
            secrets.replaced.truncate(MAX_REPLACED);
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Secrets> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Token) -> bool {
        self.secret() == other.secret()
    }
}

impl Eq for Token {}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// The source of a token.
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
    fn tokens_are_checked_and_never_shown() {
        assert_eq!(Token::parse(" s3cret\n").map(|t| t.secret().to_string()), Ok("s3cret".to_owned()));
        for text in ["", " \n", "s3cret\ns3cret", "s3cret s3cret", "s3crét", "s3cret\0"] {
            let message = Token::parse(text).unwrap_err();
            assert!(!message.contains("s3cr"), "{message}");
        }
        assert!(Token::parse(&"x".repeat(20_000)).is_err());
    }
}
