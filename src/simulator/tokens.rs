//! Access tokens: what they are for and what their users may do.

use super::version::Version;

/// A user's access token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSpec {
    /// What stands behind `Bearer`.
    pub secret: String,
    /// Its scopes: `read`, `admin:read:reports`, … A scope covers those that
    /// begin with it and a colon.
    pub scopes: Vec<String>,
    /// What the user's role allows, as bits of [`permission`]. Before 4.0,
    /// which knows only staff and others, anyone who may do more than invite
    /// is staff.
    pub permissions: u64,
}

impl TokenSpec {
    /// A token with these scopes, separated by spaces, of a user with these
    /// permissions.
    #[must_use]
    pub fn new(secret: &str, scopes: &str, permissions: u64) -> TokenSpec {
        let scopes = scopes.split_whitespace().map(str::to_owned).collect();
        TokenSpec { secret: secret.to_owned(), scopes, permissions }
    }

    /// The owner's token, good for everything.
    #[must_use]
    pub fn everything(secret: &str) -> TokenSpec {
        TokenSpec::new(
            secret,
            "read write follow push profile admin:read admin:write",
            permission::ADMINISTRATOR,
        )
    }

    /// Whether it has a scope, or one that covers it.
    pub(super) fn has_scope(&self, wanted: &str) -> bool {
        self.scopes.iter().any(|scope| {
            wanted.strip_prefix(scope.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
        })
    }

    /// Every bit that the user's role has: all of them for an administrator,
    /// and everyone may invite.
    pub(super) fn granted(&self, version: &Version) -> u64 {
        if self.permissions & permission::ADMINISTRATOR == 0 {
            return self.permissions | permission::INVITE_USERS;
        }
        let bits = match version {
            version if version.since(4, 6) => 23,
            version if version.since(4, 5) => 21,
            _ => 20,
        };
        (1 << bits) - 1
    }
}

/// The bits of `role.permissions` that decide about what can be read.
pub mod permission {
    /// Everything.
    pub const ADMINISTRATOR: u64 = 1;
    /// Measures, dimensions, retention.
    pub const VIEW_DASHBOARD: u64 = 1 << 3;
    /// Reports.
    pub const MANAGE_REPORTS: u64 = 1 << 4;
    /// Blocks and allowances of domains.
    pub const MANAGE_FEDERATION: u64 = 1 << 5;
    /// Blocks of addresses and e-mail.
    pub const MANAGE_BLOCKS: u64 = 1 << 7;
    /// Trends.
    pub const MANAGE_TAXONOMIES: u64 = 1 << 8;
    /// Accounts, pending ones too.
    pub const MANAGE_USERS: u64 = 1 << 10;
    /// What every user may do.
    pub const INVITE_USERS: u64 = 1 << 16;
}

/// The refusal of a token whose scopes don't cover what it is used for.
pub(super) const OUTSIDE_SCOPES: &str = "This action is outside the authorized scopes";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_covers_what_is_under_it() {
        let token = TokenSpec::new("x", "read admin:read:reports", 0);
        for scope in ["read", "read:accounts", "admin:read:reports"] {
            assert!(token.has_scope(scope), "{scope}");
        }
        for scope in ["reading", "admin:read", "admin", "admin:read:accounts", "write"] {
            assert!(!token.has_scope(scope), "{scope}");
        }
    }
}
