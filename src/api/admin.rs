//! What an administrator sees: lists to count, figures to read. The answers
//! hold e-mail and IP addresses; nothing of those is kept.

mod languages;

use std::sync::Arc;

use jiff::civil::Date;
use jiff::{Span, Timestamp, ToSpan};
use serde_json::json;

use crate::snapshot::{Count, Credentials, Facts, MEASURES, Measures, OTHER, Reports, Retention, Tally};

use super::document::{Document, Fields, Top};
use super::lists::by_severity;
use super::timeline::instant;
use super::{Answer, Attempt, Verdict};

/// Categories of a report (Mastodon 3.5 and later).
const CATEGORIES: [&str; 4] = ["spam", "legal", "violation", "other"];
/// Severities of a domain block.
const DOMAIN_BLOCKS: [&str; 3] = ["noop", "silence", "suspend"];
/// Severities of an IP block.
const IP_BLOCKS: [&str; 3] = ["sign_up_requires_approval", "sign_up_block", "no_access"];
/// Kinds of storage.
const STORAGE: [&str; 4] = ["postgresql", "redis", "media", "search"];
/// Languages that are told apart: the ten that most users have.
const MOST_LANGUAGES: usize = 10;
/// Components of the software at most.
const MOST_COMPONENTS: usize = 16;
/// Days of sign-ins that languages are counted over.
const LANGUAGE_DAYS: i64 = 28;

