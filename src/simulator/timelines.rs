//! The public timelines.

use serde_json::{Value, json};

use super::accounts;
use super::call::Call;
use super::community::{instant, needs_user_here};
use super::reply::Reply;
use super::state::Instance;

/// `GET /api/v1/timelines/public`: the newest first, of this server with
/// `local=true`, else of all servers.
pub(super) fn public(call: &Call<'_>) -> Reply {
    if let Some(refusal) = call.closed() {
        return refusal;
    }
    if !call.switches.timeline_preview && call.version().since(3, 0) && !call.authenticated() {
        return needs_user_here();
    }
    let truthy = |value: String| !matches!(value.as_str(), "" | "0" | "f" | "false" | "off");
    let local = call.parameter("local").is_some_and(truthy);
    let newest = if local {
        call.say(|truth| truth.newest_local_ms, newest_local_ms)
    } else {
        call.say(|truth| truth.newest_federated_ms, newest_federated_ms)
    };
    let Some(newest) = newest else { return Reply::json(json!([])) };
    let author = author(call, local);
    let statuses = (0..call.limit(20, 40) as i64).map(|n| status(call, newest - n * 37_219, &author));
    Reply::json(Value::Array(statuses.collect()))
}

fn author(call: &Call<'_>, local: bool) -> Value {
    let mut accounts = call.say(|truth| truth.accounts.clone(), accounts::accounts);
    if accounts.is_empty() {
        return Value::Null;
    }
    let mut author = accounts::entity(call, &accounts.swap_remove(0));
    if !local {
        author["acct"] = json!(format!("mira@{}", super::peers::domain(3)));
        author["username"] = json!("mira");
    }
    author
}

/// A status that was written at a moment, which its id tells too.
pub(super) fn status(call: &Call<'_>, millis: i64, author: &Value) -> Value {
    let (id, version) = ((millis << 16).to_string(), call.version());
    let url = format!("{}/@{}/{id}", call.base(), author["username"].as_str().unwrap_or_default());
    let mut status = json!({
        "id": id,
        "created_at": instant(millis),
        "in_reply_to_id": null,
        "in_reply_to_account_id": null,
        "sensitive": false,
        "spoiler_text": "",
        "visibility": "public",
        "language": "en",
        "uri": url,
        "url": url,
        "replies_count": 0,
        "reblogs_count": 1,
        "favourites_count": 2,
        "content": "<p>A day like any other.</p>",
        "reblog": null,
        "account": author,
        "media_attachments": [],
        "mentions": [],
        "tags": [],
        "emojis": [],
        "card": null,
        "poll": null,
    });
    if version.since(3, 5) {
        status["edited_at"] = Value::Null;
    }
    if version.since(4, 5) {
        status["quotes_count"] = json!(0);
    }
    status
}

/// When the newest local status was written.
pub(super) fn newest_local_ms(instance: &Instance, now: i64) -> Option<i64> {
    newest(instance, instance.numbers.statuses_per_second, now)
}

/// When the newest status that has arrived was written; the own ones arrive too.
pub(super) fn newest_federated_ms(instance: &Instance, now: i64) -> Option<i64> {
    let remote = newest(instance, 0.02 + 30.0 * instance.numbers.statuses_per_second, now);
    remote.max(newest_local_ms(instance, now))
}

fn newest(instance: &Instance, rate: f64, now: i64) -> Option<i64> {
    let numbers = &instance.numbers;
    // Written within the second before it counted.
    let part = numbers.count(rate, now).wrapping_mul(7919) % 1000;
    numbers.last_counted(rate, now).map(|second| second * 1000 - part as i64)
}
