//! OTLP receivers in this process, over gRPC and HTTP. They keep requests, and answer as
//! configured.

#[path = "otlp_flatten.rs"]
mod flatten;
#[path = "otlp_listen.rs"]
mod listen;
#[path = "otlp_signals.rs"]
mod signals;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::LogsServiceServer;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::TraceServiceServer;
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::codec::CompressionEncoding;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};

pub use flatten::points;
pub use listen::{FullPort, Options, SilentPort};
use listen::{TlsListener, acceptor};
use signals::Telemetry;
pub use signals::{Record, Span};

/// How long a test waits for an event that should happen at once.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A request, with any answer.
#[derive(Debug, Clone)]
pub struct Received {
    /// The headers of the request, or the metadata of gRPC.
    pub headers: HeaderMap,
    /// The path; empty for gRPC.
    pub path: String,
    /// The message.
    pub message: ExportMetricsServiceRequest,
    /// The body before compression; empty for gRPC.
    pub body: Vec<u8>,
    /// Whether the answer confirmed the points.
    pub taken: bool,
    /// When the request arrived.
    pub at: std::time::Instant,
}

/// A data point with its metric, scope and resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    pub resource: BTreeMap<String, String>,
    pub scope: String,
    pub name: String,
    pub unit: String,
    pub description: String,
    /// `gauge`, `counter`, `updowncounter`, `histogram`, …
    pub kind: &'static str,
    /// `cumulative`, `delta`, or empty for gauges.
    pub temporality: &'static str,
    pub attributes: BTreeMap<String, String>,
    pub value: Value,
    pub time_unix_nano: u64,
}

/// A point's value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Int(i64),
    Double(f64),
    /// Count and sum.
    Distribution(u64, f64),
}

