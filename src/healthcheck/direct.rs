//! Asks a bridge without a URL: over a Unix socket, or over TLS with a known
//! certificate whose names do not matter.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::config::values::show_duration;
use crate::outcome::ErrorType;
use crate::target::Token;
use crate::tls::{in_words, pinned};

/// The path of the health page. The body is checked, too, because another program's 200
/// says nothing about the bridge.
pub const PATH: &str = "/-/healthy";
/// The beginning of its body.
pub const HEALTHY: &[u8] = b"fedimeter";
/// The maximum length of the bridge's answer in bytes.
pub const MAX_ANSWER: usize = 4 << 10;

/// Where a bridge listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// On an address.
    Address(SocketAddr),
    /// On a Unix socket.
    Socket(PathBuf),
}

/// What a client needs for its request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Access {
    /// The server certificate (DER), if the bridge uses TLS.
    pub certificate: Option<Vec<u8>>,
    /// The token, if one is required.
    pub token: Option<Token>,
}

type Failed = (ErrorType, String);

/// Asks the bridge at this address.
///
/// # Errors
///
/// Why it is not healthy: the type and the reason in words.
pub async fn ask(peer: &Peer, access: &Access, within: Duration) -> Result<(), Failed> {
    let no_answer = (ErrorType::Timeout, format!("no answer within {}", show_duration(within)));
    let (status, body) = timeout(within, connect(peer, access)).await.map_err(|_| no_answer)??;
    if status == StatusCode::UNAUTHORIZED {
        return Err((ErrorType::Unauthorized, format!("HTTP {status}")));
    }
    if status != StatusCode::OK {
        return Err((ErrorType::Http5xx, format!("HTTP {status}")));
    }
    if !body.starts_with(HEALTHY) {
        return Err((ErrorType::Decode, "the answer does not come from a bridge".to_owned()));
    }
    Ok(())
}

async fn connect(peer: &Peer, access: &Access) -> Result<(StatusCode, Bytes), Failed> {
    let cannot = |e: std::io::Error| (ErrorType::Connect, e.to_string());
    match peer {
        Peer::Address(address) => {
            let stream = TcpStream::connect(address).await.map_err(cannot)?;
            secured(stream, access).await
        }
        #[cfg(unix)]
        Peer::Socket(path) => {
            let stream = tokio::net::UnixStream::connect(path).await.map_err(cannot)?;
            secured(stream, access).await
        }
        #[cfg(not(unix))]
        Peer::Socket(_) => Err((ErrorType::Connect, "this system has no Unix sockets".to_owned())),
    }
}

async fn secured<S>(stream: S, access: &Access) -> Result<(StatusCode, Bytes), Failed>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Some(certificate) = access.certificate.clone() else { return get(stream, access).await };
    let client = pinned::client_of(certificate).map_err(|e| (ErrorType::Tls, e.to_string()))?;
    // The name is not compared with the certificate.
    let name = ServerName::try_from("localhost").map_err(|e| (ErrorType::Tls, e.to_string()))?;
    let stream = TlsConnector::from(Arc::new(client)).connect(name, stream).await.map_err(|e| {
        let words = e.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()).map(in_words);
        (ErrorType::Tls, words.unwrap_or_else(|| e.to_string()))
    })?;
    get(stream, access).await
}

async fn get<S>(stream: S, access: &Access) -> Result<(StatusCode, Bytes), Failed>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let not_http = |e: hyper::Error| (ErrorType::Decode, format!("no HTTP response: {e}"));
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(not_http)?;
    let mut request = Request::get(PATH).header("host", "localhost");
    if let Some(token) = &access.token {
        request = request.header(AUTHORIZATION, format!("Bearer {}", token.secret()));
    }
    let request = request.body(Empty::<Bytes>::new());
    let request = request.map_err(|e| (ErrorType::Connect, e.to_string()))?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(not_http)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
        let body = body.map_err(|e| (ErrorType::Decode, format!("no whole response: {e}")))?;
        Ok((status, body.to_bytes()))
    };
    tokio::pin!(answer, connection);
    tokio::select! {
        answer = &mut answer => answer,
        // If the connection ends, so does the answer.
        _ = &mut connection => answer.await,
    }
}
