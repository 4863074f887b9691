//! The parts of the page about a rejected configuration and about the lists of targets.

use maud::{Markup, html};

use crate::bridge::Status;
use crate::snapshot::{Configured, SourceFacts};

use super::words::{Now, apart, counted};

/// The maximum length of a list's name, in characters.
const MAX_NAME: usize = 200;

/// Warns while the bridge runs with an older configuration.
pub(super) fn notice(status: &Status, now: Now) -> Markup {
    let Some(configured) = &status.configured else { return html! {} };
    html! {
        @if !configured.reload.successful {
            p.notice role="status" {
                "The changed configuration has errors: the one from " (now.ago(configured.reload.unix))
                " stays in effect. The log has the errors, and "
                code { "fedimeter check" } " prints them."
            }
        }
    }
}

/// Renders the lists of targets, if there are any.
pub(super) fn lists(status: &Status, now: Now) -> Markup {
    let Some(Configured { sources, .. }) = &status.configured else { return html! {} };
    html! {
        @if !sources.is_empty() {
            section aria-labelledby="lists" {
                h2 #lists { "Lists of targets" }
                ul.lists { @for source in sources { li { (list(source, now)) } } }
            }
        }
    }
}

fn list(source: &SourceFacts, now: Now) -> Markup {
    let (class, state) = match (source.successful, source.unix) {
        (true, Some(_)) => ("up", "read"),
        (true, None) => ("unknown", "not read yet"),
        (false, Some(_)) => ("warn", "cannot be read now"),
        (false, None) => ("down", "could not be read yet"),
    };
    html! {
        code { (apart(&source.name, MAX_NAME)) } " "
        span class=(format!("state {class}")) { (state) } " "
        (counted(source.targets, "target"))
        @if let Some(unix) = source.unix { ", last read " (now.ago(unix)) } "."
        @if !source.successful { " The log has the reason." }
    }
}
