//! Accepts connections, and serves HTTP/1.1 and HTTP/2 on them within the limits for
//! clients.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::log_once::LogOnce;
use crate::snapshot::ClientLimit;

use super::body::Tracked;
use super::clients::{Clients, Place};
use super::connection::Connection;
use super::host::HostNames;
use super::socket::Socket;
use super::stream::Watched;
use super::web::Door;

/// How long no connection is accepted after the system has run out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The maximum number of bytes that a connection buffers, and the maximum size of a
/// request's headers.
const MAX_BUFFER: usize = 32 << 10;
/// The maximum number of simultaneous requests on one HTTP/2 connection.
const MAX_STREAMS: u32 = 16;
/// The bytes that an HTTP/2 client may send ahead. This is the minimum, because no
/// route reads a body.
const WINDOW: u32 = 65_535;
/// How long a client that is connected may take for its first request when the bridge
/// stops, so that a restart loses no request.
const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_millis(500);
/// How often an HTTP/2 client is pinged, and how long it may take to answer.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Accepts connections until `end`, then waits for the running responses. Dropping the
/// future closes all connections.
pub async fn serve(
    listener: Socket,
    router: Router,
    names: HostNames,
    door: Arc<Door>,
    clients: Arc<Clients>,
    end: CancellationToken,
) {
    let names = Arc::new(names);
    let mut tasks = JoinSet::new();
    let failing = LogOnce::default();
    loop {
        let stream = tokio::select! {
            () = end.cancelled() => break,
            // Finished tasks must be collected, or they would pile up.
            Some(_) = tasks.join_next() => continue,
            accepted = listener.accept() => match accepted {
                Ok(stream) => stream,
                Err(e) if is_of_client(&e) => continue,
                Err(e) => {
                    out_of_descriptors(&clients, &failing, &e).await;
                    continue;
                }
            },
        };
        if failing.ends() {
            tracing::info!("connections are accepted again");
        }
        let place = tokio::select! {
            // A connection that was accepted is answered.
            biased;
            place = clients.admit() => place,
            () = end.cancelled() => break,
        };
        let (router, names, door, end) = (router.clone(), names.clone(), door.clone(), end.clone());
        tasks.spawn(async move {
            let Some(tls) = door.tls() else {
                return connection(stream, place, router, names, door, end).await;
            };
            // The time limit for headers includes the handshake.
            let stream = tokio::select! {
                stream = tls.accept(stream) => stream,
                () = place.connection().closing() => return,
            };
            // TLS itself reports a failed handshake to the client.
            if let Ok(stream) = stream {
                connection(stream, place, router, names, door, end).await;
            }
        });
    }
    drop(listener);
    while tasks.join_next().await.is_some() {}
}

/// Whether the connection was closed before it was accepted.
fn is_of_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Pauses, because accepting again at once would fail in a busy loop.
async fn out_of_descriptors(clients: &Clients, failing: &LogOnce, error: &io::Error) {
    clients.reached(ClientLimit::Descriptors);
    if failing.begins() {
        tracing::error!(
            "cannot accept connections: {error}; raise the limit on open files with ulimit -n or LimitNOFILE"
        );
    }
    clients.close_least_worth();
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

/// Serves one connection, until it is closed or has answered after `end`.
async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    place: Place,
    router: Router,
    names: Arc<HostNames>,
    door: Arc<Door>,
    end: CancellationToken,
) {
    let connection = place.connection().clone();
    let router = TowerToHyperService::new(router);
    let exchanges = connection.clone();
    let http2 = door.http2();
    let service = service_fn(move |mut request: Request<Incoming>| {
        let exchange = exchanges.requested(request.version());
        request.extensions_mut().insert(exchanges.clone());
        let (router, names, door) = (router.clone(), names.clone(), door.clone());
        async move {
            let mut response: Response<_> = match names.admit(&mut request) {
                Ok(()) => match door.admit(request.uri().path(), request.headers()).await {
                    Ok(()) => match router.call(request).await {
                        Ok(response) => response,
                        Err(never) => match never {},
                    },
                    Err(refusal) => refusal.response(),
                },
                Err(refusal) => refusal.response(),
            };
            door.mark(response.headers_mut());
            Ok::<_, Infallible>(response.map(|body| Tracked::new(body, exchange)))
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().max_buf_size(MAX_BUFFER);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_header_list_size(MAX_BUFFER as u32)
        .max_send_buf_size(MAX_BUFFER)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    let builder = if http2 { builder } else { builder.http1_only() };
    let serving = builder.serve_connection(TokioIo::new(Watched::new(stream, connection.clone())), service);
    tokio::pin!(serving);
    // Errors of a connection concern only its client.
    tokio::select! {
        _ = &mut serving => return,
        () = connection.closing() => return,
        () = last_request(&connection, &end) => serving.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        _ = serving => {}
        () = connection.closing() => {}
    }
}

/// Waits until `end`, and then for the first request of a client that has just
/// connected.
async fn last_request(connection: &Connection, end: &CancellationToken) {
    end.cancelled().await;
    let _ = tokio::time::timeout(FIRST_REQUEST_TIMEOUT, connection.asked()).await;
}

#[cfg(test)]
mod tests;
