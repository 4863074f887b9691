//! The times of the newest posts, which show whether posting and federation work.

use jiff::Timestamp;

use crate::snapshot::{Facts, Timelines};

use super::{Answer, Attempt, Verdict};
use crate::document::{Document, Fields, Top};

/// How far in the future a post may be dated, in seconds. Servers accept the dates of
/// other servers, so a post of the year 2077 stays the newest one.
const FUTURE: f64 = 300.0;
/// The number of posts that are read, because posts with wrong dates or of this server
/// may come before the wanted one.
const POSTS: usize = 20;

impl Attempt<'_> {
    /// Reads the newest post of the local timeline, and the newest post of another
    /// server from the public timeline, which may also contain local posts.
    pub(super) async fn timelines(&self) -> Answer {
        let mut whole = Answer::new(self);
        let mut newest = Timelines::default();
        // Mastodon omits the local posts from 3.1.4 on. Servers that do not know the
        // parameter include them, so they are skipped here.
        let remote =
            if self.mastodon().is_some_and(|version| version >= (3, 2)) { "&remote=true" } else { "" };
        for (query, label, origin) in [
            (format!("local=true&limit={POSTS}"), "local", Origin::Any),
            (format!("limit={POSTS}{remote}"), "federated", Origin::Elsewhere),
        ] {
            let ask = self.ask(&format!("/api/v1/timelines/public?{query}"));
            let asked = ask.with_token(whole.requests.with_token).send().await;
            let read = |doc: &mut Document| newest_post(doc, origin, self.unix + FUTURE);
            let (one, at) = asked.read(Top::Array, read).await;
            match origin {
                Origin::Any => newest.local = at.flatten(),
                Origin::Elsewhere => newest.federated = at.flatten(),
            }
            whole = whole.and(one, label);
            if whole.is_stopped() {
                break;
            }
        }
        // A timeline without posts was read successfully, too.
        let is_read = whole.verdict == Verdict::Ok || newest != Timelines::default();
        whole.with(is_read.then(|| Facts::Timelines(newest.into())))
    }
}

/// The posts that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Posts of all servers.
    Any,
    /// Posts of other servers, whose authors have an `@` in `acct`.
    Elsewhere,
}

/// Returns the latest `created_at` of the posts that is not after `until`, in Unix
/// seconds.
pub fn newest_post(doc: &mut Document, origin: Origin, until: f64) -> Option<f64> {
    let read = |f: &mut Fields<'_>| {
        let counts = origin == Origin::Any || f.text("account.acct").is_some_and(|acct| acct.contains('@'));
        instant(f, "created_at").filter(|at| counts && *at <= until)
    };
    doc.each(read).into_iter().flatten().reduce(f64::max)
}

/// Reads an ISO 8601 timestamp as Unix seconds.
pub(super) fn instant(f: &mut Fields<'_>, path: &str) -> Option<f64> {
    let value = f.get(path)?;
    let at = value.text().and_then(|text| text.trim().parse::<Timestamp>().ok());
    // Dates before 1970 are wrong.
    let at = at.filter(|at| at.as_second() > 0);
    if at.is_none() {
        f.wrong(path, value);
    }
    at.map(|at| at.as_millisecond() as f64 / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_post_is_not_in_the_future_and_of_the_origin_asked_for() {
        let post = |at: &str, acct: &str| format!(r#"{{"created_at":"{at}","account":{{"acct":"{acct}"}}}}"#);
        let now: Timestamp = "2026-08-01T12:00:00Z".parse().unwrap();
        let until = now.as_second() as f64 + FUTURE;
        let minutes = |at: Option<f64>| at.map(|at| ((at - now.as_second() as f64) / 60.0).round() as i64);
        for (posts, any, elsewhere) in [
            (
                vec![post("2026-08-01T11:58:00Z", "ada"), post("2026-08-01T11:50:00Z", "eve@b.example")],
                Some(-2),
                Some(-10),
            ),
            (
                vec![
                    post("2077-01-01T00:00:00Z", "eve@b.example"),
                    post("2026-08-01T11:59:00Z", "eve@b.example"),
                ],
                Some(-1),
                Some(-1),
            ),
            // Clocks differ a little.
            (vec![post("2026-08-01T12:04:00Z", "eve@b.example")], Some(4), Some(4)),
            (vec![post("2077-01-01T00:00:00Z", "eve@b.example")], None, None),
            (vec![post("2026-08-01T11:00:00Z", "ada")], Some(-60), None),
            (vec![], None, None),
        ] {
            let json = format!("[{}]", posts.join(","));
            let read = |origin| {
                newest_post(&mut Document::parse(json.as_bytes(), Top::Array).unwrap(), origin, until)
            };
            assert_eq!(
                (minutes(read(Origin::Any)), minutes(read(Origin::Elsewhere))),
                (any, elsewhere),
                "{json}"
            );
        }
    }
}
