//! The numbers of a target by family, with the reasons for those that are absent. It
//! follows the metric table.

use maud::{Markup, html};

use crate::listing::label;
use crate::metrics::{FAMILIES, Label, Number, Row, ShownAs, in_words};
use crate::snapshot::Reading;

use super::words::{Now, apart, bytes, grouped, shorten};

/// The maximum length of an attribute's value or a reason, in characters.
const MAX_TEXT: usize = 300;

/// The families that are about targets.
fn about_targets() -> impl Iterator<Item = &'static (&'static str, &'static [Row])> {
    FAMILIES.iter().filter(|(_, rows)| !rows.iter().all(Row::is_own))
}

/// Links to the families.
pub(super) fn links() -> Markup {
    html! { @for (title, _) in about_targets() { " " a href=(format!("#{}", anchor(title))) { (title) } } }
}

/// The form of a title in a URL.
fn anchor(title: &str) -> String {
    title.to_lowercase().replace(' ', "-")
}

pub(super) fn families(r: &Reading<'_>, now: Now) -> Markup {
    html! {
        @for (title, rows) in about_targets() {
            section.family aria-labelledby=(anchor(title)) {
                h3 id=(anchor(title)) { (title) }
                (family(r, rows.iter().filter(|row| row.shown != ShownAs::Asking), now))
                @if rows.iter().any(|row| row.shown == ShownAs::Asking) {
                    details {
                        summary { "Numbers about the requests" }
                        (family(r, rows.iter().filter(|row| row.shown == ShownAs::Asking), now))
                    }
                }
            }
        }
    }
}

/// A point for display.
struct Shown {
    row: &'static Row,
    value: Number,
    attributes: Vec<(&'static str, String)>,
    is_first: bool,
}

fn family(r: &Reading<'_>, rows: impl Iterator<Item = &'static Row>, now: Now) -> Markup {
    let mut points = Vec::new();
    let mut absent: Vec<(String, Vec<&Row>)> = Vec::new();
    for row in rows {
        let before = points.len();
        row.points(r, &mut |value, labels| {
            let attributes = labels.iter().map(text).collect();
            points.push(Shown { row, value, attributes, is_first: points.len() == before });
        });
        if points.len() == before {
            let reason = reason(r, row);
            match absent.iter_mut().find(|(same, _)| *same == reason) {
                Some((_, rows)) => rows.push(row),
                None => absent.push((reason, vec![row])),
            }
        }
    }
    html! {
        @if !points.is_empty() {
            table.numbers {
                thead.hidden {
                    tr {
                        @for title in ["Metric", "Meaning", "Value", "Unit"] { th scope="col" { (title) } }
                    }
                }
                tbody { @for point in &points { (shown(point, now)) } }
            }
        }
        @if !absent.is_empty() {
            dl.absent {
                @for (reason, rows) in &absent {
                    div {
                        dt { "Absent: " (ticked(&shorten(reason, 2 * MAX_TEXT))) }
                        @for row in rows {
                            dd {
                                code title=(row.description) { (row.name) }
                                " " span.muted { "from " (ticked(row.source)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn text((key, value): &(&'static str, Label)) -> (&'static str, String) {
    (key, label(value).into_owned())
}

/// Explains why a row has no point.
fn reason(r: &Reading<'_>, row: &Row) -> String {
    let reasons = in_words(&row.absence(r));
    if reasons.is_empty() { "there is none".to_owned() } else { reasons }
}

fn shown(point: &Shown, now: Now) -> Markup {
    let Shown { row, value, attributes, is_first } = point;
    html! {
        tr {
            th scope="row" {
                @if *is_first { code { (row.name) } } @else { span.hidden { (row.name) } }
                @for (key, value) in attributes {
                    " " span.attribute { (key) "=" (apart(value, MAX_TEXT)) }
                }
            }
            td.about { @if *is_first { (row.description) } }
            td.n { (number(row, *value, now)) }
            td.unit { (unit(row)) }
        }
    }
}

fn number(row: &Row, value: Number, now: Now) -> Markup {
    if row.name.ends_with(".timestamp") {
        return match value {
            Number::Int(n) => now.ago(n as f64),
            Number::Float(f) => now.ago(f),
        };
    }
    html! {
        @match value {
            Number::Int(n) => {
                data value=(n) title=[(row.unit == "By").then(|| bytes(n.max(0) as u64))] { (grouped(n)) }
            }
            Number::Float(f) => data value=(f) { (format!("{f:.3}")) },
        }
    }
}

fn unit(row: &Row) -> &'static str {
    match row.unit {
        "By" => "B",
        "s" if row.name.ends_with(".timestamp") => "",
        unit => unit.trim_matches(['{', '}']),
    }
}

/// Renders our own text, with code between backticks.
fn ticked(text: &str) -> Markup {
    html! {
        @for (i, part) in text.split('`').enumerate() {
            @if i % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}
