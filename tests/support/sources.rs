//! The numbers that a metric may take from a document, read independently from its JSON.

use std::collections::HashMap;

use fedimeter::endpoint::Endpoint;
use serde_json::Value;

/// The documents of a target, by endpoint.
pub struct Said(HashMap<Endpoint, Value>);

const RULES: &str = "mastodon.instance.rules";

/// The possible places of a metric's number: endpoint and path, with `*` for any index.
#[rustfmt::skip]
const SOURCES: &[(&str, &[(Endpoint, &str)])] = &[
    ("mastodon.instance.users", &[(Endpoint::InstanceV1, "/stats/user_count")]),
    ("mastodon.instance.statuses", &[(Endpoint::InstanceV1, "/stats/status_count")]),
    ("mastodon.instance.domains", &[(Endpoint::InstanceV1, "/stats/domain_count")]),
    ("mastodon.instance.active_users.month", &[(Endpoint::InstanceV2, "/usage/users/active_month")]),
    ("mastodon.instance.registrations.open",
        &[(Endpoint::InstanceV2, "/registrations/enabled"), (Endpoint::InstanceV1, "/registrations")]),
    ("mastodon.instance.registrations.approval_required",
        &[(Endpoint::InstanceV2, "/registrations/approval_required"), (Endpoint::InstanceV1, "/approval_required")]),
    ("mastodon.instance.api_version", &[(Endpoint::InstanceV2, "/api_versions/mastodon")]),
    (RULES, &[(Endpoint::InstanceV2, "/rules"), (Endpoint::InstanceV1, "/rules")]),
    ("mastodon.instance.limits.status_characters",
        &[(Endpoint::InstanceV2, "/configuration/statuses/max_characters"),
          (Endpoint::InstanceV1, "/configuration/statuses/max_characters")]),
    ("mastodon.instance.limits.media_attachments",
        &[(Endpoint::InstanceV2, "/configuration/statuses/max_media_attachments"),
          (Endpoint::InstanceV1, "/configuration/statuses/max_media_attachments")]),
    ("mastodon.instance.activity.timestamp", &[(Endpoint::Activity, "*/week")]),
    ("nodeinfo.users", &[(Endpoint::Nodeinfo, "/usage/users/total")]),
    ("nodeinfo.active_users.month", &[(Endpoint::Nodeinfo, "/usage/users/activeMonth")]),
    ("nodeinfo.active_users.half_year",
        &[(Endpoint::Nodeinfo, "/usage/users/activeHalfyear"), (Endpoint::Nodeinfo, "/usage/users/activeHalfYear")]),
    ("nodeinfo.active_users.week", &[(Endpoint::Nodeinfo, "/usage/users/activeWeek")]),
    ("nodeinfo.local_posts",
        &[(Endpoint::Nodeinfo, "/usage/localPosts"), (Endpoint::Nodeinfo, "/usage/localPosts/all")]),
    ("nodeinfo.local_comments",
        &[(Endpoint::Nodeinfo, "/usage/localComments"), (Endpoint::Nodeinfo, "/usage/localComments/all")]),
    ("nodeinfo.registrations.open", &[(Endpoint::Nodeinfo, "/openRegistrations")]),
    ("mastodon.account.followers", &[(Endpoint::Accounts, "/followers_count")]),
    ("mastodon.account.following", &[(Endpoint::Accounts, "/following_count")]),
    ("mastodon.account.statuses", &[(Endpoint::Accounts, "/statuses_count")]),
];

/// Whether a metric is a number of the server.
pub fn is_measured(metric: &str) -> bool {
    super::points::is_said(metric)
}

/// The metrics whose numbers are at other places of a document. A change at these places
/// must not affect them.
pub fn apart_from(endpoint: Endpoint, places: &[String]) -> impl Iterator<Item = &'static str> {
    let within = |outer: &str, inner: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let met = move |path: &str| places.iter().any(|place| within(place, path) || within(path, place));
    let own = move |sources: &[(Endpoint, &str)]| {
        let mut here = sources.iter().filter(|(e, _)| *e == endpoint).peekable();
        here.peek().is_some() && here.all(|(_, path)| !path.starts_with('*') && !met(path))
    };
    SOURCES.iter().filter(move |(_, sources)| own(sources)).map(|(metric, _)| *metric)
}

impl Said {
    pub fn of(documents: &[(Endpoint, &str)]) -> Said {
        let read = |body: &str| {
            // Numbers out of range do not count.
            let body = body.replace("1e400", "\"beyond\"").replace("-\"beyond\"", "\"beyond\"");
            serde_json::from_str(&body.replace("\\ud83d", "?")).unwrap_or_default()
        };
        Said(documents.iter().map(|(endpoint, body)| (*endpoint, read(body))).collect())
    }

    /// Whether a document contains this number at a place of the metric.
    pub fn says(&self, metric: &str, value: i64) -> bool {
        if metric == "mastodon.account.last_status.timestamp" {
            return value > 0 && value % 86_400 == 0;
        }
        if let Some(field) = metric.strip_prefix("mastodon.instance.activity.")
            && let Some((_, field)) = field.rsplit_once('.')
        {
            return self.any_row(metric, field, value);
        }
        let sources = SOURCES.iter().find(|(name, _)| *name == metric);
        let (_, sources) = sources.unwrap_or_else(|| panic!("{metric}: add where its number stands"));
        sources.iter().any(|(endpoint, path)| match path.strip_prefix("*/") {
            Some(field) => self.any_row(metric, field, value),
            None => self.0.get(endpoint).and_then(|d| d.pointer(path)).is_some_and(|v| is(metric, v, value)),
        })
    }

    fn any_row(&self, metric: &str, field: &str, value: i64) -> bool {
        let rows = self.0.get(&Endpoint::Activity).and_then(Value::as_array);
        rows.is_some_and(|rows| rows.iter().filter_map(|row| row.get(field)).any(|v| is(metric, v, value)))
    }
}

/// Whether JSON at a place of a metric means this number: as a length, a boolean or a
/// number.
fn is(metric: &str, json: &Value, value: i64) -> bool {
    let is_flag = metric.contains(".registrations.") && !metric.contains(".activity.");
    match json {
        Value::Array(items) => metric == RULES && i64::try_from(items.len()) == Ok(value),
        _ if metric == RULES => false,
        Value::Bool(flag) => is_flag && i64::from(*flag) == value,
        Value::String(s) if is_flag => s.eq_ignore_ascii_case(if value == 0 { "false" } else { "true" }),
        _ if is_flag => false,
        Value::Number(n) => n.as_i64() == Some(value) || n.as_f64() == Some(value as f64) && !n.is_i64(),
        Value::String(s) => s.trim().parse() == Ok(value),
        Value::Null | Value::Object(_) => false,
    }
}
