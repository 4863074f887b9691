//! Applies faults to answers.

use axum::body::{Body, Bytes};
use futures_util::stream;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};

use crate::clock::Now;
use crate::faults::{Fault, MAX_BODY};
use crate::reply::{Content, Rendered, Reply};

/// There is no answer, because the connection closes.
#[derive(Debug, thiserror::Error)]
#[error("the connection closes on purpose")]
pub(crate) struct Closed;

/// Returns the answer of a faulty server that replaces the true one, or `None` for
/// faults that spoil the true answer ([`after`]).
pub(crate) async fn instead(fault: &Fault, now: Now) -> Option<Result<Response<Body>, Closed>> {
    let reply = match fault {
        Fault::Status(code) => {
            Reply::error(status(*code), status(*code).canonical_reason().unwrap_or("Error"))
        }
        Fault::StatusEmpty(code) => Reply::empty(status(*code)),
        Fault::StatusHtml(code) => {
            let status = status(*code);
            Reply::html(
                status,
                status.canonical_reason().unwrap_or("Error"),
                "The server behind this one is away.",
            )
        }
        Fault::StatusPlain(code) => {
            let status = status(*code);
            let line = format!("{} {}\n", status.as_u16(), status.canonical_reason().unwrap_or("error"));
            Reply { content: Content::Raw(line.to_lowercase().into()), ..Reply::empty(status) }
                .with(CONTENT_TYPE, "text/plain; charset=utf-8")
        }
        Fault::RetryAfter(after) => Reply::error(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable")
            .with(RETRY_AFTER, &after.as_secs().to_string()),
        Fault::RateLimited(after) => {
            let reset = now.seconds.saturating_add(i64::try_from(after.as_secs()).unwrap_or(i64::MAX));
            let name = HeaderName::from_static;
            Reply::error(StatusCode::TOO_MANY_REQUESTS, "Too many requests")
                .with(name("x-ratelimit-limit"), "300")
                .with(name("x-ratelimit-remaining"), "0")
                .with(name("x-ratelimit-reset"), &now.reset_at(reset))
        }
        Fault::NotJson => Reply::as_json("{\"uri\": \"art"),
        Fault::HtmlChallenge => Reply::html(
            StatusCode::OK,
            "One moment",
            "Before you go on, your browser has to show that it is one. Switch on JavaScript and cookies.",
        ),
        Fault::ErrorObject => {
            Reply { status: StatusCode::OK, ..Reply::error(StatusCode::OK, "Something went wrong") }
        }
        Fault::Redirect { status: code, to } => {
            Reply::html(status(*code), "Moved", "What you look for is elsewhere.").with(LOCATION, to)
        }
        Fault::TooLarge(bytes) => return Some(Ok(large(*bytes))),
        Fault::Hang => return std::future::pending().await,
        Fault::Reset => return Some(Err(Closed)),
        Fault::Delay(time) => {
            tokio::time::sleep(*time).await;
            return None;
        }
        // An intermittent fault counts as the fault inside it.
        Fault::Intermittent { .. }
        | Fault::Stall
        | Fault::Truncated
        | Fault::WrongType
        | Fault::OddNumbers
        | Fault::WrongTop
        | Fault::WebApp
        | Fault::Cached { .. }
        | Fault::Header { .. } => return None,
    };
    Some(Ok(reply.render().respond(&HeaderMap::new())))
}

/// Spoils the true answer.
pub(crate) fn after(fault: &Fault, mut reply: Reply, request: &HeaderMap) -> Response<Body> {
    match fault {
        Fault::WrongType => spoil(&mut reply, |value| *value = inner(value, &mut 0, wrong_type)),
        Fault::OddNumbers => spoil(&mut reply, |value| *value = inner(value, &mut 0, odd_number)),
        Fault::WrongTop => spoil(&mut reply, |value| {
            *value = match value.take() {
                Value::Array(items) => json!({ "items": items }),
                other => json!([other]),
            }
        }),
        Fault::WebApp if reply.status == StatusCode::NOT_FOUND => {
            return Reply::html(StatusCode::OK, "An application", "Switch on JavaScript.").respond(request);
        }
        Fault::Header { name, value } | Fault::Cached { name, value } => {
            let mut rendered = reply.render();
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
                if value.is_empty() {
                    rendered.headers.remove(name);
                } else {
                    rendered.headers.insert(name, value);
                }
            }
            return rendered.respond(request);
        }
        Fault::Truncated => return half(reply.render(), false),
        Fault::Stall => return half(reply.render(), true),
        _ => {}
    }
    reply.respond(request)
}

