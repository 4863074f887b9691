//! What the bridge serves over HTTP: `/metrics`, pages for people, its health.

pub mod page;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, VARY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::bridge::Bridge;
use crate::export::exposition::gzip;
use crate::export::negotiation::negotiate;
use crate::snapshot::{Reading, View};

use page::Question;

/// How long before Prometheus gives up an answer is to be there.
const SCRAPE_MARGIN: Duration = Duration::from_millis(500);
/// No scrape takes longer, whatever its client would wait.
const LONGEST_SCRAPE: Duration = Duration::from_secs(120);

/// The routes of a bridge.
pub fn router(bridge: Arc<Bridge>) -> Router {
    Router::new()
        .route("/", get(fleet))
        // A proxy may have decoded the slashes of a name that is a URL.
        .route("/targets/{*name}", get(target))
        .route("/style.css", get(|| async { page::asset("text/css; charset=utf-8", page::STYLE) }))
        .route("/icon.svg", get(|| async { page::asset("image/svg+xml", page::ICON) }))
        .route("/metrics", get(metrics))
        .route("/-/healthy", get(|| async { text(StatusCode::OK, "fedimeter is healthy\n") }))
        .route("/-/ready", get(|| async { text(StatusCode::OK, "fedimeter is ready\n") }))
        .fallback(|| async { text(StatusCode::NOT_FOUND, "there is nothing here; see / and /metrics\n") })
        .method_not_allowed_fallback(|| async { text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n") })
        .with_state(bridge)
}

async fn metrics(State(bridge): State<Arc<Bridge>>, headers: HeaderMap) -> Response {
    let asked = negotiate(&headers);
    let within = scrape_deadline(&headers).unwrap_or(bridge.deadline());
    let body = match bridge.scrape(within, asked.format).await {
        Ok(body) => body,
        Err(e) => return text(StatusCode::INTERNAL_SERVER_ERROR, &format!("no metrics: {e}\n")),
    };
    let mut answer = HeaderMap::new();
    answer.insert(CONTENT_TYPE, HeaderValue::from_static(asked.content_type()));
    answer.insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    if !asked.gzip {
        return (answer, body).into_response();
    }
    match tokio::task::spawn_blocking(move || gzip(&body)).await {
        Ok(body) => {
            answer.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            (answer, body).into_response()
        }
        Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "no metrics: compressing them panicked\n"),
    }
}

/// When a scrape has to be answered, by what Prometheus says of its patience.
fn scrape_deadline(headers: &HeaderMap) -> Option<Duration> {
    let seconds: f64 =
        headers.get("x-prometheus-scrape-timeout-seconds")?.to_str().ok()?.trim().parse().ok()?;
    let patience = Duration::try_from_secs_f64(seconds).ok()?.min(LONGEST_SCRAPE);
    // A scraper with less patience than the margin gets half of what it has.
    Some(patience.checked_sub(SCRAPE_MARGIN).filter(|d| !d.is_zero()).unwrap_or(patience / 2))
}

async fn fleet(State(bridge): State<Arc<Bridge>>, RawQuery(query): RawQuery) -> Response {
    rendered(move || {
        let question = Question::parse(query.as_deref().unwrap_or_default());
        (StatusCode::OK, page::fleet(&bridge.status(), &question))
    })
    .await
}

async fn target(State(bridge): State<Arc<Bridge>>, name: Result<Path<String>, PathRejection>) -> Response {
    rendered(move || {
        // What is no UTF-8 is no target's name.
        let name = name.map(|Path(name)| name).unwrap_or_default();
        let status = bridge.status();
        let index = status.view.targets.iter().position(|(target, _)| *target.name == name);
        let found = index.and_then(|index| Some((index, bridge.refresher().planned(index)?)));
        let Some((index, (snapshot, plan))) = found else {
            return (StatusCode::NOT_FOUND, page::no_target(&status, &name));
        };
        let View { started, unix, ref targets } = *status.view;
        let reading = Reading { target: &targets[index].0, snapshot: &snapshot, started, unix };
        (StatusCode::OK, page::target(&status, &reading, &plan))
    })
    .await
}

/// Thousands of targets take milliseconds: not on an async thread.
async fn rendered(render: impl FnOnce() -> (StatusCode, String) + Send + 'static) -> Response {
    match tokio::task::spawn_blocking(render).await {
        Ok((status, html)) => page::answer(status, html),
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
