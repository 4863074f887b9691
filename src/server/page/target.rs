//! The page of one target: its state, its endpoints with their next requests, and all
//! its numbers.

use maud::{Markup, html};

use crate::bridge::Status;
use crate::listing::label;
use crate::metrics::{ShownAs, rows};
use crate::outcome::Outcome;
use crate::refresh::{Next, Plan};
use crate::snapshot::{Reading, Slot};
use crate::target::AttributeValue;

use super::fleet::{asked, counts, last, state_of, times};
use super::words::{Now, apart, bytes, grouped, shorten, span, took};
use super::{MAX_NAME, Query, exporters, figures, spark};

/// The maximum length of a text from a server or the configuration, in characters.
const MAX_TEXT: usize = 300;

pub(super) fn body(status: &Status, question: &Query, r: &Reading<'_>, plan: &Plan, now: Now) -> Markup {
    let (class, state) = state_of(r);
    html! {
        nav.crumbs aria-label="Breadcrumbs" { a href=(question.href_from_target()) { "All targets" } }
        div.title {
            h1 { (apart(&r.target.name, MAX_NAME)) }
            span class=(format!("state {class}")) { (state) }
        }
        (exporters::notice(status, now))
        (warnings(r, plan, now))
        (identity(r, now))
        (history(status, r))
        nav.jump aria-label="On this page" { a href="#endpoints" { "Endpoints" } (figures::links()) }
        section aria-labelledby="endpoints" {
            h2 #endpoints { "Endpoints" }
            (endpoints(r, plan, now))
        }
        section aria-labelledby="numbers" {
            h2 #numbers { "Numbers" }
            p.lead { "The numbers as a collection reports them, with the reason for each that is absent." }
            (figures::families(r, now))
        }
    }
}

/// Renders the warnings that matter most in an emergency.
fn warnings(r: &Reading<'_>, plan: &Plan, now: Now) -> Markup {
    let documents = r.snapshot.slots.iter().filter(|slot| slot.endpoint.shows_up());
    let last = documents.filter_map(Slot::last_success).max_by(f64::total_cmp);
    html! {
        @if r.up() == Some(false) {
            p.notice.bad {
                "No instance or NodeInfo document could be read in the last attempt. "
                @match last {
                    Some(at) => { "A document was last read " (now.ago(at)) "." }
                    None => "No document has been read since the bridge started.",
                }
            }
        }
        @if plan.held_until > now.moment {
            p.notice {
                "The server's rate limit is used up: nothing below " code { "/api" } " is requested for another "
                (span(plan.held_until.since(now.moment).as_secs_f64())) "."
            }
        }
    }
}

/// Renders users, posts and response time over the last hours, if they are kept.
fn history(status: &Status, r: &Reading<'_>) -> Markup {
    let Some(series) = status.history.series(&r.target.name, status.now) else { return html! {} };
    let drawn = |title: &str, values: &spark::Values, is_from_zero: bool, words: String| {
        html! {
            @if spark::extent(values).is_some() {
                figure {
                    figcaption { (title) }
                    (spark::line(values, spark::LARGE, is_from_zero, &words))
                    p.muted { (words.split_once(": ").map_or("", |(_, range)| range)) }
                }
            }
        }
    };
    let figures = [
        drawn("Users", &series.users, false, counts("Users", &series.users)),
        drawn("Posts", &series.posts, false, counts("Posts", &series.posts)),
        drawn("Response time", &series.took, true, times(&series.took)),
    ];
    html! {
        @if figures.iter().any(|figure| !figure.0.is_empty()) {
            section aria-labelledby="history" {
                h2 #history { "The " (last(&series.took)) }
                div.history { @for figure in figures { (figure) } }
            }
        }
    }
}

fn identity(r: &Reading<'_>, now: Now) -> Markup {
    let target = r.target;
    html! {
        dl.facts {
            div { dt { "Address" } dd { code { (shorten(target.url.as_str(), MAX_TEXT)) } } }
            @if let Some(host) = &target.host { div { dt { "Host header" } dd { code { (shorten(host, MAX_TEXT)) } } } }
            (of_server(r))
            @for (key, value) in target.identity.iter() {
                div {
                    dt { code { (shorten(key, MAX_TEXT)) } }
                    dd {
                        @match value {
                            AttributeValue::Text(text) => (apart(text, MAX_TEXT)),
                            AttributeValue::Int(n) => (n),
                        }
                    }
                }
            }
            div { dt { "Access token" } dd { @if target.token.is_some() { "given" } @else { "none" } } }
            @if let Some(at) = asked(r) { div { dt { "Last asked" } dd { (now.since(at)) } } }
            @if let Some(limit) = r.snapshot.rate_limit.filter(|limit| limit.reset >= now.unix) {
                div {
                    dt { "Rate limit" }
                    dd {
                        @match limit.remaining { Some(n) => (grouped(n)), None => "–" }
                        @if let Some(most) = limit.limit { " of " (grouped(most)) }
                        " requests left, reset " (now.ago(limit.reset))
                    }
                }
            }
            @if let Some(end) = r.snapshot.certificate_expiry {
                div { dt { "Certificate ends" } dd { (now.ago(end as f64)) } }
            }
        }
    }
}

