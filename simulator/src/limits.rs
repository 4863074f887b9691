//! Rate limits, as servers count and report them.

use http::StatusCode;
use http::header::HeaderName;
use url::form_urlencoded;

use crate::clock::Now;
use crate::reply::Reply;
use crate::state::{Running, Shared};

/// Requests to `/api` count in windows of five minutes. Those for pages of a list also
/// count in windows of fifteen minutes.
const WINDOW: i64 = 300;
const PAGING_WINDOW: i64 = 900;

/// The parameters that ask for a page of a list.
const PAGING: [&str; 4] = ["page", "max_id", "min_id", "since_id"];

/// The state of a client's rate limit.
pub(crate) struct Limit {
    allowed: u32,
    spent: u32,
    reset: String,
}

/// Counts a request, including those answered with 304, and returns the limit that is
/// closest to its end. Real servers count by address, but here all clients of an
/// instance share one count. The streaming server and paths outside `/api` are not
/// limited.
pub(crate) fn spend(shared: &Shared, running: &Running, now: Now, path: &str, query: &str) -> Option<Limit> {
    if !path.starts_with("/api") || path.starts_with("/api/v1/streaming") {
        return None;
    }
    let version = &running.instance.version;
    // Before 2.9 the limit was 7500 for anonymous clients, and pages were not limited.
    let allowed = shared.settings.rate_limit.unwrap_or(if version.since(2, 9) { 300 } else { 7500 });
    let limit = count(running, now, 0, WINDOW, allowed);
    let paging = || form_urlencoded::parse(query.as_bytes()).any(|(name, _)| PAGING.contains(&&*name));
    if !version.since(2, 9) || query.is_empty() || !paging() {
        return Some(limit);
    }
    let allowed = shared.settings.paging_rate_limit.unwrap_or(300);
    let pages = count(running, now, 1, PAGING_WINDOW, allowed);
    Some(if pages.left() < limit.left() { pages } else { limit })
}

fn count(running: &Running, now: Now, rule: usize, window: i64, allowed: u32) -> Limit {
    let end = now.seconds - now.seconds.rem_euclid(window) + window;
    let spent = running.state().spend(rule, end);
    Limit { allowed, spent, reset: now.reset_at(end) }
}

impl Limit {
    /// The remaining requests in the window; negative after too many.
    fn left(&self) -> i64 {
        i64::from(self.allowed) - i64::from(self.spent)
    }

    /// Returns the refusal after too many requests.
    pub fn refusal(&self) -> Option<Reply> {
        (self.left() < 0).then(|| self.tell(Reply::error(StatusCode::TOO_MANY_REQUESTS, "Too many requests")))
    }

    /// Whether an answer from a test contains its own limit.
    pub fn is_told(reply: &Reply) -> bool {
        reply.headers.contains_key("x-ratelimit-reset")
    }

    pub fn tell(&self, reply: Reply) -> Reply {
        let name = HeaderName::from_static;
        reply
            .with(name("x-ratelimit-limit"), &self.allowed.to_string())
            .with(name("x-ratelimit-remaining"), &self.left().max(0).to_string())
            .with(name("x-ratelimit-reset"), &self.reset)
    }
}
