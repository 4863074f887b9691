//! Access tokens: read from a file or a variable, never written in the open.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::error::{ConfigError, Place};
use crate::target::{Token, TokenOrigin};

/// Mastodon's tokens have 43 characters; JWTs of other servers a few thousand.
const MAX_TOKEN: u64 = 16 << 10;

/// Where a token is to be read, as the user gave it.
#[derive(Debug, Clone)]
pub enum TokenSource {
    /// A file; relative paths are relative to the working directory.
    File(PathBuf, Place),
    /// An environment variable.
    Env(String, Place),
}

/// Reads a token. A warning is added when others can read its file too.
pub fn read(
    source: &TokenSource,
    env: &dyn Fn(&str) -> Option<String>,
    warnings: &mut Vec<String>,
) -> Result<(Token, TokenOrigin), ConfigError> {
    match source {
        TokenSource::File(path, place) => {
            let token = read_file(path, place, warnings).map_err(|message| place.error(message))?;
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            Ok((token, TokenOrigin::File(path)))
        }
        TokenSource::Env(name, place) => {
            let token = read_variable(name, env).map_err(|message| place.error(message))?;
            Ok((token, TokenOrigin::Env(name.clone())))
        }
    }
}

fn read_file(path: &Path, place: &Place, warnings: &mut Vec<String>) -> Result<Token, String> {
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
    warn_if_open_to_others(&file, &shown, place, warnings);
    let mut text = Vec::new();
    file.take(MAX_TOKEN + 1).read_to_end(&mut text).map_err(cannot)?;
    let text = String::from_utf8(text).unwrap_or_else(|_| "\u{fffd}".to_owned());
    check(&text).map_err(|what| format!("{shown} {what}"))
}

#[cfg(unix)]
fn warn_if_open_to_others(file: &File, shown: &str, place: &Place, warnings: &mut Vec<String>) {
    use std::os::unix::fs::PermissionsExt;
    if file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o004 != 0) {
        warnings.push(format!("{place}: every user of this machine can read {shown}; chmod o-r it"));
    }
}

#[cfg(not(unix))]
fn warn_if_open_to_others(_: &File, _: &str, _: &Place, _: &mut Vec<String>) {}

fn read_variable(name: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Token, String> {
    // What is not named like a variable may be the token itself.
    let usual = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    let shown = if name.bytes().all(usual) { format!("`{name}`") } else { "of that name".to_owned() };
    match env(name).filter(|value| !value.is_empty()) {
        Some(value) => check(&value).map_err(|what| format!("the environment variable {shown} {what}")),
        None => Err(format!(
            "there is no environment variable {shown}; set it to the token, or give the name of one that is set"
        )),
    }
}

/// A token as it may stand in a header.
fn check(text: &str) -> Result<Token, String> {
    let token = text.trim();
    if token.is_empty() {
        return Err("is empty; write an access token into it".to_owned());
    }
    if token.len() as u64 > MAX_TOKEN {
        return Err(format!("is longer than {MAX_TOKEN} bytes; write only an access token into it"));
    }
    if token.lines().count() > 1 {
        return Err("has more than one line; write only an access token into it".to_owned());
    }
    if !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(
            "has a character that no access token has (a space, or one beyond ASCII); write only an \
                    access token into it"
                .to_owned(),
        );
    }
    Ok(Token::new(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_checked_and_never_shown() {
        assert_eq!(check(" s3cret\n").map(|t| t.secret().to_owned()), Ok("s3cret".to_owned()));
        for text in ["", " \n", "s3cret\ns3cret", "s3cret s3cret", "s3crét", "s3cret\0"] {
            let message = check(text).unwrap_err();
            assert!(!message.contains("s3cr"), "{message}");
        }
        assert!(check(&"x".repeat(20_000)).is_err());
    }
}
