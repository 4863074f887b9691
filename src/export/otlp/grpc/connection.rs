//! The single connection to a receiver. It ends as soon as it is abandoned. HTTP/2
//! would first say goodbye, and a receiver that sends PINGs without reading the answers
//! could delay that forever.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned};
use tower_service::Service;

use crate::fetch::link::Stream;
use crate::fetch::proxy::Proxy;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Connecting = Pin<Box<dyn Future<Output = Result<Box<dyn Stream>, BoxError>> + Send>>;

/// Opens connections, of which only the latest is open. Clones share it.
#[derive(Clone)]
pub struct Connector {
    way: Way,
    last: Arc<Mutex<Option<DropGuard>>>,
}

/// How the receiver is reached.
#[derive(Clone)]
enum Way {
    Direct(HttpConnector),
    /// gRPC needs HTTP/2 from end to end, so a proxy has to open a tunnel, with or
    /// without TLS.
    Proxy(Box<Tunnel<HttpsConnector<HttpConnector>>>),
}

impl Connector {
    /// Creates a connector, through `proxy` if there is one. `tls` is for a proxy with
    /// TLS.
    pub fn new(connect_timeout: Duration, proxy: Option<(&Proxy, ClientConfig)>) -> Connector {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // Several addresses share this time.
        tcp.set_connect_timeout(Some(connect_timeout));
        let way = match proxy {
            None => Way::Direct(tcp),
            Some((proxy, tls)) => {
                let tunnel = Tunnel::new(proxy.uri.clone(), HttpsConnector::from((tcp, tls)));
                Way::Proxy(Box::new(match &proxy.authorization {
                    Some(authorization) => tunnel.with_auth(authorization.clone()),
                    None => tunnel,
                }))
            }
        };
        Connector { way, last: Arc::default() }
    }

    /// Closes the connection.
    pub fn leave(&self) {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Connection>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<Connection>, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match &mut self.way {
            Way::Direct(tcp) => tcp.poll_ready(cx).map_err(Into::into),
            Way::Proxy(tunnel) => tunnel.poll_ready(cx).map_err(Into::into),
        }
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let left = CancellationToken::new();
        let guard = left.clone().drop_guard();
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(guard);
        let connecting: Connecting = match &mut self.way {
            Way::Direct(tcp) => {
                let connecting = tcp.call(uri);
                Box::pin(async move { Ok(Box::new(connecting.await?) as Box<dyn Stream>) })
            }
            Way::Proxy(tunnel) => {
                let tunnelling = with_port(uri).map(|uri| tunnel.call(uri));
                Box::pin(async move { Ok(Box::new(tunnelling?.await?) as Box<dyn Stream>) })
            }
        };
        Box::pin(async move {
            let stream = TokioIo::new(connecting.await?);
            Ok(TokioIo::new(Connection { stream, left: Box::pin(left.cancelled_owned()) }))
        })
    }
}

/// Without a port in the URI, hyper-util opens a tunnel to port 443 for every scheme.
fn with_port(uri: Uri) -> Result<Uri, http::Error> {
    match (uri.scheme_str(), uri.host(), uri.port()) {
        (Some("http"), Some(host), None) => {
            Uri::builder().scheme("http").authority(format!("{host}:80")).path_and_query("/").build()
        }
        _ => Ok(uri),
    }
}

/// A connection that fails as soon as it is abandoned.
pub struct Connection {
    stream: TokioIo<Box<dyn Stream>>,
    left: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Connection {
    /// A single task drives a connection's reads and writes, so one waker is enough for
    /// both.
    fn fails_if_left(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.left.as_mut().poll(cx) {
            Poll::Ready(()) => {
                Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the connection was left"))
            }
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.fails_if_left(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.fails_if_left(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.fails_if_left(cx)?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.fails_if_left(cx)?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
