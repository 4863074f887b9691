//! The page of the fleet: the number of targets that are up, the exporters, and a table
//! of the targets in pages.

use std::time::Duration;

use maud::{Markup, html};

use crate::bridge::Status;
use crate::clock::Moment;
use crate::listing::Headline;
use crate::snapshot::{Reading, Slot};
use crate::software::Software;

use super::marks::{endpoints, failing, legend};
use super::query::{Query, Sort, State};
use super::words::{Now, apart, counted, grouped, span, took};
use super::{MAX_NAME, configured, exporters, spark};

/// The number of targets on a page, which a browser can lay out at once.
const PER_PAGE: usize = 100;
/// The maximum length of a software's name and version, in characters.
const MAX_SOFTWARE: usize = 60;

pub(super) fn body(status: &Status, question: &Query, now: Now) -> Markup {
    let all: Vec<Reading<'_>> = status.view.readings().collect();
    let mut counts = Counts::default();
    for reading in &all {
        counts.add(reading);
    }
    let found = Order(Headline::new()).found(&all, question);
    let pages = found.len().div_ceil(PER_PAGE).max(1);
    let question = Query { page: question.page.min(pages), ..question.clone() };
    let first = (question.page - 1) * PER_PAGE;
    let shown = &found[first.min(found.len())..found.len().min(first + PER_PAGE)];
    html! {
        h1.hidden { "Targets and exporters" }
        (exporters::notice(status, now))
        (configured::notice(status, now))
        (tiles(&counts, &question))
        (exporters::section(status, now))
        section aria-labelledby="targets" {
            div.bar {
                h2 #targets { "Targets" }
                (search(&question))
            }
            @if shown.is_empty() {
                p.nothing {
                    @if all.is_empty() { "No target is configured yet. " } @else { "No target matches. " }
                    a href=(Query { paused: question.paused, ..Query::default() }.href()) { "Show all" } "."
                }
            } @else {
                (table(shown, status, &question))
                (legend())
                (paging(&question, found.len(), first, shown.len(), pages))
            }
        }
        (configured::lists(status, now))
    }
}

#[derive(Default)]
struct Counts {
    all: usize,
    up: usize,
    down: usize,
    failing: usize,
    unknown: usize,
}

impl Counts {
    fn add(&mut self, r: &Reading<'_>) {
        self.all += 1;
        match r.up() {
            Some(true) => self.up += 1,
            Some(false) => self.down += 1,
            None => self.unknown += 1,
        }
        self.failing += usize::from(failing(r).next().is_some());
    }

    fn of(&self, state: State) -> usize {
        match state {
            State::Up => self.up,
            State::Down => self.down,
            State::Failing => self.failing,
            State::Unknown => self.unknown,
        }
    }
}

fn is_in(r: &Reading<'_>, state: State) -> bool {
    match state {
        State::Up => r.up() == Some(true),
        State::Down => r.up() == Some(false),
        State::Unknown => r.up().is_none(),
        State::Failing => failing(r).next().is_some(),
    }
}

/// The CSS class of a state, and its name.
pub(super) fn state_of(r: &Reading<'_>) -> (&'static str, &'static str) {
    match r.up() {
        Some(true) if failing(r).next().is_some() => ("warn", "up, in part"),
        Some(true) => ("up", "up"),
        Some(false) => ("down", "down"),
        None => ("unknown", "not asked yet"),
    }
}

fn tiles(counts: &Counts, question: &Query) -> Markup {
    let tile = |state: Option<State>, class: &str, n: usize, word: &str| {
        let current = (question.state == state).then_some("true");
        html! {
            li {
                a class=(format!("tile {class}")) href=(question.of_state(state).href()) aria-current=[current] {
                    b class=[(n == 0).then_some("none")] { (grouped(n as i64)) } " " span { (word) }
                }
            }
        }
    };
    html! {
        nav aria-label="Targets by state" {
            ul.tiles {
                (tile(None, "all", counts.all, if counts.all == 1 { "target" } else { "targets" }))
                @for state in State::ALL {
                    (tile(Some(*state), state.word(), counts.of(*state), match state {
                        State::Up => "up",
                        State::Down => "down",
                        State::Failing => "with a failing endpoint",
                        State::Unknown => "not asked yet",
                    }))
                }
            }
        }
    }
}

