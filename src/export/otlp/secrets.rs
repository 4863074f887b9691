//! What must not show when a receiver repeats it.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use percent_encoding::percent_decode_str;

use super::settings::{Headers, OtlpSettings};

/// The longest text that is kept of what a receiver says.
const LONGEST: usize = 300;

/// Keys and passwords of one exporter, in each form that could come back.
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    pub fn of(settings: &OtlpSettings) -> Secrets {
        let mut all = Vec::new();
        of_headers(&settings.headers, &mut all);
        of_url(settings.endpoint.url(), &mut all);
        // A value this short is no key, and would punch holes into ordinary words.
        all.retain(|secret| secret.len() >= 4);
        // The longer one first: it may have a shorter one in it.
        all.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        all.dedup();
        Secrets(all)
    }

    /// The receiver's words without secrets, control characters and excess.
    pub fn clean(&self, words: &str) -> String {
        let mut words = Cow::Borrowed(words);
        for secret in &self.0 {
            if words.contains(secret) {
                words = words.replace(secret, "***").into();
            }
        }
        let printable: String =
            words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect();
        printable.trim().to_owned()
    }
}

fn of_headers(headers: &Headers, all: &mut Vec<String>) {
    for value in headers.map().values().filter_map(|value| value.to_str().ok()) {
        all.push(value.to_owned());
        // A receiver that repeats a refused token leaves the scheme away.
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
        // A key without a value may be all that a receiver asks for.
        let value = part.split_once('=').map_or(part, |(_, value)| value);
        all.extend([value.to_owned(), decoded(value), decoded(&value.replace('+', " "))]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::otlp::settings::{Endpoint, Protocol};
    use http::{HeaderName, HeaderValue};

    fn secrets(url: &str, header: &str) -> Secrets {
        let mut settings =
            OtlpSettings::new(Protocol::HttpProtobuf, Endpoint::new(url, Protocol::HttpProtobuf).unwrap());
        let value = HeaderValue::from_str(header).unwrap();
        settings.headers.insert(HeaderName::from_static("authorization"), value);
        Secrets::of(&settings)
    }

    #[test]
    fn words_are_cleaned() {
        let secrets = secrets("http://c:4318", "Bearer abcdef");
        assert_eq!(
            secrets.clean("bad token abcdef\r\n\u{1b}[31mINFO all is well"),
            "bad token ***   [31mINFO all is well"
        );
        assert_eq!(secrets.clean(&"x".repeat(1000)).len(), 300);
    }

    /// Whatever a receiver repeats, in whichever form it saw it.
    #[test]
    fn no_form_of_a_secret_comes_back() {
        let url = "http://hushtoken:hush%20pw@c:4318/?api-key=hush%2Bkey&hushbare&x=hush+form";
        // YTE6aHVzaHB3: "a1:hushpw"
        let secrets = secrets(url, "Basic YTE6aHVzaHB3");
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
            let cleaned = secrets.clean(words);
            assert!(cleaned.contains("***"), "{words}: {cleaned}");
            assert!(!cleaned.contains("hush") && !cleaned.contains("aHVz") && !cleaned.contains("YTE6"));
        }
        assert_eq!(secrets.clean("not ready yet"), "not ready yet");
    }
}