impl Attempt<'_> {
    /// What the token's user may do.
    pub(super) async fn credentials(&self) -> Answer {
        let read = |doc: &mut Document| {
            let permissions = doc.fields().count("role.permissions").map(|bits| bits as u64);
            Some(Facts::Credentials(Credentials { permissions }.into()))
        };
        self.document("/api/v1/accounts/verify_credentials", Top::Object, read).await
    }

    /// Open reports.
    pub(super) async fn reports(&self) -> Answer {
        let mut answer = Answer::new(self);
        let mut reports = Reports { open: Tally::of(&CATEGORIES), ..Reports::default() };
        // A report is 3 to 5 kB: a hundred of them stay under the body cap.
        let path = "/api/v1/admin/reports?resolved=false&limit=100";
        if self.pages(&mut answer, path, |doc| read_reports(doc, &mut reports)).await {
            answer.facts = Some(Facts::Reports(reports.into()));
        }
        answer
    }

    /// Accounts that wait for approval.
    pub(super) async fn pending_accounts(&self) -> Answer {
        let old = self.mastodon().is_some_and(|version| version < (3, 5));
        let path = if old {
            "/api/v1/admin/accounts?local=true&pending=true&limit=100"
        } else {
            "/api/v2/admin/accounts?origin=local&status=pending&limit=100"
        };
        self.count_pages(path, Facts::PendingAccounts).await
    }

    /// Trends that wait for review.
    pub(super) async fn pending_trends(&self) -> Answer {
        const KINDS: [&str; 3] = ["tags", "statuses", "links"];
        let mut whole = Answer::new(self);
        let mut pending = Tally::default();
        for kind in KINDS {
            let mut one = Answer::new(self);
            let (mut waiting, mut items, mut admin) = (0, 0, 0);
            let path = format!("/api/v1/admin/trends/{kind}?limit=20");
            let read = |doc: &mut Document| {
                for review in doc.each_counted(|f| f.flag("requires_review"))? {
                    items += 1;
                    admin += i64::from(review.is_some());
                    waiting += i64::from(review == Some(true));
                }
                Some(())
            };
            if self.pages(&mut one, &path, read).await {
                // Without the permission the public list comes, with 200. An
                // empty one tells only where the permission is known.
                let permitted = self.reading().credentials().is_some_and(|c| c.permissions.is_some());
                if admin == items && (items > 0 || permitted) {
                    pending.add(kind, waiting);
                } else if items > 0 {
                    let why = "the public list came: the token needs the scope admin:read, and its user's role \
                               the permission Manage Taxonomies";
                    one.fail(Verdict::NotOffered, why.to_owned());
                }
            }
            whole.merge(one, kind);
            if whole.is_stopped() {
                break;
            }
        }
        if !pending.0.is_empty() {
            whole.facts = Some(Facts::PendingTrends(pending.into()));
        }
        whole
    }

    /// Figures of today and yesterday. Asked up to tomorrow, because the end
    /// day is missing in `data` up to Mastodon 4.2.
    pub(super) async fn measures(&self) -> Answer {
        let Some(today) = utc_day(self.unix) else {
            return self.not_offered("the clock is wrong".to_owned());
        };
        let body = json!({
            "keys": MEASURES,
            "start_at": days_from(today, -1).to_string(),
            "end_at": days_from(today, 1).to_string(),
        });
        let read = |doc: &mut Document| Some(Facts::Measures(read_measures(doc, today).into()));
        self.post("/api/v1/admin/measures", &body, read).await
    }

    /// Bytes by kind of storage.
    pub(super) async fn storage(&self) -> Answer {
        let read = |doc: &mut Document| {
            let mut tally = Tally::default();
            for (member, bytes) in
                dimension(doc, "space_usage", |f| (f.member("key", &STORAGE), f.count("value")))
            {
                if let Some(bytes) = bytes {
                    tally.add(member, bytes);
                }
            }
            Some(Facts::Storage(tally.into()))
        };
        self.dimension("space_usage", 1, read).await
    }

    /// The software that the instance consists of.
    pub(super) async fn components(&self) -> Answer {
        let read = |doc: &mut Document| {
            let parts = dimension(doc, "software_versions", |f| Some((f.text("key")?, f.text("value")?)));
            let parts: Vec<(Arc<str>, Arc<str>)> =
                parts.into_iter().flatten().take(MOST_COMPONENTS).collect();
            Some(Facts::Components(parts.into()))
        };
        self.dimension("software_versions", 1, read).await
    }

    /// Users by the language of their interface.
    pub(super) async fn languages(&self) -> Answer {
        let read = |doc: &mut Document| Some(Facts::Languages(read_languages(doc).into()));
        self.dimension("languages", LANGUAGE_DAYS, read).await
    }

    async fn dimension(
        &self,
        key: &str,
        days: i64,
        read: impl FnOnce(&mut Document) -> Option<Facts>,
    ) -> Answer {
        let Some(today) = utc_day(self.unix) else {
            return self.not_offered("the clock is wrong".to_owned());
        };
        let body = json!({
            "keys": [key],
            "start_at": days_from(today, -days).to_string(),
            "end_at": today.to_string(),
            "limit": 100,
        });
        self.post("/api/v1/admin/dimensions", &body, read).await
    }

    /// The share of the sign-ups of the month before last that was seen again
    /// in the month after.
    pub(super) async fn retention(&self) -> Answer {
        let Some(today) = utc_day(self.unix) else {
            return self.not_offered("the clock is wrong".to_owned());
        };
        let last = today.first_of_month().saturating_sub(1.month());
        let before = last.saturating_sub(1.month());
        let body = json!({
            "start_at": before.to_string(),
            "end_at": last.to_string(),
            "frequency": "month",
        });
        let read = |doc: &mut Document| {
            read_retention(doc, before, last).map(|rate| Facts::Retention(Retention { rate }.into()))
        };
        self.post("/api/v1/admin/retention", &body, read).await
    }

    /// Domain blocks by severity.
    pub(super) async fn admin_domain_blocks(&self) -> Answer {
        self.tally_pages("domain_blocks", 500, &DOMAIN_BLOCKS, Facts::AdminDomainBlocks).await
    }

    /// IP blocks by severity.
    pub(super) async fn ip_blocks(&self) -> Answer {
        self.tally_pages("ip_blocks", 200, &IP_BLOCKS, Facts::IpBlocks).await
    }

    /// The number of items in one of the admin's lists.
    pub(super) async fn pages_of(&self, list: &str, limit: usize, facts: fn(Arc<Count>) -> Facts) -> Answer {
        self.count_pages(&format!("/api/v1/admin/{list}?limit={limit}"), facts).await
    }

    async fn count_pages(&self, path: &str, facts: fn(Arc<Count>) -> Facts) -> Answer {
        let mut answer = Answer::new(self);
        let mut count = 0;
        let read = |doc: &mut Document| {
            count += doc.each_counted(|_| ())?.len() as i64;
            Some(())
        };
        if self.pages(&mut answer, path, read).await {
            answer.facts = Some(facts(Count(count).into()));
        }
        answer
    }

    async fn tally_pages(
        &self,
        list: &str,
        limit: usize,
        known: &[&'static str],
        facts: fn(Arc<Tally>) -> Facts,
    ) -> Answer {
        let mut answer = Answer::new(self);
        let mut tally = Tally::of(known);
        let read = |doc: &mut Document| {
            for (member, n) in by_severity(doc, known)?.0 {
                tally.add(member, n);
            }
            Some(())
        };
        if self.pages(&mut answer, &format!("/api/v1/admin/{list}?limit={limit}"), read).await {
            answer.facts = Some(facts(tally.into()));
        }
        answer
    }
}

