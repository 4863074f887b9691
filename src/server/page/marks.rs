//! A target's endpoints as marks, one for each endpoint, and the legend of the marks.

use maud::{Markup, html};

use crate::outcome::Outcome;
use crate::snapshot::{Reading, Slot};

use super::words::counted;

/// How many failing endpoints of a target are named. The others are counted.
const MAX_NAMED: usize = 2;

/// The endpoints of a target that could not be read.
pub(super) fn failing<'a>(r: &Reading<'a>) -> impl Iterator<Item = &'a Slot> + use<'a> {
    r.snapshot.slots.iter().filter(|slot| slot.has_failed())
}

/// Renders the legend of the marks.
pub fn legend() -> Markup {
    html! {
        p.legend {
            "Endpoints: "
            @for (class, words) in
                [("ok", "read"), ("bad", "failed"), ("not", "not offered by the server"), ("yet", "not asked yet")]
            {
                span { i class=(class) aria-hidden="true" {} " " (words) }
            }
            " A line shows the last hours of a number or of the response time, with gaps where there was no \
             value. A server is " em { "up, in part" } " when one of them failed and others were read."
        }
    }
}

/// Renders one mark for each endpoint, and the names of failing ones.
pub fn endpoints(r: &Reading<'_>) -> Markup {
    let failed: Vec<&Slot> = failing(r).collect();
    html! {
        span.marks aria-hidden="true" {
            @for slot in &r.snapshot.slots {
                i class=(match slot.outcome() {
                    Some(Outcome::Ok) => "ok",
                    Some(Outcome::NotOffered) => "not",
                    Some(Outcome::Failed(_)) => "bad",
                    None => "yet",
                }) {}
            }
        }
        @if failed.is_empty() {
            span.muted { (counted(r.snapshot.slots.len(), "endpoint")) }
        } @else {
            span.failing {
                @for (i, slot) in failed.iter().take(MAX_NAMED).enumerate() {
                    @if i > 0 { ", " }
                    (slot.endpoint.name())
                    @if let Some(outcome) = slot.outcome() { " " (outcome.words()) }
                }
                @if failed.len() > MAX_NAMED { " and " (failed.len() - MAX_NAMED) " more" }
            }
        }
    }
}
