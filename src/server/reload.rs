//! `POST /-/reload` reads the configuration again.

use std::sync::Arc;

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::reload::Reloader;

/// Reloads, and describes the result in words.
pub async fn asked(reloader: Option<Arc<Reloader>>, headers: &HeaderMap) -> (StatusCode, String) {
    let Some(reloader) = reloader.filter(|reloader| reloader.is_over_http()) else {
        let advice = "start fedimeter with --enable-reload, or send it SIGHUP";
        return (StatusCode::FORBIDDEN, format!("reloading over HTTP is off: {advice}"));
    };
    if is_cross_site(headers) {
        let says = "refused, because the request came from a page of another site";
        return (StatusCode::FORBIDDEN, says.to_owned());
    }
    // Reloading continues if the client disconnects.
    match tokio::spawn(async move { reloader.reload().await }).await {
        Ok(Ok(done)) => (StatusCode::OK, done.to_string()),
        Ok(Err(errors)) => {
            let says = format!(
                "the configuration was not reloaded, and the previous one stays in effect:\n{errors}"
            );
            (StatusCode::INTERNAL_SERVER_ERROR, says)
        }
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "reloading panicked; please report this".to_owned()),
    }
}

/// Whether a browser says that a page of another site made the request. Any page can
/// send a form to an address that only its reader can reach. Programs send no such
/// header.
fn is_cross_site(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    let host = headers.get(HOST).map(HeaderValue::as_bytes).unwrap_or_default();
    let is_own = |origin: &[u8]| {
        let name = origin.strip_prefix(b"https://").or_else(|| origin.strip_prefix(b"http://"));
        name == Some(host)
    };
    site.is_some_and(|site| !matches!(site, b"same-origin" | b"none"))
        || headers.get(ORIGIN).is_some_and(|origin| !is_own(origin.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_other_sites_are_told_from_programs() {
        for (headers, is_foreign) in [
            (&[][..], false),
            (&[("sec-fetch-site", "same-origin"), ("origin", "http://bridge:9464")], false),
            (&[("origin", "https://bridge:9464")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("sec-fetch-site", "cross-site")], true),
            (&[("sec-fetch-site", "same-site")], true),
            (&[("origin", "http://bridge")], true),
            (&[("origin", "https://evil.example")], true),
            (&[("origin", "null")], true),
        ] {
            let mut all = HeaderMap::new();
            all.insert(HOST, "bridge:9464".parse().unwrap());
            for (name, value) in headers {
                all.insert(*name, value.parse().unwrap());
            }
            assert_eq!(is_cross_site(&all), is_foreign, "{headers:?}");
        }
    }
}
