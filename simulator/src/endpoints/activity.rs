//! `GET /api/v1/instance/activity`: twelve rows of text.

use http::StatusCode;
use serde_json::{Value, json};

use crate::call::{Call, needs_user};
use crate::reply::Reply;
use crate::truth::activity::rows;

/// Returns the body, which real servers cache for a day.
pub(crate) fn activity(call: &Call<'_>) -> Reply {
    if call.switches.limited_federation && !call.authenticated() {
        return needs_user();
    }
    if !call.switches.activity_api || call.switches.limited_federation {
        return Reply::empty(StatusCode::NOT_FOUND);
    }
    let rows = call.say(|truth| truth.activity.clone(), rows);
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "week": row.week.to_string(),
                "statuses": row.statuses.to_string(),
                "logins": row.logins.to_string(),
                "registrations": row.registrations.to_string(),
            })
        })
        .collect();
    Reply::json(Value::Array(rows))
}