fn search(question: &Query) -> Markup {
    let kept = Query { search: String::new(), page: 1, ..question.clone() };
    html! {
        form.search role="search" method="get" action="./" {
            label for="q" { "Search" }
            input #q type="search" name="q" value=(question.search) maxlength="80"
                placeholder="name, software, label" autocomplete="off" spellcheck="false";
            @for (name, value) in kept.pairs() { input type="hidden" name=(name) value=(value); }
            button type="submit" { "Search" }
            @if !question.search.is_empty() { a href=(kept.href()) { "Clear" } }
        }
    }
}

/// The value by which a column is sorted.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Count(i64),
    Name(String),
}

/// The order of the table.
struct Order(Headline);

impl Order {
    /// Returns the matching targets in the requested order. Absent values are always
    /// last.
    fn found<'a>(&self, all: &[Reading<'a>], question: &Query) -> Vec<Reading<'a>> {
        let wanted = question.search.to_lowercase();
        let matching = all.iter().filter(|r| question.state.is_none_or(|state| is_in(r, state)));
        let matching = matching.filter(|r| wanted.is_empty() || matches(r, &wanted));
        let Some(sort) = question.sort else {
            let mut found: Vec<Reading<'a>> = matching.copied().collect();
            found.sort_by_key(rank);
            return found;
        };
        let mut keyed: Vec<(Option<Key>, Reading<'a>)> = matching.map(|r| (self.key(r, sort), *r)).collect();
        keyed.sort_by(|(a, _), (b, _)| match (a, b) {
            (Some(a), Some(b)) if question.descending => b.cmp(a),
            (Some(a), Some(b)) => a.cmp(b),
            (a, b) => a.is_none().cmp(&b.is_none()),
        });
        keyed.into_iter().map(|(_, r)| r).collect()
    }

    fn key(&self, r: &Reading<'_>, sort: Sort) -> Option<Key> {
        let count = |n: Option<i64>| n.map(Key::Count);
        match sort {
            Sort::Target => Some(Key::Name(r.target.name.to_lowercase())),
            Sort::State => Some(Key::Count(i64::from(rank(r)))),
            Sort::Software => {
                let software = Software::of(r);
                Some(Key::Name([software.name?, software.version.unwrap_or_default()].join(" ")))
            }
            Sort::Users => count(self.0.users(r)),
            Sort::Posts => count(self.0.posts(r)),
            Sort::Active => count(self.0.active(r)),
            Sort::Endpoints => Some(Key::Count(failing(r).count() as i64)),
            // Sorts by age, so the oldest is the largest.
            Sort::Asked => count(asked(r).map(|at| -(at.since(Moment::ORIGIN).as_millis() as i64))),
        }
    }
}

/// Sorts the worst first: down, up in part, not asked yet, up.
fn rank(r: &Reading<'_>) -> u8 {
    match (r.up(), failing(r).next().is_some()) {
        (Some(false), _) => 0,
        (Some(true), true) => 1,
        (None, _) => 2,
        (Some(true), false) => 3,
    }
}

/// When the last attempt at any endpoint ended.
pub(super) fn asked(r: &Reading<'_>) -> Option<Moment> {
    r.snapshot.slots.iter().filter_map(Slot::ended).max()
}

fn matches(r: &Reading<'_>, wanted: &str) -> bool {
    let has = |text: &str| text.to_lowercase().contains(wanted);
    let software = Software::of(r);
    has(&r.target.name)
        || r.target.attributes().any(|(_, value)| has(value))
        || has(&[software.name.unwrap_or_default(), software.version.unwrap_or_default()].join(" "))
}

const HEADS: [(Sort, &str, bool); 8] = [
    (Sort::Target, "Target", false),
    (Sort::State, "State", false),
    (Sort::Software, "Software", false),
    (Sort::Users, "Users", true),
    (Sort::Posts, "Posts", true),
    (Sort::Active, "Active in a month", true),
    (Sort::Endpoints, "Endpoints", false),
    (Sort::Asked, "Asked", false),
];

