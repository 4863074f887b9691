//! The bridge's HTTP server: `/metrics`, pages for people, and health checks.

mod body;
pub mod clients;
mod connection;
pub mod host;
pub mod listener;
pub mod page;
mod probe;
mod reload;
mod sd;
pub mod socket;
mod stream;
pub mod web;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, LOCATION, RETRY_AFTER, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use url::form_urlencoded;

use crate::bridge::{Bridge, MAX_COLLECTION};
use crate::export::negotiation::{Negotiated, negotiate};
use crate::export::page::Page;
use crate::listing;
use crate::probe::Prober;
use crate::reload::Reloader;
use crate::snapshot::{Reading, View};

use body::Pieces;
use clients::{Clients, Turn};
use connection::Connection;
use page::Query;

/// How long before Prometheus's timeout the answer must be ready.
const SCRAPE_MARGIN: Duration = Duration::from_millis(500);

/// What the routes need for their answers.
#[derive(Clone)]
struct Served {
    bridge: Arc<Bridge>,
    clients: Arc<Clients>,
    reloader: Option<Arc<Reloader>>,
    prober: Option<Arc<Prober>>,
}

/// The connection of a request.
type Asked = Arc<Connection>;

/// Creates the routes of a bridge, and of its reloader and its prober if it has them.
pub fn router(
    bridge: Arc<Bridge>,
    clients: Arc<Clients>,
    reloader: Option<Arc<Reloader>>,
    prober: Option<Arc<Prober>>,
) -> Router {
    Router::new()
        .route("/", get(fleet))
        .route("/target", get(target))
        // The former address of targets' pages.
        .route("/targets/{*name}", get(moved))
        .route("/style.css", get(|| async { page::asset("text/css; charset=utf-8", page::STYLE) }))
        .route("/icon.svg", get(|| async { page::asset("image/svg+xml", page::ICON) }))
        .route("/metrics", get(metrics))
        .route("/probe", get(probe::answer))
        .route("/sd", get(sd::answer))
        .route("/-/healthy", get(healthy))
        .route("/-/ready", get(ready))
        .route("/-/reload", post(reload_asked))
        .route("/api/v1/targets", get(targets))
        .fallback(|| async { text(StatusCode::NOT_FOUND, "no page at this path; see / and /metrics\n") })
        .method_not_allowed_fallback(|| async {
            text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD, and POST for /-/reload\n")
        })
        .with_state(Served { bridge, clients, reloader, prober })
}

async fn healthy(State(served): State<Served>) -> Response {
    if served.bridge.is_stuck() {
        let why = "a collection has not ended long after its deadline; restart it, and please report this";
        return text(StatusCode::SERVICE_UNAVAILABLE, &format!("fedimeter is not healthy: {why}\n"));
    }
    text(StatusCode::OK, "fedimeter is healthy\n")
}

async fn ready(State(served): State<Served>) -> Response {
    if served.bridge.is_ready() {
        return text(StatusCode::OK, "fedimeter is ready\n");
    }
    let why =
        if served.bridge.is_ending() { "it is stopping" } else { "its first collection is still running" };
    text(StatusCode::SERVICE_UNAVAILABLE, &format!("fedimeter is not ready: {why}\n"))
}

async fn reload_asked(State(served): State<Served>, headers: HeaderMap) -> Response {
    let (status, says) = reload::asked(served.reloader, &headers).await;
    text(status, &format!("{says}\n"))
}

/// The content of the pages for programs, as `once --format json` prints it.
async fn targets(State(served): State<Served>, Extension(connection): Extension<Asked>) -> Response {
    let Served { bridge, clients, .. } = served;
    let Some(turn) = clients.turn(&connection).await else { return busy(&clients) };
    match tokio::task::spawn_blocking(move || listing::json(&bridge.status().view).to_string()).await {
        Ok(json) => {
            let mut answer = HeaderMap::new();
            answer.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            answer.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            answer.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            (answer, Body::new(Pieces::of(json.into(), turn))).into_response()
        }
        Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "no targets: making the list panicked\n"),
    }
}

async fn metrics(
    State(served): State<Served>,
    Extension(connection): Extension<Asked>,
    headers: HeaderMap,
) -> Response {
    let Served { bridge, clients, .. } = served;
    let asked = negotiate(&headers);
    let within = scrape_deadline(&headers).unwrap_or(bridge.deadline());
    let page = match bridge.scrape(within, asked.representation()).await {
        Ok(page) => page,
        Err(e) => return text(StatusCode::INTERNAL_SERVER_ERROR, &format!("no metrics: {e}\n")),
    };
    // Waiting requests cost nothing, but an answer occupies memory until the client has
    // taken it.
    let Some(turn) = clients.turn(&connection).await else { return busy(&clients) };
    sent(page, asked, turn).await
}

/// A page of metrics as its client asked for it.
async fn sent(page: Arc<Page>, asked: Negotiated, turn: Turn) -> Response {
    let mut answer = HeaderMap::new();
    answer.insert(CONTENT_TYPE, HeaderValue::from_static(asked.content_type()));
    answer.insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    answer.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if !asked.gzip {
        return (answer, Body::new(Pieces::text(&page, turn))).into_response();
    }
    match compressed(page).await {
        Some(bytes) => {
            answer.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            (answer, Body::new(Pieces::of(bytes, turn))).into_response()
        }
        None => text(StatusCode::INTERNAL_SERVER_ERROR, "no metrics: compressing them panicked\n"),
    }
}

