//! The outcome of an attempt to read an endpoint: a closed set, because it becomes a
//! label.

use std::fmt;

/// The outcome of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The endpoint was read.
    Ok,
    /// The server does not have the endpoint, or does not offer it to the bridge. This
    /// is not a failure. The endpoint is requested again some hours later.
    NotOffered,
    /// The endpoint could not be read.
    Failed(ErrorType),
}

/// Why an endpoint could not be read: the values of `error.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorType {
    /// 401 or 403.
    Unauthorized,
    /// 429, or 503 with `Retry-After`.
    RateLimited,
    /// Any other 4xx.
    Http4xx,
    /// Any other 5xx.
    Http5xx,
    /// Too many redirects, one to another site, or one from https to http.
    Redirect,
    /// A redirect, a link or a probed name leads to a special address, such as a
    /// private one.
    BlockedAddress,
    /// Not JSON, JSON of the wrong shape, or an `error` object.
    Decode,
    /// The body or the number of pages exceeds the limit.
    TooLarge,
    /// The name was not found, or could not be resolved.
    Dns,
    /// The connection was refused, reset, closed or cut off.
    Connect,
    /// No TLS connection, or not to the right server.
    Tls,
    /// Past the deadline.
    Timeout,
    /// The bridge could not send a request: it had no file descriptor, thread or memory
    /// left.
    Local,
    /// Any other failure.
    Other,
}

impl ErrorType {
    /// All of them.
    pub const ALL: [ErrorType; 14] = [
        ErrorType::Unauthorized,
        ErrorType::RateLimited,
        ErrorType::Http4xx,
        ErrorType::Http5xx,
        ErrorType::Redirect,
        ErrorType::BlockedAddress,
        ErrorType::Decode,
        ErrorType::TooLarge,
        ErrorType::Dns,
        ErrorType::Connect,
        ErrorType::Tls,
        ErrorType::Timeout,
        ErrorType::Local,
        ErrorType::Other,
    ];

    /// The value of `error.type`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ErrorType::Unauthorized => "unauthorized",
            ErrorType::RateLimited => "rate_limited",
            ErrorType::Http4xx => "http_4xx",
            ErrorType::Http5xx => "http_5xx",
            ErrorType::Redirect => "redirect",
            ErrorType::BlockedAddress => "blocked_address",
            ErrorType::Decode => "decode",
            ErrorType::TooLarge => "too_large",
            ErrorType::Dns => "dns",
            ErrorType::Connect => "connect",
            ErrorType::Tls => "tls",
            ErrorType::Timeout => "timeout",
            ErrorType::Local => "local",
            ErrorType::Other => "_OTHER",
        }
    }
}

impl ErrorType {
    /// What it is called where people read it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            ErrorType::Unauthorized => "not allowed",
            ErrorType::RateLimited => "asked too often",
            ErrorType::Http4xx => "refused",
            ErrorType::Http5xx => "server error",
            ErrorType::Redirect => "leads elsewhere",
            ErrorType::BlockedAddress => "blocked address",
            ErrorType::Decode => "not understood",
            ErrorType::TooLarge => "too large",
            ErrorType::Dns => "name not found",
            ErrorType::Connect => "no connection",
            ErrorType::Tls => "no secure connection",
            ErrorType::Timeout => "timed out",
            ErrorType::Local => "the bridge could not ask",
            ErrorType::Other => "failed",
        }
    }
}

impl Outcome {
    /// The word in listings: `ok`, `not_offered`, or the error type.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::NotOffered => "not_offered",
            Outcome::Failed(error) => error.name(),
        }
    }

    /// The name for people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Outcome::Ok => "read",
            Outcome::NotOffered => "not offered",
            Outcome::Failed(error) => error.words(),
        }
    }

    /// The value of `fedimeter.request.outcome`. The reason for a failure is in
    /// `error.type`.
    #[must_use]
    pub fn class(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::NotOffered => "not_offered",
            Outcome::Failed(_) => "failed",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
