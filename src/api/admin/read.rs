//! Reads the answers for administrators into facts.

use jiff::Span;
use jiff::civil::Date;

use crate::api::timeline::instant;
use crate::document::{Document, Fields};
use crate::snapshot::{MEASURES, Measures, OTHER, Reports, Tally};

use super::{CATEGORIES, languages};

/// The maximum number of languages: the ten with the most users.
const MAX_LANGUAGES: usize = 10;

/// Adds a page of reports, except those on which action was taken. Returns the number
/// of items, or `None` if one of them is not a report.
pub fn read_reports(doc: &mut Document, reports: &mut Reports) -> Option<usize> {
    doc.each_counted(|f| {
        if f.flag("action_taken") == Some(true) {
            return;
        }
        reports.open.add(f.member("category", &CATEGORIES), 1);
        reports.unassigned += i64::from(f.get("assigned_account").is_none());
        let made = instant(f, "created_at");
        reports.oldest = [reports.oldest, made].into_iter().flatten().reduce(f64::min);
    })
}

/// The accounts of a list, by whether they wait for approval.
#[derive(Debug, Default)]
pub struct Pending {
    waiting: i64,
    unsaid: i64,
}

impl Pending {
    /// Returns the number that wait, or `None` if some accounts do not say whether they
    /// do.
    #[must_use]
    pub fn count(&self) -> Option<i64> {
        (self.unsaid == 0).then_some(self.waiting)
    }
}

/// Adds a page of accounts. Returns the number of items.
pub fn read_pending(doc: &mut Document, pending: &mut Pending) -> Option<usize> {
    doc.each_counted(|f| match f.flag("approved") {
        Some(approved) => pending.waiting += i64::from(!approved),
        None => pending.unsaid += 1,
    })
}

/// Reads measures. Each figure's value for a day is found by its date.
pub fn read_measures(doc: &mut Document, today: Date) -> Measures {
    let yesterday = days_from(today, -1);
    let mut measures = Measures { day: day_number(today), ..Measures::default() };
    let read = |f: &mut Fields<'_>| {
        let place = MEASURES.iter().position(|key| f.text("key").as_deref() == Some(key));
        let days = f.each_in("data", |f| Some((date(f, "date")?, f.count("value")?)));
        (place, days)
    };
    for (place, days) in doc.each(read) {
        let Some(place) = place else { continue };
        for (day, value) in days.into_iter().flatten() {
            if day == today {
                measures.today[place] = Some(value);
            } else if day == yesterday {
                measures.yesterday[place] = Some(value);
            }
        }
    }
    measures
}

/// Reads the rate of one month's cohort in another month. A month without sign-ups has
/// no rate.
pub fn read_retention(doc: &mut Document, cohort: Date, seen: Date) -> Option<f64> {
    let read = |f: &mut Fields<'_>| {
        // Some servers return cohorts of days, whatever the request asked for.
        let monthly = f.text("frequency").is_none_or(|frequency| &*frequency == "month");
        if !monthly || date(f, "period")?.first_of_month() != cohort {
            return None;
        }
        let months =
            f.each_in("data", |f| Some((date(f, "date")?.first_of_month(), f.count("value"), rate(f))));
        let months: Vec<_> = months.into_iter().flatten().collect();
        let empty = months.iter().any(|(month, value, _)| *month == cohort && *value == Some(0));
        months.into_iter().find(|(month, ..)| *month == seen && !empty)?.2
    };
    doc.each(read).into_iter().flatten().next()
}

/// Reads a share from 0 to 1, also from a string.
fn rate(f: &mut Fields<'_>) -> Option<f64> {
    let value = f.get("rate")?;
    let spelt = value.number().map(str::to_owned).or_else(|| Some(value.text()?.trim().to_owned()));
    let rate = spelt.and_then(|rate| rate.parse().ok());
    let rate = rate.filter(|rate| (0.0..=1.0).contains(rate));
    if rate.is_none() {
        f.wrong("rate", value);
    }
    rate
}

/// Reads users by language: the ten most frequent ones. Values that are not language
/// codes are counted together.
pub fn read_languages(doc: &mut Document) -> Tally {
    let mut all = Tally::default();
    for (language, users) in dimension(doc, "languages", |f| (f.text("key"), f.count("value"))) {
        let code = language.as_deref().and_then(languages::code).unwrap_or(OTHER);
        if let Some(users) = users {
            all.add(code, users);
        }
    }
    all.0.sort_by_key(|(_, users)| std::cmp::Reverse(*users));
    all.0.truncate(MAX_LANGUAGES);
    all
}

/// Returns the items of the dimension with this key.
pub(super) fn dimension<T>(
    doc: &mut Document,
    key: &str,
    mut read: impl FnMut(&mut Fields<'_>) -> T,
) -> Vec<T> {
    let mut all = Vec::new();
    doc.each(|f| {
        if f.text("key").as_deref() == Some(key) {
            all.extend(f.each_in("data", &mut read));
        }
    });
    all
}

/// Reads the day at the start of a date or a timestamp.
fn date(f: &mut Fields<'_>, path: &str) -> Option<Date> {
    let value = f.get(path)?;
    let day = value.text().and_then(|text| text.trim().get(..10)?.parse().ok());
    if day.is_none() {
        f.wrong(path, value);
    }
    day
}

pub(super) fn days_from(day: Date, days: i64) -> Date {
    day.saturating_add(Span::new().days(days))
}

/// Returns the number of days since 1970.
pub(super) fn day_number(day: Date) -> i64 {
    let epoch = jiff::civil::date(1970, 1, 1);
    i64::from(day.since(epoch).map_or(0, |span| span.get_days()))
}
