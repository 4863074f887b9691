use super::*;
use crate::outcome::ErrorType::{Connect, Http4xx, Http5xx, RateLimited, Timeout};

use ServedFrom::{Cache, Origin, StaleCache};
use Verdict::{Failed, Gone, Missing, NotModified, NotOffered, Ok};

fn blank() -> Answer {
    Answer {
        verdict: Verdict::Ok,
        facts: None,
        problems: Vec::new(),
        status: None,
        reason: None,
        elapsed: Duration::ZERO,
        size: 0,
        etag: None,
        lifetime: Duration::ZERO,
        served_from: ServedFrom::Origin,
        retry_after: None,
        rate_limit: None,
        asked: false,
        with_token: false,
        token: None,
        unreachable: false,
    }
}

/// A part that was requested, with its verdict as its reason.
fn part(verdict: Verdict, status: Option<u16>) -> Answer {
    let reason = (verdict.outcome() != Outcome::Ok).then(|| format!("{verdict:?}"));
    Answer { verdict, reason, status, asked: true, ..blank() }
}

/// Adds parts with the labels `a`, `b` and so on.
fn whole(parts: impl IntoIterator<Item = Answer>) -> Answer {
    let mut whole = blank();
    for (part, label) in parts.into_iter().zip(["a", "b", "c"]) {
        whole.merge(part, label);
    }
    whole
}

#[test]
fn the_worst_verdict_of_several_requests_counts() {
    let (ok, unchanged) = ((Ok, Some(200)), (NotModified, Some(304)));
    let (none, gone, missing) = ((NotOffered, Some(403)), (Gone, Some(410)), (Missing(Http4xx), Some(404)));
    let (broken, away) = ((Failed(Http5xx), Some(500)), (Failed(Connect), None));
    for (parts, verdict, reason, status) in [
        (vec![], Ok, None, None),
        (vec![ok, ok], Ok, None, Some(200)),
        (vec![unchanged], Ok, None, Some(304)),
        (vec![none, ok], NotOffered, Some("a: NotOffered"), Some(403)),
        (vec![ok, none], NotOffered, Some("b: NotOffered"), Some(403)),
        // Of equal ranks, the first verdict and the last status.
        (vec![gone, none], Gone, Some("a: Gone"), Some(403)),
        (vec![none, missing, ok], Missing(Http4xx), Some("b: Missing(Http4xx)"), Some(404)),
        (vec![missing, broken], Failed(Http5xx), Some("b: Failed(Http5xx)"), Some(500)),
        (vec![broken, missing], Failed(Http5xx), Some("a: Failed(Http5xx)"), Some(500)),
        (vec![ok, away, ok], Failed(Connect), Some("b: Failed(Connect)"), None),
        (vec![broken, away], Failed(Http5xx), Some("a: Failed(Http5xx)"), None),
        (vec![away, broken], Failed(Connect), Some("a: Failed(Connect)"), Some(500)),
    ] {
        let whole = whole(parts.iter().map(|(verdict, status)| part(*verdict, *status)));
        let found = (whole.verdict, whole.reason.as_deref(), whole.status);
        assert_eq!(found, (verdict, reason, status), "{parts:?}");
        assert_eq!(whole.asked, !parts.is_empty());
    }
}

#[test]
fn durations_and_sizes_of_several_requests_are_added() {
    let part = |ms, size| Answer { elapsed: Duration::from_millis(ms), size, ..part(Ok, Some(200)) };
    let whole = whole([part(30, 100), part(12, 0), part(0, 11)]);
    assert_eq!((whole.elapsed, whole.size), (Duration::from_millis(42), 111));
}

#[test]
fn several_answers_are_valid_as_long_as_the_shortest_lived_and_as_sure_as_the_worst_source() {
    for (parts, lifetime, source) in [
        (vec![(true, 60, Origin)], 60, Origin),
        (vec![(true, 60, Origin), (true, 20, Cache), (true, 40, Origin)], 20, Cache),
        (vec![(true, 0, StaleCache), (true, 20, Cache)], 0, StaleCache),
        // What was not requested has no lifetime, unless something was requested before.
        (vec![(false, 0, Origin), (true, 20, Origin)], 20, Origin),
        (vec![(true, 20, Origin), (false, 0, Origin)], 0, Origin),
    ] {
        let whole = whole(parts.iter().map(|(asked, seconds, served_from)| Answer {
            asked: *asked,
            lifetime: Duration::from_secs(*seconds),
            served_from: *served_from,
            etag: Some("\"1\"".into()),
            ..part(Ok, Some(200))
        }));
        assert_eq!((whole.lifetime.as_secs(), whole.served_from), (lifetime, source), "{parts:?}");
        // It belongs to one URL.
        assert_eq!(whole.etag, None);
    }
}

#[test]
fn the_longest_pause_and_the_last_rate_limit_apply() {
    let limit = |remaining| RateLimit { limit: Some(300), remaining: Some(remaining), reset: 0.0 };
    let part = |pause: Option<u64>, rate_limit| Answer {
        retry_after: pause.map(Duration::from_secs),
        rate_limit,
        ..part(Ok, Some(200))
    };
    let whole = whole([part(Some(60), Some(limit(9))), part(Some(90), Some(limit(8))), part(Some(30), None)]);
    assert_eq!(whole.retry_after, Some(Duration::from_secs(90)));
    assert_eq!(whole.rate_limit, Some(limit(8)));
}

#[test]
fn problems_say_in_which_request_they_were() {
    let part = |problems: &[&str]| Answer {
        problems: problems.iter().map(|&problem| problem.to_owned()).collect(),
        facts: Some(Facts::Robots("".into())),
        ..part(Ok, Some(200))
    };
    let whole = whole([part(&["x is null", "y is a string"]), part(&[]), part(&["x is null"])]);
    assert_eq!(whole.problems, ["a: x is null", "a: y is a string", "c: x is null"]);
    assert!(whole.facts.is_none());
}

#[test]
fn whether_the_token_is_needed_is_what_the_last_request_showed() {
    for with_token in [[false, true], [true, false]] {
        let whole = whole(with_token.map(|with_token| Answer { with_token, ..part(Ok, Some(200)) }));
        assert_eq!(whole.with_token, with_token[1]);
    }
}

#[test]
fn requests_end_at_a_rate_limit_a_timeout_or_a_server_away() {
    for (verdict, unreachable, stopped) in [
        (Ok, false, false),
        (Missing(Http4xx), false, false),
        (Failed(Http5xx), false, false),
        (Failed(RateLimited), false, true),
        (Failed(Timeout), false, true),
        (Failed(Connect), true, true),
    ] {
        let part = |verdict, unreachable| Answer { unreachable, ..part(verdict, None) };
        assert_eq!(whole([part(verdict, unreachable), part(Ok, false)]).is_stopped(), stopped, "{verdict:?}");
    }
}

#[test]
fn facts_of_some_requests_are_kept() {
    for (verdict, kept) in
        [(Ok, Ok), (NotOffered, Ok), (Gone, Ok), (Missing(Http4xx), Ok), (Failed(Http5xx), Failed(Http5xx))]
    {
        let mut whole = whole([part(verdict, None), part(Ok, None)]);
        whole.tell_in_part(Facts::Robots("".into()));
        assert_eq!((whole.verdict, whole.facts.is_some()), (kept, true), "{verdict:?}");
    }
}
