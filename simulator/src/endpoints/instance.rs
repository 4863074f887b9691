//! The instance documents in the format of each version.

use http::header::HeaderName;
use serde_json::{Map, Value, json};

use super::accounts::entity;
use crate::call::{Call, needs_user};
use crate::reply::Reply;
use crate::truth::accounts::accounts;

/// `Deprecation` of RFC 9745, for which `http` has no constant.
const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");

const RULES: [&str; 8] = [
    "Be kind.",
    "Describe your pictures.",
    "No advertising.",
    "Mark what others may not want to see.",
    "No harassment.",
    "Credit what you did not make.",
    "Say when you are a bot.",
    "English, or say which language it is.",
];

const MEDIA_TYPES: [&str; 12] = [
    "image/jpeg",
    "image/png",
    "image/gif",
    "image/webp",
    "image/avif",
    "video/webm",
    "video/mp4",
    "video/quicktime",
    "audio/mpeg",
    "audio/ogg",
    "audio/flac",
    "audio/aac",
];

/// `GET /api/v1/instance`.
pub(crate) fn v1(call: &Call<'_>) -> Reply {
    let version = call.version();
    // With limited federation the document is public from 4.4 on.
    if call.switches.limited_federation && !call.authenticated() && !version.since(4, 4) {
        return needs_user();
    }
    let mut document = json!({
        "uri": call.domain,
        "title": call.title(),
        "description": call.description(),
        "email": "admin@example.org",
        "version": &*version.text,
        "urls": { "streaming_api": streaming(call) },
        "stats": {
            "user_count": call.users(),
            "status_count": call.statuses(),
            "domain_count": call.domains(),
        },
        "thumbnail": thumbnail(call),
        "languages": ["en"],
        "contact_account": contact(call),
    });
    let mut add = |since: (u32, u32, u32), name: &str, value: &dyn Fn() -> Value| {
        if version.since_patch(since) {
            document[name] = value();
        }
    };
    add((2, 7, 2), "registrations", &|| json!(call.registrations_open()));
    add((2, 9, 2), "short_description", &|| json!(call.description()));
    add((2, 9, 2), "approval_required", &|| json!(call.approval_required()));
    add((3, 1, 4), "invites_enabled", &|| json!(true));
    add((3, 4, 0), "rules", &|| rules(call));
    add((3, 4, 2), "configuration", &|| Value::Object(limits(call)));
    let reply = Reply::json(document);
    // Deprecated since 2022-11-14, which the header says since 4.4.
    if version.since(4, 4) { reply.with(DEPRECATION, "@1668384000") } else { reply }
}

/// `GET /api/v2/instance`, since 4.0: no totals, but active users.
pub(crate) fn v2(call: &Call<'_>) -> Reply {
    let version = call.version();
    if call.switches.limited_federation && !call.authenticated() && !version.since(4, 4) {
        return needs_user();
    }
    let active = if call.switches.limited_federation { 0 } else { call.active_month() };
    let mut document = json!({
        "domain": call.domain,
        "title": call.title(),
        "version": &*version.text,
        "source_url": "https://github.com/mastodon/mastodon",
        "description": call.description(),
        "usage": { "users": { "active_month": active } },
        "thumbnail": { "url": thumbnail(call) },
        "languages": ["en"],
        "configuration": configuration(call),
        "registrations": registrations(call),
        "contact": { "email": "admin@example.org", "account": contact(call) },
        "rules": rules(call),
    });
    if let Some(api) = call.say(|truth| truth.api_version, |instance, _| instance.version.api_version()) {
        document["api_versions"] = json!({ "mastodon": api });
        document["icon"] = json!([{ "src": format!("{}/packs/icon-48.png", call.base()), "size": "48x48" }]);
    }
    if version.since(4, 6) {
        document["wrapstodon"] = Value::Null;
    }
    Reply::json(document)
}

