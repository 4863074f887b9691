//! Advice: what to do about a failure.

use tonic::Code;

use super::Signal;
use super::failure::{Cause, Failure, Limit};
use super::settings::Protocol;

/// Writes a text for each signal. The advice is constant text, without parts that are
/// filled in.
macro_rules! for_signal {
    ($signal:expr, $before:literal, [$metrics:literal, $logs:literal, $traces:literal], $after:literal) => {
        match $signal {
            Signal::Metrics => concat!($before, $metrics, $after),
            Signal::Logs => concat!($before, $logs, $after),
            Signal::Traces => concat!($before, $traces, $after),
        }
    };
}

/// The setting that allows a round, or a batch, more time.
macro_rules! more_time {
    ($signal:expr, $before:literal) => {
        for_signal!(
            $signal,
            $before,
            [
                "OTEL_METRIC_EXPORT_TIMEOUT allows a round",
                "OTEL_BLRP_EXPORT_TIMEOUT allows a batch",
                "OTEL_BSP_EXPORT_TIMEOUT allows a batch"
            ],
            " more time"
        )
    };
}

const CLIENT_CERTIFICATE: &str = "if it wants a client certificate, set \
                                  OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY";

impl Failure {
    /// Returns the advice. It continues a sentence, so it has no full stop and no
    /// question mark.
    pub(super) fn way_out(&self) -> &'static str {
        let words = self.words.to_ascii_lowercase();
        let has = |any: &[&str]| any.iter().any(|part| words.contains(part));
        match self.cause {
            Cause::Grpc(code) => self.after_grpc(code, &has),
            Cause::Http(status) => self.after_http(status),
            Cause::Tls if has(&["not trusted here"]) => {
                "set OTEL_EXPORTER_OTLP_CERTIFICATE to the PEM file of the authority that signed its \
                 certificate"
            }
            Cause::Tls
                if has(&[
                    "certificate required",
                    "handshake failure",
                    "certificaterequired",
                    "handshakefailure",
                ]) =>
            {
                CLIENT_CERTIFICATE
            }
            // The words already contain the advice.
            Cause::Tls if has(&["does not speak tls", "(ca:true)"]) => {
                "check OTEL_EXPORTER_OTLP_ENDPOINT and what answers there"
            }
            Cause::Tls => "check the certificate of the receiver and the name in the endpoint",
            Cause::Connection if self.proxy.is_some() && has(&["proxy authorization required"]) => {
                PROXY_PASSWORD
            }
            Cause::Connection if self.proxy.is_some() => {
                "check the proxy, which HTTP_PROXY, HTTPS_PROXY or ALL_PROXY names; \
                 NO_PROXY names the hosts that need none"
            }
            Cause::Connection if has(&["refused"]) => {
                "nothing listens there: start the receiver, or set OTEL_EXPORTER_OTLP_ENDPOINT to its address"
            }
            Cause::Connection if has(&["timed out"]) => {
                "nothing answers there: check host and port, and firewalls in between"
            }
            // In TLS 1.3 the client has finished its side of the handshake before the
            // server checks the client's certificate. Often only the end of the
            // connection is visible.
            Cause::Connection if self.encrypted && has(&["closed", "reset", "broken pipe", "eof"]) => {
                CLIENT_CERTIFICATE
            }
            Cause::Connection if self.protocol == Protocol::Grpc => {
                "check host and port; 4317 usually speaks gRPC, 4318 HTTP; use https:// if the receiver \
                 expects TLS"
            }
            Cause::Connection => {
                "check host and port; 4318 usually speaks HTTP, 4317 gRPC; use https:// if the receiver \
                 expects TLS"
            }
            Cause::Timeout => match self.limit {
                Some(Limit::Shutdown) => "the bridge is stopping",
                Some(Limit::Round) if self.attempts == 0 => more_time!(self.signal, ""),
                Some(Limit::Round) => {
                    more_time!(self.signal, "a firewall, or a receiver that is stuck; ")
                }
                Some(Limit::Request) | None => {
                    "a firewall, or a receiver that is stuck; OTEL_EXPORTER_OTLP_TIMEOUT allows a request \
                     more time"
                }
            },
            Cause::Internal => "if this persists, please report it",
        }
    }

    fn after_grpc(&self, code: Code, has: &dyn Fn(&[&str]) -> bool) -> &'static str {
        // tonic's wording for an answer without a gRPC status.
        if has(&["http status code", "invalid compression flag", "while receiving response with status"]) {
            return "that port speaks HTTP, but is no gRPC receiver: 4317 usually is, or set \
                    OTEL_EXPORTER_OTLP_PROTOCOL to http/protobuf";
        }
        match code {
            Code::Unimplemented => for_signal!(
                self.signal,
                "check that it is a gRPC OTLP port with ",
                ["metrics", "logs", "traces"],
                " enabled; 4317 usually is, 4318 speaks HTTP: see OTEL_EXPORTER_OTLP_PROTOCOL"
            ),
            Code::Unauthenticated | Code::PermissionDenied => CREDENTIALS,
            Code::ResourceExhausted | Code::OutOfRange if self.retry_after.is_none() => TOO_LARGE,
            Code::ResourceExhausted => self.less(),
            Code::Unavailable => NOT_READY,
            Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange | Code::AlreadyExists => {
                self.refused()
            }
            Code::NotFound => {
                "check host and port of OTEL_EXPORTER_OTLP_ENDPOINT, and what routes gRPC there"
            }
            _ => FAULT,
        }
    }

    fn after_http(&self, status: u16) -> &'static str {
        match status {
            401 | 403 => CREDENTIALS,
            404 | 405 => for_signal!(
                self.signal,
                "check the path: OTEL_EXPORTER_OTLP_ENDPOINT gets ",
                [
                    "/v1/metrics appended, OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
                    "/v1/logs appended, OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
                    "/v1/traces appended, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
                ],
                " is used as it is"
            ),
            413 if self.retry_after.is_none() => TOO_LARGE,
            407 => PROXY_PASSWORD,
            415 => "set OTEL_EXPORTER_OTLP_PROTOCOL to one that it accepts",
            429 => self.less(),
            502..=504 => NOT_READY,
            200..=299 => {
                "that is not an OTLP receiver: check host, port and path of OTEL_EXPORTER_OTLP_ENDPOINT"
            }
            300..=399 => {
                "redirects are not followed, as headers may be secret: set the endpoint to the final address"
            }
            400..=499 => self.refused(),
            _ => FAULT,
        }
    }

    fn less(&self) -> &'static str {
        for_signal!(
            self.signal,
            "the receiver accepts less data: raise ",
            ["OTEL_METRIC_EXPORT_INTERVAL", "OTEL_BLRP_SCHEDULE_DELAY", "OTEL_BSP_SCHEDULE_DELAY"],
            " or its quota"
        )
    }

    fn refused(&self) -> &'static str {
        for_signal!(
            self.signal,
            "the receiver rejects the data: its own log should say why; check that it takes OTLP ",
            ["metrics", "logs", "traces"],
            ""
        )
    }
}

