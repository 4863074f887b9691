//! Why a request failed: the type that is counted, and words for people.

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
    /// Whether a web page came where JSON was expected.
    pub web_page: bool,
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
            web_page: false,
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
    let web_page = *error == DocumentError::WebPage;
    Failure { web_page, ..Failure::new(ErrorType::Decode, error.to_string()) }
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
    Failure { status: Some(status), explained, retry_after, ..Failure::new(error, reason) }
}

/// A request that had no answer.
pub fn of_send(error: &hyper_util::client::legacy::Error) -> Failure {
    let failure = of_causes(error.source());
    Failure { unreachable: error.is_connect() && failure.error != ErrorType::BlockedAddress, ..failure }
}

/// A body that broke off.
pub fn of_body(error: &hyper::Error) -> Failure {
    of_causes(Some(error))
}

/// What the first cause that says so, or else a broken connection, counts as. The
/// last cause is the one that people understand, but for ours.
fn of_causes(mut cause: Option<&(dyn Error + 'static)>) -> Failure {
    let mut kind = ErrorType::Connect;
    let mut reason = "the request failed".to_owned();
    while let Some(e) = cause {
        reason = e.to_string();
        if let Some(own) = e.downcast_ref::<ConnectError>() {
            match own {
                ConnectError::Resolve(error) => kind = error.error_type(),
                ConnectError::Timeout(_) => kind = ErrorType::Timeout,
                ConnectError::NoHost => kind = ErrorType::Other,
                ConnectError::ProxyKind(_) => {}
                ConnectError::Other { proxy, source } => {
                    let mut why = of_causes(Some(&**source));
                    if why.error == ErrorType::Timeout {
                        "no connection in time".clone_into(&mut why.reason);
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
            // An I/O error's own `source` skips the error that it wraps.
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
