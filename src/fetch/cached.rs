//! Decides from the headers whether an answer came from a cache.
//!
//! Caches use a family of headers. Their names have a part `cache` or `cached`
//! (`X-Cache`, `CF-Cache-Status`, `CDN-Cache`, `X-Cached` of the nginx configuration
//! that Mastodon ships), and their values are words from a small vocabulary. So new
//! members of the family are recognised without a list of names. Further headers are
//! `Cache-Status` (RFC 9211), `Age` and `Warning` (RFC 9111, RFC 7234), `Server-Timing`
//! and `X-Varnish`.

use http::{HeaderMap, StatusCode};

use crate::snapshot::ServedFrom;

/// Words for an answer from a cache, in capitals. Every product uses `HIT`. nginx and
/// Cloudflare use `REVALIDATED` for a stored answer that the server has confirmed, and
/// Squid `UNMODIFIED` (`TCP_REFRESH_UNMODIFIED`). `REFRESHHIT` is CloudFront's, and
/// `PRERENDER` is Vercel's for an answer from static storage.
const CACHED: [&str; 5] = ["HIT", "REVALIDATED", "UNMODIFIED", "REFRESHHIT", "PRERENDER"];
/// Words for an expired answer. `UPDATING` (nginx, Cloudflare) is returned while
/// another request fetches the new answer.
const STALE: [&str; 2] = ["STALE", "UPDATING"];
/// The last parts of names with a part `cache` that say how answers are stored or
/// found, not where this one came from: `Cache-Control` and similar, `Cache-Tag`,
/// `X-Cache-Key`, `X-Cache-Group`. `X-Rack-Cache` lists the steps that led to an
/// answer, even to a fresh one.
const ABOUT_STORING: [&str; 6] = ["control", "key", "tag", "tags", "group", "policy"];

/// Returns where an answer came from. Without any such header it came from the server
/// itself.
#[must_use]
pub fn served_from(status: StatusCode, headers: &HeaderMap) -> ServedFrom {
    let has_cache = headers.contains_key("x-cache");
    let mut found = ServedFrom::Origin;
    for (name, value) in headers {
        let Ok(value) = value.to_str() else { continue };
        let of_header = match name.as_str() {
            "cache-status" => cache_status(value, status),
            "age" if value.trim().parse::<u64>().is_ok_and(|age| age > 0) => ServedFrom::Cache,
            // 110 "Response is Stale", 111 "Revalidation Failed" (RFC 7234, 5.5).
            "warning" if value.starts_with("110") || value.starts_with("111") => ServedFrom::StaleCache,
            // The number of this request, and after a hit also that of the request that
            // filled the cache.
            "x-varnish" if value.split_ascii_whitespace().count() > 1 => ServedFrom::Cache,
            // `cdn-cache; desc=HIT` (Akamai), `cfCacheStatus;desc="HIT"` (Cloudflare).
            "server-timing" => server_timing(value),
            // The result of a look-up differs from the answer in Squid. Without another
            // header it is the only information (Tencent Cloud).
            "x-cache-lookup" if has_cache => ServedFrom::Origin,
            // How often each cache has returned this answer (Fastly): `0, 3`.
            name if name.ends_with("cache-hits") => counted(value),
            name if is_of_family(name) => words(value),
            _ => ServedFrom::Origin,
        };
        found = found.max(of_header);
    }
    found
}

fn is_of_family(name: &str) -> bool {
    let about_storing = name.rsplit('-').next().is_some_and(|last| ABOUT_STORING.contains(&last));
    let parts = || name.split('-');
    parts().any(|part| matches!(part, "cache" | "cached")) && !about_storing && name != "x-rack-cache"
}

/// Interprets the words of a value. It compares whole words, so that `white` is not a
/// hit.
fn words(value: &str) -> ServedFrom {
    let upper = value.to_ascii_uppercase();
    let words = || upper.split(|c: char| !c.is_ascii_alphanumeric());
    let cached = words().any(|word| CACHED.contains(&word));
    // `TCP_REFRESH_FAIL_HIT` (Akamai): the answer could not be renewed, but was
    // returned.
    let stale = words().any(|word| STALE.contains(&word)) || (cached && words().any(|word| word == "FAIL"));
    match (stale, cached) {
        (true, _) => ServedFrom::StaleCache,
        (false, true) => ServedFrom::Cache,
        (false, false) => ServedFrom::Origin,
    }
}

fn counted(value: &str) -> ServedFrom {
    let hits = value.split(',').filter_map(|hits| hits.trim().parse::<u64>().ok());
    if hits.max().is_some_and(|hits| hits > 0) { ServedFrom::Cache } else { ServedFrom::Origin }
}

fn server_timing(value: &str) -> ServedFrom {
    let entries = split(value, ',').into_iter().map(|entry| split(entry, ';'));
    let of_cache = entries.filter(|parts| parts[0].to_ascii_lowercase().contains("cache"));
    let words = of_cache.flat_map(|parts| parts.into_iter().skip(1)).map(words);
    words.max().unwrap_or(ServedFrom::Origin)
}

