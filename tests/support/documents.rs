//! Plausible documents, and variants with arbitrary JSON in some fields.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

/// None of the values is zero, false or empty.
pub const V2: &str = r#"{"domain":"mastodon.example","version":"4.6.4","source_url":"https://github.com/mastodon/mastodon",
    "usage":{"users":{"active_month":1234}},"registrations":{"enabled":true,"approval_required":true},
    "api_versions":{"mastodon":10},"rules":[{"id":"1","text":"Be kind."},{"id":"2"}],
    "configuration":{"statuses":{"max_characters":500,"max_media_attachments":4},"limited_federation":true}}"#;
pub const V1: &str = r#"{"uri":"mastodon.example","version":"4.6.4",
    "stats":{"user_count":5678,"status_count":91011,"domain_count":1213},
    "registrations":true,"approval_required":true,"rules":[{"id":"1"},{"id":"2"},{"id":"3"}],
    "configuration":{"statuses":{"max_characters":501,"max_media_attachments":5}}}"#;
pub const ACTIVITY: &str = r#"[{"week":"1775949325","statuses":"96","logins":"14","registrations":"3"},
    {"week":"1775344525","statuses":"700","logins":"41","registrations":"8"},
    {"week":"1774739725","statuses":"701","logins":"42","registrations":"9"}]"#;
pub const NODEINFO: &str = r#"{"version":"2.2","software":{"name":"mastodon","version":"4.6.4"},
    "usage":{"users":{"total":5679,"activeMonth":1235,"activeHalfyear":2345,"activeWeek":345},
    "localPosts":91012,"localComments":77},"openRegistrations":true,"metadata":{"nodeName":"Example"}}"#;
pub const ACCOUNT: &str = r#"{"id":"1","acct":"ada","followers_count":31,"following_count":32,
    "statuses_count":33,"last_status_at":"2026-04-11","suspended":null,"locked":true}"#;
pub const DISCOVERY: &str = r#"{"links":[
    {"rel":"http://nodeinfo.diaspora.software/ns/schema/2.0","href":"https://mastodon.example/nodeinfo/2.0"},
    {"rel":"http://nodeinfo.diaspora.software/ns/schema/2.1","href":"https://social.mastodon.example/nodeinfo/2.1"}]}"#;

/// A document with arbitrary JSON in some places.
#[derive(Debug, Clone)]
pub struct Mutated {
    pub body: String,
    /// The plausible document.
    pub of: &'static str,
    /// The changed places, as JSON Pointers (RFC 6901).
    pub places: Vec<String>,
}

/// Puts arbitrary JSON into one to three places of a document.
pub fn mutated(document: &'static str) -> impl Strategy<Value = Mutated> {
    vec((any::<prop::sample::Index>(), json()), 1..4).prop_map(move |changes| {
        let mut root: Value = serde_json::from_str(document).unwrap();
        let (mut pieces, mut changed) = (Vec::new(), Vec::new());
        for (place, json) in changes {
            let mut places = Vec::new();
            list(&root, &mut String::new(), &mut places);
            let place = place.get(&places);
            if let Some(value) = root.pointer_mut(place) {
                // The text is changed, because a `Value` cannot hold every JSON.
                *value = Value::String(format!("@hole {}@", pieces.len()));
                pieces.push(json);
                changed.push(place.clone());
            }
        }
        let mut body = root.to_string();
        for (i, json) in pieces.iter().enumerate() {
            body = body.replace(&format!("\"@hole {i}@\""), json);
        }
        Mutated { body, of: document, places: changed }
    })
}

/// JSON Pointers (RFC 6901) to all values.
fn list(value: &Value, place: &mut String, places: &mut Vec<String>) {
    places.push(place.clone());
    let mut below = |key: &str, value: &Value| {
        let end = place.len();
        place.push('/');
        place.push_str(key);
        list(value, place, places);
        place.truncate(end);
    };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| below(key, value)),
        Value::Array(items) => items.iter().enumerate().for_each(|(i, item)| below(&i.to_string(), item)),
        _ => {}
    }
}

