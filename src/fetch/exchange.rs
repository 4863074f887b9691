//! A request and its result.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use url::Url;

use crate::snapshot::{RateLimit, ServedFrom};
use crate::target::{Target, Token};

use super::Failure;

/// A request to a target.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The target.
    pub target: &'a Target,
    /// The URL: below [`Target::url`], or where an answer led on the same site.
    pub url: Url,
    /// The `ETag` of the known answer.
    pub etag: Option<&'a str>,
    /// The token to send.
    pub token: Option<&'a Token>,
    /// A JSON body to send with POST. Without it the request is a GET.
    pub post: Option<&'a [u8]>,
    /// Which part of the body is wanted.
    pub take: Take,
}

/// Which part of a body is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// The whole body, up to the general limit of decoded bytes.
    Whole,
    /// The whole body, up to this limit.
    UpTo(usize),
    /// Only the length of the JSON array in the body, counted while it streams in, up
    /// to this limit of decoded bytes.
    Length(usize),
}

/// An answer: 2xx, or 304 to a conditional request.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: StatusCode,
    /// The URL of the answer, after redirects.
    pub url: Url,
    /// The decoded body. It is empty for 304, and if only the length was wanted.
    pub body: Vec<u8>,
    /// The number of decoded bytes that were read.
    pub size: u64,
    /// The length of the array, if it was wanted.
    pub length: Option<i64>,
    /// `Link` with `rel="next"`.
    pub next: Option<Url>,
    /// Whether `X-Robots-Tag` contains `noindex`.
    pub noindex: bool,
    /// The `ETag`.
    pub etag: Option<Arc<str>>,
    /// How long the answer stays fresh by its own headers.
    pub lifetime: Duration,
    /// Whether the answer came from a cache.
    pub served_from: ServedFrom,
}

/// The result of a request.
#[derive(Debug)]
pub struct Exchange {
    /// The answer, or why there is none.
    pub result: Result<Reply, Failure>,
    /// The duration, without waiting for a turn.
    pub elapsed: Duration,
    /// The rate limit for anonymous clients.
    pub rate_limit: Option<RateLimit>,
}