/// Renders the attributes of the info metric: software, version, account domain.
fn of_server(r: &Reading<'_>) -> Markup {
    let mut parts: Vec<(&'static str, String)> = Vec::new();
    for row in rows().filter(|row| row.shown == ShownAs::Software) {
        row.points(r, &mut |_, labels| {
            parts.extend(labels.iter().map(|(key, value)| (*key, label(value).into_owned())));
        });
    }
    html! {
        @for (key, value) in parts {
            div {
                dt {
                    @match key {
                        "fediverse.domain" => "Account domain",
                        "fediverse.software.name" => "Software",
                        "fediverse.software.version" => "Version",
                        key => (key),
                    }
                }
                dd { (apart(&value, MAX_TEXT)) }
            }
        }
    }
}

fn endpoints(r: &Reading<'_>, plan: &Plan, now: Now) -> Markup {
    const HEADS: [(&str, bool); 8] = [
        ("Endpoint", false),
        ("Outcome", false),
        ("Status", true),
        ("Took", true),
        ("Size", true),
        ("Asked", false),
        ("Next", false),
        ("Failures", false),
    ];
    html! {
        table.cards.flow role="table" aria-labelledby="endpoints" {
            thead role="rowgroup" {
                tr role="row" {
                    @for (title, is_number) in HEADS {
                        th role="columnheader" scope="col" class=[is_number.then_some("n")] { (title) }
                    }
                }
            }
            tbody role="rowgroup" {
                @for (i, slot) in r.snapshot.slots.iter().enumerate() {
                    (endpoint(slot, plan.endpoints.get(i), now))
                }
            }
        }
    }
}

fn endpoint(slot: &Slot, next: Option<&Next>, now: Now) -> Markup {
    let class = match slot.outcome() {
        Some(Outcome::Ok) => "up",
        Some(Outcome::NotOffered) | None => "unknown",
        Some(Outcome::Failed(_)) => "down",
    };
    let word = slot.outcome().map_or("not asked yet", Outcome::words);
    // After a failed connection no request was made, so there is no duration.
    let duration = slot.took().filter(|took| !took.is_zero());
    html! {
        tr role="row" {
            th role="rowheader" scope="row" { code { (slot.endpoint.name()) } }
            td role="cell" data-label="Outcome" {
                span class=(format!("state {class}")) { (word) }
                @if let Some(remark) = slot.remark() {
                    p.words { (apart(remark, MAX_TEXT)) }
                }
            }
            td.n role="cell" data-label="Status" { (or_none(slot.response().map(|response| response.status.to_string()))) }
            td.n role="cell" data-label="Took" { (or_none(duration.map(took))) }
            td.n role="cell" data-label="Size" { (or_none(slot.response().map(|response| bytes(response.size)))) }
            td role="cell" data-label="Asked" {
                @if let Some(ended) = slot.ended() { (now.since(ended)) } @else { span.none { "–" } }
            }
            td role="cell" data-label="Next" { (when(next, now)) }
            td role="cell" data-label="Failures" { (failures(slot)) }
        }
    }
}

fn or_none(text: Option<String>) -> Markup {
    html! { @match text { Some(text) => (text), None => span.none { "–" } } }
}

/// Says when the endpoint is requested again, if something collects by then.
fn when(next: Option<&Next>, now: Now) -> Markup {
    let Some(next) = next else { return html! { span.none { "–" } } };
    html! {
        @if next.under_way {
            "under way"
        } @else if next.due <= now.moment {
            "at the next collection"
        } @else {
            (now.since(next.due))
            @if next.failures_in_row > 1 {
                " " span.muted { "after " (next.failures_in_row) " failures in a row" }
            }
        }
    }
}

/// Counts the failures since the start of the bridge, by reason.
fn failures(slot: &Slot) -> Markup {
    html! {
        @if slot.failures().is_empty() { span.none { "–" } }
        @for (i, (error, count)) in slot.failures().iter().enumerate() {
            @if i > 0 { ", " }
            (grouped(*count as i64)) " " (error.name())
        }
    }
}
