//! Masks secrets that a receiver repeats.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use percent_encoding::percent_decode_str;

use crate::clean::Cleaner;

use super::settings::{Headers, OtlpSettings};

/// Masks keys and passwords of one exporter, in every form in which a receiver could
/// repeat them.
pub(super) fn cleaner(settings: &OtlpSettings) -> Cleaner {
    let mut all = Vec::new();
    of_headers(&settings.headers, &mut all);
    of_url(settings.endpoint.url(), &mut all);
    Cleaner::hiding(all)
}

fn of_headers(headers: &Headers, all: &mut Vec<String>) {
    for value in headers.map().values().filter_map(|value| value.to_str().ok()) {
        all.push(value.to_owned());
        // A receiver that repeats a rejected token omits its scheme.
        let Some((scheme, token)) = value.split_once(' ') else { continue };
        let token = token.trim();
        all.push(token.to_owned());
        if scheme.eq_ignore_ascii_case("basic")
            && let Ok(decoded) = STANDARD_NO_PAD.decode(token.trim_end_matches('='))
            && let Ok(decoded) = String::from_utf8(decoded)
        {
            all.extend(decoded.split_once(':').map(|(user, _)| user.to_owned()));
            all.extend(decoded.split_once(':').map(|(_, password)| password.to_owned()));
            all.push(decoded);
        }
    }
}

fn of_url(url: &url::Url, all: &mut Vec<String>) {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let (user, password) = (url.username(), url.password().unwrap_or_default());
    let pair = format!("{}:{}", decoded(user), decoded(password));
    let sent = STANDARD.encode(&pair);
    all.extend([user.to_owned(), decoded(user), password.to_owned(), decoded(password)]);
    if !user.is_empty() || !password.is_empty() {
        all.extend([pair, sent]);
    }
    let query = url.query().unwrap_or_default();
    all.extend([query.to_owned(), decoded(query)]);
    for part in query.split('&') {
        // Some receivers expect a query that is only a key, without `=`.
        let value = part.split_once('=').map_or(part, |(_, value)| value);
        all.extend([value.to_owned(), decoded(value), decoded(&value.replace('+', " "))]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::otlp::settings::{Endpoint, Protocol};
    use http::{HeaderName, HeaderValue};

    fn cleaner_of(url: &str, header: &str) -> Cleaner {
        let mut settings =
            OtlpSettings::new(Protocol::HttpProtobuf, Endpoint::new(url, Protocol::HttpProtobuf).unwrap());
        let value = HeaderValue::from_str(header).unwrap();
        settings.headers.insert(HeaderName::from_static("authorization"), value);
        cleaner(&settings)
    }

    /// Masks what a receiver repeats in any of these forms.
    #[test]
    fn no_form_of_a_secret_comes_back() {
        let url = "http://hushtoken:hush%20pw@c:4318/?api-key=hush%2Bkey&hushbare&x=hush+form";
        // YTE6aHVzaHB3: "a1:hushpw"
        let cleaner = cleaner_of(url, "Basic YTE6aHVzaHB3");
        for words in [
            "invalid key hush+key",
            "invalid key hush%2Bkey",
            "invalid key hushbare",
            "invalid key hush form",
            "user hushtoken",
            "password hush pw",
            "password hush%20pw",
            "hushtoken:hush pw is unknown",
            "Basic aHVzaHRva2VuOmh1c2ggcHc= is unknown",
            "at /?api-key=hush%2Bkey&hushbare&x=hush+form",
            "Basic YTE6aHVzaHB3",
            "YTE6aHVzaHB3",
            "a1:hushpw",
            "password hushpw",
        ] {
            let shown = cleaner.clean(words, 300);
            assert!(shown.contains("***"), "{words}: {shown}");
            assert!(!shown.contains("hush") && !shown.contains("aHVz") && !shown.contains("YTE6"));
        }
        assert_eq!(cleaner.clean("not ready yet", 300), "not ready yet");
    }
}