/// Interprets `Cache-Status` (RFC 9211), a list of caches with what each did. `hit` is
/// the cache's own answer, which is stale if `ttl` is negative. If `fwd-status` differs
/// from the status of the answer, the server's answer was not returned: 304 confirmed
/// the stored one, and after an error it is stale. `collapsed` is the answer to another
/// client's request.
fn cache_status(value: &str, status: StatusCode) -> ServedFrom {
    let member = |member: &str| {
        let (mut hit, mut ttl, mut forwarded) = (false, 0, None);
        for parameter in split(member, ';').into_iter().skip(1) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, "?1"));
            match (name.trim(), value.trim()) {
                ("hit" | "collapsed", value) => hit |= value != "?0",
                ("ttl", value) => ttl = value.parse().unwrap_or(0),
                ("fwd-status", value) => forwarded = value.parse::<u16>().ok(),
                _ => {}
            }
        }
        let other = forwarded.filter(|forwarded| *forwarded != status.as_u16());
        match other {
            Some(500..) => ServedFrom::StaleCache,
            _ if hit && ttl < 0 => ServedFrom::StaleCache,
            Some(304) => ServedFrom::Cache,
            _ if hit => ServedFrom::Cache,
            _ => ServedFrom::Origin,
        }
    };
    split(value, ',').into_iter().map(member).max().unwrap_or(ServedFrom::Origin)
}