fn table(shown: &[Reading<'_>], status: &Status, question: &Query) -> Markup {
    let headline = Headline::new();
    html! {
        // The ARIA roles remain when a narrow screen shows the cells as cards.
        table.cards role="table" aria-labelledby="targets" {
            thead role="rowgroup" {
                tr role="row" {
                    @for (sort, title, is_number) in HEADS {
                        @let sorted = question.sort == Some(sort);
                        @let order = if question.descending { "descending" } else { "ascending" };
                        th role="columnheader" scope="col" class=[is_number.then_some("n")]
                            aria-sort=[sorted.then_some(order)] {
                            a href=(question.by(sort).href()) { (title) }
                        }
                    }
                }
            }
            tbody role="rowgroup" { @for r in shown { (line(r, &headline, status, question)) } }
        }
    }
}

fn line(r: &Reading<'_>, headline: &Headline, status: &Status, question: &Query) -> Markup {
    let now = Now::of(status);
    let (class, state) = state_of(r);
    let software = Software::of(r);
    let series = status.history.series(&r.target.name, status.now).unwrap_or_default();
    let number = |title: &str, n: Option<i64>, values: &spark::Values| {
        html! {
            td.n role="cell" data-label=(title) {
                @match n { Some(n) => (grouped(n)), None => span.none { "–" } }
                (spark::line(values, spark::SMALL, false, &counts(title, values)))
            }
        }
    };
    html! {
        tr role="row" {
            th role="rowheader" scope="row" {
                a href=(question.href_of(&r.target.name)) { (apart(&r.target.name, MAX_NAME)) }
            }
            td role="cell" data-label="State" { span class=(format!("state {class}")) { (state) } }
            td role="cell" data-label="Software" {
                @match (&software.name, &software.version) {
                    (None, None) => span.none { "–" },
                    (name, version) => {
                        (apart(name.as_deref().unwrap_or("unknown"), MAX_SOFTWARE)) " "
                        span.muted { (apart(version.as_deref().unwrap_or_default(), MAX_SOFTWARE)) }
                    }
                }
            }
            (number("Users", headline.users(r), &series.users))
            (number("Posts", headline.posts(r), &series.posts))
            (number("Active in a month", headline.active(r), &[]))
            td role="cell" data-label="Endpoints" { (endpoints(r)) }
            td role="cell" data-label="Asked" {
                @match asked(r) { Some(at) => (now.since(at)), None => span.none { "–" } }
                @if let Some(&(_, Some(seconds))) = series.took.last() {
                    " " span.muted { (took(Duration::from_secs_f64(seconds))) }
                }
                (spark::line(&series.took, spark::SMALL, true, &times(&series.took)))
            }
        }
    }
}

/// Describes a line of counts in words.
pub(super) fn counts(title: &str, values: &spark::Values) -> String {
    let Some((lowest, highest)) = spark::extent(values) else { return String::new() };
    range(title, values, [lowest, highest].map(|n| grouped(n as i64)))
}

/// Describes a line of response times in words.
pub(super) fn times(values: &spark::Values) -> String {
    let Some((lowest, highest)) = spark::extent(values) else { return String::new() };
    range("Response time", values, [lowest, highest].map(|seconds| took(Duration::from_secs_f64(seconds))))
}

fn range(title: &str, values: &spark::Values, [lowest, highest]: [String; 2]) -> String {
    let range = if lowest == highest { lowest } else { format!("{lowest} to {highest}") };
    format!("{title}, {}: {range}", last(values))
}

/// Describes the time that the values cover.
pub(super) fn last(values: &spark::Values) -> String {
    format!("last {}", span(values.first().map_or(0.0, |(age, _)| *age)))
}

fn paging(question: &Query, found: usize, first: usize, shown: usize, pages: usize) -> Markup {
    let page = question.page;
    let link = |page: usize, rel: &str, text: &str| {
        html! { " " a rel=(rel) href=(question.on_page(page).href()) { (text) } " " }
    };
    html! {
        nav.paging aria-label="Pages" {
            span {
                (grouped(first as i64 + 1)) " to " (grouped((first + shown) as i64))
                " of " (counted(found, "target"))
            }
            @if pages > 1 {
                span {
                    @if page > 1 { (link(1, "first", "First")) (link(page - 1, "prev", "Previous")) }
                    "page " (page) " of " (pages)
                    @if page < pages { (link(page + 1, "next", "Next")) (link(pages, "last", "Last")) }
                }
            }
        }
    }
}
