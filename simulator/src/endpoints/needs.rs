//! What an endpoint requires of a token.

use http::StatusCode;

use crate::call::Call;
use crate::reply::Reply;

/// What an administrator's endpoint requires of a token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needs {
    /// The token must have this scope, or one that covers it.
    pub scope: &'static str,
    /// The role of its user must have one of these permissions.
    pub permission: u64,
    /// Whether clients without token or permission get the public list, as with trends
    /// from 4.0 on.
    pub or_public: bool,
}

impl Needs {
    /// Returns the refusal of a request; revoked tokens have already been refused. The
    /// scope is checked first, then the permission.
    pub fn refusal(self, call: &Call<'_>) -> Option<Reply> {
        let forbidden = |text| Some(Reply::error(StatusCode::FORBIDDEN, text));
        if call.token().is_some_and(|token| !token.has_scope(self.scope)) {
            return forbidden(OUTSIDE_SCOPES);
        }
        if self.allows(call) || (self.or_public && call.version().since(4, 0)) {
            return None;
        }
        forbidden("This action is not allowed")
    }

    pub fn allows(self, call: &Call<'_>) -> bool {
        call.token().is_some_and(|token| token.may(self.permission, call.version()))
    }
}

/// The refusal of a token without the required scope.
pub(crate) const OUTSIDE_SCOPES: &str = "This action is outside the authorized scopes";