/// The answer of a sink.
#[derive(Debug, Clone)]
pub enum Answer {
    /// All points are accepted.
    Ok,
    /// Some points are rejected.
    Partial(i64, &'static str),
    /// A gRPC error (from a gRPC sink).
    Status(tonic::Status),
    /// An HTTP answer (from an HTTP sink): status, headers, body.
    Http(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// No answer at all.
    Hang,
    /// No answer at all, although all points are accepted.
    Mute,
}

impl Answer {
    /// Whether the answer confirms the points.
    fn takes(&self) -> bool {
        matches!(self, Answer::Ok | Answer::Partial(..) | Answer::Mute)
    }
}

/// The received requests of a sink, and its answers.
#[derive(Clone, Default)]
pub struct Sink(Arc<State>);

#[derive(Default)]
struct State {
    received: Mutex<Vec<Received>>,
    telemetry: Mutex<Vec<(HeaderMap, Telemetry, bool)>>,
    next: Mutex<VecDeque<Answer>>,
    always: Mutex<Option<Answer>>,
    news: Notify,
}

impl Sink {
    /// Sets the answer to the next request with metrics that has no answer yet.
    pub fn answer_next(&self, answer: Answer) {
        self.0.next.lock().unwrap().push_back(answer);
    }

    /// Sets the answer to all further requests, after those of `answer_next`.
    pub fn answer_always(&self, answer: Answer) {
        *self.0.always.lock().unwrap() = Some(answer);
    }

    /// Accepts everything from now on. What a client gave up before is answered as it
    /// would have been then: on a busy machine, the receiver reads it only now.
    pub async fn is_back(&self) {
        let mut before = None;
        while before != Some(self.requests().len()) {
            before = Some(self.requests().len());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.answer_always(Answer::Ok);
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Received> {
        self.0.received.lock().unwrap().clone()
    }

    /// Waits for `count` requests, and returns all requests.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        let wait = async {
            loop {
                let news = self.0.news.notified();
                tokio::pin!(news);
                news.as_mut().enable();
                let requests = self.requests();
                if requests.len() >= count {
                    return requests;
                }
                news.await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| {
            panic!("{} of {count} requests came", self.requests().len());
        })
    }

    /// The points of all accepted requests.
    pub fn points(&self) -> Vec<Point> {
        self.requests().iter().filter(|r| r.taken).flat_map(|r| points(&r.message)).collect()
    }

    fn take(
        &self,
        headers: HeaderMap,
        path: &str,
        message: ExportMetricsServiceRequest,
        body: Vec<u8>,
    ) -> Answer {
        let next = self.0.next.lock().unwrap().pop_front();
        let answer = next.unwrap_or_else(|| self.always());
        let taken = answer.takes();
        let at = std::time::Instant::now();
        let received = Received { headers, path: path.to_owned(), message, body, taken, at };
        self.0.received.lock().unwrap().push(received);
        self.0.news.notify_waiters();
        answer
    }

    fn always(&self) -> Answer {
        self.0.always.lock().unwrap().clone().unwrap_or(Answer::Ok)
    }
}

/// A receiver of OTLP over gRPC, until it is dropped.
pub struct GrpcSink {
    sink: Sink,
    address: SocketAddr,
    scheme: &'static str,
    _stop: DropGuard,
}

impl GrpcSink {
    /// Starts a plain receiver on a free port of 127.0.0.1.
    pub async fn start() -> GrpcSink {
        GrpcSink::start_with(Options::default()).await
    }

    pub async fn start_with(options: Options) -> GrpcSink {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let sink = Sink::default();
        let service = MetricsServiceServer::new(GrpcService(sink.clone()))
            .accept_compressed(CompressionEncoding::Gzip)
            .send_compressed(CompressionEncoding::Gzip)
            .max_decoding_message_size(options.max_message);
        let mut server = Server::builder();
        let scheme = if options.tls.is_some() { "https" } else { "http" };
        if let Some((certificate, key)) = &options.tls {
            let mut tls = ServerTlsConfig::new().identity(Identity::from_pem(certificate, key));
            if let Some(ca) = &options.client_ca {
                tls = tls.client_ca_root(Certificate::from_pem(ca));
            }
            server = server.tls_config(tls).unwrap();
        }
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let serve = server
            .add_service(service)
            .add_service(
                LogsServiceServer::new(GrpcService(sink.clone()))
                    .accept_compressed(CompressionEncoding::Gzip),
            )
            .add_service(
                TraceServiceServer::new(GrpcService(sink.clone()))
                    .accept_compressed(CompressionEncoding::Gzip),
            )
            .serve_with_incoming(tonic::transport::server::TcpIncoming::from(listener));
        tokio::spawn(async move {
            // The server is dropped without a graceful shutdown, for which a hanging
            // request would have to end.
            tokio::select! { _ = serve => {}, () = stopped => {} }
        });
        GrpcSink { sink, address, scheme, _stop: stop.drop_guard() }
    }

    pub fn endpoint(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }
}

impl Deref for GrpcSink {
    type Target = Sink;

    fn deref(&self) -> &Sink {
        &self.sink
    }
}

#[derive(Clone)]
struct GrpcService(Sink);

#[tonic::async_trait]
impl MetricsService for GrpcService {
    async fn export(
        &self,
        request: tonic::Request<ExportMetricsServiceRequest>,
    ) -> Result<tonic::Response<ExportMetricsServiceResponse>, tonic::Status> {
        let (metadata, _, message) = request.into_parts();
        match self.0.take(metadata.into_headers(), "", message, Vec::new()) {
            Answer::Ok => Ok(tonic::Response::new(ExportMetricsServiceResponse::default())),
            Answer::Partial(rejected, words) => Ok(tonic::Response::new(partial(rejected, words))),
            Answer::Status(status) => Err(status),
            Answer::Http(..) => panic!("this sink speaks gRPC"),
            Answer::Hang | Answer::Mute => std::future::pending().await,
        }
    }
}

fn partial(rejected: i64, words: &str) -> ExportMetricsServiceResponse {
    ExportMetricsServiceResponse {
        partial_success: Some(ExportMetricsPartialSuccess {
            rejected_data_points: rejected,
            error_message: words.to_owned(),
        }),
    }
}

/// A receiver of OTLP over HTTP, protobuf and JSON, at any path.
pub struct HttpSink {
    sink: Sink,
    address: SocketAddr,
    scheme: &'static str,
    _stop: DropGuard,
}

impl HttpSink {
    /// Starts a plain receiver on a free port of 127.0.0.1.
    pub async fn start() -> HttpSink {
        HttpSink::start_with(Options::default()).await
    }

    pub async fn start_with(options: Options) -> HttpSink {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let sink = Sink::default();
        let keep = sink.clone();
        let router = axum::Router::new()
            .fallback(move |request: axum::extract::Request| http(keep.clone(), request))
            .layer(axum::extract::DefaultBodyLimit::disable());
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let scheme = if options.tls.is_some() { "https" } else { "http" };
        let acceptor = acceptor(&options);
        tokio::spawn(async move {
            let serve = async {
                match acceptor {
                    None => axum::serve(tcp, router).await,
                    Some(acceptor) => axum::serve(TlsListener { tcp, acceptor }, router).await,
                }
            };
            tokio::select! { _ = serve => {}, () = stopped => {} }
        });
        HttpSink { sink, address, scheme, _stop: stop.drop_guard() }
    }

    /// The base URL, to which a client appends `/v1/metrics`.
    pub fn endpoint(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }
}

impl Deref for HttpSink {
    type Target = Sink;

    fn deref(&self) -> &Sink {
        &self.sink
    }
}

async fn http(sink: Sink, request: axum::extract::Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut body = axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec();
    let header = |name| parts.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if header(header::CONTENT_ENCODING) == "gzip" {
        let mut plain = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&body[..]), &mut plain).unwrap();
        body = plain;
    }
    let json = header(header::CONTENT_TYPE) == "application/json";
    if !json && header(header::CONTENT_TYPE) != "application/x-protobuf" {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    let headers = parts.headers.clone();
    let answer = if parts.uri.path().ends_with("/v1/logs") {
        sink.keep(headers, Telemetry::Logs(decoded(&body, json)))
    } else if parts.uri.path().ends_with("/v1/traces") {
        sink.keep(headers, Telemetry::Traces(decoded(&body, json)))
    } else {
        let message = decoded(&body, json);
        sink.take(headers, parts.uri.path(), message, body)
    };
    let answer = match answer {
        Answer::Ok => ExportMetricsServiceResponse::default(),
        Answer::Partial(rejected, words) => partial(rejected, words),
        Answer::Status(_) => panic!("this sink speaks HTTP"),
        Answer::Http(status, headers, body) => {
            let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
            response.headers_mut().clear();
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            return response;
        }
        Answer::Hang | Answer::Mute => std::future::pending().await,
    };
    if json {
        ([(header::CONTENT_TYPE, "application/json")], canonical(&answer).to_string()).into_response()
    } else {
        ([(header::CONTENT_TYPE, "application/x-protobuf")], answer.encode_to_vec()).into_response()
    }
}

fn decoded<T: Message + Default + serde::de::DeserializeOwned>(body: &[u8], json: bool) -> T {
    if json {
        serde_json::from_slice(body).expect("OTLP in JSON")
    } else {
        T::decode(body).expect("OTLP in protobuf")
    }
}

/// Encodes the answer in OTLP's JSON, with 64-bit numbers as strings. The serialisation of
/// the message type writes numbers.
fn canonical(answer: &ExportMetricsServiceResponse) -> serde_json::Value {
    match &answer.partial_success {
        None => serde_json::json!({}),
        Some(partial) => serde_json::json!({ "partialSuccess": {
            "rejectedDataPoints": partial.rejected_data_points.to_string(),
            "errorMessage": partial.error_message,
        }}),
    }
}
