//! Where points are pushed and how: everything that the `OTEL_EXPORTER_OTLP_*`
//! variables say, checked.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry_sdk::metrics::Temporality;
use url::Url;

/// How to reach a receiver.
#[derive(Debug, Clone, PartialEq)]
pub struct OtlpSettings {
    /// What is spoken.
    pub protocol: Protocol,
    /// Where.
    pub endpoint: Endpoint,
    /// Sent with every request.
    pub headers: Headers,
    /// How requests are compressed.
    pub compression: Compression,
    /// The longest that one export may take, its retries included.
    pub timeout: Duration,
    /// Authorities that the receiver's certificate must come from (PEM), in
    /// place of the system's.
    pub certificate: Option<PathBuf>,
    /// The client certificate's key (PEM).
    pub client_key: Option<PathBuf>,
    /// The client certificate with its chain (PEM).
    pub client_certificate: Option<PathBuf>,
    /// What counters and histograms count from. It is the reader's to apply;
    /// non-monotonic sums are cumulative under all of them.
    pub temporality: Temporality,
}

impl OtlpSettings {
    /// The specification's defaults for everything but the address.
    #[must_use]
    pub fn new(protocol: Protocol, endpoint: Endpoint) -> OtlpSettings {
        OtlpSettings {
            protocol,
            endpoint,
            headers: Headers::default(),
            compression: Compression::None,
            timeout: Duration::from_secs(10),
            certificate: None,
            client_key: None,
            client_certificate: None,
            temporality: Temporality::Cumulative,
        }
    }
}

/// What OTLP is carried by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// gRPC over HTTP/2.
    Grpc,
    /// Protobuf in HTTP requests.
    HttpProtobuf,
    /// JSON in HTTP requests.
    HttpJson,
}

impl Protocol {
    /// Every protocol.
    pub const ALL: [Protocol; 3] = [Protocol::Grpc, Protocol::HttpProtobuf, Protocol::HttpJson];

    /// Its name in `OTEL_EXPORTER_OTLP_PROTOCOL`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Grpc => "grpc",
            Protocol::HttpProtobuf => "http/protobuf",
            Protocol::HttpJson => "http/json",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How requests are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
}

/// A receiver's URL: `http` or `https`, with a host. Credentials in it never
/// show: `Display` and `Debug` mask userinfo and query.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint(Url);

/// A URL that cannot be an endpoint. Its text is not repeated where it may
/// hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Not a URL, or not one of http.
    #[error("{0} is not a URL of the form http://HOST:PORT or https://HOST:PORT")]
    NotAUrl(String),
    /// A name and a password, which gRPC has no place for.
    #[error(
        "gRPC has no place for a name and a password in the URL: \
         give them as a header, authorization=Basic%20… (base64 of name:password)"
    )]
    UserinfoOverGrpc,
}

impl Endpoint {
    /// Checks a URL for use with `protocol`.
    ///
    /// # Errors
    ///
    /// See [`EndpointError`].
    pub fn new(text: &str, protocol: Protocol) -> Result<Endpoint, EndpointError> {
        let url = Url::parse(text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| {
                let harmless = !text.contains(['@', '?']);
                EndpointError::NotAUrl(if harmless { format!("{text:?}") } else { "the value".to_owned() })
            })?;
        let userinfo = !url.username().is_empty() || url.password().is_some();
        if userinfo && protocol == Protocol::Grpc {
            return Err(EndpointError::UserinfoOverGrpc);
        }
        Ok(Endpoint(url))
    }

    /// A place that a receiver names, to be shown.
    pub(super) fn named(url: Url) -> Endpoint {
        Endpoint(url)
    }

    /// The whole URL, secrets included.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = &self.0;
        write!(f, "{}://", url.scheme())?;
        if !url.username().is_empty() || url.password().is_some() {
            f.write_str("***@")?;
        }
        f.write_str(url.host_str().unwrap_or_default())?;
        if let Some(port) = url.port_or_known_default() {
            write!(f, ":{port}")?;
        }
        if url.path() != "/" {
            f.write_str(url.path())?;
        }
        if url.query().is_some() {
            f.write_str("?***")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Headers of every request. They often are the key to an account: `Debug`
/// shows their names alone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(HeaderMap);

impl Headers {
    /// Adds a header; one of the same name is replaced. A
    /// [reserved](Headers::is_reserved) one is left out.
    pub fn insert(&mut self, name: HeaderName, mut value: HeaderValue) {
        if Headers::is_reserved(&name) {
            return;
        }
        value.set_sensitive(true);
        self.0.insert(name, value);
    }

    /// The headers as HTTP has them.
    #[must_use]
    pub fn map(&self) -> &HeaderMap {
        &self.0
    }

    /// Whether the protocols set this header by themselves. A second one would
    /// break the request, or say what is not true of it.
    #[must_use]
    pub fn is_reserved(name: &HeaderName) -> bool {
        const RESERVED: [&str; 11] = [
            "connection",
            "content-encoding",
            "content-length",
            "content-type",
            "expect",
            "keep-alive",
            "proxy-connection",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
        ];
        RESERVED.contains(&name.as_str()) || name.as_str().starts_with("grpc-")
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.keys().map(|name| (name.as_str(), "***"))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_mask_what_may_be_secret() {
        for (text, shown) in [
            ("http://localhost:4318/v1/metrics", "http://localhost:4318/v1/metrics"),
            ("https://collector", "https://collector:443"),
            ("https://user:hush@host/otlp", "https://***@host:443/otlp"),
            ("https://host/otlp?api-key=hush", "https://host:443/otlp?***"),
            ("http://[::1]:4317", "http://[::1]:4317"),
        ] {
            let endpoint = Endpoint::new(text, Protocol::HttpProtobuf).unwrap();
            assert_eq!(endpoint.to_string(), shown);
            assert_eq!(format!("{endpoint:?}"), shown);
        }
    }

    #[test]
    fn wrong_endpoints_are_refused_without_showing_secrets() {
        for text in ["collector:4318", "ftp://host", "http://", "unix:/run/x", "ftp://u:hush@host", ""] {
            let error = Endpoint::new(text, Protocol::HttpProtobuf).unwrap_err().to_string();
            assert!(error.contains("is not a URL") && !error.contains("hush"), "{text}: {error}");
        }
        let error = Endpoint::new("http://u:hush@host:4317", Protocol::Grpc).unwrap_err();
        assert_eq!(error, EndpointError::UserinfoOverGrpc);
    }

    #[test]
    fn headers_never_show() {
        let mut headers = Headers::default();
        headers.insert(HeaderName::from_static("authorization"), HeaderValue::from_static("Bearer hush"));
        let mut settings = OtlpSettings::new(
            Protocol::Grpc,
            Endpoint::new("http://localhost:4317", Protocol::Grpc).unwrap(),
        );
        settings.headers = headers;
        let shown = format!("{settings:?}");
        assert!(shown.contains("authorization") && !shown.contains("hush"), "{shown}");
    }
}
