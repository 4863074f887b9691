//! Why points did not arrive, in words for the person who has to act.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use tonic_types::StatusExt;

use super::settings::Protocol;

/// What went wrong with an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// How often it was tried.
    pub attempts: u32,
    /// How long the receiver asked to be left alone.
    pub retry_after: Option<Duration>,
}

impl Failure {
    pub(super) fn new(protocol: Protocol, cause: Cause, words: &str) -> Failure {
        Failure { cause, words: words.to_owned(), protocol, encrypted: false, attempts: 1, retry_after: None }
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

    /// What to do about it, where that is known.
    fn way_out(&self) -> Option<&'static str> {
        use tonic::Code;
        let grpc = self.protocol == Protocol::Grpc;
        let words = self.words.to_ascii_lowercase();
        Some(match self.cause {
            // So tonic words an answer without a gRPC status.
            Cause::Grpc(_)
                if words.contains("http status code")
                    || words.contains("invalid compression flag")
                    || words.contains("while receiving response with status") =>
            {
                "that port speaks HTTP, but is no gRPC receiver: 4317 usually is, or set \
                 OTEL_EXPORTER_OTLP_PROTOCOL to http/protobuf"
            }
            Cause::Grpc(Code::Unimplemented) => {
                "is that a gRPC OTLP port with metrics enabled? 4317 usually is, 4318 speaks HTTP: \
                 see OTEL_EXPORTER_OTLP_PROTOCOL"
            }
            Cause::Grpc(Code::Unauthenticated | Code::PermissionDenied) | Cause::Http(401 | 403) => {
                "check the credentials in OTEL_EXPORTER_OTLP_HEADERS"
            }
            Cause::Grpc(Code::ResourceExhausted | Code::OutOfRange) | Cause::Http(413)
                if self.retry_after.is_none() =>
            {
                "if it finds the message too large: raise the receiver's limit to 4 MiB or more"
            }
            Cause::Grpc(Code::ResourceExhausted) | Cause::Http(429) => {
                "the receiver wants less: raise OTEL_METRIC_EXPORT_INTERVAL or its quota"
            }
            Cause::Grpc(Code::Unavailable) | Cause::Http(502..=504) => {
                "the receiver, or what is behind it, is not ready"
            }
            Cause::Http(404 | 405) => {
                "check the path: OTEL_EXPORTER_OTLP_ENDPOINT gets /v1/metrics appended, \
                 OTEL_EXPORTER_OTLP_METRICS_ENDPOINT is used as it is"
            }
            Cause::Http(415) => "set OTEL_EXPORTER_OTLP_PROTOCOL to what it takes",
            Cause::Http(200..=299) => {
                "that is no OTLP receiver: check host, port and path of OTEL_EXPORTER_OTLP_ENDPOINT"
            }
            Cause::Http(300..=399) => {
                "redirects are not followed, as headers may be secret: set the endpoint to the final address"
            }
            Cause::Tls if words.contains("unknownissuer") => {
                "set OTEL_EXPORTER_OTLP_CERTIFICATE to the PEM file of the authority that signed its certificate"
            }
            Cause::Tls if words.contains("certificaterequired") || words.contains("handshakefailure") => {
                "does it want a client certificate? See OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and …_CLIENT_KEY"
            }
            Cause::Tls if words.contains("corrupt message") => {
                "that port does not speak TLS: http:// in place of https://?"
            }
            Cause::Tls => "check the certificate of the receiver and the name in the endpoint",
            Cause::Connection if words.contains("refused") => {
                "nothing listens there: is the receiver running, and OTEL_EXPORTER_OTLP_ENDPOINT its address?"
            }
            // In TLS 1.3 the client has finished its side of the handshake when the server
            // looks at its certificate: often all that is seen is the end of the connection.
            Cause::Connection
                if self.encrypted
                    && ["closed", "reset", "broken pipe", "eof"].iter().any(|end| words.contains(end)) =>
            {
                "does it want a client certificate? See OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and …_CLIENT_KEY"
            }
            Cause::Connection if grpc => {
                "check host and port; 4317 usually speaks gRPC, 4318 HTTP; https:// where it wants TLS"
            }
            Cause::Connection => {
                "check host and port; 4318 usually speaks HTTP, 4317 gRPC; https:// where it wants TLS"
            }
            Cause::Timeout => {
                "a firewall, or a receiver that is stuck? OTEL_EXPORTER_OTLP_TIMEOUT allows more time"
            }
            Cause::Grpc(_) | Cause::Http(_) | Cause::Internal => return None,
        })
    }

    /// Removes what must not show, and what could forge a line in a log.
    pub(super) fn clean<'a>(mut self, secrets: impl Iterator<Item = &'a str>) -> Failure {
        self.words = clean(&self.words, secrets);
        self
    }
}

/// The receiver's words without secrets, control characters and excess.
pub(super) fn clean<'a>(words: &str, secrets: impl Iterator<Item = &'a str>) -> String {
    let mut words = words.to_owned();
    // A value this short is no key, and would punch holes into ordinary words.
    for secret in secrets.filter(|secret| secret.len() >= 4) {
        words = words.replace(secret, "***");
    }
    let printable = words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect::<String>();
    printable.trim().to_owned()
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause {
            Cause::Grpc(code) => f.write_str(code_name(code))?,
            Cause::Http(status) => write!(f, "HTTP status {status}")?,
            Cause::Connection => f.write_str("no connection")?,
            Cause::Tls => f.write_str("TLS failed")?,
            Cause::Timeout => f.write_str("no answer")?,
            Cause::Internal => f.write_str("internal error")?,
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
        if let Some(way_out) = self.way_out() {
            write!(f, "; {way_out}")?;
        }
        Ok(())
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
    fn words_are_cleaned() {
        let secrets = ["Bearer abcdef", "abcdef", "a"];
        assert_eq!(
            clean("bad token abcdef\r\n\u{1b}[31mINFO all is well", secrets.into_iter()),
            "bad token ***   [31mINFO all is well"
        );
        assert_eq!(clean(&"x".repeat(1000), std::iter::empty()).len(), 300);
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

    #[test]
    fn each_failure_names_its_way_out() {
        for (protocol, cause, words, expected) in [
            (Protocol::Grpc, Cause::Grpc(tonic::Code::Unimplemented), "no service", "4318 speaks HTTP"),
            (Protocol::Grpc, Cause::Grpc(tonic::Code::Unauthenticated), "", "OTEL_EXPORTER_OTLP_HEADERS"),
            (Protocol::Grpc, Cause::Grpc(tonic::Code::ResourceExhausted), "", "message too large"),
            (Protocol::HttpProtobuf, Cause::Http(404), "", "gets /v1/metrics appended"),
            (Protocol::HttpProtobuf, Cause::Http(401), "", "OTEL_EXPORTER_OTLP_HEADERS"),
            (Protocol::HttpJson, Cause::Http(415), "", "OTEL_EXPORTER_OTLP_PROTOCOL"),
            (Protocol::Grpc, Cause::Connection, "Connection refused (os error 111)", "nothing listens"),
            (
                Protocol::Grpc,
                Cause::Tls,
                "invalid peer certificate: UnknownIssuer",
                "OTEL_EXPORTER_OTLP_CERTIFICATE",
            ),
            (Protocol::HttpProtobuf, Cause::Timeout, "", "OTEL_EXPORTER_OTLP_TIMEOUT"),
        ] {
            let text = Failure::new(protocol, cause, words).to_string();
            assert!(text.contains(expected) && text.contains(words), "{cause:?}: {text}");
        }
    }
}
