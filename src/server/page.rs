//! The pages for people: the fleet at `/`, and one for each target. Rendered
//! here from what is known, without scripts; they ask no server.

mod exporters;
mod figures;
mod fleet;
mod question;
mod target;
mod words;

use axum::response::{IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, StatusCode};
use maud::{DOCTYPE, Markup, html};
use percent_encoding::utf8_percent_encode;

use crate::api::SEGMENT;
use crate::bridge::Status;
use crate::config::suggest::closest;
use crate::export::own::BUILD;
use crate::refresh::Plan;
use crate::snapshot::Reading;

pub use question::{Question, Sort, State};

use words::{Now, said, span};

/// The style sheet of all pages.
pub const STYLE: &str = include_str!("page/style.css");
/// Their icon.
pub const ICON: &str = include_str!("page/icon.svg");

/// Nothing but our own style and icon is loaded, nothing runs, and no other
/// page frames these.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'";

/// Most characters of a target's name on a page.
const LONGEST_NAME: usize = 120;

/// The page of all targets, as far as `question` asks for them.
#[must_use]
pub fn fleet(status: &Status, question: &Question) -> String {
    let now = Now { moment: status.now, unix: status.unix };
    shell("fedimeter", "", status, &fleet::body(status, question, now))
}

/// The page of one target, and when its endpoints are due.
#[must_use]
pub fn target(status: &Status, reading: &Reading<'_>, plan: &Plan) -> String {
    let now = Now { moment: status.now, unix: status.unix };
    let title = format!("{} · fedimeter", said(&reading.target.name, LONGEST_NAME));
    shell(&title, "../", status, &target::body(status, reading, plan, now))
}

/// The page in place of a target that is not there.
#[must_use]
pub fn no_target(status: &Status, name: &str) -> String {
    // So many names are compared in a moment; in a larger fleet the search helps.
    const MOST_COMPARED: usize = 1000;
    let names: Vec<&str> = status.view.targets.iter().take(MOST_COMPARED).map(|(t, _)| &*t.name).collect();
    let meant = closest(&name.to_lowercase(), &names);
    let search = Question { search: said(name, 80), ..Question::default() };
    let body = html! {
        h1 { "No such target" }
        p { "The bridge has no target of the name " strong { (words::apart(name, LONGEST_NAME)) } "." }
        @if let Some(meant) = meant {
            p { "Did you mean " a href=(segment(meant)) { (words::apart(meant, LONGEST_NAME)) } "?" }
        }
        p {
            "Targets have the name that they have in the configuration, such as " code { "mastodon.social" }
            " or " code { "http://127.0.0.1:3000" } ". "
            a href=(format!("../{}", search.href())) { "Search for it" } ", or see "
            a href="../" { "all targets" } "."
        }
    };
    shell("No such target · fedimeter", "../", status, &body)
}

/// A page with what keeps it harmless.
pub(super) fn answer(status: StatusCode, page: String) -> Response {
    let headers: [(HeaderName, HeaderValue); 5] = [
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (status, headers, page).into_response()
}

/// What the pages load: the style sheet and the icon.
pub(super) fn asset(content_type: &'static str, text: &'static str) -> Response {
    let headers: [(HeaderName, HeaderValue); 4] = [
        (CONTENT_TYPE, HeaderValue::from_static(content_type)),
        // A new version is seen soon after it runs.
        (CACHE_CONTROL, HeaderValue::from_static("max-age=60")),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (headers, text).into_response()
}

/// A name as the last part of a path.
fn segment(name: &str) -> String {
    utf8_percent_encode(name, SEGMENT).to_string()
}

/// What every page has around its body. Links are relative, because a proxy
/// may serve the bridge below a path of its own; `up` leads to the fleet's page.
fn shell(title: &str, up: &str, status: &Status, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width,initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="stylesheet" href=(format!("{up}style.css"));
                link rel="icon" type="image/svg+xml" href=(format!("{up}icon.svg"));
            }
            body {
                a.skip href="#content" { "To the content" }
                header.top {
                    a.mark href=(if up.is_empty() { "./" } else { up }) {
                        img src=(format!("{up}icon.svg")) alt="" width="28" height="28";
                        "fedimeter"
                    }
                    span.version { "version " (BUILD.version) }
                    a.metrics href=(format!("{up}metrics")) { "Metrics" }
                }
                main #content { (body) }
                footer {
                    "fedimeter " (BUILD.version)
                    @if BUILD.revision != "unknown" { " (" (BUILD.revision) ")" }
                    @if let Some(own) = &status.own {
                        ", running for " (span(own.process.uptime.as_secs_f64()))
                        @if let Some(memory) = own.process.memory { ", " (words::bytes(memory)) " of memory" }
                    }
                    ". The pages show what is known and ask no server. "
                    a href=(format!("{up}-/healthy")) { "Health" }
                    " "
                    a href=(format!("{up}-/ready")) { "Readiness" }
                }
            }
        }
    };
    page.into_string()
}
