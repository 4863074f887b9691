//! Accounts.

use http::StatusCode;
use serde_json::{Value, json};

use super::needs::OUTSIDE_SCOPES;
use crate::call::Call;
use crate::dates::date;
use crate::reply::Reply;
use crate::tokens::permission::INVITE_USERS;
use crate::truth::accounts::{Account, accounts};

/// `GET /api/v1/accounts/lookup?acct=`, since 3.4: finds known accounts without asking
/// other servers.
pub(crate) fn lookup(call: &Call<'_>) -> Reply {
    let acct = call.parameter("acct").unwrap_or_default();
    let acct = acct.trim().trim_start_matches('@');
    let (username, domain) = acct.split_once('@').unwrap_or((acct, &call.domain));
    let host = call.domain.split(':').next().unwrap_or_default();
    let here = domain.eq_ignore_ascii_case(&call.domain) || domain.eq_ignore_ascii_case(host);
    found(call, |account| here && account.username.eq_ignore_ascii_case(username))
}

/// `GET /api/v1/accounts/:id`.
pub(crate) fn show(call: &Call<'_>) -> Reply {
    found(call, |account| account.id == call.last_segment())
}

/// `GET /api/v1/accounts?id[]=`, since 4.3: returns the known ones of at most 40
/// accounts.
pub(crate) fn index(call: &Call<'_>) -> Reply {
    if let Some(refusal) = call.closed() {
        return refusal;
    }
    let mut ids = call.list("id[]");
    ids.sort_unstable();
    ids.dedup();
    if ids.len() > 40 {
        return Reply::error(StatusCode::UNPROCESSABLE_ENTITY, "Too many accounts at once");
    }
    let mut known = call.say(|truth| truth.accounts.clone(), accounts);
    known.retain(|account| ids.binary_search(&account.id).is_ok());
    Reply::json(known.iter().map(|account| entity(call, account)).collect())
}

/// `GET /api/v1/accounts/verify_credentials`: the account of a token, from 4.0 on with
/// its role's permissions.
pub(crate) fn verify_credentials(call: &Call<'_>) -> Reply {
    let Some(token) = call.token() else {
        return Reply::error(StatusCode::UNAUTHORIZED, "The access token is invalid");
    };
    let version = call.version();
    let profile = version.since(4, 3) && token.has_scope("profile");
    if !profile && !token.has_scope("read:accounts") {
        return Reply::error(StatusCode::FORBIDDEN, OUTSIDE_SCOPES);
    }
    let all = call.say(|truth| truth.accounts.clone(), accounts);
    let Some(account) = all.first() else {
        return Reply::error(StatusCode::NOT_FOUND, "Record not found");
    };
    let mut entity = entity(call, account);
    entity["source"] = json!({
        "privacy": "public",
        "sensitive": false,
        "language": null,
        "note": "Lives in a simulator.",
        "fields": [],
        "follow_requests_count": 0,
    });
    if version.since(4, 0) {
        let granted = token.granted(version);
        entity["role"] = json!({
            "id": "3",
            "name": if granted == INVITE_USERS { "" } else { "Staff" },
            "permissions": granted.to_string(),
            "color": "",
            "highlighted": granted != INVITE_USERS,
        });
    }
    Reply::json(entity)
}

fn found(call: &Call<'_>, wanted: impl Fn(&Account) -> bool) -> Reply {
    if let Some(refusal) = call.closed() {
        return refusal;
    }
    match call.say(|truth| truth.accounts.clone(), accounts).iter().find(|account| wanted(account)) {
        Some(account) => Reply::json(entity(call, account)),
        None => Reply::error(StatusCode::NOT_FOUND, "Record not found"),
    }
}

/// An account as the instance's version shows it.
pub(crate) fn entity(call: &Call<'_>, account: &Account) -> Value {
    let (version, base, name) = (call.version(), call.base(), &account.username);
    let picture = |kind: &str| format!("{base}/{kind}s/original/missing.png");
    let created = date(account.created_at).unwrap_or_default();
    let mut entity = json!({
        "id": account.id,
        "username": name,
        "acct": name,
        "display_name": name,
        "locked": false,
        "created_at": format!("{created}T00:00:00.000Z"),
        "note": "<p>Lives in a simulator.</p>",
        "url": format!("{base}/@{name}"),
        "avatar": picture("avatar"),
        "avatar_static": picture("avatar"),
        "header": picture("header"),
        "header_static": picture("header"),
        "followers_count": account.followers,
        "following_count": account.following,
        "statuses_count": account.statuses,
        "emojis": [],
        "fields": [],
        "bot": name == "archive",
    });
    let mut add = |since: (u32, u32, u32), more: Value| {
        if version.since_patch(since)
            && let (Value::Object(entity), Value::Object(more)) = (&mut entity, more)
        {
            entity.extend(more);
        }
    };
    // 3.0 gave a time here; 3.1 and later give a day.
    add(
        (3, 0, 0),
        json!({ "last_status_at": account.last_status_at.as_ref().map(|d| format!("{d}T00:00:00.000Z")) }),
    );
    add((3, 1, 0), json!({ "last_status_at": account.last_status_at, "discoverable": true, "group": false }));
    add((4, 0, 0), json!({ "noindex": false }));
    add((4, 1, 0), json!({ "roles": [] }));
    add(
        (4, 2, 0),
        json!({ "uri": format!("{base}/users/{name}"), "indexable": true, "hide_collections": null }),
    );
    add(
        (4, 6, 0),
        json!({
            "avatar_description": "",
            "header_description": "",
            "show_media": true,
            "show_media_replies": true,
            "show_featured": true,
            "feature_approval": { "automatic": [], "manual": [], "current_user": "denied" },
        }),
    );
    entity
}
