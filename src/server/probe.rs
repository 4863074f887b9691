//! `/probe?target=HOST`: the metrics of one server that the client names.

use axum::Extension;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::export::negotiation::negotiate;
use crate::probe::{Query, Refused};

use super::body::Pieces;
use super::{Asked, Served, busy, scrape_deadline, sent, text};

const OFF: &str = "probing is off: write `probe: {enabled: true}` into the configuration file of fedimeter and restart it\n";

pub(super) async fn answer(
    State(served): State<Served>,
    Extension(connection): Extension<Asked>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let Served { clients, prober, .. } = served;
    let Some(prober) = prober else { return text(StatusCode::NOT_FOUND, OFF) };
    let query = query.unwrap_or_default();
    let within = scrape_deadline(&headers).unwrap_or(prober.deadline());
    if Query::is_for_people(&query) {
        let report = match prober.report(&query, within).await {
            Ok(report) => report,
            Err(why) => return refused(&why),
        };
        let Some(turn) = clients.turn(&connection).await else { return busy(&clients) };
        let mut answer = HeaderMap::new();
        answer.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        answer.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        answer.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        return (answer, Body::new(Pieces::of(report.into(), turn))).into_response();
    }
    let asked = negotiate(&headers);
    let page = match prober.page(&query, within, asked.representation()).await {
        Ok(page) => page,
        Err(why) => return refused(&why),
    };
    let Some(turn) = clients.turn(&connection).await else { return busy(&clients) };
    sent(page, asked, turn).await
}

fn refused(why: &Refused) -> Response {
    let status = match why {
        Refused::Invalid(_) => StatusCode::BAD_REQUEST,
        Refused::Forbidden(_) => StatusCode::FORBIDDEN,
        Refused::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
        Refused::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let mut response = text(status, &format!("{why}\n"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}
