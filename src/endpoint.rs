//! The endpoints of a target, one row each: the name in `fedimeter.endpoint.name`, when
//! it is collected, the shortest time between two requests, its special properties, and
//! after `=>` the scope and permission that a token needs.

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
    /// For targets that list what to request (`accounts`, `tags`) or how to behave
    /// (`robots`).
    Listed,
}

/// A special property of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trait {
    /// A successful answer shows that the server is up.
    ShowsUp,
    /// Requests do not count against the rate limit of `/api`.
    OutsideApi,
}

macro_rules! endpoints {
    ($(
        $(#[$doc:meta])*
        $variant:ident $name:literal $on:ident $interval:expr
        $(, $trait:ident)* $(=> $scope:literal $permission:ident)?;
    )*) => {
        /// A kind of request to a server, with one outcome and one lifetime.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Endpoint { $( $(#[$doc])* $variant, )* }

        impl Endpoint {
            /// All endpoints, in the order in which they are requested and shown.
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

            /// The shortest time between two requests, unless the user sets another. It
            /// is how often the number can change on the server.
            #[must_use]
            pub fn interval(self) -> Duration {
                match self { $( Endpoint::$variant => $interval, )* }
            }

            fn traits(self) -> &'static [Trait] {
                match self { $( Endpoint::$variant => &[$( Trait::$trait, )*], )* }
            }

            /// What a token needs for this endpoint; `None` if any token will do, or
            /// none is needed.
            #[must_use]
            pub fn needs(self) -> Option<Needs> {
                let needs: &[Needs] = match self {
                    $( Endpoint::$variant => &[$( Needs::new($scope, $permission) )?], )*
                };
                needs.first().copied()
            }
        }
    };
}

const HALF_A_MINUTE: Duration = Duration::from_secs(30);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

endpoints! {
    /// `GET /robots.txt`, for targets that obey it.
    Robots "robots" Listed DAY, OutsideApi;
    /// `GET /api/v2/instance`: Mastodon 4.0 and later.
    InstanceV2 "instance_v2" Default MINUTE, ShowsUp;
    /// `GET /api/v1/instance`: every server that speaks Mastodon's API.
    InstanceV1 "instance_v1" Default MINUTE, ShowsUp;
    /// `GET /.well-known/nodeinfo`: the place of the NodeInfo document.
    NodeinfoDiscovery "nodeinfo_discovery" Default DAY, OutsideApi;
    /// The NodeInfo document itself.
    Nodeinfo "nodeinfo" Default MINUTE, ShowsUp, OutsideApi;
    /// `GET /api/v1/instance/activity`.
    Activity "activity" Default HOUR;
    /// `GET /health` of the web server, and that of the streaming server.
    Health "health" OptIn HALF_A_MINUTE, OutsideApi;
    /// The newest posts of `GET /api/v1/timelines/public`.
    Timelines "timelines" OptIn HALF_A_MINUTE;
    /// `GET /api/v1/instance/peers`, counted as it streams in.
    Peers "peers" OptIn HOUR * 6;
    /// `GET /api/v1/instance/domain_blocks`.
    DomainBlocks "domain_blocks" OptIn HOUR * 6;
    /// `GET /api/v1/custom_emojis`.
    CustomEmojis "custom_emojis" OptIn HOUR * 6;
    /// The accounts that the target lists.
    Accounts "accounts" Listed MINUTE * 5;
    /// `GET /api/v1/tags/:name` of the hashtags that the target lists.
    Tags "tags" Listed MINUTE * 5;
    /// `GET /api/v1/accounts/verify_credentials`: the permissions of the token.
    Credentials "credentials" Token HOUR;
    /// `GET /api/v1/announcements`.
    Announcements "announcements" Token MINUTE * 5;
    /// Pages of `GET /api/v1/admin/reports`.
    AdminReports "admin_reports" Token MINUTE * 5 => "admin:read:reports" MANAGE_REPORTS;
    /// Pages of pending accounts.
    AdminAccounts "admin_accounts" Token MINUTE * 5 => "admin:read:accounts" MANAGE_USERS;
    /// `GET /api/v1/admin/trends/{tags,statuses,links}`.
    AdminTrends "admin_trends" Token MINUTE * 5 => "admin:read" MANAGE_TAXONOMIES;
    /// `POST /api/v1/admin/measures`.
    AdminMeasures "admin_measures" Token MINUTE * 5 => "admin:read" VIEW_DASHBOARD;
    /// `space_usage` of `POST /api/v1/admin/dimensions`, which is slow.
    AdminStorage "admin_storage" Token HOUR => "admin:read" VIEW_DASHBOARD;
    /// `software_versions` of `POST /api/v1/admin/dimensions`.
    AdminSoftware "admin_software" Token HOUR => "admin:read" VIEW_DASHBOARD;
    /// `languages` of `POST /api/v1/admin/dimensions`.
    AdminLanguages "admin_languages" Token HOUR => "admin:read" VIEW_DASHBOARD;
    /// `POST /api/v1/admin/retention`.
    AdminRetention "admin_retention" Token HOUR * 6 => "admin:read" VIEW_DASHBOARD;
    /// Pages of `GET /api/v1/admin/domain_blocks`.
    AdminDomainBlocks "admin_domain_blocks" Token HOUR * 6 => "admin:read:domain_blocks" MANAGE_FEDERATION;
    /// Pages of `GET /api/v1/admin/domain_allows`.
    AdminDomainAllows "admin_domain_allows" Token HOUR * 6 => "admin:read:domain_allows" MANAGE_FEDERATION;
    /// Pages of `GET /api/v1/admin/ip_blocks`.
    AdminIpBlocks "admin_ip_blocks" Token HOUR * 6 => "admin:read:ip_blocks" MANAGE_BLOCKS;
    /// Pages of `GET /api/v1/admin/email_domain_blocks`.
    AdminEmailDomainBlocks "admin_email_domain_blocks" Token HOUR * 6 => "admin:read:email_domain_blocks" MANAGE_BLOCKS;
    /// Pages of `GET /api/v1/admin/canonical_email_blocks`.
    AdminCanonicalEmailBlocks "admin_canonical_email_blocks" Token HOUR * 6 => "admin:read:canonical_email_blocks" MANAGE_BLOCKS;
}

