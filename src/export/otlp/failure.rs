//! Why points did not arrive, in words for the person who has to act.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tonic_types::StatusExt;

use crate::clean::Cleaner;
use crate::tls;

use super::Signal;
use super::settings::Protocol;
use super::wording::in_file;

/// The maximum length of a receiver's message, in bytes. The rest is cut.
pub(super) const MAX_WORDS: usize = 300;

/// The kind of a failed export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The receiver answered with this gRPC code.
    Grpc(tonic::Code),
    /// The receiver answered with this HTTP status.
    Http(u16),
    /// There is no connection: it was refused or cut off, or there is no such host or
    /// route.
    Connection,
    /// There is a connection, but the TLS handshake failed.
    Tls,
    /// No answer in time.
    Timeout,
    /// A bug or an error on this side.
    Internal,
}

/// The `error.type` of points that a receiver rejected while it accepted others.
pub const REJECTED: &str = "rejected";

/// The `error.type` of points whose request did not end before the bridge stopped.
pub(super) const CANCELLED: &str = "cancelled";

/// All values of `error.type` for exports, with their meaning. Names of gRPC codes and
/// common HTTP statuses are values, too; they need no explanation.
pub const ERROR_TYPES: [(&str, &str); 13] = [
    ("http_status", "the receiver answered with an HTTP status that is not a value of its own"),
    ("redirect", "the receiver redirects to another place"),
    ("not_otlp", "the response is not OTLP: another server answers there"),
    ("connection", "there is no connection: refused, no such host, cut off"),
    ("tls", "there is a connection, but TLS failed"),
    ("timeout", "no response in time"),
    ("internal", "a fault of the bridge"),
    (REJECTED, "the receiver refused these points of a request that it accepted"),
    (CANCELLED, "the bridge ended before the response"),
    ("backlog_full", "they were the oldest of a backlog that was full"),
    ("disk_full", "they were the oldest of a backlog on a disk that was full"),
    ("damaged", "the file that they waited in was damaged"),
    ("shutdown", "the bridge ended while they waited in memory"),
];

/// The limit that ended the wait for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// `OTEL_EXPORTER_OTLP_TIMEOUT`, for one request.
    Request,
    /// `OTEL_METRIC_EXPORT_TIMEOUT` for a whole round, `OTEL_BLRP_EXPORT_TIMEOUT` and
    /// `OTEL_BSP_EXPORT_TIMEOUT` for a batch.
    Round,
    /// The bridge is stopping.
    Shutdown,
}

/// An export that failed for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong.
    pub cause: Cause,
    /// The message of the receiver or the operating system, cleaned and without our
    /// secrets.
    pub words: String,
    /// The protocol of the request.
    pub protocol: Protocol,
    /// The signal that was sent.
    pub signal: Signal,
    /// Whether the connection was meant to be encrypted.
    pub encrypted: bool,
    /// The proxy that the request went through, without its credentials.
    pub proxy: Option<Arc<str>>,
    /// The number of attempts; 0 if nothing was sent.
    pub attempts: u32,
    /// The pause that the receiver asked for.
    pub retry_after: Option<Duration>,
    /// The remaining pause before anything is sent, because the receiver asked for it.
    pub held: Option<Duration>,
    /// The limit that was reached, for [`Cause::Timeout`].
    pub limit: Option<Limit>,
    /// The configuration file, if it replaces the variables.
    pub file: Option<Arc<str>>,
}

impl Failure {
    pub(crate) fn new(protocol: Protocol, cause: Cause, words: &str) -> Failure {
        Failure {
            cause,
            words: words.to_owned(),
            protocol,
            signal: Signal::Metrics,
            encrypted: false,
            proxy: None,
            attempts: 1,
            retry_after: None,
            held: None,
            limit: None,
            file: None,
        }
    }

    /// The failure of requests that remain when the time of the round is over.
    pub(super) fn unsent(protocol: Protocol) -> Failure {
        let words = "the round ended before this request could be sent";
        let failure = Failure::new(protocol, Cause::Timeout, words);
        Failure { attempts: 0, limit: Some(Limit::Round), ..failure }
    }

    /// Converts the status that tonic built from an answer or from a transport error.
    pub(super) fn from_status(status: &tonic::Status) -> Failure {
        let protocol = Protocol::Grpc;
        // tonic builds a status with a source on this side, from a transport error.
        if let Some(source) = status.source() {
            return Failure::from_transport(protocol, source);
        }
        let mut failure = Failure::new(protocol, Cause::Grpc(status.code()), status.message());
        failure.retry_after = status.get_details_retry_info().and_then(|info| info.retry_delay);
        failure
    }

