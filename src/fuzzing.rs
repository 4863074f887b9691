//! Doors to the crate's insides for the fuzz targets in `fuzz/`. No part of
//! the library: it changes without notice.

use std::path::Path;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};
use url::Url;

use crate::config::{Config, ConfigErrors, Env, Flags, Sources};
use crate::fetch::headers;
use crate::snapshot::RateLimit;

/// The configuration of a file with this text, and nothing else but `env`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load_config(text: &str, env: Env<'_>) -> Result<Config, ConfigErrors> {
    let sources = Sources { file: None, targets: &[], flags: Flags::default(), env };
    Config::load_text(Path::new("fedimeter.yaml"), text, &sources)
}

/// How long an answer lives by its headers.
#[must_use]
pub fn lifetime(status: StatusCode, headers: &HeaderMap, now: SystemTime) -> Duration {
    headers::lifetime(status, headers, now)
}

/// What an answer says of the rate limit.
#[must_use]
pub fn rate_limit(headers: &HeaderMap, unix: f64) -> Option<RateLimit> {
    headers::rate_limit(headers, unix)
}

/// How long a server wants to be left alone.
#[must_use]
pub fn retry_after(status: StatusCode, headers: &HeaderMap, unix: f64) -> Option<Duration> {
    headers::retry_after(status, headers, unix)
}

/// Where the next page is.
#[must_use]
pub fn next_link(headers: &HeaderMap, base: &Url) -> Option<Url> {
    headers::next_link(headers, base)
}
