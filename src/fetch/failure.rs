//! Why a request failed: the type that is counted, and words for people.

use std::error::Error;
use std::io::ErrorKind;
use std::time::Duration;

use http::StatusCode;

use crate::api::document::{Document, DocumentError, Top};
use crate::outcome::ErrorType;

use super::guard::ResolveError;

/// A request that brought nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// The type of the failure.
    pub error: ErrorType,
    /// The HTTP status, if there was an answer.
    pub status: Option<StatusCode>,
    /// What happened, for people; nothing private, on one line.
    pub reason: String,
    /// Whether the server gave a reason of its own in JSON, as Mastodon does.
    pub explained: bool,
    /// How long the server wants to be left alone.
    pub retry_after: Option<Duration>,
    /// Whether no connection could be made: what was asked does not matter.
    pub unreachable: bool,
}

impl Failure {
    /// A failure of this type.
    #[must_use]
    pub fn new(error: ErrorType, reason: impl Into<String>) -> Failure {
        Failure {
            error,
            status: None,
            reason: reason.into(),
            explained: false,
            retry_after: None,
            unreachable: false,
        }
    }

    /// The same, with the status of the answer.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Failure {
        self.status = Some(status);
        self
    }
}

/// The total time was over.
pub fn timed_out(limit: Duration) -> Failure {
    Failure::new(ErrorType::Timeout, format!("no whole answer within {limit:?}"))
}

/// A body that is not what it should be.
pub fn undecodable(error: &DocumentError) -> Failure {
    Failure::new(ErrorType::Decode, error.to_string())
}

/// An answer that is neither 2xx nor a redirect. What the server says of the
/// reason (`error` in a JSON body) is told.
pub fn of_status(status: StatusCode, retry_after: Option<Duration>, body: &[u8]) -> Failure {
    let error = match status.as_u16() {
        429 => ErrorType::RateLimited,
        503 if retry_after.is_some() => ErrorType::RateLimited,
        401 | 403 => ErrorType::Unauthorized,
        400..=499 => ErrorType::Http4xx,
        500..=599 => ErrorType::Http5xx,
        _ => ErrorType::Other,
    };
    let mut reason = match status.canonical_reason() {
        Some(phrase) => format!("HTTP {} {phrase}", status.as_u16()),
        None => format!("HTTP {}", status.as_u16()),
    };
    let mut explained = false;
    if let Err(said @ DocumentError::ErrorObject(_)) = Document::parse(body, Top::Object) {
        reason = format!("{reason}: {said}");
        explained = true;
    }
    let retry_after = retry_after.filter(|_| error == ErrorType::RateLimited);
    Failure { error, status: Some(status), reason, explained, retry_after, unreachable: false }
}

/// An error of the HTTP client, told apart by its causes.
pub fn of_client(error: &reqwest::Error) -> Failure {
    let mut kind = if error.is_timeout() {
        ErrorType::Timeout
    } else if error.is_connect() || error.is_request() || error.is_body() || error.is_decode() {
        ErrorType::Connect
    } else {
        ErrorType::Other
    };
    let mut last = None;
    let mut cause = error.source();
    while let Some(e) = cause {
        if let Some(resolve) = e.downcast_ref::<ResolveError>() {
            kind = match resolve {
                ResolveError::Blocked { .. } => ErrorType::BlockedAddress,
                ResolveError::NotFound { .. } => ErrorType::Dns,
            };
        } else if let Some(kind_of_io) = tls_cause(e) {
            kind = kind_of_io;
        } else if error.is_decode() && is_garbled(e) {
            kind = ErrorType::Decode;
        }
        last = Some(e);
        cause = match e.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            // An I/O error's own `source` skips the error that it wraps.
            Some(inner) => Some(inner),
            None => e.source(),
        };
    }
    let reason = match (kind, last) {
        (ErrorType::Timeout, _) if error.is_connect() => {
            "no connection within the connect timeout".to_owned()
        }
        (ErrorType::Timeout, _) => "no answer in time".to_owned(),
        (_, Some(cause)) => cause.to_string().replace(['\n', '\r'], " "),
        (_, None) => "the request failed".to_owned(),
    };
    let unreachable = error.is_connect() && kind != ErrorType::BlockedAddress;
    Failure { error: kind, status: None, reason, explained: false, retry_after: None, unreachable }
}

/// Whether a body's Content-Encoding does not hold what it says. The client
/// calls every failure to read a body one to decode it, a connection that ends
/// within it included; the decompressor tells wrong data by its error's kind.
fn is_garbled(e: &(dyn Error + 'static)) -> bool {
    e.downcast_ref::<std::io::Error>()
        .is_some_and(|io| matches!(io.kind(), ErrorKind::InvalidData | ErrorKind::InvalidInput))
}

fn tls_cause(e: &(dyn Error + 'static)) -> Option<ErrorType> {
    e.downcast_ref::<rustls::Error>().map(|_| ErrorType::Tls)
}