    /// Converts an error below the protocol.
    pub(super) fn from_transport(protocol: Protocol, error: &(dyn Error + 'static)) -> Failure {
        let mut root = error;
        let mut refused = as_tls(root);
        let mut timed_out = false;
        let mut closed = is_closed(root);
        while let Some(next) = root.source() {
            root = next;
            refused = refused.or_else(|| as_tls(root));
            closed |= is_closed(root);
            timed_out |=
                root.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::TimedOut);
        }
        let words = root.to_string();
        match refused {
            // rustls's message. h2 has converted it into its own error, so a downcast
            // does not find it.
            None if words.starts_with("received fatal alert") => Failure::new(protocol, Cause::Tls, &words),
            Some(error) => Failure::new(protocol, Cause::Tls, &tls::in_words(error)),
            None if timed_out => Failure::new(protocol, Cause::Connection, "the connection timed out"),
            None if closed => {
                Failure::new(protocol, Cause::Connection, "the connection was closed before an answer")
            }
            None => Failure::new(protocol, Cause::Connection, &words),
        }
    }

    /// Whether the OTLP specification allows a retry of the same request.
    pub(super) fn is_retryable(&self) -> bool {
        use tonic::Code;
        if self.is_oversized_message() {
            return false;
        }
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
            // Without a pause this code means that the message is too large, not that
            // the receiver is busy.
            Cause::Grpc(Code::ResourceExhausted) => self.retry_after.is_some(),
            _ => false,
        }
    }

    /// Whether the points of the request can wait: the receiver was unreachable, did
    /// not answer, or did not reject them for good.
    pub(super) fn may_pass(&self) -> bool {
        self.is_retryable() || matches!(self.cause, Cause::Timeout | Cause::Tls)
    }

    /// Whether the receiver rejects requests of this size.
    pub(super) fn is_too_large(&self) -> bool {
        use tonic::Code;
        match self.cause {
            Cause::Http(413) => true,
            Cause::Grpc(Code::ResourceExhausted) => self.retry_after.is_none(),
            _ => self.is_oversized_message(),
        }
    }

    /// The wording of servers that are built on tonic.
    fn is_oversized_message(&self) -> bool {
        self.cause == Cause::Grpc(tonic::Code::OutOfRange) && self.words.contains("message length too large")
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

    /// Removes secrets, and characters that could forge a log line.
    pub(super) fn clean(mut self, cleaner: &Cleaner) -> Failure {
        self.words = cleaner.clean(&self.words, MAX_WORDS);
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
            write!(f, " (the receiver asks for a pause of {wait:?})")?;
        }
        match &self.file {
            Some(file) => write!(f, "; {}", in_file(self.way_out(), file)),
            None => write!(f, "; {}", self.way_out()),
        }
    }
}

impl Error for Failure {}

/// Finds a rustls error in this error or its sources. `io::Error` does not return the
/// error that it wraps from `source`.
fn as_tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    error.downcast_ref::<rustls::Error>().or_else(|| {
        let inner = error.downcast_ref::<io::Error>()?.get_ref()?;
        inner.downcast_ref::<rustls::Error>().or_else(|| {
            // A TLS stream that fails while writing wraps the error once more.
            inner.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref::<rustls::Error>()
        })
    })
}

/// Whether the receiver closed the connection before it answered. hyper reports this in
/// three ways, depending on when it notices.
fn is_closed(error: &(dyn Error + 'static)) -> bool {
    let error = error.downcast_ref::<hyper::Error>();
    error.is_some_and(|error| error.is_canceled() || error.is_closed() || error.is_incomplete_message())
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
    fn every_error_type_is_documented() {
        let codes = (1..=16).map(|code| Cause::Grpc(tonic::Code::from(code)));
        let others = [Cause::Connection, Cause::Tls, Cause::Timeout, Cause::Internal];
        let statuses = (100..1000).map(Cause::Http);
        for cause in codes.chain(others).chain(statuses) {
            let error_type = Failure::new(Protocol::Grpc, cause, "").error_type();
            let says_itself = match cause {
                Cause::Grpc(_) => error_type.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'),
                Cause::Http(status) => error_type == status.to_string(),
                _ => false,
            };
            assert!(says_itself || ERROR_TYPES.iter().any(|(value, _)| *value == error_type), "{error_type}");
        }
    }

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

    /// A receiver that wants a client certificate closes the connection after the
    /// handshake. The client sees this before, during or after sending the request.
    #[tokio::test]
    async fn a_connection_closed_before_the_request_is_told_as_closed() {
        use hyper_util::rt::TokioIo;

        let (ours, receiver) = tokio::io::duplex(64);
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(ours)).await.unwrap();
        drop(receiver);
        let _ended = connection.await;
        let request = http::Request::new(http_body_util::Empty::<bytes::Bytes>::new());
        let error = sender.send_request(request).await.unwrap_err();
        let failure = Failure::from_transport(Protocol::HttpProtobuf, &error);
        assert_eq!(failure.words, "the connection was closed before an answer", "{error:?}");
        let encrypted = Failure { encrypted: true, ..failure }.to_string();
        assert!(encrypted.contains("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"), "{encrypted}");
    }
}
