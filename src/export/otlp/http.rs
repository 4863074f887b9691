//! OTLP over HTTP: one attempt of one request.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use reqwest::redirect::Policy;

use super::answer::{Acceptance, Answer};
use super::encode::gzip;
use super::failure::Cause;
use super::settings::{Compression, Endpoint, OtlpSettings, Protocol};
use super::{Failure, OtlpError, USER_AGENT};
use crate::tls;

/// The maximum number of bytes that are read of an answer. A full success is empty, and
/// a partial success contains a sentence.
const MAX_ANSWER: usize = 64 << 10;

/// An HTTP client for one receiver.
pub(super) struct HttpTransport {
    client: reqwest::Client,
    settings: OtlpSettings,
    proxy: Option<Arc<str>>,
}

impl HttpTransport {
    pub fn build(settings: &OtlpSettings, connect_timeout: Duration) -> Result<HttpTransport, OtlpError> {
        let mut tls = if settings.endpoint.is_https() {
            super::tls_material(settings)?.config
        } else {
            // Plain HTTP needs no authorities, but reqwest requires a TLS
            // configuration.
            tls::client_config(tls::roots(), None).map_err(|error| OtlpError::Client(error.to_string()))?
        };
        // HTTP/1.1 only: sequential requests do not benefit from multiplexing, and a
        // connection without an answer is closed instead of returning to a pool.
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let through = super::proxy_of(settings)?;
        let unusable = |error: reqwest::Error| OtlpError::Client(error.to_string());
        let mut builder = reqwest::Client::builder().no_proxy();
        if let Some(through) = &through {
            let mut proxy = reqwest::Proxy::all(through.to_string()).map_err(unusable)?;
            if let Some(authorization) = &through.authorization {
                proxy = proxy.custom_http_auth(authorization.clone());
            }
            builder = builder.proxy(proxy);
        }
        let client = builder
            .tls_backend_preconfigured(tls)
            .http1_only()
            .connect_timeout(connect_timeout)
            // The headers are secrets, and go only to the endpoint.
            .redirect(Policy::none())
            .user_agent(USER_AGENT)
            .build()
            .map_err(unusable)?;
        let proxy = through.map(|proxy| proxy.to_string().into());
        Ok(HttpTransport { client, settings: settings.clone(), proxy })
    }

    /// The proxy that requests go through, for display.
    pub fn proxy(&self) -> Option<&Arc<str>> {
        self.proxy.as_ref()
    }

    /// Returns the body in the form in which it is sent.
    pub fn prepare(&self, body: Bytes) -> Bytes {
        if self.settings.compression == Compression::None {
            return body;
        }
        // Compressing into memory does not fail.
        gzip(&body).map_or(body, Bytes::from)
    }

    pub async fn send(&self, body: Bytes) -> Result<(Acceptance, u16), Failure> {
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
        // The URL can contain a key, and reqwest's errors repeat the URL.
        let transport = |error: reqwest::Error| Failure::from_transport(protocol, &error.without_url());
        let mut response = request.body(body).send().await.map_err(transport)?;
        let status = response.status();
        let header = |name| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        let (kind, retry_after, location) = (header(CONTENT_TYPE), header(RETRY_AFTER), header(LOCATION));
        let mut answer = Vec::new();
        // An incomplete body changes nothing: the status already says what happened to
        // the points.
        while answer.len() < MAX_ANSWER
            && let Ok(Some(chunk)) = response.chunk().await
        {
            answer.extend_from_slice(&chunk);
        }
        let answer = Answer { kind: &kind, body: &answer };
        if status.is_success() {
            return answer.taken().map(|taken| (taken, status.as_u16())).ok_or_else(|| {
                let words = match answer.words() {
                    words if words.trim().is_empty() => "the answer is a web page".to_owned(),
                    words => words,
                };
                Failure::new(protocol, Cause::Http(status.as_u16()), &words)
            });
        }
        let words = if status.is_redirection() {
            match self.settings.endpoint.url().join(&location) {
                Ok(url) => format!("it redirects to {}", Endpoint::named(url)),
                Err(_) => "it redirects, but not to a URL".to_owned(),
            }
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

/// Reads a number of seconds, or a date.
fn parse_retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
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
}
