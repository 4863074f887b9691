//! The pages for people: the fleet at `/`, and one page for each target. They are
//! rendered from what is known, need no scripts, and ask no server.

mod configured;
mod exporters;
mod figures;
mod fleet;
mod marks;
mod query;
mod spark;
mod target;
mod words;

use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, StatusCode};
use maud::{DOCTYPE, Markup, html};

use crate::bridge::Status;
use crate::config::suggest::closest;
use crate::export::self_metrics::BUILD;
use crate::refresh::Plan;
use crate::snapshot::Reading;

pub use query::{Query, Sort, State};

use words::{Now, shorten, span};

/// The style sheet of all pages.
pub const STYLE: &str = include_str!("page/style.css");
/// Their icon.
pub const ICON: &str = include_str!("page/icon.svg");

/// Allows only our own style sheet and icon, no scripts, and no framing by other pages.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri \
                      'none'; frame-ancestors 'none'";

/// How often a page reloads itself.
const REFRESH: Duration = Duration::from_secs(15);

/// The maximum length of a target's name on a page, in characters.
const MAX_NAME: usize = 120;

/// Renders the page of all targets that match `question`.
#[must_use]
pub fn fleet(status: &Status, question: &Query) -> String {
    let now = Now::of(status);
    let frame = Frame {
        title: "fedimeter",
        paused: question.paused,
        turned: question.paused(!question.paused).href(),
    };
    shell(&frame, status, &fleet::body(status, question, now))
}

/// Renders the page of one target, including when its endpoints are due.
#[must_use]
pub fn target(status: &Status, question: &Query, reading: &Reading<'_>, plan: &Plan) -> String {
    let now = Now::of(status);
    let title = format!("{} · fedimeter", shorten(&reading.target.name, MAX_NAME));
    let turned = question.paused(!question.paused).href_of(&reading.target.name);
    let frame = Frame { title: &title, paused: question.paused, turned };
    shell(&frame, status, &target::body(status, question, reading, plan, now))
}

/// Renders the page for an unknown target.
#[must_use]
pub fn no_target(status: &Status, question: &Query, name: &str) -> String {
    // Comparing this many names is fast. In a larger fleet the reader can use the
    // search.
    const MAX_COMPARED: usize = 1000;
    let names: Vec<&str> = status.view.targets.iter().take(MAX_COMPARED).map(|(t, _)| &*t.name).collect();
    let meant = closest(&name.to_lowercase(), &names);
    let search = Query { search: shorten(name, 80), ..question.clone() };
    let body = html! {
        h1 { "No such target" }
        p { "The bridge has no target of the name " strong { (words::apart(name, MAX_NAME)) } "." }
        @if let Some(meant) = meant {
            p { "Did you mean " a href=(question.href_of(meant)) { (words::apart(meant, MAX_NAME)) } "?" }
        }
        p {
            "Targets have the name that they have in the configuration, such as " code { "mastodon.social" }
            " or " code { "http://127.0.0.1:3000" } ". "
            a href=(search.href_from_target()) { "Search for it" } ", or see "
            a href=(question.href_from_target()) { "all targets" } "."
        }
    };
    let turned = question.paused(!question.paused).href_of(&shorten(name, MAX_NAME));
    shell(&Frame { title: "No such target · fedimeter", paused: question.paused, turned }, status, &body)
}

/// Wraps a page in a response with its security headers.
pub(super) fn answer(status: StatusCode, paused: bool, page: Body) -> Response {
    let headers: [(HeaderName, HeaderValue); 5] = [
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    let mut response = (status, headers, page).into_response();
    if !paused {
        response.headers_mut().insert("refresh", HeaderValue::from(REFRESH.as_secs()));
    }
    response
}

/// Returns a file that the pages load: the style sheet or the icon.
pub(super) fn asset(content_type: &'static str, text: &'static str) -> Response {
    let headers: [(HeaderName, HeaderValue); 4] = [
        (CONTENT_TYPE, HeaderValue::from_static(content_type)),
        // The short time shows the files of a new version soon.
        (CACHE_CONTROL, HeaderValue::from_static("max-age=60")),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (headers, text).into_response()
}

/// The frame around a page's content.
struct Frame<'a> {
    title: &'a str,
    /// Whether the page does not reload itself.
    paused: bool,
    /// The address of the same page with the opposite setting.
    turned: String,
}

/// Renders what every page has around its content. Links are relative, because a proxy
/// may serve the bridge below a path. Hence all pages are in the same directory.
fn shell(frame: &Frame<'_>, status: &Status, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width,initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (frame.title) }
                link rel="stylesheet" href="style.css";
                link rel="icon" type="image/svg+xml" href="icon.svg";
            }
            body {
                a.skip href="#content" { "Skip to content" }
                header.top {
                    a.mark href="./" {
                        img src="icon.svg" alt="" width="28" height="28";
                        "fedimeter"
                    }
                    span.version { "version " (BUILD.version) }
                    a.metrics href="metrics" { "Metrics" }
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
                    @if frame.paused { "This page does not refresh itself. " a href=(frame.turned) { "Resume" } }
                    @else { "This page refreshes itself every " (REFRESH.as_secs()) " s. " a href=(frame.turned) { "Pause" } }
                    " "
                    a href="-/healthy" { "Health" }
                    " "
                    a href="-/ready" { "Readiness" }
                    " "
                    a href="api/v1/targets" { "JSON" }
                }
            }
        }
    };
    page.into_string()
}
