//! Blocked domains as the public sees them.

use http::StatusCode;
use serde_json::{Value, json};

use super::call::{Call, needs_user};
use super::peers::domain;
use super::reply::Reply;
use super::state::{Instance, ShowDomainBlocks};
use super::truth::DomainBlocks;

/// `GET /api/v1/instance/domain_blocks`, since 4.0.
pub(super) fn domain_blocks(call: &Call<'_>) -> Reply {
    if call.switches.limited_federation && !call.authenticated() {
        return needs_user();
    }
    let shown = match call.switches.show_domain_blocks {
        ShowDomainBlocks::Disabled => false,
        ShowDomainBlocks::Users => call.authenticated(),
        ShowDomainBlocks::All => true,
    };
    if !shown {
        return Reply::empty(StatusCode::NOT_FOUND);
    }
    let blocks = call.say(|truth| truth.domain_blocks, |instance, _| blocked(instance));
    let list = (0..blocks.silence + blocks.suspend).map(|n| {
        let domain = domain(FIRST + n);
        // One in five is only hinted at, one in three comes with a reason.
        let shown = if n % 5 == 4 { format!("{}****.example", &domain[..3]) } else { domain.clone() };
        json!({
            "domain": shown,
            "digest": digest(n),
            "severity": if n < blocks.silence { "silence" } else { "suspend" },
            "comment": (n % 3 == 0).then_some("Not a place for us."),
        })
    });
    Reply::json(Value::Array(list.collect()))
}

/// Blocked domains have numbers of their own, above those of all peers.
const FIRST: usize = 10_000_000;

/// The domain that is blocked as the `n`th.
pub(super) fn blocked_domain(n: usize) -> String {
    domain(FIRST + n)
}

/// As long as a SHA-256 in hexadecimal digits; nobody compares it.
pub(super) fn digest(n: usize) -> String {
    format!("{:016x}", (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)).repeat(4)
}

/// How many domains an instance has blocked.
pub(super) fn blocked(instance: &Instance) -> DomainBlocks {
    let some = |salt, most: f64| (instance.numbers.unit(salt) * most) as usize;
    DomainBlocks { silence: 2 + some(40, 40.0), suspend: 5 + some(41, 160.0) }
}
