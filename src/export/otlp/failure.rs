//! Why points did not arrive, in words for the person who has to act.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tonic_types::StatusExt;

use super::secrets::Secrets;
use super::settings::Protocol;

/// What went wrong with an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The receiver answered with this gRPC code.
    Grpc(tonic::Code),
    /// The receiver answered with this HTTP status.
    Http(u16),
    /// There is no connection: refused, no such host, no route, cut off.
    Connection,
    /// There is a connection, but TLS was not agreed upon.
    Tls,
    /// No answer in time.
    Timeout,
    /// A fault of this side.
    Internal,
}

/// What sets an end to waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// `OTEL_EXPORTER_OTLP_TIMEOUT`, of one request.
    Request,
    /// `OTEL_METRIC_EXPORT_TIMEOUT`, of a whole round.
    Round,
    /// The end of the bridge.
    Shutdown,
}

/// An export that failed for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong.
    pub cause: Cause,
    /// The receiver's words, or the system's, without secrets and control
    /// characters; at most 300 characters.
    pub words: String,
    /// What was spoken.
    pub protocol: Protocol,
    /// Whether the connection was to be encrypted.
    pub encrypted: bool,
    /// The proxy that stands between, without its credentials.
    pub proxy: Option<Arc<str>>,
    /// How often it was tried; 0 for what was never sent.
    pub attempts: u32,
    /// How long the receiver asked to be left alone.
    pub retry_after: Option<Duration>,
    /// How long from now nothing is sent because it asked.
    pub held: Option<Duration>,
    /// What ended the waiting, after [`Cause::Timeout`].
    pub limit: Option<Limit>,
}

impl Failure {
    pub(crate) fn new(protocol: Protocol, cause: Cause, words: &str) -> Failure {
        Failure {
            cause,
            words: words.to_owned(),
            protocol,
            encrypted: false,
            proxy: None,
            attempts: 1,
            retry_after: None,
            held: None,
            limit: None,
        }
    }

    /// What is left of a collection when the time of its round is over.
    pub(super) fn unsent(protocol: Protocol) -> Failure {
        let words = "the time of the round was over before its turn came";
        let failure = Failure::new(protocol, Cause::Timeout, words);
        Failure { attempts: 0, limit: Some(Limit::Round), ..failure }
    }

    /// From what tonic made of an answer, or of none.
    pub(super) fn from_status(status: &tonic::Status) -> Failure {
        let protocol = Protocol::Grpc;
        // A status with a source was made on this side, out of a transport error.
        if let Some(source) = status.source() {
            return Failure::from_transport(protocol, source);
        }
        let mut failure = Failure::new(protocol, Cause::Grpc(status.code()), status.message());
        failure.retry_after = status.get_details_retry_info().and_then(|info| info.retry_delay);
        failure
    }

    /// From an error below the protocol.
    pub(super) fn from_transport(protocol: Protocol, error: &(dyn Error + 'static)) -> Failure {
        let mut root = error;
        let mut tls = as_tls(root);
        let mut timed_out = false;
        while let Some(next) = root.source() {
            root = next;
            tls = tls.or_else(|| as_tls(root));
            timed_out |=
                root.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::TimedOut);
        }
        let words = root.to_string();
        match tls {
            // rustls's words, out of the reach of a downcast where h2 has made them its own.
            None if words.starts_with("received fatal alert") => Failure::new(protocol, Cause::Tls, &words),
            Some(tls) => Failure::new(protocol, Cause::Tls, &tls.to_string()),
            None if timed_out => Failure::new(protocol, Cause::Connection, "the connection timed out"),
            None => Failure::new(protocol, Cause::Connection, &words),
        }
    }

    /// Whether the same request may fare better later, by the OTLP specification.
    pub(super) fn is_retryable(&self) -> bool {
        use tonic::Code;
        match self.cause {
            Cause::Grpc(
                Code::Cancelled
                | Code::DeadlineExceeded
                | Code::Aborted
                | Code::OutOfRange
                | Code::Unavailable
                | Code::DataLoss,
            )
            | Cause::Http(429 | 502 | 503 | 504)
            | Cause::Connection => true,
            // Without a time it says that the message is too large, not that the
            // receiver is too busy.
            Cause::Grpc(Code::ResourceExhausted) => self.retry_after.is_some(),
            _ => false,
        }
    }

    /// A short fixed name, for the attribute `error.type`.
    #[must_use]
    pub fn error_type(&self) -> &'static str {
        match self.cause {
            Cause::Grpc(code) => code_name(code),
            Cause::Http(status) => match status {
                400 => "400",
                401 => "401",
                403 => "403",
                404 => "404",
                405 => "405",
                413 => "413",
                415 => "415",
                429 => "429",
                500 => "500",
                502 => "502",
                503 => "503",
                504 => "504",
                200..=299 => "not_otlp",
                300..=399 => "redirect",
                _ => "http_status",
            },
            Cause::Connection => "connection",
            Cause::Tls => "tls",
            Cause::Timeout => "timeout",
            Cause::Internal => "internal",
        }
    }

    /// Removes what must not show, and what could forge a line in a log.
    pub(super) fn clean(mut self, secrets: &Secrets) -> Failure {
        self.words = secrets.clean(&self.words);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause {
            Cause::Grpc(code) => f.write_str(code_name(code))?,
            Cause::Http(status) => write!(f, "HTTP status {status}")?,
            Cause::Connection => f.write_str("no connection")?,
            Cause::Tls => f.write_str("TLS failed")?,
            Cause::Timeout if self.attempts == 0 => f.write_str("not sent")?,
            Cause::Timeout => f.write_str("no answer")?,
            Cause::Internal => f.write_str("internal error")?,
        }
        if let Some(proxy) = &self.proxy {
            write!(f, " through the proxy {proxy}")?;
        }
        if !self.words.is_empty() {
            write!(f, ": {}", self.words)?;
        }
        if self.attempts > 1 {
            write!(f, " (tried {} times)", self.attempts)?;
        }
        if let Some(wait) = self.retry_after.filter(|wait| !wait.is_zero()) {
            write!(f, " (it asks for a pause of {wait:?})")?;
        }
        write!(f, "; {}", self.way_out())
    }
}

impl Error for Failure {}

/// The rustls error that this error is or carries: `io::Error` hides what it
/// wraps from `source`.
fn as_tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    error.downcast_ref::<rustls::Error>().or_else(|| {
        let inner = error.downcast_ref::<io::Error>()?.get_ref()?;
        inner.downcast_ref::<rustls::Error>().or_else(|| {
            // Wrapped once more by a TLS stream that failed while writing.
            inner.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref::<rustls::Error>()
        })
    })
}

pub(super) fn code_name(code: tonic::Code) -> &'static str {
    use tonic::Code;
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_specification_names_is_retried() {
        use tonic::Code;
        let retryable = |cause| Failure::new(Protocol::Grpc, cause, "").is_retryable();
        let codes: Vec<Code> = (0..=16).map(Code::from).filter(|c| retryable(Cause::Grpc(*c))).collect();
        assert_eq!(
            codes,
            [
                Code::Cancelled,
                Code::DeadlineExceeded,
                Code::Aborted,
                Code::OutOfRange,
                Code::Unavailable,
                Code::DataLoss
            ]
        );
        let statuses: Vec<u16> = (100..600).filter(|s| retryable(Cause::Http(*s))).collect();
        assert_eq!(statuses, [429, 502, 503, 504]);
        assert!(retryable(Cause::Connection) && !retryable(Cause::Tls) && !retryable(Cause::Timeout));
    }
}
