//! What the bridge serves over HTTP: `/metrics`, a small page, its health.

mod page;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::bridge::Bridge;
use crate::export::exposition::gzip;
use crate::export::negotiation::negotiate;

/// How long before Prometheus gives up an answer is to be there.
const SCRAPE_MARGIN: Duration = Duration::from_millis(500);
/// No scrape takes longer, whatever its client would wait.
const LONGEST_SCRAPE: Duration = Duration::from_secs(120);

/// The routes of a bridge.
pub fn router(bridge: Arc<Bridge>) -> Router {
    Router::new()
        .route("/", get(index))
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
        Err(e) => {
            tracing::error!("a scrape could not be answered: {e}");
            return text(StatusCode::INTERNAL_SERVER_ERROR, &format!("no metrics: {e}\n"));
        }
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

async fn index(State(bridge): State<Arc<Bridge>>) -> Response {
    let html = page::render(&bridge.refresher().known());
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (
            CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(
                "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            ),
        ),
    ];
    (headers, html).into_response()
}

fn text(status: StatusCode, body: &str) -> Response {
    let mut response = Response::new(Body::from(body.to_owned()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
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
