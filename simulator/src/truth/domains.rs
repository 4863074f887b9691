//! The domains that an instance knows, and those that it blocks.

use super::instance::Instance;

const TREES: [&str; 16] = [
    "alder", "aspen", "beech", "birch", "cedar", "elder", "elm", "fir", "hazel", "larch", "lime", "maple",
    "oak", "pine", "rowan", "willow",
];

/// Numbers of blocked domains by severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DomainBlocks {
    /// Limited: only followers see their posts.
    pub silence: usize,
    /// Suspended: nothing of them is accepted.
    pub suspend: usize,
}

/// Returns the name of domain number `n`. Names are unique.
pub(crate) fn domain(n: usize) -> String {
    format!("{}-{n}.{}.example", TREES[n % 16], TREES[n / 16 % 16])
}

/// Blocked domains have numbers above those of all peers.
const FIRST_BLOCKED: usize = 10_000_000;

/// Returns the name of blocked domain number `n`.
pub(crate) fn blocked_domain(n: usize) -> String {
    domain(FIRST_BLOCKED + n)
}

/// The number of domains that an instance has blocked.
pub(crate) fn blocks(instance: &Instance) -> DomainBlocks {
    let up_to = |salt, most| instance.numbers.up_to(salt, most);
    DomainBlocks { silence: 2 + up_to(40, 40.0), suspend: 5 + up_to(41, 160.0) }
}

/// The number of domains that an instance knows and has not blocked.
pub(crate) fn peers(instance: &Instance, now: i64) -> usize {
    let blocked = blocks(instance);
    (instance.numbers.domains(now) as usize).saturating_sub(blocked.silence + blocked.suspend)
}
