//! Whether the web server and the streaming server answer: `/health` and
//! `/api/v1/streaming/health`.

use serde_json::Value;
use url::Url;

use crate::fetch::{self, Take};
use crate::outcome::ErrorType;
use crate::snapshot::{Facts, Health};

use super::{Answer, Ask, Attempt, Verdict};

/// A health page is two letters.
const MOST: usize = 16 << 10;

impl Attempt<'_> {
    /// Asks both servers. A failure is a 0: that is what the two figures are for.
    pub(super) async fn health(&self) -> Answer {
        let mut whole = Answer::new(self);
        let mut health = Health {
            web: self.is_healthy(&mut whole, Ok(self.url("/health")), "web").await,
            ..Health::default()
        };
        if let Some(streaming) = self.streaming() {
            health.streaming = self.is_healthy(&mut whole, streaming, "streaming").await;
        }
        if health != Health::default() {
            whole.facts = Some(Facts::Health(health.into()));
            if whole.verdict == Verdict::NotOffered {
                whole.verdict = Verdict::Ok;
            }
        }
        // It changes without notice, whatever its headers say.
        whole.lifetime = std::time::Duration::ZERO;
        whole
    }

    async fn is_healthy(
        &self,
        whole: &mut Answer,
        url: Result<Url, (ErrorType, String)>,
        label: &str,
    ) -> Option<bool> {
        let mut one = Answer::new(self);
        match url {
            Ok(url) => {
                if let Some(reply) = self.ask(&mut one, Ask::get(url).take(Take::UpTo(MOST))).await
                    && !says_ok(&reply.body)
                {
                    let why = "the page does not say OK: it may be another site's";
                    one.fail(Verdict::Failed(ErrorType::Decode), why.to_owned());
                }
            }
            Err((error, why)) => one.fail(Verdict::Failed(error), why),
        }
        let healthy = match one.verdict {
            Verdict::Ok | Verdict::NotModified => Some(true),
            Verdict::Failed(_) => Some(false),
            Verdict::NotOffered | Verdict::Missing => None,
        };
        whole.merge(one, label);
        healthy
    }

    /// Where the streaming server is, by v2 or else v1 instance; it has to be
    /// on the target's own site.
    fn streaming(&self) -> Option<Result<Url, (ErrorType, String)>> {
        let named = self.known.streaming.as_deref()?;
        // wss is https with another name, and ws http.
        let http = named.strip_prefix("ws").map_or_else(|| named.to_owned(), |rest| format!("http{rest}"));
        let mut url = Url::parse(&http).ok()?;
        url.set_path("/api/v1/streaming/health");
        url.set_query(None);
        let public = fetch::public_url(self.target);
        Some(fetch::follow(self.target, &public, &url))
    }
}

/// `OK`, or JSON that says it (Mastodon 3.0 to 3.3 on request).
fn says_ok(body: &[u8]) -> bool {
    let text = body.trim_ascii();
    if text.eq_ignore_ascii_case(b"ok") {
        return true;
    }
    match serde_json::from_slice::<Value>(text) {
        Ok(Value::String(s)) => s.eq_ignore_ascii_case("ok"),
        Ok(Value::Object(map)) => match map.get("status").or_else(|| map.get("healthy")) {
            Some(Value::String(s)) => s.eq_ignore_ascii_case("ok"),
            Some(Value::Bool(healthy)) => *healthy,
            _ => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_another_site_is_not_health() {
        for (body, ok) in [
            ("OK", true),
            ("ok\n", true),
            (r#"{"status":"OK"}"#, true),
            (r#"{"healthy":true,"message":"success"}"#, true),
            ("\"OK\"", true),
            ("<html>OK</html>", false),
            (r#"{"status":"failed"}"#, false),
            ("", false),
            ("[]", false),
        ] {
            assert_eq!(says_ok(body.as_bytes()), ok, "{body}");
        }
    }
}
