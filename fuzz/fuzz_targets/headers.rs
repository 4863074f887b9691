//! What headers say, a line each as in HTTP/1: lifetimes, rate limits, when to
//! come back, the next page. All of it is bounded, and no page is another
//! site's.
#![no_main]

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fedimeter::fetch::follow;
use fedimeter::fuzzing;
use fedimeter::target::Target;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use libfuzzer_sys::fuzz_target;
use url::Url;

/// 2026-08-01T13:46:40Z
const NOW: u64 = 1_785_592_000;

fuzz_target!(|data: &[u8]| {
    let mut headers = HeaderMap::new();
    for line in data.split(|b| *b == b'\n').take(50) {
        let Some(colon) = line.iter().position(|b| *b == b':') else { continue };
        let name = HeaderName::from_bytes(line[..colon].trim_ascii());
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    let now: SystemTime = UNIX_EPOCH + Duration::from_secs(NOW);
    let unix = NOW as f64;
    for status in [StatusCode::OK, StatusCode::NOT_MODIFIED] {
        assert!(fuzzing::lifetime(status, &headers, now) <= Duration::from_secs(6 * 3600));
    }
    if let Some(limit) = fuzzing::rate_limit(&headers, unix) {
        assert!(limit.reset.is_finite() && limit.reset >= unix, "{limit:?}");
        assert!(limit.limit.is_none_or(|n| n >= 0) && limit.remaining.is_none_or(|n| n >= 0), "{limit:?}");
    }
    for status in [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE] {
        let wait = fuzzing::retry_after(status, &headers, unix);
        assert!(wait.is_none_or(|wait| wait <= Duration::from_secs(3600)), "{wait:?}");
    }

    let url = Url::parse("https://example.com/").unwrap();
    let target = Target::new(url.clone(), None, None, &BTreeMap::new());
    let base = url.join("/api/v1/admin/reports").unwrap();
    if let Some(next) = fuzzing::next_link(&headers, &base)
        && let Ok(to) = follow(&target, &base, &next)
    {
        let host = to.host_str().unwrap().trim_end_matches('.');
        assert_eq!(to.scheme(), "https", "{next}");
        assert!(host == "example.com" || host.ends_with(".example.com"), "{next} leads to {host}");
    }
});
