//! OTLP over HTTP: one attempt of one request.

use std::io::Write;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use prost::Message;
use reqwest::redirect::Policy;

use super::failure::Cause;
use super::settings::{Compression, OtlpSettings, Protocol};
use super::{Failure, OtlpError, USER_AGENT};
use crate::tls;

/// How much of an answer is read, in bytes. A full success is empty; a partial
/// one has a sentence in it.
const MAX_ANSWER: usize = 64 << 10;

/// A client for a receiver.
pub(super) struct HttpTransport {
    client: reqwest::Client,
    settings: OtlpSettings,
}

impl HttpTransport {
    pub fn build(settings: &OtlpSettings, connect_timeout: Duration) -> Result<HttpTransport, OtlpError> {
        // Plain HTTP needs no authorities, but reqwest wants some TLS.
        let (roots, identity) =
            if settings.endpoint.is_https() { super::tls_material(settings)? } else { (tls::roots(), None) };
        let mut tls = tls::client_config(roots, identity.as_ref())?;
        // HTTP/1.1 alone: one request at a time has nothing from multiplexing, and
        // a connection on which nothing came back is left, not kept in a pool.
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .http1_only()
            .connect_timeout(connect_timeout)
            // The headers are secrets: they go to the endpoint and nowhere else.
            .redirect(Policy::none())
            .user_agent(USER_AGENT)
            .build()
            .map_err(|error| OtlpError::Client(error.to_string()))?;
        Ok(HttpTransport { client, settings: settings.clone() })
    }

    /// The body as it leaves.
    pub fn prepare(&self, body: Vec<u8>) -> Bytes {
        if self.settings.compression == Compression::None {
            return body.into();
        }
        let mut gzip = GzEncoder::new(Vec::with_capacity(body.len() / 8), flate2::Compression::default());
        // Writing into memory cannot fail.
        match gzip.write_all(&body).and_then(|()| gzip.finish()) {
            Ok(compressed) => compressed.into(),
            Err(_) => body.into(),
        }
    }

    pub async fn send(&self, body: Bytes) -> Result<ExportMetricsServiceResponse, Failure> {
        let protocol = self.settings.protocol;
        let content_type = match protocol {
            Protocol::HttpJson => "application/json",
            _ => "application/x-protobuf",
        };
        let mut request = self
            .client
            .post(self.settings.endpoint.url().clone())
            .headers(self.settings.headers.map().clone())
            .header(CONTENT_TYPE, content_type);
        if self.settings.compression == Compression::Gzip {
            request = request.header(CONTENT_ENCODING, "gzip");
        }
        // The URL can hold a key, and reqwest's errors repeat it.
        let transport = |error: reqwest::Error| Failure::from_transport(protocol, &error.without_url());
        let mut response = request.body(body).send().await.map_err(transport)?;
        let status = response.status();
        let header = |name| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        let (kind, retry_after, location) = (header(CONTENT_TYPE), header(RETRY_AFTER), header(LOCATION));
        let mut answer = Vec::new();
        // An answer that breaks off changes nothing: its status has been read, and
        // with it what became of the points.
        while answer.len() < MAX_ANSWER
            && let Ok(Some(chunk)) = response.chunk().await
        {
            answer.extend_from_slice(&chunk);
        }
        let answer = Answer { kind: &kind, body: &answer };
        if status.is_success() {
            return answer.message().ok_or_else(|| {
                Failure::new(protocol, Cause::Http(status.as_u16()), "the answer is a web page")
            });
        }
        let words = if status.is_redirection() {
            format!("it redirects to {}", without_query(&location))
        } else {
            answer.words()
        };
        let mut failure = Failure::new(protocol, Cause::Http(status.as_u16()), &words);
        if matches!(status.as_u16(), 429 | 503) {
            failure.retry_after = parse_retry_after(&retry_after, SystemTime::now());
        }
        Err(failure)
    }
}

struct Answer<'a> {
    kind: &'a str,
    body: &'a [u8],
}

impl Answer<'_> {
    fn is(&self, kind: &str) -> bool {
        let essence = self.kind.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case(kind)
    }

    /// What a receiver says that has taken the points; nothing when this is no
    /// receiver. Many answer with an empty body and no type at all.
    fn message(&self) -> Option<ExportMetricsServiceResponse> {
        if self.is("text/html") {
            return None;
        }
        Some(if self.is("application/json") {
            serde_json::from_slice(self.body).unwrap_or_default()
        } else {
            ExportMetricsServiceResponse::decode(self.body).unwrap_or_default()
        })
    }

    /// The message of a `google.rpc.Status`, or plain text.
    fn words(&self) -> String {
        #[derive(serde::Deserialize)]
        struct JsonStatus {
            message: String,
        }
        if self.is("application/json") {
            if let Ok(status) = serde_json::from_slice::<JsonStatus>(self.body) {
                return status.message;
            }
        } else if self.is("application/x-protobuf") {
            return tonic_types::Status::decode(self.body).map(|status| status.message).unwrap_or_default();
        } else if !self.is("text/plain") && !self.kind.is_empty() {
            return String::new();
        }
        String::from_utf8_lossy(self.body).into_owned()
    }
}

/// Seconds, or a date.
fn parse_retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

fn without_query(location: &str) -> &str {
    location.split('?').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Sun, 22 Nov 2026 12:00:00 GMT").unwrap();
        for (value, expected) in [
            ("7", Some(7)),
            (" 0 ", Some(0)),
            ("Sun, 22 Nov 2026 12:00:30 GMT", Some(30)),
            ("Sun, 22 Nov 2026 11:00:00 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(parse_retry_after(value, now), expected.map(Duration::from_secs), "{value:?}");
        }
    }

    #[test]
    fn words_come_from_status_messages_and_plain_text_only() {
        let protobuf = tonic_types::Status { message: "no".to_owned(), ..Default::default() }.encode_to_vec();
        for (kind, body, expected) in [
            ("application/x-protobuf", &protobuf[..], "no"),
            ("application/json; charset=utf-8", br#"{"code":3,"message":"nay"}"#, "nay"),
            ("application/json", br#"{"detail":"x"}"#, r#"{"detail":"x"}"#),
            ("text/plain", b"go away", "go away"),
            ("", b"404 page not found", "404 page not found"),
            ("text/html", b"<html>", ""),
        ] {
            assert_eq!(Answer { kind, body }.words(), expected, "{kind}");
        }
    }
}
