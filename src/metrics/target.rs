//! Metrics of the state of a target and its endpoints.

use std::sync::Arc;

use crate::endpoint::Endpoint;
use crate::outcome::{ErrorType, Outcome};
use crate::snapshot::{RateLimit, Reading, Slot};
use crate::software::Software;
use crate::target::Target;

use super::{Emit, Label, Read, Row, ShownAs, gauge};

const ENDPOINT: &str = "fedimeter.endpoint.name";
const ERROR: &str = "error.type";

/// The name of the metric that says whether a target is up.
pub(super) const UP: &str = "fedimeter.target.up";

pub(super) const ROWS: &[Row] = &[
    gauge(
        UP,
        "",
        "Whether the server is there: 1 when any of its instance and NodeInfo documents was read in its \
         last attempt, 0 when all that were attempted failed; absent while the bridge itself cannot ask, \
         and while the server answers only that it is asked too often.",
        "the outcomes of v2 instance, v1 instance and NodeInfo",
        Read::Int(|r| r.up().map(i64::from)),
    )
    .shown(ShownAs::Asking)
    .unless(up_is_unknown),
    gauge(
        "fedimeter.target.info",
        "",
        "The software that the server runs, its version and its account domain; always 1.",
        "NodeInfo `software`, v2 and v1 `version`; v2 `domain`, v1 `uri`",
        Read::Ints(info, |_| 1),
    )
    .shown(ShownAs::Software)
    .from(&[Endpoint::Nodeinfo, Endpoint::InstanceV2, Endpoint::InstanceV1])
    .by(&["fediverse.domain", "fediverse.software.name", "fediverse.software.version"])
    .optional(&["fediverse.domain", "fediverse.software.name", "fediverse.software.version"]),
    gauge(
        "fedimeter.endpoint.up",
        "",
        "Whether the last attempt to read the endpoint succeeded; absent while the server does not offer \
         it, and while the bridge itself cannot ask.",
        "the outcome of the endpoint's last attempt",
        Read::Ints(
            |r, emit| {
                each_slot(r, |slot, name| match slot.outcome() {
                    Some(Outcome::Ok) => emit(1, &[(ENDPOINT, name)]),
                    Some(Outcome::Failed(ErrorType::Local) | Outcome::NotOffered) | None => {}
                    Some(Outcome::Failed(_)) => emit(0, &[(ENDPOINT, name)]),
                });
            },
            endpoints,
        ),
    )
    .shown(ShownAs::Asking)
    .unless(could_not_ask)
    .by(&[ENDPOINT]),
    gauge(
        "fedimeter.endpoint.failing",
        "",
        "Why the last attempt to read the endpoint failed, as `error.type`; always 1, and absent while the \
         endpoint can be read.",
        "the outcome of the endpoint's last attempt",
        Read::Ints(failing, endpoints),
    )
    .shown(ShownAs::Asking)
    .unless(nothing_fails)
    .by(&[ERROR, ENDPOINT]),
    gauge(
        "fedimeter.endpoint.failures",
        "{failure}",
        "Failed attempts to read the endpoint since the bridge started, by reason; `decode` also counts \
         single fields of a wrong type.",
        "the outcomes of the endpoint's attempts",
        Read::Counts(failures, |t| endpoints(t) * ErrorType::ALL.len()),
    )
    .shown(ShownAs::Asking)
    .unless(never_failed)
    .by(&[ERROR, ENDPOINT]),
    gauge(
        "fedimeter.endpoint.last_success.timestamp",
        "s",
        "When the endpoint was last read.",
        "the bridge's clock at the end of the last successful attempt",
        Read::Floats(|r, emit| details(r, emit, Slot::last_success), endpoints),
    )
    .shown(ShownAs::Asking)
    .unless(no_details)
    .by(&[ENDPOINT])
    .on(DETAILS),
    gauge(
        "fedimeter.endpoint.duration",
        "s",
        "Duration of the last attempt to read the endpoint, including redirects and the body.",
        "the bridge's clock",
        Read::Floats(|r, emit| details(r, emit, duration), endpoints),
    )
    .shown(ShownAs::Asking)
    .unless(no_details)
    .by(&[ENDPOINT])
    .on(DETAILS),
    gauge(
        "fedimeter.endpoint.size",
        "By",
        "Decoded size of the endpoint's last body.",
        "the bytes read",
        Read::Ints(
            |r, emit| {
                if r.target.endpoint_details {
                    each_slot(r, |slot, name| {
                        if let Some(response) = slot.response() {
                            emit(response.size as i64, &[(ENDPOINT, name)]);
                        }
                    });
                }
            },
            endpoints,
        ),
    )
    .shown(ShownAs::Asking)
    .unless(no_details)
    .by(&[ENDPOINT])
    .on(DETAILS),
    gauge(
        "mastodon.rate_limit.limit",
        "{request}",
        "Requests that the server allows an anonymous client in one window.",
        "`X-RateLimit-Limit` of the last uncached anonymous answer",
        Read::Int(|r| rate_limit(r)?.limit),
    )
    .unless(no_rate_limit),
    gauge(
        "mastodon.rate_limit.remaining",
        "{request}",
        "Requests that the bridge has left in the current window.",
        "`X-RateLimit-Remaining` of the last uncached anonymous answer",
        Read::Int(|r| rate_limit(r)?.remaining),
    )
    .unless(no_rate_limit),
    gauge(
        "mastodon.rate_limit.reset.timestamp",
        "s",
        "When the current window of the rate limit ends.",
        "`X-RateLimit-Reset` of the last uncached anonymous answer",
        Read::Float(|r| Some(rate_limit(r)?.reset)),
    )
    .unless(no_rate_limit),
    gauge(
        "fedimeter.target.certificate.expiry.timestamp",
        "s",
        "When the first certificate in the server's chain expires.",
        "the TLS handshake",
        Read::Int(|r| r.snapshot.certificate_expiry),
    )
    .unless(no_certificate)
    .on("default (https)"),
];

