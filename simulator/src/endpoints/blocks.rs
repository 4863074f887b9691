//! Blocked domains as the public sees them.

use http::StatusCode;
use serde_json::{Value, json};

use crate::call::{Call, needs_user};
use crate::reply::Reply;
use crate::truth::domains::{blocked_domain, blocks};
use crate::truth::switches::ShowDomainBlocks;

/// `GET /api/v1/instance/domain_blocks`, since 4.0.
pub(crate) fn domain_blocks(call: &Call<'_>) -> Reply {
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
    let blocks = call.say(|truth| truth.domain_blocks, |instance, _| blocks(instance));
    let list = (0..blocks.silence + blocks.suspend).map(|n| {
        let domain = blocked_domain(n);
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

/// As long as a SHA-256 in hexadecimal digits; nobody compares it.
pub(crate) fn digest(n: usize) -> String {
    format!("{:016x}", (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)).repeat(4)
}
