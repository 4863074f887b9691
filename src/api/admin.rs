//! Endpoints for administrators: lists that are counted, and figures that are read. The
//! answers contain e-mail and IP addresses, none of which is kept.

mod languages;
mod read;

use std::sync::Arc;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use serde_json::json;

use crate::snapshot::{Count, Credentials, Facts, MEASURES, OTHER, Reports, Retention, Tally};

use super::lists::by_severity;
use super::pages::Turn;
use super::{Answer, Attempt, Verdict};
use crate::document::{Document, Top};

pub use read::{Pending, read_languages, read_measures, read_pending, read_reports, read_retention};
use read::{days_from, dimension};

/// The categories of a report (Mastodon 3.5 and later).
const CATEGORIES: [&str; 4] = ["spam", "legal", "violation", "other"];
/// The severities of a domain block.
const DOMAIN_BLOCKS: [&str; 3] = ["noop", "silence", "suspend"];
/// The severities of an IP block.
const IP_BLOCKS: [&str; 3] = ["sign_up_requires_approval", "sign_up_block", "no_access"];
/// The kinds of storage.
const STORAGE: [&str; 4] = ["postgresql", "redis", "media", "search"];
/// The maximum number of software components.
const MAX_COMPONENTS: usize = 16;
/// The number of days of sign-ins over which languages are counted.
const LANGUAGE_DAYS: i64 = 28;

