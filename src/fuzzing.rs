//! Access to the crate's internals for the fuzz targets in `fuzz/`. It is not part of
//! the library, and changes without notice.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode, Uri};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use url::Url;

use crate::config::otel::{OtelEnv, OtelEnvError};
use crate::config::{Config, ConfigErrors, Env, Flags, Http, Sources};
use crate::fetch::headers::{self, Head};
use crate::fetch::{Client, ClientError};
use crate::snapshot::RateLimit;

/// Loads a configuration file with this text, and nothing else but `env`.
///
/// # Errors
/// All errors in it.
pub fn load_config(text: &str, env: Env<'_>) -> Result<Config, ConfigErrors> {
    let sources = Sources { file: None, text: None, targets: &[], flags: Flags::default(), env };
    Config::load_text(Path::new("fedimeter.yaml"), text, &sources)
}

/// Loads the settings of a file for `OTEL_CONFIG_FILE` with this text.
///
/// # Errors
/// All errors in it.
pub fn load_otel_file(text: &str, env: Env<'_>) -> Result<OtelEnv, Vec<OtelEnvError>> {
    OtelEnv::of_file(text, env)
}

/// Returns the lifetime of an answer by its headers.
#[must_use]
pub fn lifetime(status: StatusCode, headers: &HeaderMap, now: SystemTime) -> Duration {
    Head::of(status, headers).lifetime(now)
}

/// Returns the rate limit in an answer.
#[must_use]
pub fn rate_limit(headers: &HeaderMap, unix: f64) -> Option<RateLimit> {
    Head::of(StatusCode::OK, headers).rate_limit(unix)
}

/// Returns the pause that a server asks for.
#[must_use]
pub fn retry_after(status: StatusCode, headers: &HeaderMap, unix: f64) -> Option<Duration> {
    Head::of(status, headers).retry_after(unix)
}

/// Returns the URL of the next page.
#[must_use]
pub fn next_link(headers: &HeaderMap, base: &Url) -> Option<Url> {
    headers::next_link(headers, base)
}

/// Creates an HTTP client whose connections are what `dial` returns, whatever the
/// scheme. No name is resolved.
///
/// # Errors
/// As for [`Client::new`].
pub fn client_over(
    dial: impl Fn(&Uri) -> DuplexStream + Send + Sync + 'static,
) -> Result<Client, ClientError> {
    Client::over(Http::default(), move |uri| TokioIo::new(Memory(dial(uri))))
}

/// An in-memory stream as a connection.
struct Memory(DuplexStream);

impl Connection for Memory {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Memory {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Memory {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
