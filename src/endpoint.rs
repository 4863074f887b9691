//! The endpoints that a target can be asked for: one row each, with the name
//! that stands in `fedimeter.endpoint.name` and the shortest time between two
//! requests.

use std::time::Duration;

/// When an endpoint is collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// For every target.
    Default,
    /// For targets that name it in `collect`.
    OptIn,
    /// For targets with a token.
    Token,
    /// For targets that list what to ask for (`accounts`, `tags`).
    Listed,
}

macro_rules! endpoints {
    ($( $(#[$doc:meta])* $variant:ident $name:literal $on:ident $interval:expr; )*) => {
        /// One thing that a server is asked for, with one outcome and one lifetime.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Endpoint { $( $(#[$doc])* $variant, )* }

        impl Endpoint {
            /// Every endpoint, in the order in which they are asked and shown.
            pub const ALL: &'static [Endpoint] = &[ $( Endpoint::$variant, )* ];

            /// The name in `fedimeter.endpoint.name`, in `collect` and in `intervals`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $( Endpoint::$variant => $name, )* }
            }

            /// When it is collected.
            #[must_use]
            pub fn on(self) -> On {
                match self { $( Endpoint::$variant => On::$on, )* }
            }

            /// The shortest time from one request to the next, unless the user
            /// sets another: how often the number can change on the server.
            #[must_use]
            pub fn interval(self) -> Duration {
                match self { $( Endpoint::$variant => $interval, )* }
            }
        }
    };
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

endpoints! {
    /// `GET /api/v2/instance`: Mastodon 4.0 and later.
    InstanceV2 "instance_v2" Default MINUTE;
    /// `GET /api/v1/instance`: every server that speaks Mastodon's API.
    InstanceV1 "instance_v1" Default MINUTE;
    /// `GET /.well-known/nodeinfo`: where the NodeInfo document is.
    NodeinfoDiscovery "nodeinfo_discovery" Default DAY;
    /// The NodeInfo document itself.
    Nodeinfo "nodeinfo" Default MINUTE;
    /// `GET /api/v1/instance/activity`.
    Activity "activity" Default HOUR;
    /// The accounts that the target lists.
    Accounts "accounts" Listed MINUTE * 5;
}

impl Endpoint {
    /// The endpoint of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Endpoint> {
        Endpoint::ALL.iter().copied().find(|e| e.name() == name)
    }

    /// Whether the answer alone shows that the server is there: the three
    /// documents that `fedimeter.target.up` is made of.
    #[must_use]
    pub fn shows_up(self) -> bool {
        matches!(self, Endpoint::InstanceV2 | Endpoint::InstanceV1 | Endpoint::Nodeinfo)
    }
}
