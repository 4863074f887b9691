//! Access tokens: read from a file or a variable, never written in the open.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::error::{ConfigError, Place};
use crate::target::{MAX_TOKEN, Token, TokenOrigin};

/// Where a token is to be read, as the user gave it.
#[derive(Debug, Clone)]
pub enum TokenSource {
    /// A file; relative paths are relative to the working directory.
    File(PathBuf, Place),
    /// An environment variable.
    Env(String, Place),
}

impl TokenSource {
    /// Where it was given.
    pub fn place(&self) -> &Place {
        match self {
            TokenSource::File(_, place) | TokenSource::Env(_, place) => place,
        }
    }
}

/// Reads a token.
pub fn read(
    source: &TokenSource,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<(Token, TokenOrigin), ConfigError> {
    match source {
        TokenSource::File(path, place) => {
            let token = read_file(path).map_err(|message| place.error(message))?;
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            Ok((token, TokenOrigin::File(path)))
        }
        TokenSource::Env(name, place) => {
            let token = read_variable(name, env).map_err(|message| place.error(message))?;
            Ok((token, TokenOrigin::Env(name.clone())))
        }
    }
}

/// Reads a token from a file.
///
/// # Errors
///
/// What is wrong, in words that do not repeat the token.
pub fn read_file(path: &Path) -> Result<Token, String> {
    // Someone may have written the token itself, which must not be repeated.
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let perhaps_token = name.len() >= 30 && !name.contains('.');
    let shown = if perhaps_token { "the token file".to_owned() } else { path.display().to_string() };
    let advice = if perhaps_token {
        "give the path of a file that holds the token, not the token"
    } else {
        "create it or correct the path, and let the user that runs fedimeter read it"
    };
    let cannot = |e: std::io::Error| format!("cannot read {shown}: {e}; {advice}");
    let file = File::open(path).map_err(cannot)?;
    let mut text = Vec::new();
    file.take(MAX_TOKEN as u64 + 1).read_to_end(&mut text).map_err(cannot)?;
    let text = String::from_utf8(text).unwrap_or_else(|_| "\u{fffd}".to_owned());
    Token::parse(&text).map_err(|what| format!("{shown} {what}"))
}

fn read_variable(name: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Token, String> {
    // What is not named like a variable may be the token itself.
    let usual = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    let shown = if name.bytes().all(usual) { format!("`{name}`") } else { "of that name".to_owned() };
    match env(name).filter(|value| !value.is_empty()) {
        Some(value) => {
            Token::parse(&value).map_err(|what| format!("the environment variable {shown} {what}"))
        }
        None => Err(format!(
            "there is no environment variable {shown}; set it to the token, or give the name of one that is \
             set"
        )),
    }
}