/// Adds a page of reports; nothing where it holds what is no report.
pub fn read_reports(doc: &mut Document, reports: &mut Reports) -> Option<()> {
    let report = |f: &mut Fields<'_>| {
        (f.member("category", &CATEGORIES), f.get("assigned_account").is_none(), instant(f, "created_at"))
    };
    for (category, unassigned, made) in doc.each_counted(report)? {
        reports.open.add(category, 1);
        reports.unassigned += i64::from(unassigned);
        reports.oldest = [reports.oldest, made].into_iter().flatten().reduce(f64::min);
    }
    Some(())
}

/// Reads measures: each figure's value of a day is matched by its date.
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

/// Reads the rate of the cohort of one month in another. A month without
/// sign-ups has no rate.
pub fn read_retention(doc: &mut Document, cohort: Date, seen: Date) -> Option<f64> {
    let read = |f: &mut Fields<'_>| {
        // Cohorts of days are another thing, whatever was asked for.
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

/// A share from 0 to 1, also as a string.
fn rate(f: &mut Fields<'_>) -> Option<f64> {
    let value = f.get("rate")?;
    let rate = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
    let rate = rate.filter(|rate| (0.0..=1.0).contains(rate));
    if rate.is_none() {
        f.wrong("rate", value);
    }
    rate
}

/// Reads users by language: the ten that most have, what is no language code
/// under one name.
pub fn read_languages(doc: &mut Document) -> Tally {
    let mut all = Tally::default();
    for (language, users) in dimension(doc, "languages", |f| (f.text("key"), f.count("value"))) {
        let code = language.as_deref().and_then(languages::code).unwrap_or(OTHER);
        if let Some(users) = users {
            all.add(code, users);
        }
    }
    all.0.sort_by_key(|(_, users)| std::cmp::Reverse(*users));
    all.0.truncate(MOST_LANGUAGES);
    all
}

/// The items of the dimension with this key.
fn dimension<T>(doc: &mut Document, key: &str, mut read: impl FnMut(&mut Fields<'_>) -> T) -> Vec<T> {
    let mut all = Vec::new();
    doc.each(|f| {
        if f.text("key").as_deref() == Some(key) {
            all.extend(f.each_in("data", &mut read));
        }
    });
    all
}

/// The day at the start of a date or an instant.
fn date(f: &mut Fields<'_>, path: &str) -> Option<Date> {
    let value = f.get(path)?;
    let day = value.as_str().and_then(|text| text.trim().get(..10)?.parse().ok());
    if day.is_none() {
        f.wrong(path, value);
    }
    day
}

/// The UTC day of a Unix time.
fn utc_day(unix: f64) -> Option<Date> {
    let at = Timestamp::from_second(unix as i64).ok()?;
    Some(at.to_zoned(jiff::tz::TimeZone::UTC).date())
}

fn days_from(day: Date, days: i64) -> Date {
    day.saturating_add(Span::new().days(days))
}

/// Days since 1970.
fn day_number(day: Date) -> i64 {
    let epoch = jiff::civil::date(1970, 1, 1);
    i64::from(day.since(epoch).map_or(0, |span| span.get_days()))
}

#[cfg(test)]
mod tests;
