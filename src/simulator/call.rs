//! A request as an endpoint sees it, and the answers that many give.

use std::sync::Arc;

use http::{HeaderMap, Method, StatusCode};
use url::form_urlencoded;

use super::reply::Reply;
use super::state::{Instance, Now, Shared, Switches};
use super::truth::Truth;
use super::version::Version;

/// A request as an endpoint sees it.
pub(super) struct Call<'a> {
    pub shared: &'a Shared,
    pub instance: &'a Instance,
    pub switches: Switches,
    pub pinned: Option<Arc<Truth>>,
    pub now: Now,
    pub method: Method,
    pub path: &'a str,
    pub query: &'a str,
    pub headers: &'a HeaderMap,
    /// `http` or `https`, by `X-Forwarded-Proto`.
    pub scheme: &'a str,
    /// The host and port that the instance calls itself.
    pub domain: String,
}

impl Call<'_> {
    pub fn version(&self) -> &Version {
        &self.instance.version
    }

    /// `http://art.localhost:3000`, without a slash at the end.
    pub fn base(&self) -> String {
        format!("{}://{}", self.scheme, self.domain)
    }

    /// What a test has set, else what the numbers say now.
    pub fn say<T>(&self, pinned: impl Fn(&Truth) -> T, own: impl Fn(&Instance, i64) -> T) -> T {
        match &self.pinned {
            Some(truth) => pinned(truth),
            None => own(self.instance, self.now.seconds),
        }
    }

    /// The value of a query parameter.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = form_urlencoded::parse(self.query.as_bytes());
        pairs.find_map(|(key, value)| (key == name).then(|| value.into_owned()))
    }

    /// The part of the path behind its last slash.
    pub fn last_segment(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// The bearer token of the request.
    pub fn token(&self) -> Option<&str> {
        self.headers.get(http::header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
    }

    /// Whether the request has a token; one that is not known has been refused.
    pub fn authenticated(&self) -> bool {
        self.token().is_some()
    }
}

/// 401 of an endpoint that wants a user.
pub(super) fn needs_user() -> Reply {
    Reply::error(StatusCode::UNAUTHORIZED, "This method requires an authenticated user")
}
