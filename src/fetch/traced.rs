//! The log line and the span of each request. Spans follow the semantic conventions of
//! HTTP clients.

use std::time::Duration;

use http::StatusCode;
use tracing::{Span, field};
use url::Url;

use super::{Failure, Hop, Request, uri};

/// The maximum length of a URL or a reason in a log line, in bytes.
const MAX_TRACED: usize = 600;

/// Logs one line for a request.
pub fn line(request: &Request<'_>, url: &Url, hop: &Result<Hop, Failure>, elapsed: Duration) {
    if !tracing::enabled!(tracing::Level::TRACE) {
        return;
    }
    let (status, failed) = outcome(hop);
    let bytes = if let Ok(Hop::Answer(reply)) = hop { reply.size } else { 0 };
    // Both may contain text from the server.
    let cleaner = request.target.cleaner();
    let url = cleaner.clean(&uri(url), MAX_TRACED);
    let reason = failed.map(|failure| cleaner.clean(&failure.reason, MAX_TRACED));
    tracing::trace!(
        server = &*request.target.name,
        method = method(request),
        url,
        outcome = failed.map_or("ok", |failure| failure.error.name()),
        status = status.map(|status| status.as_u16()),
        ?elapsed,
        bytes,
        reason,
        "requested"
    );
}

/// Creates the span of a request, after this many redirects. No trace header is sent.
/// The numbers are signed, because tracing-opentelemetry turns other numbers into text.
pub fn span(request: &Request<'_>, url: &Url, resends: usize) -> Span {
    tracing::trace_span!(
        "request",
        "otel.name" = method(request),
        "otel.kind" = "client",
        "otel.status_code" = field::Empty,
        "http.request.method" = method(request),
        "http.request.resend_count" = (resends > 0).then_some(resends as i64),
        "http.response.status_code" = field::Empty,
        "server.address" = url.host_str(),
        "server.port" = url.port_or_known_default().map(i64::from),
        "url.full" = request.target.cleaner().clean(&uri(url), MAX_TRACED),
        "error.type" = field::Empty,
    )
}

/// Records on a span how its request ended.
pub fn end(span: &Span, hop: &Result<Hop, Failure>) {
    let (status, failed) = outcome(hop);
    span.record("http.response.status_code", status.map(|status| i64::from(status.as_u16())));
    let Some(failure) = failed else { return };
    match status.filter(|status| status.is_client_error() || status.is_server_error()) {
        Some(status) => span.record("error.type", status.as_str()),
        None => span.record("error.type", failure.error.name()),
    };
    span.record("otel.status_code", "ERROR");
}

/// Returns the status of a request, and its failure.
fn outcome(hop: &Result<Hop, Failure>) -> (Option<StatusCode>, Option<&Failure>) {
    match hop {
        Ok(Hop::Answer(reply)) => (Some(reply.status), None),
        Ok(Hop::Redirect(status, _)) => (Some(*status), None),
        Err(failure) => (failure.status, Some(failure)),
    }
}

fn method(request: &Request<'_>) -> &'static str {
    if request.post.is_some() { "POST" } else { "GET" }
}
