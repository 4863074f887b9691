//! The state of the exporters: which of them collect, when and with what result they
//! last did, and when they will again.

use std::time::SystemTime;

use maud::{Markup, html};

use crate::bridge::{Collected, Push, Status};
use crate::export::otlp::Round;
use crate::snapshot::ExporterName;

use super::words::{Now, bytes, counted, grouped, shorten, span, took};

/// After this time without a collection, numbers are called old, in seconds.
const OLD: f64 = 600.0;
/// The maximum length of a receiver's message, in characters.
const MAX_WORDS: usize = 500;

/// Says when the numbers on the page were collected, or warns that nothing collects.
pub(super) fn notice(status: &Status, now: Now) -> Markup {
    let last = status.collected.last();
    if let Some(at) = status.by_itself.filter(|at| last.is_none_or(|last| last.unix < *at)) {
        return html! {
            p.lead {
                "As of " (now.ago(at)) ", when the bridge collected by itself."
                @if last.is_none() {
                    " No exporter has collected yet: Prometheus collects when it scrapes " code { "/metrics" }
                    ", and OTLP at the next push."
                }
            }
        };
    }
    match last {
        None => html! {
            p.notice role="status" {
                "No exporter has collected yet. Servers are asked when Prometheus scrapes "
                code { "/metrics" } ", or when a push is due."
            }
        },
        Some(last) if now.unix - last.unix > OLD => html! {
            p.notice role="status" {
                "No exporter has collected for " (span(now.unix - last.unix)) ": numbers and states are that old."
            }
        },
        Some(last) => html! {
            p.lead { "As of the last collection, " (now.ago(last.unix)) ", " (by(last.exporter)) "." }
        },
    }
}

fn by(exporter: ExporterName) -> &'static str {
    match exporter {
        ExporterName::Console => "for the console",
        ExporterName::Otlp => "for OTLP",
        ExporterName::Prometheus => "by Prometheus",
    }
}

pub(super) fn section(status: &Status, now: Now) -> Markup {
    let last = |exporter| status.collected.iter().rev().find(|c| c.exporter == exporter);
    html! {
        section.exporters aria-labelledby="exporters" {
            h2 #exporters.hidden { "Exporters" }
            (prometheus(status.pull, last(ExporterName::Prometheus), now))
            (otlp(status.push.as_ref(), now))
            @if let Some(console) = last(ExporterName::Console) {
                article.card {
                    h3 { "Console " span.state.up { "on" } }
                    p { "Last printed " (now.ago(console.unix)) "; the collection took " (took(console.took)) "." }
                }
            }
        }
    }
}

fn prometheus(on: bool, last: Option<&Collected>, now: Now) -> Markup {
    let (class, state) = match last {
        _ if !on => ("unknown", "off"),
        None => ("unknown", "not scraped yet"),
        Some(_) => ("up", "scraped"),
    };
    html! {
        article.card {
            h3 { "Prometheus " span class=(format!("state {class}")) { (state) } }
            @match last {
                Some(last) => p {
                    "Last scraped " (now.ago(last.unix)) ", in " (took(last.took))
                    @if let Some((format, size)) = last.page {
                        ": " (bytes(size as u64)) " of " (format.name())
                    }
                    "."
                },
                None if on => p { "Point a scrape job at " code { "/metrics" } " of this address." },
                None => p { code { "OTEL_METRICS_EXPORTER" } " does not name " code { "prometheus" } "." },
            }
        }
    }
}

fn otlp(push: Option<&Push>, now: Now) -> Markup {
    let Some(push) = push else {
        return html! {
            article.card {
                h3 { "OTLP " span.state.unknown { "off" } }
                p { "Set " code { "OTEL_EXPORTER_OTLP_ENDPOINT" } " to push to a collector." }
            }
        };
    };
    let (class, state) = match &push.last {
        None => ("unknown", "not pushed yet"),
        Some(Round { waiting: 1.., accepted: 1.., .. }) => ("warn", "behind"),
        Some(Round { trouble: None, .. }) => ("up", "pushed"),
        Some(Round { lost: 0, accepted: 1.., .. }) => ("warn", "warned"),
        Some(Round { accepted: 1.., .. }) => ("warn", "partly refused"),
        Some(_) => ("down", "failing"),
    };
    html! {
        article.card {
            h3 { "OTLP " span class=(format!("state {class}")) { (state) } }
            p.to { "To " code { (shorten(&push.endpoint, MAX_WORDS)) } " over " (push.protocol) "." }
            @if let Some(round) = &push.last { (last_round(round, now)) }
            p {
                @match push.next {
                    Some(left) => { "The next push is due in " (span(left.as_secs_f64().ceil())) "." }
                    None => "A push is under way.",
                }
            }
        }
    }
}

fn last_round(round: &Round, now: Now) -> Markup {
    html! {
        p {
            "Last push " (now.ago(unix(round.at))) ": "
            (counted(usize::try_from(round.accepted).unwrap_or(usize::MAX), "point")) " arrived"
            @if round.lost > 0 { ", " (grouped(round.lost as i64)) " did not" }
            @if round.waiting > 0 { ", " (grouped(round.waiting as i64)) " wait for the next push" }
            ", in " (took(round.took)) "."
        }
        @if let Some(trouble) = &round.trouble { p.words { (shorten(trouble, MAX_WORDS)) } }
        @if let Some(since) = round.failing_since { p { "The failures began " (now.ago(unix(since))) "." } }
    }
}

fn unix(at: SystemTime) -> f64 {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
