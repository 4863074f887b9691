//! Measures, dimensions and retention, all since 3.5.

use http::StatusCode;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{ToSpan, Zoned};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::call::Call;
use crate::dates::DAY;
use crate::reply::Reply;
use crate::truth::admin::{self, Day};

/// `POST /api/v1/admin/measures`.
pub(crate) fn measures(call: &Call<'_>) -> Reply {
    let fields = Fields::of(call);
    let keys = fields.all("keys[]");
    if keys.is_empty() {
        return missing(call, "keys");
    }
    let (start, end) = match window(call, &fields) {
        Ok(window) => window,
        Err(refusal) => return *refusal,
    };
    // At most two years. Requests without such a limit are cut after ten.
    let most = if call.version().checks_parameters() { 731 } else { 3653 };
    let start = start.max(end - most * DAY);
    let mut answer = Vec::new();
    for key in keys {
        let Some(measure) = Measure::named(key) else { continue };
        if measure.in_redis && start >= end {
            return broken(); // It would count the union of no days.
        }
        answer.push(measure.over(call, key, start, end));
    }
    Reply::json(Value::Array(answer))
}

/// A figure by day.
struct Measure {
    value: fn(&Day) -> i64,
    /// Whether the figure is counted in Redis, not by SQL. The format of dates differs.
    in_redis: bool,
}

impl Measure {
    fn named(key: &str) -> Option<Measure> {
        let (value, in_redis): (fn(&Day) -> i64, bool) = match key {
            "active_users" => (|day| day.active_users, true),
            "interactions" => (|day| day.interactions, true),
            "new_users" => (|day| day.new_users, false),
            "opened_reports" => (|day| day.opened_reports, false),
            "resolved_reports" => (|day| day.resolved_reports, false),
            _ => return None,
        };
        Some(Measure { value, in_redis })
    }

    fn over(&self, call: &Call<'_>, key: &str, start: i64, end: i64) -> Value {
        let newer = call.version().since(4, 3);
        // Up to 4.2 figures from Redis lack the last day.
        let last = if self.in_redis && !newer { end - DAY } else { end };
        let data = days(start, last).map(|day| {
            let date = date_of(day).unwrap_or_default();
            let date = match (self.in_redis, newer) {
                (true, _) => format!("{date}T00:00:00Z"),
                (false, true) => date,
                (false, false) => format!("{date}T00:00:00.000+00:00"),
            };
            json!({ "date": date, "value": self.on(call, day).to_string() })
        });
        let data: Value = data.collect();
        json!({
            "key": key,
            "unit": null,
            "total": self.total(call, key, start, end).to_string(),
            "previous_total": self.total(call, key, start - (end - start), start).to_string(),
            "data": data,
        })
    }

    /// The last day does not count. Users who are active every day count once, as if
    /// they all were among those of the busiest day.
    fn total(&self, call: &Call<'_>, key: &str, start: i64, end: i64) -> i64 {
        let values = days(start, end - DAY).map(|day| self.on(call, day));
        if key == "active_users" { values.max().unwrap_or(0) } else { values.sum() }
    }

    fn on(&self, call: &Call<'_>, day: i64) -> i64 {
        call.say_admin(
            |truth| (self.value)(&truth.day(day)),
            |instance, now| (self.value)(&admin::day(instance, day, now)),
        )
    }
}

/// `POST /api/v1/admin/dimensions`.
pub(crate) fn dimensions(call: &Call<'_>) -> Reply {
    let fields = Fields::of(call);
    let keys = fields.all("keys[]");
    if keys.is_empty() {
        return broken();
    }
    let limit = fields.one("limit").and_then(|limit| limit.parse().ok()).unwrap_or(usize::MAX);
    let entry =
        |key: &str, name: &str, value: String| json!({ "key": key, "human_key": name, "value": value });
    let answer = keys.into_iter().filter_map(|key| {
        let mut data: Vec<Value> = match key {
            "space_usage" => call
                .say_admin(|truth| truth.storage.clone(), admin::storage)
                .into_iter()
                .map(|(kind, bytes)| {
                    let mut entry = entry(&kind, human_name(&kind), bytes.to_string());
                    entry["unit"] = json!("bytes");
                    entry["human_value"] = json!(format!("{:.1} MB", bytes as f64 / 1_048_576.0));
                    entry
                })
                .collect(),
            "software_versions" => call
                .say_admin(|truth| truth.software.clone(), |instance, _| admin::software(instance))
                .into_iter()
                .map(|(component, version)| {
                    let mut entry = entry(&component, human_name(&component), version.clone());
                    entry["human_value"] = json!(version);
                    entry
                })
                .collect(),
            "languages" => call
                .say_admin(|truth| truth.languages.clone(), admin::languages)
                .into_iter()
                .map(|(code, users)| entry(&code, &code, users.to_string()))
                .collect(),
            "sources" => vec![entry("web", "Website", "3".to_owned())],
            "servers" => vec![entry(&call.domain, &call.domain, "12".to_owned())],
            _ => return None,
        };
        // These two are not limited.
        if !matches!(key, "space_usage" | "software_versions") {
            data.truncate(limit);
        }
        Some(json!({ "key": key, "data": data }))
    });
    Reply::json(Value::Array(answer.collect()))
}