fn registrations(call: &Call<'_>) -> Value {
    let mut registrations = json!({
        "enabled": call.registrations_open(),
        "approval_required": call.approval_required(),
        "message": null,
    });
    if call.version().since(4, 2) {
        registrations["url"] = Value::Null;
    }
    if call.version().since(4, 4) {
        registrations["min_age"] = Value::Null;
        registrations["reason_required"] = json!(call.approval_required());
    }
    registrations
}

fn configuration(call: &Call<'_>) -> Value {
    let version = call.version();
    let mut urls = json!({ "streaming": streaming(call), "status": null });
    let mut configuration = limits(call);
    configuration.insert("translation".to_owned(), json!({ "enabled": false }));
    if version.since(4, 3) {
        urls["about"] = json!(format!("{}/about", call.base()));
        urls["privacy_policy"] = json!(format!("{}/privacy-policy", call.base()));
        urls["terms_of_service"] = Value::Null;
        // It has the form of a key, but the private half does not exist.
        configuration.insert("vapid".to_owned(), json!({ "public_key": "B".repeat(86) + "=" }));
    }
    if version.since(4, 4) {
        configuration.insert("limited_federation".to_owned(), json!(call.switches.limited_federation));
    }
    if version.since(4, 5) {
        let public = json!({ "local": "public", "remote": "public" });
        let live = if call.switches.timeline_preview { "public" } else { "authenticated" };
        let live = json!({ "local": live, "remote": live });
        let access = json!({ "live_feeds": live, "hashtag_feeds": public, "trending_link_feeds": public });
        configuration.insert("timelines_access".to_owned(), access);
    }
    configuration.insert("urls".to_owned(), urls);
    Value::Object(configuration)
}

/// Returns the limits that v1 and v2 share.
fn limits(call: &Call<'_>) -> Map<String, Value> {
    let newer = call.version().since(4, 2);
    let mut limits = Map::new();
    let mut add = |name: &str, value: Value| limits.insert(name.to_owned(), value);
    if call.version().since(4, 0) {
        add("accounts", json!({ "max_featured_tags": 10 }));
    }
    add(
        "statuses",
        json!({
            "max_characters": 500,
            "max_media_attachments": 4,
            "characters_reserved_per_url": 23,
        }),
    );
    add(
        "media_attachments",
        json!({
            "supported_mime_types": MEDIA_TYPES,
            "image_size_limit": if newer { 16_777_216 } else { 10_485_760 },
            "image_matrix_limit": if newer { 33_177_600 } else { 16_777_216 },
            "video_size_limit": if newer { 103_809_024 } else { 41_943_040 },
            "video_frame_rate_limit": if newer { 120 } else { 60 },
            "video_matrix_limit": if newer { 8_294_400 } else { 2_304_000 },
        }),
    );
    add(
        "polls",
        json!({
            "max_options": 4,
            "max_characters_per_option": 50,
            "min_expiration": 300,
            "max_expiration": 2_629_746,
        }),
    );
    limits
}

fn rules(call: &Call<'_>) -> Value {
    let version = call.version();
    (0..call.rules())
        .map(|n| {
            let mut rule = json!({ "id": (n + 1).to_string(), "text": RULES[n % RULES.len()] });
            if version.since(4, 3) {
                rule["hint"] = json!("");
            }
            if version.since(4, 4) {
                rule["translations"] = json!({});
            }
            rule
        })
        .collect()
}

fn contact(call: &Call<'_>) -> Value {
    if !call.switches.contact_account {
        return Value::Null;
    }
    let all = call.say(|truth| truth.accounts.clone(), accounts);
    all.first().map_or(Value::Null, |admin| entity(call, admin))
}

fn streaming(call: &Call<'_>) -> String {
    let scheme = if call.scheme == "https" { "wss" } else { "ws" };
    format!("{scheme}://{}", call.domain)
}

fn thumbnail(call: &Call<'_>) -> String {
    format!("{}/packs/preview.png", call.base())
}
