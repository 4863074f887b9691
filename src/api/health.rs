//! Whether the web server and the streaming server answer: `/health` and
//! `/api/v1/streaming/health`.

use url::Url;

use crate::fetch::{self, Take};
use crate::json::Raw;
use crate::outcome::ErrorType;
use crate::snapshot::{Facts, Health};

use super::ask::{Ask, Asked};
use super::{Answer, Attempt, Verdict};

/// The maximum size of a health page, whose normal content is two letters.
const MAX_BODY: usize = 16 << 10;

impl Attempt<'_> {
    /// Asks both servers. A failure becomes a 0, because that is what the two figures
    /// show.
    pub(super) async fn health(&self) -> Answer {
        let (one, web) = is_healthy(self.ask("/health")).await;
        let mut whole = Answer::new(self).and(one, "web");
        let mut health = Health { web, streaming: None };
        if let Some(url) = self.streaming() {
            let (one, streaming) = match url {
                Ok(url) => is_healthy(self.ask_url(url)).await,
                // No request was made, so nothing is known.
                Err((_, why)) => (self.not_offered(&format!("not requested: {why}")), None),
            };
            whole = whole.and(one, "streaming");
            health.streaming = streaming;
        }
        // The state changes without notice, whatever the headers say.
        whole.validity.lifetime = std::time::Duration::ZERO;
        if health == Health::default() { whole } else { whole.with_part(Facts::Health(health.into())) }
    }

    /// Returns the URL of the streaming server, from v2 or else v1 instance. It must be
    /// on the target's own site.
    fn streaming(&self) -> Option<Result<Url, (ErrorType, String)>> {
        let named = self.known.streaming.as_deref()?;
        // wss corresponds to https, and ws to http.
        let http = named.strip_prefix("ws").map_or_else(|| named.to_owned(), |rest| format!("http{rest}"));
        let mut url = Url::parse(&http).ok()?;
        url.set_path("/api/v1/streaming/health");
        url.set_query(None);
        let public = fetch::public_url(self.target);
        Some(fetch::follow(self.target, &public, &url))
    }
}

/// Reads a health page. Returns `None` if it tells nothing.
async fn is_healthy(ask: Ask<'_>) -> (Answer, Option<bool>) {
    let Asked { answer, reply } = ask.take(Take::UpTo(MAX_BODY)).send().await;
    let one = match reply.map(|reply| Claim::by(&reply.body)) {
        None | Some(Claim::Well) => answer,
        Some(Claim::Unwell) => {
            answer.failed(Verdict::Failed(ErrorType::Decode), "the health page does not say OK")
        }
        // An application answers every path, or another site is in front.
        Some(Claim::Nothing) => {
            let why = "the server has no health page: it answered with a web page";
            answer.failed(Verdict::NotOffered, why)
        }
    };
    let healthy = match one.verdict {
        Verdict::Ok | Verdict::NotModified => Some(true),
        // No request was made, because resources are missing or the address is not
        // allowed.
        Verdict::Failed(ErrorType::Local | ErrorType::BlockedAddress)
        | Verdict::NotOffered
        | Verdict::Gone
        | Verdict::Missing(_) => None,
        Verdict::Failed(_) => Some(false),
    };
    (one, healthy)
}

/// Returns the health when no connection to the web server is possible. The streaming
/// server may be another machine, so its state is unknown.
pub(super) fn unreachable() -> Facts {
    Facts::Health(Health { web: Some(false), streaming: None }.into())
}

/// The state of the server according to a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claim {
    /// `OK`, or JSON with the same meaning (Mastodon 3.0 to 3.3 on request).
    Well,
    /// Something else.
    Unwell,
    /// A web page, which is not a health page.
    Nothing,
}

impl Claim {
    fn by(body: &[u8]) -> Claim {
        let text = body.trim_ascii();
        if text.first() == Some(&b'<') {
            return Claim::Nothing;
        }
        let is_ok = |text: &str| text.eq_ignore_ascii_case("ok");
        let well = text.eq_ignore_ascii_case(b"ok")
            || Raw::parse(text).is_ok_and(|page| {
                let status = page.get("status").or_else(|| page.get("healthy")).unwrap_or(page);
                status.boolean() == Some(true) || status.text().is_some_and(|text| is_ok(&text))
            });
        if well { Claim::Well } else { Claim::Unwell }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_is_what_a_health_page_says() {
        for (body, said) in [
            ("OK", Claim::Well),
            ("ok\n", Claim::Well),
            (r#"{"status":"OK"}"#, Claim::Well),
            (r#"{"healthy":true,"message":"success"}"#, Claim::Well),
            ("\"OK\"", Claim::Well),
            ("<html>OK</html>", Claim::Nothing),
            ("\n<!DOCTYPE html>", Claim::Nothing),
            (r#"{"status":"failed"}"#, Claim::Unwell),
            ("", Claim::Unwell),
            ("[]", Claim::Unwell),
        ] {
            assert_eq!(Claim::by(body.as_bytes()), said, "{body}");
        }
    }
}
