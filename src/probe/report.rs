//! The result of a probe as plain text for people: what was requested, how it ended,
//! and why numbers are absent. It shows no more of the target than its page does: no
//! token, and only text of the server that was cleaned when it was read.

use std::fmt::Write as _;

use crate::clean::one_line;
use crate::metrics::{ShownAs, in_words, rows};
use crate::outcome::Outcome;
use crate::refresh::Next;
use crate::snapshot::{Reading, Slot};

use super::Found;

/// Writes the report of a probe, with its page at the end.
pub fn text(found: &Found, page: &str) -> String {
    let mut out = String::new();
    for reading in found.view.readings() {
        head(&mut out, found, &reading);
        endpoints(&mut out, found, &reading);
        absent(&mut out, &reading);
    }
    out.push_str("\nMetrics\n\n");
    out.push_str(page);
    out
}

fn head(out: &mut String, found: &Found, reading: &Reading<'_>) {
    let target = reading.target;
    let up = match reading.up() {
        Some(true) => "up",
        Some(false) => "down",
        None => "not known",
    };
    let kind = if found.is_configured { "configured" } else { "not configured" };
    let token = if target.token.is_some() { "its own" } else { "none" };
    let late = if found.is_late { "; the deadline came before the last response" } else { "" };
    let fields = [
        ("Target", one_line(&target.name)),
        ("URL", one_line(target.url.as_str())),
        ("Module", found.module.clone()),
        ("State", up.to_owned()),
        ("Settings", kind.to_owned()),
        ("Token", token.to_owned()),
        (
            "Took",
            format!("{:.3} s of at most {:.3} s{late}", found.took.as_secs_f64(), found.within.as_secs_f64()),
        ),
    ];
    for (name, value) in fields {
        let _ = writeln!(out, "{name:<9} {value}");
    }
}

fn endpoints(out: &mut String, found: &Found, reading: &Reading<'_>) {
    out.push_str("\nEndpoints\n\n");
    let _ = writeln!(
        out,
        "{:<26} {:<18} {:>6} {:>10} {:>9}  {:<12} Next",
        "Endpoint", "Outcome", "Status", "Duration", "Bytes", "Asked"
    );
    let (snapshot, plan) = found.one.planned();
    for slot in &reading.snapshot.slots {
        let place = snapshot.slots.iter().position(|other| other.endpoint == slot.endpoint);
        let next = place.and_then(|place| plan.endpoints.get(place));
        endpoint(out, found, slot, next);
    }
}

fn endpoint(out: &mut String, found: &Found, slot: &Slot, next: Option<&Next>) {
    let now = found.began + found.took;
    let none = || "-".to_owned();
    let duration = slot.took().filter(|took| !took.is_zero());
    let asked = match slot.began() {
        None => "never".to_owned(),
        Some(began) if began >= found.began => "by this one".to_owned(),
        Some(began) => format!("{} s ago", now.since(began).as_secs()),
    };
    let next = match next {
        None => none(),
        Some(next) if next.under_way => "under way".to_owned(),
        Some(next) if next.due <= now => "at the next probe".to_owned(),
        Some(next) => format!("in {} s", next.due.since(now).as_secs().max(1)),
    };
    let _ = writeln!(
        out,
        "{:<26} {:<18} {:>6} {:>10} {:>9}  {asked:<12} {next}",
        slot.endpoint.name(),
        slot.outcome().map_or("none", Outcome::name),
        slot.response().map_or_else(none, |response| response.status.to_string()),
        duration.map_or_else(none, |took| format!("{:.3} s", took.as_secs_f64())),
        slot.response().map_or_else(none, |response| response.size.to_string()),
    );
    if let Some(reason) = slot.reason().filter(|_| !slot.is_ok()) {
        let _ = writeln!(out, "    {}", one_line(reason));
    }
}

fn absent(out: &mut String, reading: &Reading<'_>) {
    out.push_str("\nAbsent metrics\n\n");
    let mut is_any = false;
    for row in rows().filter(|row| !row.is_own() && row.shown != ShownAs::Asking) {
        let why = in_words(&row.absence(reading));
        if !why.is_empty() {
            is_any = true;
            let _ = writeln!(out, "{}: {}", row.name, one_line(&why));
        }
    }
    if !is_any {
        out.push_str("none\n");
    }
}
