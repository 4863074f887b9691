//! Custom emojis, announcements and hashtags.

use http::StatusCode;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::call::{Call, needs_user_here};
use crate::dates::{DAY, instant, midnight};
use crate::reply::Reply;
use crate::truth::community::{self, Tag};

const MOODS: [&str; 8] = ["calm", "curious", "glad", "merry", "proud", "sleepy", "tired", "warm"];
const ANIMALS: [&str; 8] = ["badger", "finch", "fox", "hare", "heron", "mole", "otter", "wren"];

/// `GET /api/v1/custom_emojis`, since 2.0.
pub(crate) fn custom_emojis(call: &Call<'_>) -> Reply {
    if let Some(refusal) = call.closed() {
        return refusal;
    }
    let (base, with_category) = (call.base(), call.version().since(3, 0));
    let emojis = (0..call.say(|truth| truth.custom_emojis, |instance, _| community::custom_emojis(instance)))
        .map(|n| {
            let animal = ANIMALS[n / 8 % 8];
            let name = format!("{}_{animal}_{n}", MOODS[n % 8]);
            let mut emoji = json!({
                "shortcode": name,
                "url": format!("{base}/emojis/original/{name}.png"),
                "static_url": format!("{base}/emojis/static/{name}.png"),
                "visible_in_picker": true,
            });
            // An emoji without a category has no such field.
            if with_category && n % 4 != 0 {
                emoji["category"] = json!(animal);
            }
            emoji
        });
    Reply::json(Value::Array(emojis.collect()))
}

/// `GET /api/v1/announcements`, since 3.1, for users only.
pub(crate) fn announcements(call: &Call<'_>) -> Reply {
    if let Some(refusal) = call.closed() {
        return refusal;
    }
    if !call.authenticated() {
        return needs_user_here();
    }
    let count = call.say(|truth| truth.announcements, |instance, _| community::announcements(instance));
    let list = (0..count).map(|n| {
        let published = instant(call.instance.numbers.founded() * 1000 + (n as i64 + 1) * 3_600_000);
        json!({
            "id": (n + 1).to_string(),
            "content": "<p>The server rests on Sunday.</p>",
            "starts_at": null,
            "ends_at": null,
            "all_day": false,
            "published_at": published,
            "updated_at": published,
            "read": n % 2 == 0,
            "mentions": [],
            "statuses": [],
            "tags": [],
            "emojis": [],
            "reactions": [{ "name": "👍", "count": 3 + n, "me": false }],
        })
    });
    Reply::json(Value::Array(list.collect()))
}

/// `GET /api/v1/tags/:name`, since 4.0. It answers for every name.
pub(crate) fn tag(call: &Call<'_>) -> Reply {
    if let Some(refusal) = call.closed() {
        return refusal;
    }
    let name = percent_decode_str(call.last_segment()).decode_utf8_lossy().to_lowercase();
    if !name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '·')) {
        return Reply::error(StatusCode::NOT_FOUND, "Record not found");
    }
    let known = |tags: &[Tag]| tags.iter().find(|tag| tag.name.to_lowercase() == name).cloned();
    let found = call.say(|truth| known(&truth.tags), |instance, now| known(&community::tags(instance, now)));
    let unused = || Tag { name: name.clone(), uses: [0; 7], accounts: [0; 7] };
    let tag = found.unwrap_or_else(unused);
    let mut entity = tag_entity(call, &tag);
    if call.version().since(4, 3) {
        entity["id"] = json!((tag.name.len() * 7).to_string());
    }
    if call.authenticated() {
        entity["following"] = json!(false);
    }
    Reply::json(entity)
}

pub(crate) fn tag_entity(call: &Call<'_>, tag: &Tag) -> Value {
    let midnight = midnight(call.now.seconds);
    let history = tag.uses.iter().zip(tag.accounts).zip(0..).map(|((uses, accounts), days)| {
        json!({
            "day": (midnight - days * DAY).to_string(),
            "accounts": accounts.to_string(),
            "uses": uses.to_string(),
        })
    });
    let history: Value = history.collect();
    json!({ "name": tag.name, "url": format!("{}/tags/{}", call.base(), tag.name), "history": history })
}
