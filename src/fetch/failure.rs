//! Why a request failed: the type for the counter, and words for people.

use std::error::Error;
use std::io::ErrorKind;
use std::time::Duration;

use http::StatusCode;
use rustls::CertificateError;

use crate::document::{Document, DocumentError, Top};
use crate::outcome::ErrorType;
use crate::tls;

use super::connector::ConnectError;
use super::local::is_local;

/// A failed request.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// The type of the failure.
    pub error: ErrorType,
    /// The HTTP status, if there was an answer.
    pub status: Option<StatusCode>,
    /// What happened, for people: one line, without private data.
    pub reason: String,
    /// Whether the server gave a reason of its own in JSON, as Mastodon does.
    pub explained: bool,
    /// The pause that the server asked for.
    pub retry_after: Option<Duration>,
    /// Whether no connection could be made, so that every other request would fail,
    /// too.
    pub unreachable: bool,
    /// Whether the answer was a web page instead of JSON.
    pub web_page: bool,
}

impl Failure {
    /// Creates a failure of this type.
    #[must_use]
    pub fn new(error: ErrorType, reason: impl Into<String>) -> Failure {
        Failure {
            error,
            status: None,
            reason: reason.into(),
            explained: false,
            retry_after: None,
            unreachable: false,
            web_page: false,
        }
    }

    /// Adds the status of the answer.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Failure {
        self.status = Some(status);
        self
    }
}

/// Creates the failure for a request that took too long.
pub fn timed_out(limit: Duration) -> Failure {
    Failure::new(ErrorType::Timeout, format!("no complete response within {limit:?}"))
}

/// Creates the failure for a body that cannot be decoded.
pub fn undecodable(error: &DocumentError) -> Failure {
    let web_page = *error == DocumentError::WebPage;
    Failure { web_page, ..Failure::new(ErrorType::Decode, error.to_string()) }
}

/// Creates the failure for an answer that is neither 2xx nor a redirect. It includes
/// the server's own reason (`error` in a JSON body).
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
    Failure { status: Some(status), explained, retry_after, ..Failure::new(error, reason) }
}

/// Converts the error of a request without an answer.
pub fn of_send(error: &hyper_util::client::legacy::Error) -> Failure {
    let failure = of_causes(error.source());
    Failure { unreachable: error.is_connect() && failure.error != ErrorType::BlockedAddress, ..failure }
}

/// Converts the error of a body that broke off.
pub fn of_body(error: &hyper::Error) -> Failure {
    of_causes(Some(error))
}

/// Returns the failure for the first cause with a known type, or else a broken
/// connection. The last cause is shown, because people understand it best, unless the
/// cause is our own.
fn of_causes(mut cause: Option<&(dyn Error + 'static)>) -> Failure {
    let mut kind = ErrorType::Connect;
    let mut reason = "the request failed".to_owned();
    while let Some(e) = cause {
        reason = e.to_string();
        if let Some(own) = e.downcast_ref::<ConnectError>() {
            match own {
                ConnectError::Resolve(error) => kind = error.error_type(),
                ConnectError::NoRoom => kind = ErrorType::Local,
                ConnectError::Timeout(_) => kind = ErrorType::Timeout,
                ConnectError::NoHost => kind = ErrorType::Other,
                ConnectError::ProxyKind(_) => {}
                ConnectError::Other { proxy, source } => {
                    let mut why = of_causes(Some(&**source));
                    if why.error == ErrorType::Timeout {
                        "the connection timed out".clone_into(&mut why.reason);
                    }
                    let through = proxy.as_ref().map(|proxy| format!("through the proxy {proxy}: "));
                    return Failure { reason: through.unwrap_or_default() + &why.reason, ..why };
                }
            }
            break;
        }
        if let Some(io) = e.downcast_ref::<std::io::Error>() {
            if is_local(io) {
                kind = ErrorType::Local;
            } else if io.kind() == ErrorKind::TimedOut {
                kind = ErrorType::Timeout;
            }
        } else if let Some(error) = e.downcast_ref::<rustls::Error>() {
            return Failure::new(ErrorType::Tls, of_tls(error));
        }
        cause = match e.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            // An I/O error's `source` skips the error that it wraps.
            Some(inner) => Some(inner),
            None => e.source(),
        };
    }
    Failure::new(kind, reason.replace(['\n', '\r'], " "))
}

fn of_tls(error: &rustls::Error) -> String {
    let words = tls::in_words(error);
    match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            format!("{words}; name the authority's PEM file with ca_file")
        }
        _ => words,
    }
}
