//! The listener, and the steps of a request: log, limits, faults, answer.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use http::header::{AUTHORIZATION, HOST, HeaderValue, LOCATION};
use http::{HeaderMap, Request as HttpRequest, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::broken::{self, Closed};
use crate::call::{Bearer, Call};
use crate::clock::Now;
use crate::faults::Fault;
use crate::limits::{self, Limit};
use crate::reply::Reply;
use crate::routes::answer;
use crate::state::{Request, Running, Shared};

/// The maximum size of a request's body in bytes.
const MAX_REQUEST: usize = 1 << 16;

/// Accepts connections until it is aborted, which also ends the connections.
pub(crate) async fn run(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, Arc::clone(&shared)));
                }
                // The process is probably out of file descriptors, and some will be
                // free again.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            },
            // Finished connections must be collected, or their results would pile up.
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    // Answers are small and written in one piece, so waiting for more would delay them.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { respond(&shared, request).await }
    });
    // A connection ends early because of its peer, or because of a fault.
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

async fn respond(shared: &Shared, request: HttpRequest<Incoming>) -> Result<Response<Body>, Closed> {
    let (head, body) = request.into_parts();
    // A longer or incomplete body closes the connection.
    let body = axum::body::to_bytes(Body::new(body), MAX_REQUEST).await.map_err(|_| Closed)?;
    let request = &HttpRequest::from_parts(head, body);
    let uri = request.uri();
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| uri.authority().map(http::uri::Authority::as_str)).unwrap_or_default();
    let (running, own_name) = shared.by_host(host);
    let (path, now) = (uri.path(), shared.clock.now());
    running.count(path);
    shared.record(|| record(request, running, host));

    let fault = running.state().fault(path, now.seconds);
    let limit = limits::spend(shared, running, now, path, uri.query().unwrap_or_default());
    if let Some(fault) = &fault
        && let Some(result) = broken::instead(fault, now).await
    {
        return result;
    }
    let reply = if let Some(refusal) = limit.as_ref().and_then(Limit::refusal) {
        refusal
    } else {
        let domain = domain(shared, running, own_name, host);
        let reply = ask(shared, running, request, now, domain);
        match &limit {
            Some(limit) if reply.status == StatusCode::OK && !Limit::is_told(&reply) => limit.tell(reply),
            _ => reply,
        }
    };
    let reply = match &fault {
        Some(Fault::Cached { .. }) => {
            let target = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
            running.state().first(target, reply)
        }
        _ => reply,
    };
    Ok(match &fault {
        Some(fault) => broken::after(fault, reply, request.headers()),
        None => reply.respond(request.headers()),
    })
}

/// Returns the answer of an instance without faults.
fn ask(shared: &Shared, running: &Running, request: &HttpRequest<Bytes>, now: Now, domain: String) -> Reply {
    let (uri, headers) = (request.uri(), request.headers());
    let forwarded = headers.get("x-forwarded-proto").is_some_and(|scheme| scheme == "https");
    let (switches, pinned, pinned_admin) = {
        let state = running.state();
        if let Some(reply) = state.answers.get(uri.path()) {
            return reply.clone();
        }
        (state.switches, state.pinned.clone(), state.pinned_admin.clone())
    };
    if switches.force_ssl && !forwarded && !uri.path().starts_with("/health") {
        let target = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        return Reply::html(StatusCode::MOVED_PERMANENTLY, "Moved", "This server speaks https only.")
            .with(LOCATION, &format!("https://{domain}{target}"));
    }
    answer(&Call {
        instance: &running.instance,
        switches,
        pinned,
        pinned_admin,
        now,
        method: request.method().clone(),
        path: uri.path(),
        query: uri.query().unwrap_or_default(),
        headers,
        cache_headers: shared.settings.cache_headers,
        bearer: bearer(shared, headers),
        body: request.body(),
        scheme: if forwarded { "https" } else { "http" },
        domain,
    })
}

fn bearer(shared: &Shared, headers: &HeaderMap) -> Bearer {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    match header.and_then(|value| value.strip_prefix("Bearer ")) {
        None => Bearer::None,
        Some(secret) => shared.token(secret).map_or(Bearer::Dead, Bearer::Known),
    }
}

/// Returns the name by which the instance calls itself. If it was asked by another
/// name, it uses that, so that its links lead back to it.
fn domain(shared: &Shared, running: &Running, own_name: bool, host: &str) -> String {
    if own_name || host.is_empty() { running.instance.host(shared.port) } else { host.to_owned() }
}

fn record(request: &HttpRequest<Bytes>, running: &Running, host: &str) -> Request {
    let mut headers: HeaderMap = request.headers().clone();
    if let Ok(host) = HeaderValue::from_str(host) {
        headers.entry(HOST).or_insert(host);
    }
    let target = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    Request {
        instance: running.instance.index,
        method: request.method().clone(),
        target: target.to_owned(),
        version: request.version(),
        headers,
        body: request.body().clone(),
    }
}
