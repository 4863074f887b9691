//! Divides the file descriptors of the process, so that clients of the bridge and
//! requests to servers take none from each other.

use crate::fetch::FLEET;

/// The descriptors for everything else: standard streams, listeners, the event loop,
/// files, the OTLP receiver.
const RESERVED: usize = 24;

/// The descriptors that the bridge would like to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wishes {
    /// Connections of clients.
    pub connections: usize,
    /// Simultaneous requests to servers.
    pub requests: usize,
    /// Simultaneous requests to one host.
    pub requests_per_host: usize,
    /// The number of targets.
    pub targets: usize,
}

/// The descriptors that the bridge may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Connections of clients.
    pub connections: usize,
    /// Simultaneous requests to servers.
    pub requests: usize,
    /// The number of connections per host that are kept between collections.
    pub kept_per_host: usize,
    /// The maximum number of open connections to servers, kept ones included.
    pub open: usize,
}

impl Budget {
    /// Raises the limit on open files as far as allowed, and divides them.
    #[must_use]
    pub fn of_the_system(wishes: Wishes) -> Budget {
        let limit = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1024);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let budget = Budget::within(limit, wishes);
        let kept = budget.open - budget.requests;
        let narrow = budget.connections < wishes.connections || budget.requests < wishes.requests;
        if narrow || kept < budget.kept_per_host * wishes.targets {
            tracing::warn!(
                "the limit of {limit} open files leaves room for {} clients, {} requests to servers at once \
                 and {kept} connections kept between them; raise it with ulimit -n or LimitNOFILE",
                budget.connections,
                budget.requests,
            );
        }
        budget
    }

    /// At most a quarter is for clients. Of the rest at most a third is for requests, as
    /// much for what they need beside their connections (look-ups, a second address that
    /// is tried), and the remainder for kept connections.
    fn within(limit: usize, wishes: Wishes) -> Budget {
        let limit = limit.saturating_sub(RESERVED);
        let connections = wishes.connections.min((limit / 4).max(4));
        let asking = limit.saturating_sub(connections);
        let requests = wishes.requests.min((asking / 3).max(1));
        let kept_per_host = if wishes.targets > FLEET { 1 } else { wishes.requests_per_host };
        Budget { connections, requests, kept_per_host, open: (asking - requests.min(asking)).max(requests) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_and_requests_share_what_there_is() {
        let usual = Wishes { connections: 256, requests: 256, requests_per_host: 2, targets: 10 };
        let fleet = Wishes { targets: 1000, ..usual };
        for (limit, wishes, connections, requests, kept_per_host, open) in [
            (16, usual, 4, 1, 2, 1),
            (64, usual, 10, 10, 2, 20),
            (256, usual, 58, 58, 2, 116),
            (1024, usual, 250, 250, 2, 500),
            (1024, fleet, 250, 250, 1, 500),
            (4096, fleet, 256, 256, 1, 3560),
            (usize::MAX, usual, 256, 256, 2, usize::MAX - 536),
        ] {
            let budget = Budget::within(limit, wishes);
            assert_eq!(
                budget,
                Budget { connections, requests, kept_per_host, open },
                "{limit} for {wishes:?}"
            );
            let asking = budget.open.saturating_add(budget.requests);
            let all = RESERVED.saturating_add(budget.connections).saturating_add(asking);
            assert!(all <= limit || limit < 64, "{limit}: {budget:?}");
        }
    }
}
