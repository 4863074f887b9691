//! `/api/v2/instance`, `/api/v1/instance` and `/api/v1/instance/activity`.

use crate::json::Raw;
use crate::snapshot::{ActivityWeek, InstanceV1, InstanceV2};

use crate::document::{Document, Fields};

/// Reads `GET /api/v2/instance` (Mastodon 4.0 and later).
pub fn v2(doc: &mut Document) -> InstanceV2 {
    let f = &mut doc.fields();
    InstanceV2 {
        domain: f.text("domain"),
        version: f.text("version"),
        source_url: f.text("source_url"),
        active_month: f.count("usage.users.active_month"),
        registrations_open: f.flag("registrations.enabled"),
        approval_required: f.flag("registrations.approval_required"),
        api_version: f.count("api_versions.mastodon"),
        rules: f.length("rules"),
        status_characters: f.count("configuration.statuses.max_characters"),
        media_attachments: f.count("configuration.statuses.max_media_attachments"),
        limited_federation: f.flag("configuration.limited_federation"),
        streaming: f.text("configuration.urls.streaming"),
    }
}

/// Reads `GET /api/v1/instance`.
pub fn v1(doc: &mut Document) -> InstanceV1 {
    let f = &mut doc.fields();
    InstanceV1 {
        uri: f.text("uri"),
        version: f.text("version"),
        users: f.count("stats.user_count"),
        statuses: f.count("stats.status_count"),
        domains: f.count("stats.domain_count"),
        registrations_open: f.flag("registrations"),
        approval_required: f.flag("approval_required"),
        rules: f.length("rules"),
        status_characters: f.count("configuration.statuses.max_characters"),
        media_attachments: f.count("configuration.statuses.max_media_attachments"),
        streaming: f.text("urls.streaming_api"),
    }
}

/// Whether a body is a v1 instance document.
#[must_use]
pub fn is_instance(body: &[u8]) -> bool {
    Raw::parse(body).is_ok_and(|raw| ["uri", "title", "version"].iter().all(|key| raw.get(key).is_some()))
}

/// Reads `GET /api/v1/instance/activity`. The rows are sorted newest first, because
/// servers differ. A row without a week is omitted.
pub fn activity(doc: &mut Document) -> Vec<ActivityWeek> {
    let mut rows: Vec<ActivityWeek> = doc.each(activity_week).into_iter().flatten().collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.week));
    rows
}

fn activity_week(f: &mut Fields<'_>) -> Option<ActivityWeek> {
    Some(ActivityWeek {
        statuses: f.count("statuses"),
        logins: f.count("logins"),
        registrations: f.count("registrations"),
        week: f.count("week")?,
    })
}
