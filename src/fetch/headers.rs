//! Reads an answer's headers: its lifetime, the rate limit, and when to return.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_cache_semantics::{CacheOptions, CachePolicy};
use jiff::Timestamp;
use url::Url;

use crate::snapshot::{RateLimit, ServedFrom};

use super::cached::served_from;

/// The maximum lifetime from headers.
const MAX_LIFETIME: Duration = Duration::from_secs(6 * 3600);
/// The maximum pause that a server can impose.
const MAX_RETRY: Duration = Duration::from_secs(3600);

/// The status and headers of an answer.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    status: StatusCode,
    headers: &'a HeaderMap,
    /// Where the answer came from.
    pub served_from: ServedFrom,
}

impl<'a> Head<'a> {
    /// Creates the head from a status and headers.
    #[must_use]
    pub fn of(status: StatusCode, headers: &'a HeaderMap) -> Head<'a> {
        Head { status, headers, served_from: served_from(status, headers) }
    }

    /// Returns how long an answer stays fresh by its own headers (RFC 9111): `max-age`,
    /// `Age`, `Expires`. `stale-*` and heuristics are ignored. An answer that a cache
    /// calls stale is not fresh: nginx returns it with the expired `max-age`, and
    /// without `Age`.
    #[must_use]
    pub fn lifetime(&self, now: SystemTime) -> Duration {
        let Head { status, headers, .. } = *self;
        if !headers.contains_key(http::header::CACHE_CONTROL) && !headers.contains_key(http::header::EXPIRES)
        {
            return Duration::ZERO;
        }
        if self.served_from == ServedFrom::StaleCache {
            return Duration::ZERO;
        }
        let mut fresh = HeaderMap::with_capacity(6);
        for name in ["cache-control", "expires", "date", "age", "pragma"] {
            for value in headers.get_all(name) {
                let value = if name == "cache-control" { without_stale(value) } else { value.clone() };
                fresh.append(http::HeaderName::from_static(name), value);
            }
        }
        let mut request = Request::new(());
        *request.method_mut() = Method::GET;
        let mut response = Response::new(());
        // A 304 renews the lifetime of the answer that it stands for.
        *response.status_mut() = if status == StatusCode::NOT_MODIFIED { StatusCode::OK } else { status };
        *response.headers_mut() = fresh;
        // A private cache that does not guess from Last-Modified.
        let options = CacheOptions { shared: false, cache_heuristic: 0.0, ..CacheOptions::default() };
        let policy = CachePolicy::new_options(&request, &response, now, options);
        if policy.is_storable() { policy.time_to_live(now).min(MAX_LIFETIME) } else { Duration::ZERO }
    }

    /// Reads `X-RateLimit-*`, unless the answer came from a cache. Then they belong to
    /// another client's request.
    #[must_use]
    pub fn rate_limit(&self, unix: f64) -> Option<RateLimit> {
        if self.served_from != ServedFrom::Origin {
            return None;
        }
        let text = |name: &str| self.headers.get(name).and_then(|v| v.to_str().ok());
        let reset = instant(text("x-ratelimit-reset")?).filter(|reset| *reset >= unix)?;
        let number = |name| text(name).and_then(|v| v.trim().parse::<i64>().ok()).filter(|n| *n >= 0);
        Some(RateLimit {
            limit: number("x-ratelimit-limit"),
            remaining: number("x-ratelimit-remaining"),
            reset,
        })
    }

    /// Returns the requested pause: `Retry-After`, or for 429 the end of the rate
    /// limit's window, unless that belongs to another client. At most an hour.
    #[must_use]
    pub fn retry_after(&self, unix: f64) -> Option<Duration> {
        let text = |name: &str| self.headers.get(name).and_then(|v| v.to_str().ok()).map(str::trim);
        let seconds = match text("retry-after") {
            Some(value) => match value.parse::<u64>() {
                Ok(seconds) => seconds as f64,
                Err(_) => http_date(value)? - unix,
            },
            None if self.status != StatusCode::TOO_MANY_REQUESTS => return None,
            None => self.rate_limit(unix)?.reset - unix,
        };
        (seconds >= 0.0).then(|| Duration::from_secs_f64(seconds.min(MAX_RETRY.as_secs_f64())))
    }
}

/// Returns a `Cache-Control` value without its `stale-*` directives, which would allow
/// showing an old number as current.
fn without_stale(value: &http::HeaderValue) -> http::HeaderValue {
    let Ok(text) = value.to_str() else { return value.clone() };
    // Directives are case-insensitive, but the policy compares their case.
    let text = text.to_ascii_lowercase();
    let kept: Vec<&str> = text.split(',').filter(|d| !d.trim_start().starts_with("stale-")).collect();
    http::HeaderValue::from_str(&kept.join(",")).unwrap_or_else(|_| value.clone())
}

/// Whether the answer asks not to be indexed.
#[must_use]
pub fn is_noindex(headers: &HeaderMap) -> bool {
    let tags = headers.get_all("x-robots-tag").iter().filter_map(|value| value.to_str().ok());
    tags.flat_map(|tags| tags.split(',')).any(|tag| tag.trim().eq_ignore_ascii_case("noindex"))
}

/// Returns the target of `Link` with `rel="next"` (RFC 8288), relative to `base`.
#[must_use]
pub fn next_link(headers: &HeaderMap, base: &Url) -> Option<Url> {
    let mut links = headers.get_all(http::header::LINK).iter().filter_map(|value| value.to_str().ok());
    let reference = links.find_map(next_reference)?;
    base.join(reference).ok()
}

/// Returns the reference of the first link whose `rel` contains `next`.
fn next_reference(mut value: &str) -> Option<&str> {
    loop {
        let (_, rest) = value.split_once('<')?;
        let (reference, rest) = rest.split_once('>')?;
        // The parameters extend to the next link. Quoted ones may contain commas.
        let mut quoted = false;
        let end = rest.find(|c| {
            quoted ^= c == '"';
            c == ',' && !quoted
        });
        let (parameters, after) = rest.split_at(end.unwrap_or(rest.len()));
        let is_next = parameters.split(';').filter_map(|p| p.split_once('=')).any(|(name, value)| {
            let relations = value.trim().trim_matches('"').split_ascii_whitespace();
            name.trim().eq_ignore_ascii_case("rel")
                && relations.into_iter().any(|r| r.eq_ignore_ascii_case("next"))
        });
        if is_next {
            return Some(reference.trim());
        }
        value = after.strip_prefix(',')?;
    }
}

/// Reads an ISO 8601 timestamp (Mastodon, `2026-08-01T13:55:00.548486Z`) or Unix
/// seconds (others), as Unix seconds.
fn instant(text: &str) -> Option<f64> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        // In some dialects smaller numbers are a duration. No known server uses it.
        return (seconds > 1_000_000_000).then_some(seconds as f64);
    }
    let at: Timestamp = text.parse().ok()?;
    Some(at.as_microsecond() as f64 / 1e6)
}

