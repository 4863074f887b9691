//! Asks a bridge over a Unix socket, for which URLs have no place.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::{HEALTHY, MAX_ANSWER, PATH};
use crate::config::values::show_duration;
use crate::outcome::ErrorType;

/// Asks the bridge behind this socket.
///
/// # Errors
///
/// Why it is not healthy: the kind, and the reason in words.
pub async fn ask(path: &Path, within: Duration) -> Result<(), (ErrorType, String)> {
    let no_answer = (ErrorType::Timeout, format!("no answer within {}", show_duration(within)));
    let (status, body) = timeout(within, get(path)).await.map_err(|_| no_answer)??;
    if status != StatusCode::OK {
        return Err((ErrorType::Http5xx, format!("HTTP {status}")));
    }
    if !body.starts_with(HEALTHY) {
        return Err((ErrorType::Decode, "the answer is not a bridge's".to_owned()));
    }
    Ok(())
}

async fn get(path: &Path) -> Result<(StatusCode, Bytes), (ErrorType, String)> {
    let stream = UnixStream::connect(path).await.map_err(|e| (ErrorType::Connect, e.to_string()))?;
    let not_http = |e: hyper::Error| (ErrorType::Decode, format!("no HTTP response: {e}"));
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(not_http)?;
    let request = Request::get(PATH).header("host", "localhost").body(Empty::<Bytes>::new());
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
        // With the connection the answer ends, too.
        _ = &mut connection => answer.await,
    }
}