impl Attempt<'_> {
    /// Reads the permissions of the token's user.
    pub(super) async fn credentials(&self) -> Answer {
        let read = |doc: &mut Document| {
            let permissions = doc.fields().count("role.permissions").map(|bits| bits as u64);
            Some(Facts::Credentials(Credentials { permissions }.into()))
        };
        self.document("/api/v1/accounts/verify_credentials", Top::Object, read).await
    }

    /// Reads the open reports.
    ///
    /// Without a parameter every version of Mastodon lists the open reports. Versions
    /// before 4.6.0 check only whether `resolved` is present, and answer
    /// `resolved=false` with the resolved reports. GoToSocial lists all reports unless
    /// `resolved=false` is given.
    pub(super) async fn reports(&self) -> Answer {
        let mut reports = Reports { open: Tally::of(&CATEGORIES), ..Reports::default() };
        // A report takes 3 to 5 kB, so a hundred stay below the body limit.
        let path = if self.software().is("gotosocial") {
            "/api/v1/admin/reports?resolved=false&limit=100"
        } else {
            "/api/v1/admin/reports?limit=100"
        };
        match self.pages(path, Turn::Link, |doc| read_reports(doc, &mut reports)).await {
            Ok(answer) => answer.with(Facts::Reports(reports.into())),
            Err(answer) => answer,
        }
    }

    /// Reads the accounts that wait for approval. Some servers ignore the filter: Mitra
    /// lists all its accounts. So only accounts count that say that they are not
    /// approved.
    pub(super) async fn pending_accounts(&self) -> Answer {
        let old = self.mastodon().is_some_and(|version| version < (3, 5));
        let path = if old {
            "/api/v1/admin/accounts?local=true&pending=true&limit=100"
        } else {
            "/api/v2/admin/accounts?origin=local&status=pending&limit=100"
        };
        let mut pending = Pending::default();
        match self.pages(path, Turn::Link, |doc| read_pending(doc, &mut pending)).await {
            Ok(answer) => match pending.count() {
                Some(count) => answer.with(Facts::PendingAccounts(Count(count).into())),
                None => answer.failed(
                    Verdict::NotOffered,
                    "the server lists accounts without saying whether they are approved",
                ),
            },
            Err(answer) => answer,
        }
    }

    /// Reads the trends that wait for review, page by page with `offset`: in all
    /// versions of Mastodon the `Link` header of these lists leads to the public ones.
    pub(super) async fn pending_trends(&self) -> Answer {
        const KINDS: [&str; 3] = ["tags", "statuses", "links"];
        const PAGE: usize = 20;
        let mut whole = Answer::new(self);
        let (mut pending, mut empty) = (Tally::default(), Vec::new());
        let mut is_public = false;
        for kind in KINDS {
            let (mut waiting, mut items, mut reviewable) = (0, 0, 0);
            let path = format!("/api/v1/admin/trends/{kind}?limit={PAGE}");
            let read = |doc: &mut Document| {
                let page = doc.each_counted(|f| {
                    let waits = f.flag("requires_review");
                    reviewable += usize::from(waits.is_some());
                    waiting += usize::from(waits == Some(true));
                })?;
                items += page;
                Some(page)
            };
            let one = match self.pages(&path, Turn::Offset(PAGE), read).await {
                Ok(one) if items == 0 => {
                    empty.push(kind);
                    one
                }
                Ok(one) if reviewable == items => {
                    pending.add(kind, waiting as i64);
                    one
                }
                // Without the permission the server answers 200 with the public list.
                Ok(one) => {
                    is_public = true;
                    let why = "the public list came: the token needs the scope admin:read, and its \
                               user's role the permission Manage Taxonomies";
                    one.failed(Verdict::NotOffered, why)
                }
                Err(one) => one,
            };
            whole = whole.and(one, kind);
            if whole.is_stopped() {
                break;
            }
        }
        // An empty list does not show whether it is the public one. The other lists do,
        // and so does the permission, if it is known.
        let permitted = self.reading().credentials().is_some_and(|c| c.permissions.is_some());
        if !pending.0.is_empty() || (permitted && !is_public) {
            for kind in empty {
                pending.add(kind, 0);
            }
        }
        if pending.0.is_empty() { whole } else { whole.with_part(Facts::PendingTrends(pending.into())) }
    }

    /// Reads the figures of today and yesterday. The request ends with tomorrow,
    /// because up to Mastodon 4.2 `data` lacks the last day.
    pub(super) async fn measures(&self) -> Answer {
        let Some(today) = utc_day(self.unix) else {
            return self.not_offered("the clock is wrong");
        };
        let body = json!({
            "keys": MEASURES,
            "start_at": days_from(today, -1).to_string(),
            "end_at": days_from(today, 1).to_string(),
        });
        let read = |doc: &mut Document| Some(Facts::Measures(read_measures(doc, today).into()));
        self.post("/api/v1/admin/measures", &body, read).await
    }

    /// Reads the bytes by kind of storage.
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

    /// Reads the software components of the instance.
    pub(super) async fn components(&self) -> Answer {
        let read = |doc: &mut Document| {
            let parts = dimension(doc, "software_versions", |f| Some((f.text("key")?, f.text("value")?)));
            let parts: Vec<(Arc<str>, Arc<str>)> = parts.into_iter().flatten().take(MAX_COMPONENTS).collect();
            Some(Facts::Components(parts.into()))
        };
        self.dimension("software_versions", 1, read).await
    }

    /// Reads the users by the language of their interface.
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
            return self.not_offered("the clock is wrong");
        };
        let body = json!({
            "keys": [key],
            "start_at": days_from(today, -days).to_string(),
            "end_at": today.to_string(),
            "limit": 100,
        });
        self.post("/api/v1/admin/dimensions", &body, read).await
    }

    /// Reads the share of users who signed up in the month before last and were seen
    /// again in the following month.
    pub(super) async fn retention(&self) -> Answer {
        let Some(today) = utc_day(self.unix) else {
            return self.not_offered("the clock is wrong");
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

    /// Reads the domain blocks by severity. GoToSocial gives no severity, because its
    /// blocks always suspend.
    pub(super) async fn admin_domain_blocks(&self) -> Answer {
        let missing = if self.software().is("gotosocial") { "suspend" } else { OTHER };
        self.tally_pages("domain_blocks", 500, &DOMAIN_BLOCKS, missing, Facts::AdminDomainBlocks).await
    }

    /// Reads the IP blocks by severity.
    pub(super) async fn ip_blocks(&self) -> Answer {
        self.tally_pages("ip_blocks", 200, &IP_BLOCKS, OTHER, Facts::IpBlocks).await
    }

    /// Counts the items in one of the administrator's lists.
    pub(super) async fn pages_of(&self, list: &str, limit: usize, facts: fn(Arc<Count>) -> Facts) -> Answer {
        self.count_pages(&format!("/api/v1/admin/{list}?limit={limit}"), facts).await
    }

    async fn count_pages(&self, path: &str, facts: fn(Arc<Count>) -> Facts) -> Answer {
        let mut count = 0;
        let read = |doc: &mut Document| {
            let items = doc.each_counted(|_| ())?;
            count += items as i64;
            Some(items)
        };
        match self.pages(path, Turn::Link, read).await {
            Ok(answer) => answer.with(facts(Count(count).into())),
            Err(answer) => answer,
        }
    }

    async fn tally_pages(
        &self,
        list: &str,
        limit: usize,
        known: &[&'static str],
        missing: &'static str,
        facts: fn(Arc<Tally>) -> Facts,
    ) -> Answer {
        let mut tally = Tally::of(known);
        let read = |doc: &mut Document| {
            let mut items = 0;
            for (member, n) in by_severity(doc, known, missing)?.0 {
                tally.add(member, n);
                items += n as usize;
            }
            Some(items)
        };
        let path = format!("/api/v1/admin/{list}?limit={limit}");
        match self.pages(&path, Turn::Link, read).await {
            Ok(answer) => answer.with(facts(tally.into())),
            Err(answer) => answer,
        }
    }
}

/// Returns the UTC day of a Unix time.
fn utc_day(unix: f64) -> Option<Date> {
    let at = Timestamp::from_second(unix as i64).ok()?;
    Some(at.to_zoned(jiff::tz::TimeZone::UTC).date())
}

#[cfg(test)]
mod tests;