fn http_date(text: &str) -> Option<f64> {
    let at = jiff::fmt::rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text).ok()?;
    Some(at.as_second() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines.iter().map(|(k, v)| (http::HeaderName::from_static(k), v.parse().unwrap())).collect()
    }

    #[test]
    fn lifetimes() {
        let now = SystemTime::now();
        for (lines, seconds) in [
            (
                vec![(
                    "cache-control",
                    "max-age=300, public, stale-while-revalidate=30, stale-if-error=86400",
                )],
                300,
            ),
            (vec![("cache-control", "max-age=300, public"), ("age", "100")], 200),
            (vec![("cache-control", "max-age=300, public"), ("age", "400")], 0),
            (vec![("cache-control", "max-age=300, public"), ("x-cached", "HIT")], 300),
            (vec![("cache-control", "max-age=300, public"), ("x-cached", "STALE")], 0),
            (vec![("cache-control", "max-age=300, public"), ("x-cached", "UPDATING")], 0),
            (vec![("cache-control", "max-age=259200, public")], 21_600),
            (vec![("cache-control", "max-age=60, private")], 60),
            (vec![("cache-control", "private, no-store")], 0),
            (vec![("cache-control", "no-cache, max-age=60")], 0),
            (vec![("cache-control", "No-Cache, Max-Age=60")], 0),
            (vec![("cache-control", "max-age=junk")], 0),
            (vec![("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")], 0),
            (vec![], 0),
        ] {
            let found = Head::of(StatusCode::OK, &headers(&lines)).lifetime(now);
            assert_eq!(found.as_secs(), seconds, "{lines:?}");
        }
    }

    #[test]
    fn rate_limits_of_others_are_not_ours() {
        let unix = 1_785_592_000.0;
        let own = [
            ("x-ratelimit-limit", "300"),
            ("x-ratelimit-remaining", "299"),
            ("x-ratelimit-reset", "2026-08-01T13:55:00.548486Z"),
        ];
        let rate_limit = |lines: &[_], unix| Head::of(StatusCode::OK, &headers(lines)).rate_limit(unix);
        let limit = rate_limit(&own, unix).unwrap();
        assert_eq!((limit.limit, limit.remaining), (Some(300), Some(299)));
        assert!((limit.reset - 1_785_592_500.548_486).abs() < 1e-3);
        for cached in [("age", "3"), ("x-cached", "UPDATING"), ("cache-status", "Edge; hit")] {
            let lines: Vec<_> = own.iter().copied().chain([cached]).collect();
            assert_eq!(rate_limit(&lines, unix), None, "{cached:?}");
        }
        assert_eq!(rate_limit(&own, unix + 600.0), None, "a reset in the past");
        assert!(rate_limit(&[("x-ratelimit-reset", "soon")], unix).is_none());
    }

    #[test]
    fn the_next_page() {
        for (value, next) in [
            (
                r#"<https://a.example/x?max_id=1>; rel="next", <https://a.example/x?min_id=9>; rel="prev""#,
                Some("max_id=1"),
            ),
            (r#"<https://a.example/x?min_id=9>; rel="prev", </x?max_id=2>; rel=next"#, Some("max_id=2")),
            (r#"<?max_id=3>; title="a, b"; rel="first next""#, Some("max_id=3")),
            (r#"<https://a.example/x>; rel="prev""#, None),
            ("<https://a.example/x", None),
            ("next", None),
            (r#"<>; rel="next"#, Some("")),
        ] {
            let base = Url::parse("https://a.example/x").unwrap();
            let found = next_link(&headers(&[("link", value)]), &base);
            assert_eq!(found.map(|u| u.query().unwrap_or_default().to_owned()).as_deref(), next, "{value}");
        }
    }

    #[test]
    fn when_to_come_back() {
        let unix = 784_111_770.0;
        for (line, seconds) in [
            (("retry-after", "120"), Some(120)),
            (("retry-after", "86400"), Some(3600)),
            (("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"), Some(7)),
            (("retry-after", "soon"), None),
            (("x-ratelimit-reset", "1994-11-06T08:50:00.000000Z"), Some(30)),
            (("x-ratelimit-reset", "1994-11-06T08:40:00.000000Z"), None),
        ] {
            let wait = |status| Head::of(status, &headers(&[line])).retry_after(unix).map(|d| d.as_secs());
            assert_eq!(wait(StatusCode::TOO_MANY_REQUESTS), seconds, "{line:?}");
            let unavailable = seconds.filter(|_| line.0 == "retry-after");
            assert_eq!(wait(StatusCode::SERVICE_UNAVAILABLE), unavailable, "{line:?}");
        }
        let cached = headers(&[("x-ratelimit-reset", "1994-11-06T08:50:00.000000Z"), ("x-cached", "HIT")]);
        assert_eq!(
            Head::of(StatusCode::TOO_MANY_REQUESTS, &cached).retry_after(unix),
            None,
            "somebody else's window"
        );
    }
}
