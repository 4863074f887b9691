//! NodeInfo: the discovery and the document of schema 2.0, both since 3.0.

use serde_json::{Value, json};

use crate::call::Call;
use crate::reply::Reply;

/// `GET /.well-known/nodeinfo`.
pub(crate) fn discovery(call: &Call<'_>) -> Reply {
    Reply::json(json!({ "links": [{
        "rel": "http://nodeinfo.diaspora.software/ns/schema/2.0",
        "href": format!("{}/nodeinfo/2.0", call.base()),
    }] }))
}

/// `GET /nodeinfo/2.0`: always public, and with the true numbers.
pub(crate) fn document(call: &Call<'_>) -> Reply {
    let mut document = json!({
        "version": "2.0",
        "software": { "name": "mastodon", "version": &*call.version().text },
        "protocols": ["activitypub"],
        "usage": {
            "users": {
                "total": call.users(),
                "activeMonth": call.active_month(),
                "activeHalfyear": call.active_half_year(),
            },
            "localPosts": call.statuses(),
        },
        // This is also true if sign-ups wait for approval.
        "openRegistrations": call.registrations_open(),
    });
    // The schema requires both; Mastodon omitted them before 4.0.
    if call.version().since(4, 0) {
        document["services"] = json!({ "outbound": [], "inbound": [] });
        document["metadata"] = Value::Object(serde_json::Map::new());
    }
    if call.version().since(4, 3) {
        document["metadata"] = json!({
            "nodeName": call.title(),
            "nodeDescription": call.description(),
        });
    }
    Reply::json(document)
}