fn human_name(key: &str) -> &str {
    match key {
        "postgresql" => "PostgreSQL",
        "redis" => "Redis",
        "media" => "Media storage",
        "search" => "Search",
        "mastodon" => "Mastodon",
        "ruby" => "Ruby",
        "elasticsearch" => "Elasticsearch",
        other => other,
    }
}

/// `POST /api/v1/admin/retention`: the users who signed up in each period, and how many
/// of them were seen in it and in each following one.
pub(crate) fn retention(call: &Call<'_>) -> Reply {
    let fields = Fields::of(call);
    let (start, end) = match window(call, &fields) {
        Ok(window) => window,
        Err(refusal) => return *refusal,
    };
    let monthly = fields.one("frequency") == Some("month");
    let mut periods = periods(start, end, monthly);
    let most = match (call.version().checks_parameters(), monthly) {
        (true, true) => 12,
        (true, false) => 31,
        (false, _) => 400,
    };
    periods.drain(..periods.len().saturating_sub(most));
    let at = |second: i64| format!("{}T00:00:00+00:00", date_of(second).unwrap_or_default());
    let cohorts = periods.iter().enumerate().map(|(n, start)| {
        let again = call
            .say_admin(|truth| truth.retention_of(*start), |instance, _| admin::retention(instance, *start));
        let size = 40 + start / DAY % 60;
        let data = periods[n..].iter().enumerate().map(|(later, date)| {
            let rate = again.powi(later as i32);
            json!({ "date": at(*date), "rate": rate, "value": ((size as f64 * rate) as i64).to_string() })
        });
        let data: Value = data.collect();
        json!({ "period": at(*start), "frequency": if monthly { "month" } else { "day" }, "data": data })
    });
    Reply::json(Value::Array(cohorts.collect()))
}

/// Returns the beginnings of the days or months in a window, including the last.
fn periods(start: i64, end: i64, monthly: bool) -> Vec<i64> {
    if !monthly {
        return days(start, end).rev().take(400).collect::<Vec<_>>().into_iter().rev().collect();
    }
    let mut month = zoned(start).and_then(|at| at.first_of_month().ok());
    let mut months = Vec::new();
    while let Some(at) = month.filter(|at| at.timestamp().as_second() <= end && months.len() < 400) {
        months.push(at.timestamp().as_second());
        month = at.checked_add(1.month()).ok();
    }
    months
}

/// Returns the beginnings of all days from `start` to `end`, inclusive.
fn days(start: i64, end: i64) -> impl DoubleEndedIterator<Item = i64> {
    let count = if end < start { 0 } else { (end - start) / DAY + 1 };
    (0..count).map(move |n| start + n * DAY)
}

fn zoned(second: i64) -> Option<Zoned> {
    Timestamp::from_second(second).ok().map(|at| at.to_zoned(TimeZone::UTC))
}

fn date_of(second: i64) -> Option<String> {
    zoned(second).map(|at| at.date().to_string())
}

/// Returns the days of `start_at` and `end_at`. The times of day do not matter.
fn window(call: &Call<'_>, fields: &Fields) -> Result<(i64, i64), Box<Reply>> {
    let midnight = |name: &'static str| {
        let text = fields.one(name).ok_or_else(|| Box::new(missing(call, name)))?;
        let date = text.get(..10).and_then(|date| date.parse::<Date>().ok());
        let midnight = date.and_then(|date| date.to_zoned(TimeZone::UTC).ok());
        let invalid = || Box::new(Reply::error(StatusCode::UNPROCESSABLE_ENTITY, "invalid date"));
        midnight.map(|at| at.timestamp().as_second()).ok_or_else(invalid)
    };
    Ok((midnight("start_at")?, midnight("end_at")?))
}

/// Returns the answer to a request without a required parameter. Old versions fail.
fn missing(call: &Call<'_>, name: &str) -> Reply {
    if call.version().checks_parameters() {
        let text = format!("param is missing or the value is empty or invalid: {name}");
        return Reply::error(StatusCode::BAD_REQUEST, &text);
    }
    broken()
}

fn broken() -> Reply {
    Reply::html(StatusCode::INTERNAL_SERVER_ERROR, "Something broke", "It was us, not you.")
}

/// The parameters in the query, and in the body as a form or as JSON.
struct Fields(Vec<(String, String)>);

impl Fields {
    fn of(call: &Call<'_>) -> Fields {
        let form = |bytes: &[u8]| form_urlencoded::parse(bytes).into_owned().collect::<Vec<_>>();
        let mut fields = form(call.query.as_bytes());
        let kind = call.headers.get(http::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        if kind.is_some_and(|kind| kind.starts_with("application/json")) {
            let text = |value: Value| match value {
                Value::String(text) => text,
                other => other.to_string(),
            };
            if let Ok(Value::Object(object)) = serde_json::from_slice(call.body) {
                for (name, value) in object {
                    match value {
                        Value::Null => {}
                        Value::Array(items) => {
                            fields.extend(items.into_iter().map(|item| (format!("{name}[]"), text(item))));
                        }
                        value => fields.push((name, text(value))),
                    }
                }
            }
        } else {
            fields.extend(form(call.body));
        }
        Fields(fields)
    }

    fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }

    /// An empty parameter counts as missing.
    fn one(&self, name: &str) -> Option<&str> {
        self.all(name).into_iter().find(|value| !value.is_empty())
    }
}