const CREDENTIALS: &str = "check the credentials in OTEL_EXPORTER_OTLP_HEADERS";
const PROXY_PASSWORD: &str =
    "give the proxy's name and password in its URL, in HTTP_PROXY, HTTPS_PROXY or ALL_PROXY";
const TOO_LARGE: &str = "if it finds the message too large: raise the receiver's limit to 4 MiB or more";
const NOT_READY: &str = "the receiver or its backend is not ready";
const FAULT: &str = "the receiver failed: check its own log";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_names_its_way_out() {
        use Protocol::{Grpc, HttpJson, HttpProtobuf};
        for (protocol, cause, words, expected) in [
            (Grpc, Cause::Grpc(Code::Unimplemented), "no service", "4318 speaks HTTP"),
            (Grpc, Cause::Grpc(Code::Unauthenticated), "", "OTEL_EXPORTER_OTLP_HEADERS"),
            (Grpc, Cause::Grpc(Code::ResourceExhausted), "", "message too large"),
            (Grpc, Cause::Grpc(Code::InvalidArgument), "bad", "its own log"),
            (Grpc, Cause::Grpc(Code::Internal), "boom", "its own log"),
            (HttpProtobuf, Cause::Http(404), "", "gets /v1/metrics appended"),
            (HttpProtobuf, Cause::Http(401), "", "OTEL_EXPORTER_OTLP_HEADERS"),
            (HttpProtobuf, Cause::Http(400), "bad", "its own log"),
            (HttpProtobuf, Cause::Http(500), "boom", "its own log"),
            (HttpJson, Cause::Http(415), "", "OTEL_EXPORTER_OTLP_PROTOCOL"),
            (Grpc, Cause::Connection, "Connection refused (os error 111)", "nothing listens"),
            (Grpc, Cause::Connection, "the connection timed out", "firewalls"),
            (
                Grpc,
                Cause::Tls,
                "the certificate is signed by an authority that is not trusted here",
                "OTEL_EXPORTER_OTLP_CERTIFICATE",
            ),
            (HttpProtobuf, Cause::Timeout, "", "OTEL_EXPORTER_OTLP_TIMEOUT"),
        ] {
            let text = Failure::new(protocol, cause, words).to_string();
            assert!(text.contains(expected) && text.contains(words), "{cause:?}: {text}");
        }
    }

    /// Every failure has advice, which fits into a sentence.
    #[test]
    fn every_failure_has_a_way_out_that_goes_on() {
        let codes = (1..=16).map(|code| Cause::Grpc(Code::from(code)));
        let statuses = (200..600).map(Cause::Http);
        let others = [Cause::Connection, Cause::Tls, Cause::Timeout, Cause::Internal];
        for cause in codes.chain(statuses).chain(others) {
            for (protocol, signal) in Protocol::ALL.iter().flat_map(|p| Signal::ALL.map(|s| (*p, s))) {
                let way_out = Failure { signal, ..Failure::new(protocol, cause, "") }.way_out();
                assert!(way_out.ends_with(|c: char| c.is_alphanumeric()), "{cause:?}: {way_out}");
                let other = if signal == Signal::Metrics { "_TRACES_" } else { "METRIC" };
                assert!(!way_out.contains(other), "{signal}: {way_out}");
            }
        }
    }

    #[test]
    fn a_proxy_is_named_and_blamed() {
        let failure = Failure::new(Protocol::HttpProtobuf, Cause::Connection, "Connection refused");
        let text = Failure { proxy: Some("http://p:3128".into()), ..failure }.to_string();
        assert!(
            text.starts_with("no connection through the proxy http://p:3128: Connection refused; "),
            "{text}"
        );
        assert!(text.contains("NO_PROXY") && !text.contains("nothing listens"), "{text}");
    }

    #[test]
    fn a_time_that_was_too_short_is_named() {
        let at = |limit| {
            let failure = Failure::new(Protocol::Grpc, Cause::Timeout, "within 2.0s");
            Failure { limit: Some(limit), ..failure }.to_string()
        };
        assert!(at(Limit::Request).contains("OTEL_EXPORTER_OTLP_TIMEOUT"));
        assert!(at(Limit::Round).contains("OTEL_METRIC_EXPORT_TIMEOUT"));
        assert!(!at(Limit::Shutdown).contains("OTEL_"));
        let unsent = Failure::unsent(Protocol::Grpc).to_string();
        assert!(
            unsent.starts_with("not sent: ") && unsent.contains("OTEL_METRIC_EXPORT_TIMEOUT"),
            "{unsent}"
        );
    }
}
