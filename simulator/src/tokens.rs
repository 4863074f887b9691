//! Access tokens: their scopes, and the permissions of their users.

use crate::version::Version;

/// A user's access token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSpec {
    /// The text after `Bearer` in `Authorization`.
    pub secret: String,
    /// The scopes: `read`, `admin:read:reports`, … A scope covers those that begin with
    /// it and a colon.
    pub scopes: Vec<String>,
    /// The permissions of the user's role, as bits of [`permission`]. Before 4.0 there
    /// are only staff and others, and anyone who may do more than invite is staff.
    pub permissions: u64,
}

impl TokenSpec {
    /// Creates a token with these scopes, separated by spaces, of a user with these
    /// permissions.
    #[must_use]
    pub fn new(secret: &str, scopes: &str, permissions: u64) -> TokenSpec {
        let scopes = scopes.split_whitespace().map(str::to_owned).collect();
        TokenSpec { secret: secret.to_owned(), scopes, permissions }
    }

    /// Creates the owner's token, with every scope and permission.
    #[must_use]
    pub fn everything(secret: &str) -> TokenSpec {
        TokenSpec::new(
            secret,
            "read write follow push profile admin:read admin:write",
            permission::ADMINISTRATOR,
        )
    }

    /// Whether the token has a scope, or one that covers it.
    pub(crate) fn has_scope(&self, wanted: &str) -> bool {
        self.scopes.iter().any(|scope| {
            wanted.strip_prefix(scope.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
        })
    }

    /// Whether the user has this permission.
    pub(crate) fn may(&self, wanted: u64, version: &Version) -> bool {
        let granted = self.granted(version);
        if version.since(4, 0) { granted & wanted != 0 } else { granted & !permission::INVITE_USERS != 0 }
    }

    /// Returns every bit of the user's role. An administrator has all of them, and
    /// everyone may invite.
    pub(crate) fn granted(&self, version: &Version) -> u64 {
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

/// The bits of `role.permissions` that matter for reading.
pub mod permission {
    /// All permissions.
    pub const ADMINISTRATOR: u64 = 1;
    /// Measures, dimensions, retention.
    pub const VIEW_DASHBOARD: u64 = 1 << 3;
    /// Reports.
    pub const MANAGE_REPORTS: u64 = 1 << 4;
    /// Blocked and allowed domains.
    pub const MANAGE_FEDERATION: u64 = 1 << 5;
    /// Blocked addresses and e-mail.
    pub const MANAGE_BLOCKS: u64 = 1 << 7;
    /// Trends.
    pub const MANAGE_TAXONOMIES: u64 = 1 << 8;
    /// Accounts, including pending ones.
    pub const MANAGE_USERS: u64 = 1 << 10;
    /// The permission of every user.
    pub const INVITE_USERS: u64 = 1 << 16;
}

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

    #[test]
    fn roles_came_with_4_0() {
        let (old, new) = (Version::new("3.5.3"), Version::new("4.6.4"));
        let moderator = TokenSpec::new("x", "", permission::MANAGE_REPORTS);
        assert!(moderator.may(permission::MANAGE_REPORTS, &new));
        assert!(!moderator.may(permission::MANAGE_USERS, &new));
        assert!(moderator.may(permission::MANAGE_USERS, &old));
        assert!(!TokenSpec::new("x", "", permission::INVITE_USERS).may(permission::MANAGE_USERS, &old));
        assert_eq!(moderator.granted(&new), permission::MANAGE_REPORTS | permission::INVITE_USERS);
        assert_eq!(TokenSpec::everything("x").granted(&new), 8_388_607);
    }
}
