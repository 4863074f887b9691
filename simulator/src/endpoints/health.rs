//! The health of the server, and the rules for crawlers.

use http::StatusCode;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use serde_json::json;

use crate::call::Call;
use crate::reply::{Content, Reply};

/// `GET /health`, since 3.0. Up to 3.3 it is also available as JSON.
pub(crate) fn web(call: &Call<'_>) -> Reply {
    let accept = call.headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !call.version().since(3, 4) && accept.contains("application/json") {
        return Reply::json(json!({ "status": "OK" }));
    }
    text("OK", "text/plain; charset=utf-8")
}

/// `GET /api/v1/streaming/health`, since 2.5. Another program answers, which knows
/// neither tokens nor limits.
pub(crate) fn streaming(_: &Call<'_>) -> Reply {
    text("OK", "text/plain").with(CACHE_CONTROL, "private, no-store")
}

/// `GET /robots.txt`.
pub(crate) fn robots(call: &Call<'_>) -> Reply {
    let mut rules =
        "# This server does not exist.\n\nUser-agent: *\nDisallow: /media_proxy/\nDisallow: /interact/\n"
            .to_owned();
    if call.version().since(4, 4) {
        rules.push_str("Disallow: /api/v1/instance/domain_blocks\n");
    }
    text(rules, "text/plain; charset=utf-8")
}

fn text(body: impl Into<axum::body::Bytes>, content_type: &str) -> Reply {
    let reply = Reply { content: Content::Raw(body.into()), ..Reply::empty(StatusCode::OK) };
    reply.with(CONTENT_TYPE, content_type)
}