/// Splits a value at separators outside quotes. Returns at least one part.
fn split(value: &str, separator: char) -> Vec<&str> {
    let mut quoted = false;
    let parts = value.split(move |c| {
        quoted ^= c == '"';
        c == separator && !quoted
    });
    parts.map(str::trim).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    use ServedFrom::{Cache, Origin, StaleCache};

    /// Headers of real servers and caches, and where the answer came from.
    const SEEN: &[(&str, &str, ServedFrom)] = &[
        // The nginx configuration that Mastodon ships: `add_header X-Cached $upstream_cache_status`.
        ("x-cached", "MISS", Origin),
        ("x-cached", "BYPASS", Origin),
        ("x-cached", "EXPIRED", Origin),
        ("x-cached", "HIT", Cache),
        ("x-cached", "REVALIDATED", Cache),
        ("x-cached", "STALE", StaleCache),
        ("x-cached", "UPDATING", StaleCache),
        // Other names for the same nginx variable.
        ("x-cache-status", "HIT", Cache),
        ("x-cache-status", "EXPIRED", Origin),
        ("x-proxy-cache", "HIT", Cache),
        ("x-proxy-cache", "STALE", StaleCache),
        ("x-nginx-cache", "HIT", Cache),
        ("x-nginx-cache-status", "UPDATING", StaleCache),
        ("x-fastcgi-cache", "HIT", Cache),
        // Cloudflare.
        ("cf-cache-status", "DYNAMIC", Origin),
        ("cf-cache-status", "MISS", Origin),
        ("cf-cache-status", "EXPIRED", Origin),
        ("cf-cache-status", "BYPASS", Origin),
        ("cf-cache-status", "NONE/UNKNOWN", Origin),
        ("cf-cache-status", "HIT", Cache),
        ("cf-cache-status", "REVALIDATED", Cache),
        ("cf-cache-status", "STALE", StaleCache),
        ("cf-cache-status", "UPDATING", StaleCache),
        ("server-timing", r#"cfCacheStatus;desc="HIT", cfEdge;dur=4"#, Cache),
        ("server-timing", r#"cfCacheStatus;desc="MISS""#, Origin),
        // Fastly: the shield's word before the edge's.
        ("x-cache", "MISS, MISS", Origin),
        ("x-cache", "HIT, MISS", Cache),
        ("x-cache", "MISS, HIT", Cache),
        ("x-cache", "HIT-STALE", StaleCache),
        ("x-cache-hits", "0, 0", Origin),
        ("x-cache-hits", "0, 12", Cache),
        // CloudFront.
        ("x-cache", "Miss from cloudfront", Origin),
        ("x-cache", "Error from cloudfront", Origin),
        ("x-cache", "Hit from cloudfront", Cache),
        ("x-cache", "RefreshHit from cloudfront", Cache),
        // Akamai, Azure Front Door, Squid, Alibaba Cloud.
        ("x-cache", "TCP_MISS from a2-16-1-1.deploy.akamaitechnologies.com", Origin),
        ("x-cache", "TCP_REFRESH_MISS from a2-16-1-1.deploy.akamaitechnologies.com", Origin),
        ("x-cache", "TCP_MEM_HIT from a2-16-1-1.deploy.akamaitechnologies.com", Cache),
        ("x-cache", "TCP_REFRESH_FAIL_HIT from a2-16-1-1.deploy.akamaitechnologies.com", StaleCache),
        ("x-cache-remote", "TCP_HIT", Cache),
        ("server-timing", "cdn-cache; desc=HIT, edge; dur=1", Cache),
        ("x-cache", "CONFIG_NOCACHE", Origin),
        ("x-cache", "TCP_REMOTE_HIT", Cache),
        ("x-cache", "HIT from proxy.example", Cache),
        ("x-cache", "TCP_REFRESH_UNMODIFIED", Cache),
        ("x-cache", "HIT TCP_MEM_HIT dirn:11:355", Cache),
        // Bunny, G-Core, CDN77, KeyCDN, Vercel, Fly, LiteSpeed, Varnish.
        ("cdn-cache", "MISS", Origin),
        ("cdn-cache", "HIT", Cache),
        ("cdn-cache", "STALE", StaleCache),
        ("cache", "HIT", Cache),
        ("x-77-cache", "HIT", Cache),
        ("x-cdn-cache-status", "HIT", Cache),
        ("x-vercel-cache", "MISS", Origin),
        ("x-vercel-cache", "PRERENDER", Cache),
        ("x-vercel-cache", "STALE", StaleCache),
        ("fly-cache-status", "HIT", Cache),
        ("x-litespeed-cache", "hit,private", Cache),
        ("x-varnish-cache", "HIT", Cache),
        ("x-varnish", "32770", Origin),
        ("x-varnish", "32772 32769", Cache),
        ("x-cache-lookup", "Cache Hit", Cache),
        ("x-cache-lookup", "MISS from proxy.example:3128", Origin),
        // The standards: RFC 9111, RFC 7234, RFC 9211.
        ("age", "0", Origin),
        ("age", "1", Cache),
        ("age", "soon", Origin),
        ("warning", r#"110 proxy.example "Response is Stale""#, StaleCache),
        ("warning", r#"214 proxy.example "Transformation Applied""#, Origin),
        ("cache-status", r#""Edge"; hit"#, Cache),
        ("cache-status", "ExampleCache; hit; ttl=376", Cache),
        ("cache-status", "ExampleCache; hit; ttl=-412", StaleCache),
        ("cache-status", "ExampleCache; hit=?0; fwd=miss", Origin),
        ("cache-status", "ExampleCache; fwd=uri-miss; stored", Origin),
        ("cache-status", "ExampleCache; fwd=uri-miss; collapsed", Cache),
        ("cache-status", "ExampleCache; fwd=stale; fwd-status=304", Cache),
        ("cache-status", "ExampleCache; fwd=stale; fwd-status=200", Origin),
        ("cache-status", "ExampleCache; fwd=stale; fwd-status=503", StaleCache),
        ("cache-status", "OriginCache; hit; ttl=1100, \"CDN Company, here\"; fwd=uri-miss", Cache),
        ("cache-status", r#""a; hit"; fwd=bypass"#, Origin),
        // Headers that do not say where the answer came from.
        ("cache-control", "public, max-age=300, stale-while-revalidate=30", Origin),
        ("cdn-cache-control", "stale-if-error=60", Origin),
        ("x-cache-key", "/hit/stale.example/api/v1/instance", Origin),
        ("cache-tag", "hit", Origin),
        ("x-rack-cache", "stale, invalid, store", Origin),
        ("x-cache", "white", Origin),
        ("x-ratelimit-remaining", "0", Origin),
        ("x-smash-hit", "HIT", Origin),
    ];

    #[test]
    fn every_family_of_headers_is_understood() {
        for (name, value, expected) in SEEN {
            let headers = headers(&[(name, value)]);
            assert_eq!(served_from(StatusCode::OK, &headers), *expected, "{name}: {value}");
        }
    }

    #[test]
    fn of_several_headers_the_worst_counts() {
        for (lines, expected) in [
            (&[("x-cached", "MISS"), ("cf-cache-status", "HIT")][..], Cache),
            (&[("x-cached", "STALE"), ("cf-cache-status", "HIT"), ("age", "9")], StaleCache),
            (&[("x-cache", "MISS"), ("x-cache", "HIT")], Cache),
            // Squid found a stored answer, but did not return it.
            (&[("x-cache", "MISS from proxy"), ("x-cache-lookup", "HIT from proxy:3128")], Origin),
            (&[], Origin),
        ] {
            assert_eq!(served_from(StatusCode::OK, &headers(lines)), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_304_that_the_server_gave_is_its_own() {
        let headers = headers(&[("cache-status", "ExampleCache; fwd=request; fwd-status=304")]);
        assert_eq!(served_from(StatusCode::NOT_MODIFIED, &headers), Origin);
    }

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let line = |(name, value): &(&str, &str)| {
            (http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap())
        };
        // `append`, because a cache adds its own beside another's.
        let mut map = HeaderMap::new();
        for (name, value) in lines.iter().map(line) {
            map.append(name, value);
        }
        map
    }
}
