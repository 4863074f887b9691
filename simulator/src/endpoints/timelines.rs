//! The public timelines.

use serde_json::{Value, json};

use super::accounts::entity;
use crate::call::{Call, needs_user_here};
use crate::dates::instant;
use crate::reply::Reply;
use crate::truth::accounts::accounts;
use crate::truth::community::{newest_local_ms, newest_remote_ms};
use crate::truth::domains::domain;

/// `GET /api/v1/timelines/public`, newest first: posts of this server with
/// `local=true`, of other servers with `remote=true` (3.1.4 and later), otherwise of
/// all.
pub(crate) fn public(call: &Call<'_>) -> Reply {
    if let Some(refusal) = call.closed() {
        return refusal;
    }
    if !call.switches.timeline_preview && call.version().since(3, 0) && !call.authenticated() {
        return needs_user_here();
    }
    let truthy = |value: String| !matches!(value.as_str(), "" | "0" | "f" | "false" | "off");
    let asked = |name: &str| call.parameter(name).is_some_and(truthy);
    let (local, remote) = (asked("local"), asked("remote") && call.version().since_patch((3, 1, 4)));
    let limit = call.limit(20, 40);
    let from = |newest: Option<i64>, local: bool| {
        let posts = newest.into_iter().flat_map(|newest| (0..limit as i64).map(move |n| newest - n * 37_219));
        posts.map(move |at| (at, local)).collect::<Vec<_>>()
    };
    let mut posts = Vec::new();
    if !remote {
        posts.extend(from(call.say(|truth| truth.newest_local_ms, newest_local_ms), true));
    }
    if !local {
        posts.extend(from(call.say(|truth| truth.newest_remote_ms, newest_remote_ms), false));
    }
    posts.sort_unstable_by_key(|(at, _)| std::cmp::Reverse(*at));
    let authors = [author(call, false), author(call, true)];
    let statuses =
        posts.into_iter().take(limit).map(|(at, local)| status(call, at, &authors[usize::from(local)]));
    Reply::json(Value::Array(statuses.collect()))
}

fn author(call: &Call<'_>, local: bool) -> Value {
    let mut accounts = call.say(|truth| truth.accounts.clone(), accounts);
    if accounts.is_empty() {
        return Value::Null;
    }
    let mut author = entity(call, &accounts.swap_remove(0));
    if !local {
        author["acct"] = json!(format!("mira@{}", domain(3)));
        author["username"] = json!("mira");
    }
    author
}

/// Returns a status that was written at this time, which its id contains, too.
pub(crate) fn status(call: &Call<'_>, millis: i64, author: &Value) -> Value {
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