/// The text of an arbitrary JSON value, with a preference for values that servers send.
fn json() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        4 => prop::sample::select(ODD).prop_map(str::to_owned),
        1 => any::<i64>().prop_map(|n| n.to_string()),
        1 => any::<u64>().prop_map(|n| n.to_string()),
        1 => (-1.0e20..1.0e20f64).prop_map(|n| n.to_string()),
        1 => any::<i64>().prop_map(|n| format!("\"{n}\"")),
        2 => any::<String>().prop_map(|text| Value::String(text).to_string()),
    ];
    scalar.prop_recursive(3, 12, 4, |inner| {
        let key = prop::sample::select(KEYS);
        let field = (key, inner.clone()).prop_map(|(key, value)| format!("\"{key}\":{value}"));
        prop_oneof![
            vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            vec(field, 0..4).prop_map(|fields| format!("{{{}}}", fields.join(","))),
        ]
    })
}

#[rustfmt::skip]
const ODD: &[&str] = &[
    "null", "true", "false", "0", "-0", "-0.0", "0.0", "1", "-1", "0.5", "7.0", "1e3", "1e400", "-1e400",
    "9223372036854775807", "9223372036854775808", "-9223372036854775808", "18446744073709551616",
    "99999999999999999999999999999999999999999999999", "[]", "{}", "[0]", "{\"all\":0}", "{\"all\":-1}", "\"\"",
    "\"0\"", "\"-0\"", "\"-1\"", "\"00\"", "\" 12 \"", "\"+5\"", "\"1.0\"", "\"1e3\"", "\"0x10\"", "\"many\"",
    "\"٣\"", "\"99999999999999999999\"", "\"true\"", "\"FALSE\"", "\"\\ud83d\"", "\"\\u0000\"",
    "\"1960-01-01\"", "\"1970-01-01\"", "\"-009999-01-01\"", "\"2026-13-45\"", "\"2026-04-11T10:00:00.000Z\"",
    "\"3.4.1\"", "\"takahe/0.11.0\"", "\"2.8.0 (compatible; Friendica 2024.08)\"", "\"gotosocial\"", "\"misskey\"",
    "\"writefreely\"", "\"1775949325\"", "\"1775949326\"", "-9999999999999",
];

#[rustfmt::skip]
const KEYS: &[&str] = &[
    "all", "total", "activeMonth", "users", "usage", "stats", "user_count", "active_month", "statuses",
    "max_characters", "week", "logins", "rel", "href", "links", "0", "name", "version", "software", "enabled",
    "error",
];

/// Arbitrary input: bytes, words, and almost JSON.
pub fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..200),
        any::<String>().prop_map(String::into_bytes),
        json().prop_map(String::into_bytes),
        vec(prop::sample::select(PIECES), 0..30).prop_map(|pieces| pieces.concat().into_bytes()),
        // A truncated document.
        (mutated(V2), any::<prop::sample::Index>()).prop_map(|(document, cut)| {
            let mut body = document.body.into_bytes();
            body.truncate(cut.index(body.len() + 1));
            body
        }),
    ]
}

#[rustfmt::skip]
const PIECES: &[&str] = &[
    "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "d83d", "\\ud83d", "\\udc00", "0", "-", "1e400", "e", ".",
    "null", "true", "\"error\":", "\"links\":", "\"week\":", "\n", "\u{feff}", " ", "<html>",
];

/// Version strings, and combinations of their parts.
pub fn version() -> impl Strategy<Value = String> {
    let part = prop::sample::select(VERSION_PARTS);
    prop_oneof![any::<String>(), vec(part, 0..8).prop_map(|parts| parts.concat())]
}

#[rustfmt::skip]
const VERSION_PARTS: &[&str] = &[
    "4.6.4", "2.7.2", " (", ")", "compatible; ", "not true; ", "really ", "Akkoma", " ", "/", ";", "takahe/", "+",
    "+hometown-", "+glitch", "v", "1.0.7", ".", "99999999999999999999", "git-", "Mastodon", "(", "é", "\u{a0}",
];
