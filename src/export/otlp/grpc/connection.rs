//! The one connection to a receiver. It ends when it is left, whatever its receiver
//! does: HTTP/2 says goodbye first, which a receiver that sends PINGs and reads no
//! answer to them would put off for ever.

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

/// Makes connections, of which the last one alone is open. Clones share it.
#[derive(Clone)]
pub struct Connector {
    way: Way,
    last: Arc<Mutex<Option<DropGuard>>>,
}

/// How a receiver is reached.
#[derive(Clone)]
enum Way {
    Direct(HttpConnector),
    /// gRPC needs HTTP/2 from end to end, which only a tunnel gives, with or without TLS.
    Proxy(Box<Tunnel<HttpsConnector<HttpConnector>>>),
}

impl Connector {
    /// A connector through `proxy`, if there is one. `tls` is for a proxy that wants it.
    pub fn new(connect_timeout: Duration, proxy: Option<(&Proxy, ClientConfig)>) -> Connector {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // Of several addresses each has its part of the time.
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

    /// Ends the connection.
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

/// A tunnel leads to port 443 unless the URI names another one, whatever its scheme.
fn with_port(uri: Uri) -> Result<Uri, http::Error> {
    match (uri.scheme_str(), uri.host(), uri.port()) {
        (Some("http"), Some(host), None) => {
            Uri::builder().scheme("http").authority(format!("{host}:80")).path_and_query("/").build()
        }
        _ => Ok(uri),
    }
}

/// A connection that fails from when it is left.
pub struct Connection {
    stream: TokioIo<Box<dyn Stream>>,
    left: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Connection {
    /// One task alone drives a connection's reads and writes, so that one waker is
    /// enough for both.
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