/// What a token needs for an endpoint: an OAuth scope, and a permission of its user's
/// role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// The narrowest sufficient scope.
    pub scope: &'static str,
    /// The permission, as Mastodon's role settings call it.
    pub permission: &'static str,
    /// The bit in `role.permissions` (Mastodon 4.0 and later).
    pub bit: u64,
}

/// A permission of a role, and its bit.
type Permission = (&'static str, u64);

const VIEW_DASHBOARD: Permission = ("View Dashboard", 1 << 3);
const MANAGE_REPORTS: Permission = ("Manage Reports", 1 << 4);
const MANAGE_FEDERATION: Permission = ("Manage Federation", 1 << 5);
const MANAGE_BLOCKS: Permission = ("Manage Blocks", 1 << 7);
const MANAGE_TAXONOMIES: Permission = ("Manage Taxonomies", 1 << 8);
const MANAGE_USERS: Permission = ("Manage Users", 1 << 10);

impl Needs {
    const fn new(scope: &'static str, (permission, bit): Permission) -> Needs {
        Needs { scope, permission, bit }
    }
}

impl Endpoint {
    /// Returns the endpoints whose [`Endpoint::on`] is `on`, in the order of
    /// [`Endpoint::ALL`].
    pub fn collected(on: On) -> impl Iterator<Item = Endpoint> {
        Endpoint::ALL.iter().copied().filter(move |endpoint| endpoint.on() == on)
    }

    /// Returns the endpoint of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Endpoint> {
        Endpoint::ALL.iter().copied().find(|e| e.name() == name)
    }

    /// Whether requests count against the rate limit of `/api`.
    #[must_use]
    pub fn is_under_api(self) -> bool {
        !self.traits().contains(&Trait::OutsideApi)
    }

    /// Whether a successful answer shows that the server is up: the three documents
    /// behind `fedimeter.target.up`.
    #[must_use]
    pub fn shows_up(self) -> bool {
        self.traits().contains(&Trait::ShowsUp)
    }
}
