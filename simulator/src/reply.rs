//! An answer: the content from a handler, its headers, and the form in which it is
//! sent.

use std::cell::RefCell;
use std::hash::{DefaultHasher, Hasher};

use axum::body::{Body, Bytes};
use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_NONE_MATCH, VARY,
};
use http::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};

use crate::texts::Texts;

/// Smaller bodies are not compressed, as with nginx's `gzip_min_length`.
const GZIP_FROM: usize = 1000;

const JSON: &str = "application/json; charset=utf-8";

/// The content of the body.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    Empty,
    Json(Value),
    Html(String),
    /// A list that is made while it is sent.
    Texts(Texts),
    /// A body whose type, if it has one, is among the headers.
    Raw(Bytes),
}

/// An answer before it is serialised.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub content: Content,
}

impl Reply {
    pub fn json(value: Value) -> Reply {
        Reply::new(StatusCode::OK, Content::Json(value))
    }

    /// Returns 200 with JSON's content type and this body, unchecked.
    pub fn as_json(body: impl Into<Bytes>) -> Reply {
        Reply::new(StatusCode::OK, Content::Raw(body.into())).with(CONTENT_TYPE, JSON)
    }

    /// Returns an error in Mastodon's format.
    pub fn error(status: StatusCode, text: &str) -> Reply {
        Reply::new(status, Content::Json(json!({ "error": text })))
    }

    /// Returns a status without a body, as Mastodon does for disabled endpoints.
    pub fn empty(status: StatusCode) -> Reply {
        Reply::new(status, Content::Empty)
    }

    pub fn html(status: StatusCode, title: &str, text: &str) -> Reply {
        let page = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{title}</title></head>\n\
             <body><h1>{title}</h1><p>{text}</p></body>\n</html>\n"
        );
        Reply::new(status, Content::Html(page))
    }

    fn new(status: StatusCode, content: Content) -> Reply {
        Reply { status, headers: HeaderMap::new(), content }
    }

    /// Adds this header, unless its value is invalid.
    pub fn with(mut self, name: HeaderName, value: &str) -> Reply {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// Returns the response to a request with these headers.
    pub fn respond(self, request: &HeaderMap) -> Response<Body> {
        let Content::Texts(texts) = self.content else { return self.render().respond(request) };
        let head = Reply { content: Content::Empty, ..self }.with(CONTENT_TYPE, JSON);
        let mut rendered = head.render();
        if rendered.is_known(request) {
            return rendered.respond(request);
        }
        let gzip = accepts_gzip(request);
        rendered.headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
        if gzip {
            rendered.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        rendered.with_body(|_| texts.stream(gzip))
    }

    /// Serialises the body. Adds `Content-Type`, and a weak `ETag` to a successful
    /// answer without one.
    pub fn render(self) -> Rendered {
        let (default_type, body) = match self.content {
            Content::Empty => (None, Bytes::new()),
            // Every `Value` can be serialised.
            Content::Json(value) => (Some(JSON), serde_json::to_vec(&value).unwrap_or_default().into()),
            Content::Texts(texts) => (Some(JSON), texts.written().into()),
            Content::Html(page) => (Some("text/html; charset=utf-8"), page.into()),
            Content::Raw(body) => (None, body),
        };
        let mut headers = self.headers;
        if let Some(default_type) = default_type {
            headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(default_type));
        }
        if self.status == StatusCode::OK
            && !headers.contains_key(ETAG)
            && let Ok(etag) = HeaderValue::from_str(&etag(&body))
        {
            headers.insert(ETAG, etag);
        }
        Rendered { status: self.status, headers, body }
    }
}

/// An answer with a serialised body.
pub(crate) struct Rendered {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Rendered {
    /// Returns the response to a request with these headers: 304 if the client knows
    /// the answer, gzip if it accepts that.
    pub fn respond(mut self, request: &HeaderMap) -> Response<Body> {
        if self.status == StatusCode::OK && self.is_known(request) {
            self.status = StatusCode::NOT_MODIFIED;
            self.headers.remove(CONTENT_TYPE);
            self.body = Bytes::new();
        }
        if self.body.len() > GZIP_FROM && !self.headers.contains_key(CONTENT_ENCODING) {
            self.headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
            if accepts_gzip(request)
                && let Some(packed) = gzip(&self.body)
            {
                self.body = packed;
                self.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            }
        }
        self.with_body(Body::from)
    }

    /// Returns the response with another body made from these bytes.
    pub fn with_body(self, body: impl FnOnce(Bytes) -> Body) -> Response<Body> {
        let mut response = Response::new(body(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }

    fn is_known(&self, request: &HeaderMap) -> bool {
        let Some(etag) = self.headers.get(ETAG).and_then(|etag| etag.to_str().ok()) else { return false };
        let weak = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
        let known = request.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        known.flat_map(|value| value.split(',')).any(|tag| tag.trim() == "*" || weak(tag) == weak(etag))
    }
}

/// Makes an ETag as Rails does: weak, with 32 hexadecimal digits. The hash needs no
/// secret, but must be the same in every run.
fn etag(body: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(body);
    let first = hasher.finish();
    hasher.write_u8(0);
    format!("W/\"{first:016x}{:016x}\"", hasher.finish())
}

fn accepts_gzip(request: &HeaderMap) -> bool {
    let values = request.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
        name.trim().eq_ignore_ascii_case("gzip") && !matches!(parameters.trim(), "q=0" | "q=0.0")
    })
}

thread_local! {
    /// Clearing a compressor's hundreds of kilobytes for every answer would take longer
    /// than the compression.
    static DEFLATE: RefCell<Compress> = RefCell::new(Compress::new(Compression::fast(), false));
}

/// Puts raw deflate between a gzip header and trailer (RFC 1952, 2.3).
fn gzip(body: &[u8]) -> Option<Bytes> {
    // No name, no time, unknown system; the ninth byte says level 1.
    const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];
    DEFLATE.with_borrow_mut(|deflate| {
        deflate.reset();
        let mut packed = Vec::with_capacity(body.len() + 64);
        packed.extend_from_slice(&HEADER);
        // A body that does not get shorter is sent uncompressed.
        if deflate.compress_vec(body, &mut packed, FlushCompress::Finish).ok()? != Status::StreamEnd {
            return None;
        }
        let mut crc = Crc::new();
        crc.update(body);
        packed.extend_from_slice(&crc.sum().to_le_bytes());
        packed.extend_from_slice(&crc.amount().to_le_bytes());
        Some(packed.into())
    })
}
