//! What a request asks for, and what comes of it.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use url::Url;

use crate::snapshot::{RateLimit, ServedFrom};
use crate::target::{Target, Token};

use super::Failure;

/// What to ask a target for.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The target.
    pub target: &'a Target,
    /// Where: below [`Target::url`], or where an answer led on the same site.
    pub url: Url,
    /// The `ETag` of the answer that is known.
    pub etag: Option<&'a str>,
    /// The token to show.
    pub token: Option<&'a Token>,
    /// A JSON body to send with POST, else it is a GET.
    pub post: Option<&'a [u8]>,
    /// What of the body is wanted.
    pub take: Take,
}

/// What of a body is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// All of it, up to the general cap of decoded bytes.
    Whole,
    /// All of it, up to this cap.
    UpTo(usize),
    /// The length of the JSON array that it is, counted as it streams in, up
    /// to this cap of decoded bytes.
    Length(usize),
}

/// An answer: 2xx, or 304 to a conditional request.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: StatusCode,
    /// Where it came from, after redirects.
    pub url: Url,
    /// The decoded body; empty with 304 and where only the length was wanted.
    pub body: Vec<u8>,
    /// Decoded bytes that were read.
    pub size: u64,
    /// The length of the array, where that was wanted.
    pub length: Option<i64>,
    /// `Link` with `rel="next"`.
    pub next: Option<Url>,
    /// `X-Robots-Tag` with `noindex`.
    pub noindex: bool,
    /// Its `ETag`.
    pub etag: Option<Arc<str>>,
    /// How long it stays fresh by its own headers.
    pub lifetime: Duration,
    /// Where it came from.
    pub served_from: ServedFrom,
}

/// A request's end, good or bad.
#[derive(Debug)]
pub struct Exchange {
    /// The answer, or why there is none.
    pub result: Result<Reply, Failure>,
    /// Time under way, without waiting for a turn.
    pub elapsed: Duration,
    /// What the server says of its rate limit to the anonymous.
    pub rate_limit: Option<RateLimit>,
}
