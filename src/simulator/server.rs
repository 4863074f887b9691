//! The listener and the way of a request: on record, limits, faults, answer.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::header::{HOST, HeaderName, HeaderValue, LOCATION};
use http::{HeaderMap, Request as HttpRequest, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::broken::{self, Closed};
use super::reply::Reply;
use super::routes::{Call, answer};
use super::state::{Instance, Now, Request, Shared};

/// Rate limits count in windows of five minutes by the clock on the wall.
const WINDOW: i64 = 300;

/// Accepts connections until it is aborted; they end with it.
pub(super) async fn run(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, Arc::clone(&shared)));
                }
                // Out of file descriptors, most likely: some will be free again.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            },
            // Finished connections are collected, or their results would pile up.
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    // Answers are small and written whole; waiting for more only delays them.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { respond(&shared, &request).await }
    });
    // What ends a connection early is the peer's business, or a fault on purpose.
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

async fn respond(shared: &Shared, request: &HttpRequest<Incoming>) -> Result<Response<Body>, Closed> {
    let uri = request.uri();
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| uri.authority().map(http::uri::Authority::as_str)).unwrap_or_default();
    let (instance, own_name) = shared.by_host(host);
    let (path, now) = (uri.path(), shared.now());
    instance.count(path);
    shared.record(|| record(request, instance, host));

    let fault = instance.state().fault(path, now.seconds);
    let limit = path.starts_with("/api").then(|| spend(shared, instance, now));
    if let Some(fault) = &fault
        && let Some(result) = broken::instead(fault, now).await
    {
        return result;
    }
    let mut reply = match &limit {
        Some(limit) if limit.exceeded => {
            limit.tell(Reply::error(StatusCode::TOO_MANY_REQUESTS, "Too many requests"))
        }
        _ => {
            let domain = domain(shared, instance, own_name, host);
            ask(shared, instance, request, now, domain)
        }
    };
    if let Some(limit) = &limit
        && reply.status == StatusCode::OK
    {
        reply = limit.tell(reply);
    }
    Ok(match &fault {
        Some(fault) => broken::after(fault, reply, request.headers()),
        None => reply.render().respond(request.headers()),
    })
}

/// What the instance says when nothing is wrong.
fn ask(
    shared: &Shared,
    instance: &Instance,
    request: &HttpRequest<Incoming>,
    now: Now,
    domain: String,
) -> Reply {
    let (uri, headers) = (request.uri(), request.headers());
    let forwarded = headers.get("x-forwarded-proto").is_some_and(|scheme| scheme == "https");
    let (switches, pinned) = {
        let state = instance.state();
        if let Some(reply) = state.answers.get(uri.path()) {
            return reply.clone();
        }
        (state.switches, state.pinned.clone())
    };
    if switches.force_ssl && !forwarded && !uri.path().starts_with("/health") {
        let target = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        return Reply::html(StatusCode::MOVED_PERMANENTLY, "Moved", "This server speaks https only.")
            .with(LOCATION, &format!("https://{domain}{target}"));
    }
    answer(&Call {
        shared,
        instance,
        switches,
        pinned,
        now,
        method: request.method().clone(),
        path: uri.path(),
        query: uri.query().unwrap_or_default(),
        headers,
        scheme: if forwarded { "https" } else { "http" },
        domain,
    })
}

/// What the instance calls itself. Asked by another name than its own it takes
/// that, so that the links it gives lead back to it.
fn domain(shared: &Shared, instance: &Instance, own_name: bool, host: &str) -> String {
    if own_name || host.is_empty() {
        format!("{}.localhost:{}", instance.label(), shared.port)
    } else {
        host.to_owned()
    }
}

fn record(request: &HttpRequest<Incoming>, instance: &Instance, host: &str) -> Request {
    let mut headers: HeaderMap = request.headers().clone();
    if let Ok(host) = HeaderValue::from_str(host) {
        headers.entry(HOST).or_insert(host);
    }
    let target = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    Request {
        instance: instance.index,
        method: request.method().clone(),
        target: target.to_owned(),
        version: request.version(),
        headers,
    }
}

/// Where a client stands with the rate limit.
struct Limit {
    allowed: u32,
    remaining: u32,
    reset: String,
    exceeded: bool,
}

/// Counts a request of `/api`, 304s included. Real servers count by address;
/// here all clients of an instance share one count.
fn spend(shared: &Shared, instance: &Instance, now: Now) -> Limit {
    // 7500 for strangers before 2.9.
    let limit = shared.settings.rate_limit.unwrap_or(if instance.version.since(2, 9) { 300 } else { 7500 });
    let end = now.seconds - now.seconds.rem_euclid(WINDOW) + WINDOW;
    let spent = instance.state().spend(end);
    Limit {
        allowed: limit,
        remaining: limit.saturating_sub(spent),
        reset: broken::instant(end, now.micros),
        exceeded: spent > limit,
    }
}

impl Limit {
    fn tell(&self, reply: Reply) -> Reply {
        let name = HeaderName::from_static;
        reply
            .with(name("x-ratelimit-limit"), &self.allowed.to_string())
            .with(name("x-ratelimit-remaining"), &self.remaining.to_string())
            .with(name("x-ratelimit-reset"), &self.reset)
    }
}