const DETAILS: &str = "default unless `endpoint_details: false`";

fn endpoints(target: &Target) -> usize {
    target.endpoints.len()
}

/// Calls `with` for each endpoint that was attempted.
fn each_slot(r: &Reading<'_>, mut with: impl FnMut(&Slot, Label)) {
    for slot in r.snapshot.slots.iter().filter(|slot| slot.last().is_some()) {
        with(slot, Label::Static(slot.endpoint.name()));
    }
}

/// Returns no duration if no request was made, because a connection to the server had
/// just failed.
fn duration(slot: &Slot) -> Option<f64> {
    slot.took().filter(|took| !took.is_zero()).map(|took| took.as_secs_f64())
}

fn details(r: &Reading<'_>, emit: Emit<'_, f64>, value: fn(&Slot) -> Option<f64>) {
    if r.target.endpoint_details {
        each_slot(r, |slot, name| {
            if let Some(value) = value(slot) {
                emit(value, &[(ENDPOINT, name)]);
            }
        });
    }
}

/// Every attempted endpoint has a point for each type of failure that any endpoint of
/// the target has had, from 0, so that an endpoint's first failure shows as an
/// increase.
fn failures(r: &Reading<'_>, emit: Emit<'_, u64>) {
    for error in ErrorType::ALL {
        if r.snapshot.slots.iter().any(|slot| slot.failures_of(error) > 0) {
            each_slot(r, |slot, name| {
                emit(slot.failures_of(error), &[(ERROR, Label::Static(error.name())), (ENDPOINT, name)]);
            });
        }
    }
}

fn failing(r: &Reading<'_>, emit: Emit<'_, i64>) {
    each_slot(r, |slot, name| {
        if let Some(Outcome::Failed(error)) = slot.outcome() {
            emit(1, &[(ERROR, Label::Static(error.name())), (ENDPOINT, name)]);
        }
    });
}

fn not_asked(r: &Reading<'_>) -> Option<&'static str> {
    let asked = r.snapshot.slots.iter().any(|slot| slot.last().is_some());
    (!asked).then_some("no attempt has ended yet")
}

/// Returns why it is unknown whether the server answers.
fn could_not_ask(r: &Reading<'_>) -> Option<&'static str> {
    not_asked(r).or_else(|| {
        let local = Some(Outcome::Failed(ErrorType::Local));
        let lacks = r.snapshot.slots.iter().any(|slot| slot.outcome() == local);
        lacks.then_some(
            "the bridge could not send a request: it had no file descriptor, thread or memory left",
        )
    })
}

/// Returns why it is unknown whether the server is up.
fn up_is_unknown(r: &Reading<'_>) -> Option<&'static str> {
    could_not_ask(r).or_else(|| {
        let limited = Some(Outcome::Failed(ErrorType::RateLimited));
        let waits = r.snapshot.slots.iter().any(|slot| slot.outcome() == limited);
        waits.then_some("the server answers only that it is asked too often (429)")
    })
}

fn nothing_fails(r: &Reading<'_>) -> Option<&'static str> {
    not_asked(r).or_else(|| {
        let fails = r.snapshot.slots.iter().any(Slot::has_failed);
        (!fails).then_some("the last attempt of every endpoint succeeded")
    })
}

fn never_failed(r: &Reading<'_>) -> Option<&'static str> {
    not_asked(r).or_else(|| {
        let failed = r.snapshot.slots.iter().any(|slot| !slot.failures().is_empty());
        (!failed).then_some("no attempt has failed since the bridge started")
    })
}

fn no_details(r: &Reading<'_>) -> Option<&'static str> {
    let off = (!r.target.endpoint_details).then_some("`endpoint_details: false` turns it off");
    off.or_else(|| not_asked(r))
}

fn no_rate_limit(r: &Reading<'_>) -> Option<&'static str> {
    not_asked(r).or(match r.snapshot.rate_limit {
        None => Some("no uncached answer to an anonymous request contained a rate limit"),
        Some(limit) if !is_running(r, &limit) => Some("the window of the rate limit has ended"),
        Some(_) => None,
    })
}

fn no_certificate(r: &Reading<'_>) -> Option<&'static str> {
    if r.target.url.scheme() != "https" {
        return Some("the target is asked over http");
    }
    r.snapshot.certificate_expiry.is_none().then_some("no TLS connection has been made yet")
}

/// Returns the rate limit until its window ends.
fn rate_limit(r: &Reading<'_>) -> Option<RateLimit> {
    r.snapshot.rate_limit.filter(|limit| is_running(r, limit))
}

fn is_running(r: &Reading<'_>, limit: &RateLimit) -> bool {
    // To its last moment.
    r.is_between(0.0, limit.reset.next_up())
}

fn info(r: &Reading<'_>, emit: Emit<'_, i64>) {
    let software = Software::of(r);
    let domain = r.v2().and_then(|v| v.domain.clone()).or_else(|| r.v1()?.uri.as_deref().map(without_scheme));
    let parts = [
        ("fediverse.domain", domain),
        ("fediverse.software.name", software.name.map(Arc::from)),
        ("fediverse.software.version", software.version.map(Arc::from)),
    ];
    let known: Vec<(&'static str, Label)> =
        parts.into_iter().filter_map(|(key, value)| Some((key, Label::Text(value?)))).collect();
    if !known.is_empty() {
        emit(1, &known);
    }
}

/// Some software gives a URL where Mastodon gives a bare domain.
fn without_scheme(uri: &str) -> Arc<str> {
    let bare = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    bare.trim_end_matches('/').into()
}