async fn compressed(page: Arc<Page>) -> Option<Bytes> {
    if page.is_compressed() || page.is_brief() {
        return Some(page.gzip());
    }
    tokio::task::spawn_blocking(move || page.gzip()).await.ok()
}

/// The answer if too many requests are being answered.
fn busy(clients: &Clients) -> Response {
    let most = clients.limits().max_requests;
    let mut response = text(
        StatusCode::SERVICE_UNAVAILABLE,
        &format!(
            "fedimeter answers only {most} requests at once: ask again later, less often, or from fewer \
             clients\n"
        ),
    );
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// When a scrape must be answered, from Prometheus's timeout header.
fn scrape_deadline(headers: &HeaderMap) -> Option<Duration> {
    let seconds: f64 =
        headers.get("x-prometheus-scrape-timeout-seconds")?.to_str().ok()?.trim().parse().ok()?;
    let patience = Duration::try_from_secs_f64(seconds).ok()?.min(MAX_COLLECTION);
    // If the timeout is shorter than the margin, half of the timeout is used.
    Some(patience.checked_sub(SCRAPE_MARGIN).filter(|d| !d.is_zero()).unwrap_or(patience / 2))
}

async fn fleet(
    State(served): State<Served>,
    Extension(connection): Extension<Asked>,
    RawQuery(query): RawQuery,
) -> Response {
    let Served { bridge, clients, .. } = served;
    let question = Query::parse(query.as_deref().unwrap_or_default());
    rendered(&clients, &connection, question.paused, move || {
        (StatusCode::OK, page::fleet(&bridge.status(), &question))
    })
    .await
}

/// Redirects from the former address of a target's page. The redirect is relative to
/// the address in the browser, because a proxy may serve the bridge below a path.
async fn moved(uri: Uri, name: Result<Path<String>, PathRejection>) -> Response {
    // A name that is not UTF-8 matches no target.
    let name = name.map(|Path(name)| name).unwrap_or_default();
    let up = "../".repeat(uri.path().matches('/').count().saturating_sub(1));
    let mut response = text(StatusCode::PERMANENT_REDIRECT, "the page is at /target?name=NAME\n");
    if let Ok(place) = HeaderValue::try_from(format!("{up}{}", Query::default().href_of(&name))) {
        response.headers_mut().insert(LOCATION, place);
    }
    response
}

async fn target(
    State(served): State<Served>,
    Extension(connection): Extension<Asked>,
    RawQuery(query): RawQuery,
) -> Response {
    let Served { bridge, clients, .. } = served;
    let query = query.unwrap_or_default();
    let question = Query { paused: Query::parse(&query).paused, ..Query::default() };
    rendered(&clients, &connection, question.paused, move || {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        let name =
            pairs.find(|(key, _)| key == "name").map(|(_, name)| name.into_owned()).unwrap_or_default();
        let status = bridge.status();
        let found = status.view.targets.iter().find(|(target, _)| *target.name == name);
        let found = found.and_then(|(target, _)| Some((target, bridge.refresher().planned(target)?)));
        let Some((target, (snapshot, plan))) = found else {
            return (StatusCode::NOT_FOUND, page::no_target(&status, &question, &name));
        };
        let View { started, unix, .. } = *status.view;
        let reading = Reading::new(target, &snapshot, started, unix);
        (StatusCode::OK, page::target(&status, &question, &reading, &plan))
    })
    .await
}

/// Rendering thousands of targets takes milliseconds, so it runs outside the async
/// threads.
async fn rendered(
    clients: &Clients,
    connection: &Connection,
    paused: bool,
    render: impl FnOnce() -> (StatusCode, String) + Send + 'static,
) -> Response {
    let Some(turn) = clients.turn(connection).await else { return busy(clients) };
    match tokio::task::spawn_blocking(render).await {
        Ok((status, html)) => page::answer(status, paused, Body::new(Pieces::of(html.into(), turn))),
        Err(_) => {
            text(StatusCode::INTERNAL_SERVER_ERROR, "no page: making it panicked; please report this\n")
        }
    }
}

fn text(status: StatusCode, body: &str) -> Response {
    let mut response = Response::new(Body::from(body.to_owned()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scrapes_end_before_their_client_gives_up() {
        for (value, millis) in [
            ("10", Some(9500)),
            ("10.000000", Some(9500)),
            ("0.4", Some(200)),
            ("0.5", Some(250)),
            ("100000", Some(119_500)),
            ("NaN", None),
            ("-1", None),
            ("1e300", None),
            ("soon", None),
        ] {
            let headers = HeaderMap::from_iter([(
                http::HeaderName::from_static("x-prometheus-scrape-timeout-seconds"),
                HeaderValue::from_str(value).unwrap(),
            )]);
            assert_eq!(scrape_deadline(&headers).map(|d| d.as_millis()), millis, "{value}");
        }
    }
}