fn spoil(reply: &mut Reply, change: impl Fn(&mut Value)) {
    if let Content::Texts(texts) = reply.content {
        reply.content = Content::Json(texts.value());
    }
    if let Content::Json(value) = &mut reply.content {
        change(value);
    }
}

/// Replaces every scalar in a value. `n` counts them, so that replacements vary.
fn inner(value: &Value, n: &mut usize, replace: fn(&Value, usize) -> Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.iter().map(|(name, field)| (name.clone(), inner(field, n, replace))).collect()
        }
        Value::Array(items) => items.iter().map(|item| inner(item, n, replace)).collect(),
        scalar => {
            *n += 1;
            replace(scalar, *n)
        }
    }
}

fn wrong_type(value: &Value, n: usize) -> Value {
    match n % 3 {
        0 => json!({ "value": value }),
        1 => json!([value]),
        // A word has the wrong type for a number, and a number for a word.
        _ if value.is_string() => json!(n),
        _ => json!("quite a few"),
    }
}

/// Only numbers are replaced, also those written as text.
fn odd_number(value: &Value, n: usize) -> Value {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty();
    match value {
        Value::Number(_) => match n % 4 {
            0 => json!(-1),
            1 => json!(0.5),
            2 => json!(1e30),
            _ => json!("many"),
        },
        Value::String(text) if digits(text) => match n % 4 {
            0 => json!("-1"),
            1 => json!("0.5"),
            2 => json!("9".repeat(30)),
            _ => json!("many"),
        },
        other => other.clone(),
    }
}

/// Promises the whole length and sends half of it. Then the connection stalls or
/// closes.
fn half(mut rendered: Rendered, stall: bool) -> Response<Body> {
    rendered.headers.insert(CONTENT_LENGTH, HeaderValue::from(rendered.body.len()));
    rendered.with_body(|body| {
        let start = body.slice(..body.len() / 2);
        Body::from_stream(stream::unfold(Some(start), move |start| async move {
            match start {
                Some(start) => Some((Ok(start), None)),
                None if stall => std::future::pending().await,
                // Yields once, so that what has been written leaves before the
                // connection breaks.
                None => {
                    tokio::task::yield_now().await;
                    Some((Err(Closed), None))
                }
            }
        }))
    })
}

/// Returns a JSON text of this size, which is made while it is sent: spaces, and an
/// empty object.
fn large(bytes: u64) -> Response<Body> {
    static SPACES: [u8; 1 << 16] = [b' '; 1 << 16];
    let chunks = stream::unfold(bytes.clamp(2, MAX_BODY), |left| async move {
        let (chunk, sent) = match left {
            0 => return None,
            2 => (Bytes::from_static(b"{}"), 2),
            _ => {
                let size = (left - 2).min(SPACES.len() as u64);
                (Bytes::from_static(&SPACES[..size as usize]), size)
            }
        };
        Some((Ok::<_, Closed>(chunk), left - sent))
    });
    let mut response = Response::new(Body::from_stream(chunks));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    response
}

/// Returns a status from a setting. An invalid one becomes a server error.
fn status(code: u16) -> StatusCode {
    match StatusCode::from_u16(code) {
        // An informational status is not an answer, and cannot be sent as one.
        Ok(status) if !status.is_informational() => status,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
