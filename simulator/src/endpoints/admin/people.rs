//! Reports, and accounts in the administrators' view, with e-mail and IP addresses. All
//! private data is marked by [`PRIVATE`](crate::PRIVATE).

use serde_json::{Value, json};

use super::super::accounts::entity;
use super::super::paging::{Size, ids, page};
use crate::call::Call;
use crate::dates::{DAY, instant};
use crate::reply::Reply;
use crate::truth::accounts::{Account, accounts};
use crate::truth::admin;
use crate::truth::reports::{self, Report};

const SIZE: Size = Size { default: 100, most: 200 };

/// `GET /api/v1/admin/reports`, since 2.9.1: open or resolved reports. Before 4.6 only
/// the presence of `resolved` counts, not its value.
pub(crate) fn reports(call: &Call<'_>) -> Reply {
    let says_no = |value: &str| call.version().since(4, 6) && matches!(value, "0" | "f" | "false" | "off");
    let resolved = call.parameter("resolved").is_some_and(|value| !value.is_empty() && !says_no(&value));
    let mut reports = call.say_admin(|truth| truth.reports.clone(), reports::reports);
    reports.retain(|report| report.resolved == resolved);
    reports.sort_unstable_by_key(|report| std::cmp::Reverse(report.id));
    let ids: Vec<u64> = reports.iter().map(|report| report.id).collect();
    page(call, SIZE, &ids, |n| report(call, &reports[n]))
}

fn report(call: &Call<'_>, report: &Report) -> Value {
    let created = instant(report.created_at * 1000);
    let moderator = || account(call, &person(1, report.created_at), true);
    let mut entity = json!({
        "id": report.id.to_string(),
        "action_taken": report.resolved,
        "comment": "This stays between us, I hope.",
        "created_at": created,
        "updated_at": created,
        "account": account(call, &person(report.id, report.created_at), true),
        "target_account": account(call, &person(report.id.wrapping_add(1), report.created_at), true),
        "assigned_account": report.assigned.then(moderator),
        "action_taken_by_account": report.resolved.then(moderator),
        "statuses": [],
    });
    if call.version().since(3, 5) {
        entity["category"] = json!(report.category);
        entity["forwarded"] = json!(false);
        entity["action_taken_at"] = json!(report.resolved.then_some(&created));
        entity["rules"] = json!([]);
    }
    entity
}

/// `GET /api/v1/admin/accounts`, since 2.9.1.
pub(crate) fn accounts_v1(call: &Call<'_>) -> Reply {
    accounts_that(call, call.parameter("pending").is_some_and(|value| !value.is_empty()))
}

/// `GET /api/v2/admin/accounts`, since 3.5.
pub(crate) fn accounts_v2(call: &Call<'_>) -> Reply {
    accounts_that(call, call.parameter("status").as_deref() == Some("pending"))
}

/// Returns the accounts that wait for approval, or those with a name.
fn accounts_that(call: &Call<'_>, wait: bool) -> Reply {
    if wait {
        let count = call.say_admin(|truth| truth.pending, |instance, _| admin::pending(instance));
        let ids = ids(count);
        let asked = call.instance.numbers.founded();
        return page(call, SIZE, &ids, |n| {
            account(call, &person(ids[n], asked + ids[n] as i64 * 600), false)
        });
    }
    let mut known = call.say(|truth| truth.accounts.clone(), accounts);
    let id = |account: &Account| account.id.parse::<u64>().unwrap_or(0);
    known.sort_unstable_by_key(|account| std::cmp::Reverse(id(account)));
    let ids: Vec<u64> = known.iter().map(id).collect();
    page(call, SIZE, &ids, |n| account(call, &known[n], true))
}

/// Returns an account without any content.
fn person(n: u64, created_at: i64) -> Account {
    Account {
        id: n.to_string(),
        username: format!("someone{n}"),
        followers: 0,
        following: 0,
        statuses: 0,
        last_status_at: None,
        created_at: created_at - DAY,
    }
}

fn account(call: &Call<'_>, account: &Account, approved: bool) -> Value {
    let (name, version) = (&account.username, call.version());
    let ip = format!("203.0.113.{}", account.created_at.rem_euclid(250) + 1);
    let created = instant(account.created_at * 1000);
    let mut entity = json!({
        "id": account.id,
        "username": name,
        "domain": null,
        "created_at": created,
        "email": format!("{name}@private.example"),
        "ip": ip,
        "confirmed": true,
        "suspended": false,
        "silenced": false,
        "disabled": false,
        "approved": approved,
        "locale": "en",
        "invite_request": (!approved).then_some("May this stay between us: I want to read along."),
        "account": entity(call, account),
    });
    entity["role"] = if version.since(4, 0) {
        json!({ "id": "-99", "name": "", "permissions": "65536", "color": "", "highlighted": false })
    } else {
        json!("user")
    };
    if version.since(3, 5) {
        entity["sensitized"] = json!(false);
        entity["ips"] = json!([{ "ip": ip, "used_at": created }]);
    }
    entity
}
