//! Trends, including those that nobody has reviewed, since 3.5. From 4.0 on, a user
//! without the permission silently gets the public list.

use serde_json::{Value, json};

use super::super::community::tag_entity;
use super::super::needs::Needs;
use super::super::paging::{Size, linked_at};
use super::super::timelines::status;
use crate::call::Call;
use crate::dates::instant;
use crate::reply::Reply;
use crate::tokens::permission::MANAGE_TAXONOMIES;
use crate::truth::admin::{Trending, trending};
use crate::truth::community::Tag;

/// What a token needs to see all trends.
pub(crate) const NEEDS: Needs = Needs { scope: "admin:read", permission: MANAGE_TAXONOMIES, or_public: true };

/// `GET /api/v1/admin/trends/tags`.
pub(crate) fn tags(call: &Call<'_>) -> Reply {
    let all = call.say_admin(|truth| truth.trending_tags, |instance, _| trending(instance, 0));
    // 4.0 shows only the public part of a hashtag.
    let plain = call.version().since(4, 0) && !call.version().since(4, 1);
    list(call, all, Size { default: 10, most: 20 }, plain, |n, reviewer| {
        let tag = Tag { name: format!("trend{n}"), uses: [7; 7], accounts: [5; 7] };
        let mut entity = tag_entity(call, &tag);
        if reviewer && !plain {
            entity["id"] = json!((n + 1).to_string());
            entity["usable"] = json!(true);
            entity["trendable"] = Value::Null;
        }
        entity
    })
}

/// `GET /api/v1/admin/trends/statuses`.
pub(crate) fn statuses(call: &Call<'_>) -> Reply {
    let all = call.say_admin(|truth| truth.trending_statuses, |instance, _| trending(instance, 1));
    list(call, all, Size { default: 20, most: 40 }, false, |n, _| {
        let millis = (call.now.seconds - 3600 - 61 * n as i64) * 1000;
        status(call, millis, &json!({ "id": "1", "username": "ada", "acct": "ada" }))
    })
}

/// `GET /api/v1/admin/trends/links`.
pub(crate) fn links(call: &Call<'_>) -> Reply {
    let all = call.say_admin(|truth| truth.trending_links, |instance, _| trending(instance, 2));
    list(call, all, Size { default: 10, most: 20 }, false, |n, reviewer| {
        let mut entity = json!({
            "url": format!("https://news.example/{n}"),
            "title": "Nothing happened",
            "description": "All day long.",
            "type": "link",
            "provider_name": "News",
            "published_at": instant((call.now.seconds - 7200) * 1000),
            "history": tag_entity(call, &Tag { name: String::new(), uses: [3; 7], accounts: [2; 7] })["history"],
        });
        if reviewer {
            entity["id"] = json!((n + 1).to_string());
        }
        entity
    })
}

fn list(
    call: &Call<'_>,
    all: Trending,
    size: Size,
    plain: bool,
    entry: impl Fn(usize, bool) -> Value,
) -> Reply {
    let reviewer = NEEDS.allows(call);
    // Pending entries are spread over the list.
    let pending = |n: usize| n * all.pending / all.listed != (n + 1) * all.pending / all.listed;
    let limit = call.limit(size.default, size.most);
    let offset = call.parameter("offset").and_then(|offset| offset.parse().ok()).unwrap_or(0);
    let shown = (0..all.listed).filter(|n| reviewer || !pending(*n)).skip(offset).take(limit);
    let entries: Vec<Value> = shown
        .map(|n| {
            let mut entity = entry(n, reviewer);
            if reviewer && !plain {
                entity["requires_review"] = json!(pending(n));
            }
            entity
        })
        .collect();
    let full = entries.len() == limit && limit > 0;
    let reply = Reply::json(Value::Array(entries));
    // In all versions the next page is that of the public list, because the controller
    // inherits its links.
    let public = call.path.replace("/admin/", "/");
    if full { linked_at(call, &public, reply, &[("next", "offset", (offset + limit) as u64)]) } else { reply }
}
