use http::StatusCode;
use url::Url;

use super::*;
use crate::outcome::ErrorType::{Connect, Http4xx, Http5xx, RateLimited, Timeout};

use ServedFrom::{Cache, Origin, StaleCache};
use Verdict::{Failed, Gone, Missing, NotModified, NotOffered, Ok};

fn blank() -> Answer {
    Answer {
        verdict: Ok,
        reason: None,
        facts: None,
        problems: Vec::new(),
        requests: Requests::default(),
        validity: Validity::default(),
        limits: Limits::default(),
        token: None,
    }
}

/// A part that was requested, with its verdict as its reason.
fn part(verdict: Verdict, status: Option<u16>) -> Answer {
    let reason = (verdict.outcome() != Outcome::Ok).then(|| format!("{verdict:?}"));
    let requests = Requests { asked: true, status, ..Requests::default() };
    Answer { verdict, reason, requests, ..blank() }
}

/// Adds parts with the labels `a`, `b` and so on.
fn whole(parts: impl IntoIterator<Item = Answer>) -> Answer {
    parts.into_iter().zip(["a", "b", "c"]).fold(blank(), |whole, (part, label)| whole.and(part, label))
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
        let found = (whole.verdict, whole.reason.as_deref(), whole.requests.status);
        assert_eq!(found, (verdict, reason, status), "{parts:?}");
        assert_eq!(whole.requests.asked, !parts.is_empty());
    }
}

#[test]
fn durations_and_sizes_of_several_requests_are_added() {
    let part = |ms, size| {
        let requests = Requests { elapsed: Duration::from_millis(ms), size, ..Requests::default() };
        Answer { requests, ..blank() }
    };
    let whole = whole([part(30, 100), part(12, 0), part(0, 11)]);
    assert_eq!((whole.requests.elapsed, whole.requests.size), (Duration::from_millis(42), 111));
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
        let whole = whole(parts.iter().map(|(asked, seconds, served_from)| {
            let (lifetime, served_from) = (Duration::from_secs(*seconds), *served_from);
            Answer {
                requests: Requests { asked: *asked, ..Requests::default() },
                validity: Validity { etag: Some("\"1\"".into()), lifetime, served_from },
                ..blank()
            }
        }));
        // An ETag belongs to one URL.
        let expected = Validity { etag: None, lifetime: Duration::from_secs(lifetime), served_from: source };
        assert_eq!(whole.validity, expected, "{parts:?}");
    }
}

#[test]
fn a_list_is_as_sure_as_the_worst_source_of_its_pages() {
    let page = |served_from, seconds, etag: &str| Reply {
        status: StatusCode::OK,
        url: Url::parse("https://a.example/").unwrap(),
        body: Vec::new(),
        size: 10,
        length: None,
        next: None,
        noindex: false,
        etag: Some(etag.into()),
        lifetime: Duration::from_secs(seconds),
        served_from,
    };
    for (pages, source) in
        [([Origin, Origin], Origin), ([StaleCache, Origin], StaleCache), ([Cache, StaleCache], StaleCache)]
    {
        let answer = blank().replied(&page(pages[0], 60, "1")).replied(&page(pages[1], 90, "2"));
        let expected =
            Validity { etag: Some("2".into()), lifetime: Duration::from_secs(90), served_from: source };
        assert_eq!((answer.validity, answer.requests.size), (expected, 20), "{pages:?}");
    }
}

#[test]
fn the_longest_pause_and_the_last_rate_limit_apply() {
    let limit = |remaining| RateLimit { limit: Some(300), remaining: Some(remaining), reset: 0.0 };
    let part = |pause, rate_limit| {
        let limits = Limits { retry_after: Some(Duration::from_secs(pause)), rate_limit };
        Answer { limits, ..blank() }
    };
    let whole = whole([part(60, Some(limit(9))), part(90, Some(limit(8))), part(30, None)]);
    let expected = Limits { retry_after: Some(Duration::from_secs(90)), rate_limit: Some(limit(8)) };
    assert_eq!(whole.limits, expected);
}

#[test]
fn problems_say_in_which_request_they_were() {
    let part = |problems: &[&str]| Answer {
        problems: problems.iter().map(|&problem| problem.to_owned()).collect(),
        ..blank().with(Facts::Robots("".into()))
    };
    let whole = whole([part(&["x is null", "y is a string"]), part(&[]), part(&["x is null"])]);
    assert_eq!(whole.problems, ["a: x is null", "a: y is a string", "c: x is null"]);
    assert!(whole.facts.is_none());
}

#[test]
fn whether_the_token_is_needed_is_what_the_last_request_showed() {
    for with_token in [[false, true], [true, false]] {
        let whole = whole(with_token.map(|with_token| {
            let requests = Requests { with_token, ..Requests::default() };
            Answer { requests, ..blank() }
        }));
        assert_eq!(whole.requests.with_token, with_token[1]);
    }
}

#[test]
fn requests_end_at_a_rate_limit_a_timeout_or_a_server_away() {
    for (verdict, unreachable, is_stopped) in [
        (Ok, false, false),
        (Missing(Http4xx), false, false),
        (Failed(Http5xx), false, false),
        (Failed(RateLimited), false, true),
        (Failed(Timeout), false, true),
        (Failed(Connect), true, true),
    ] {
        let mut first = part(verdict, None);
        first.requests.unreachable = unreachable;
        assert_eq!(whole([first, part(Ok, None)]).is_stopped(), is_stopped, "{verdict:?}");
    }
}

#[test]
fn facts_of_some_requests_are_kept() {
    for (verdict, kept) in
        [(Ok, Ok), (NotOffered, Ok), (Gone, Ok), (Missing(Http4xx), Ok), (Failed(Http5xx), Failed(Http5xx))]
    {
        let whole = whole([part(verdict, None), part(Ok, None)]).with_part(Facts::Robots("".into()));
        assert_eq!((whole.verdict, whole.facts.is_some()), (kept, true), "{verdict:?}");
    }
}
