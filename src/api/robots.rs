//! robots.txt (RFC 9309), for targets whose settings ask to obey it.

use std::sync::Arc;

use robotxt::Robots;
use url::Url;

use crate::endpoint::Endpoint;
use crate::fetch::Take;
use crate::outcome::{ErrorType, Outcome};
use crate::snapshot::{Facts, Slot};

use super::ask::Asked;
use super::{Answer, Attempt, Verdict};

/// The size that the specification requires clients to read, in bytes.
const MAX_BODY: usize = 500 << 10;
/// The name that robots.txt can use for this program.
const AGENT: &str = "fedimeter";

impl Attempt<'_> {
    /// Reads robots.txt. A server without one allows everything.
    pub(super) async fn robots(&self) -> Answer {
        let ask = self.ask("/robots.txt").if_changed().take(Take::UpTo(MAX_BODY));
        let Asked { mut answer, reply } = ask.send().await;
        let is_unavailable = |status| (400..500).contains(&status) && status != 429;
        if let Some(reply) = reply {
            return answer.with(Facts::Robots(Arc::from(String::from_utf8_lossy(&reply.body))));
        }
        if answer.requests.status.is_some_and(is_unavailable) {
            (answer.verdict, answer.reason) = (Verdict::Ok, None);
            return answer.with(Facts::Robots(Arc::from("")));
        }
        answer
    }

    /// Returns why robots.txt forbids this URL, or `None` if it allows it.
    pub(super) fn robots_forbid(&self, url: &Url) -> Option<(Verdict, String)> {
        if !self.target.obey_robots || self.endpoint == Endpoint::Robots {
            return None;
        }
        let slot = self.known.slots.iter().find(|slot| slot.endpoint == Endpoint::Robots);
        // The kept copy applies until it is replaced, whatever its age.
        if let Some(Facts::Robots(text)) = slot.and_then(Slot::facts) {
            let allowed = Robots::parse(text.as_bytes(), AGENT).is_url_allowed(url);
            let why = || format!("robots.txt does not allow {AGENT} to request {}", url.path());
            return (!allowed).then(|| (Verdict::NotOffered, why()));
        }
        // An unreadable robots.txt allows nothing (RFC 9309, 2.3.1.4). A server that
        // answered is not down because of that.
        let why = "robots.txt could not be read, so nothing may be requested".to_owned();
        let verdict = match slot.and_then(Slot::outcome) {
            Some(Outcome::Failed(_)) if slot.and_then(Slot::response).is_some() => Verdict::NotOffered,
            Some(Outcome::Failed(error)) => Verdict::Failed(error),
            _ => Verdict::Failed(ErrorType::Other),
        };
        Some((verdict, why))
    }
}
