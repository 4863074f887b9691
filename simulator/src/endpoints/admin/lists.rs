//! Blocks and allowances, since 4.0.

use serde_json::{Value, json};

use super::super::blocks::digest;
use super::super::paging::{Size, ids, page};
use crate::call::Call;
use crate::dates::{DAY, instant, midnight};
use crate::reply::Reply;
use crate::truth::admin;
use crate::truth::domains::{blocked_domain, blocks, domain};

const DOMAINS: Size = Size { default: 100, most: 500 };
const OTHERS: Size = Size { default: 100, most: 200 };

/// `GET /api/v1/admin/domain_blocks`: the public ones, and those without an effect.
pub(crate) fn domain_blocks(call: &Call<'_>) -> Reply {
    let public = call.say(|truth| truth.domain_blocks, |instance, _| blocks(instance));
    let noop =
        call.say_admin(|truth| truth.noop_domain_blocks, |instance, _| admin::noop_domain_blocks(instance));
    let severities = [(public.silence, "silence"), (public.suspend, "suspend"), (noop, "noop")];
    page_of(call, DOMAINS, public.silence + public.suspend + noop, |n| {
        json!({
            "domain": blocked_domain(n),
            "digest": digest(n),
            "severity": nth(&severities, n),
            "reject_media": n % 3 == 0,
            "reject_reports": n % 4 == 0,
            "private_comment": "Between us: they know why.",
            "public_comment": null,
            "obfuscate": n % 5 == 4,
        })
    })
}

/// `GET /api/v1/admin/domain_allows`.
pub(crate) fn domain_allows(call: &Call<'_>) -> Reply {
    let limited = call.switches.limited_federation;
    let count =
        call.say_admin(|truth| truth.domain_allows, |instance, _| admin::domain_allows(instance, limited));
    page_of(call, DOMAINS, count, |n| json!({ "domain": domain(n) }))
}

/// `GET /api/v1/admin/ip_blocks`.
pub(crate) fn ip_blocks(call: &Call<'_>) -> Reply {
    let blocks = call.say_admin(|truth| truth.ip_blocks, |instance, _| admin::ip_blocks(instance));
    let severities = [
        (blocks.sign_up_requires_approval, "sign_up_requires_approval"),
        (blocks.sign_up_block, "sign_up_block"),
        (blocks.no_access, "no_access"),
    ];
    page_of(call, OTHERS, severities.iter().map(|(count, _)| count).sum(), |n| {
        json!({
            "ip": format!("203.0.113.{}/32", n % 256),
            "severity": nth(&severities, n),
            "comment": "Between us: a machine.",
            "expires_at": (n % 2 == 0).then(|| instant((call.now.seconds + DAY) * 1000)),
        })
    })
}

/// `GET /api/v1/admin/email_domain_blocks`.
pub(crate) fn email_domain_blocks(call: &Call<'_>) -> Reply {
    let count =
        call.say_admin(|truth| truth.email_domain_blocks, |instance, _| admin::email_domain_blocks(instance));
    let midnight = midnight(call.now.seconds);
    let history: Value = (0..7)
        .map(|days| json!({ "day": (midnight - days * DAY).to_string(), "accounts": "0", "uses": "0" }))
        .collect();
    page_of(
        call,
        OTHERS,
        count,
        |n| json!({ "domain": format!("mail-{n}.private.example"), "history": history }),
    )
}

/// `GET /api/v1/admin/canonical_email_blocks`.
pub(crate) fn canonical_email_blocks(call: &Call<'_>) -> Reply {
    let count = call.say_admin(
        |truth| truth.canonical_email_blocks,
        |instance, _| admin::canonical_email_blocks(instance),
    );
    page_of(call, OTHERS, count, |n| json!({ "canonical_email_hash": digest(n) }))
}

/// Returns a page of a list with this many entries. Adds an id and a date to each.
fn page_of(call: &Call<'_>, size: Size, count: usize, entry: impl Fn(usize) -> Value) -> Reply {
    let ids = ids(count);
    page(call, size, &ids, |n| {
        let mut entry = entry(n);
        entry["id"] = json!(ids[n].to_string());
        entry["created_at"] = json!(instant((call.instance.numbers.founded() + ids[n] as i64) * 1000));
        entry
    })
}

/// Returns the name of entry `n`, if each name belongs to this many entries.
fn nth(names: &[(usize, &'static str)], mut n: usize) -> &'static str {
    for (count, name) in names {
        if n < *count {
            return name;
        }
        n -= count;
    }
    ""
}
