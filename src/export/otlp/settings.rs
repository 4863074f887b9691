//! Where and how telemetry is pushed: the checked values of the `OTEL_EXPORTER_OTLP_*`
//! variables.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry_sdk::metrics::Temporality;
use url::Url;

use super::Signal;
use super::wording::in_file;

/// How to reach a receiver.
#[derive(Debug, Clone, PartialEq)]
pub struct OtlpSettings {
    /// The configuration file that contains these settings, if it replaces the
    /// variables.
    pub file: Option<Arc<str>>,
    /// The signal.
    pub signal: Signal,
    /// What is spoken.
    pub protocol: Protocol,
    /// The receiver.
    pub endpoint: Endpoint,
    /// The headers of every request.
    pub headers: Headers,
    /// How requests are compressed.
    pub compression: Compression,
    /// The longest time that one export may take, including its retries.
    pub timeout: Duration,
    /// The file of authorities (PEM) that replace the system's authorities for the
    /// receiver's certificate.
    pub certificate: Option<PathBuf>,
    /// The file of the client certificate's key (PEM).
    pub client_key: Option<PathBuf>,
    /// The file of the client certificate and its chain (PEM).
    pub client_certificate: Option<PathBuf>,
    /// Whether counters and histograms are cumulative or deltas. The reader applies it.
    /// Non-monotonic sums are always cumulative.
    pub temporality: Temporality,
    /// The maximum size of requests, and the backlog.
    pub delivery: DeliverySettings,
}

/// The maximum size of requests, and what happens to requests that cannot be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliverySettings {
    /// The maximum size of a request in bytes, before compression.
    pub max_request: usize,
    /// The maximum size of the backlog in bytes, in memory or on disk; 0 for no
    /// backlog.
    pub backlog: usize,
    /// The directory of the backlog, or `None` for a backlog in memory.
    pub directory: Option<PathBuf>,
}

impl DeliverySettings {
    /// Whether requests that cannot be delivered wait.
    #[must_use]
    pub fn keeps(&self) -> bool {
        self.backlog > 0
    }
}

impl Default for DeliverySettings {
    /// A Collector refuses a gRPC message over 4 MiB. The difference is room for what
    /// proxies add.
    fn default() -> DeliverySettings {
        DeliverySettings { max_request: 3 << 20, backlog: 64 << 20, directory: None }
    }
}

impl OtlpSettings {
    /// The defaults of the specification for everything but the address, for metrics.
    #[must_use]
    pub fn new(protocol: Protocol, endpoint: Endpoint) -> OtlpSettings {
        OtlpSettings {
            file: None,
            signal: Signal::Metrics,
            protocol,
            endpoint,
            headers: Headers::default(),
            compression: Compression::None,
            timeout: Duration::from_secs(10),
            certificate: None,
            client_key: None,
            client_certificate: None,
            temporality: Temporality::Cumulative,
            delivery: DeliverySettings::default(),
        }
    }

    /// Returns a text that names variables. If a file replaces them, the text names the
    /// file's keys instead.
    #[must_use]
    pub fn named(&self, text: &str) -> String {
        self.file.as_ref().map_or_else(|| text.to_owned(), |file| in_file(text, file))
    }
}

/// The transport and encoding of OTLP.
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

    /// The name in `OTEL_EXPORTER_OTLP_PROTOCOL`.
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

/// A receiver's URL: `http` or `https`, with a host. `Display` and `Debug` mask its
/// credentials and query.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint(Url);

/// Why a URL cannot be an endpoint. The URL's text is omitted where it may contain a
/// secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// The text is not an HTTP URL.
    #[error("{0} is not a URL of the form http://HOST:PORT or https://HOST:PORT")]
    NotAUrl(String),
    /// The URL contains a user name or password, which gRPC cannot transmit.
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
            .ok_or_else(|| EndpointError::NotAUrl(harmless_part(text)))?;
        let userinfo = !url.username().is_empty() || url.password().is_some();
        if userinfo && protocol == Protocol::Grpc {
            return Err(EndpointError::UserinfoOverGrpc);
        }
        Ok(Endpoint(url))
    }

    /// An endpoint that the receiver names, for display.
    pub(super) fn named(url: Url) -> Endpoint {
        Endpoint(url)
    }

    /// The whole URL, including its secrets.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// Whether the URL has a user name, password or query, which may be secret.
    #[must_use]
    pub fn has_credentials(&self) -> bool {
        !self.0.username().is_empty() || self.0.password().is_some() || self.0.query().is_some()
    }

    /// Its scheme, host and port.
    fn origin(&self) -> String {
        let port = self.0.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{}{port}", self.0.scheme(), self.0.host_str().unwrap_or_default())
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }
}

/// Whether a text can be a host, with or without a port: an address, or a name of
/// letters, digits, hyphens, underscores and dots. Each label has at most 63
/// characters.
#[must_use]
pub fn is_host(text: &str) -> bool {
    if text.starts_with('[') {
        return Url::parse(&format!("http://{text}")).is_ok_and(|url| url.path() == "/");
    }
    let (host, port) = text.split_once(':').unwrap_or((text, "0"));
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    host.split('.').all(is_label) && port.parse::<u16>().is_ok()
}

/// Returns the part of an invalid value that can be repeated: the scheme, and the host
/// with its port. The rest may be a secret in the wrong variable.
fn harmless_part(text: &str) -> String {
    if text.contains(':') && is_host(text) {
        return format!("{text:?}");
    }
    match Url::parse(text) {
        Ok(url) if url.has_host() => format!("{:?}", Endpoint(url).origin()),
        _ => format!("the value, of {} characters,", text.chars().count()),
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

/// The headers of every request. They often contain credentials, so `Debug` shows only
/// their names.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(HeaderMap);

impl Headers {
    /// Adds a header, or replaces one of the same name. A
    /// [reserved](Headers::is_reserved) header is ignored.
    pub fn insert(&mut self, name: HeaderName, mut value: HeaderValue) {
        if Headers::is_reserved(&name) {
            return;
        }
        value.set_sensitive(true);
        self.0.insert(name, value);
    }

    /// The headers as HTTP headers.
    #[must_use]
    pub fn map(&self) -> &HeaderMap {
        &self.0
    }

    /// Whether the protocols set this header themselves. A second one would break the
    /// request or contradict it.
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
        const VALUE: &str = "the value, of";
        for (text, shown) in [
            ("collector:4318", "\"collector:4318\""),
            ("collector.example:4318", "\"collector.example:4318\""),
            ("ftp://host", "\"ftp://host\""),
            ("grpc://host:4317/hush", "\"grpc://host:4317\""),
            ("ftp://u:hush@host?hush", "\"ftp://host\""),
            ("http://", VALUE),
            ("unix:/run/hush", VALUE),
            ("glc_hush", VALUE),
            ("Bearer hush", VALUE),
            ("123456:hush", VALUE),
            ("authorization=hush", VALUE),
            ("hush.hush.hush", VALUE),
            ("", VALUE),
        ] {
            for protocol in [Protocol::HttpProtobuf, Protocol::Grpc] {
                let error = Endpoint::new(text, protocol).unwrap_err().to_string();
                let is_right = error.starts_with(shown) && error.contains("is not a URL");
                assert!(is_right && !error.contains("hush"), "{text}: {error}");
            }
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
