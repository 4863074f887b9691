//! What an endpoint asks of a token.

use http::StatusCode;

use crate::call::Call;
use crate::reply::Reply;

/// What an endpoint of the administration asks of a token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needs {
    /// A scope that the token has, or one that covers it.
    pub scope: &'static str,
    /// One of these is among the permissions of its user's role.
    pub permission: u64,
    /// Whether those without permission, or without token, get what the public
    /// gets: so with trends from 4.0.
    pub or_public: bool,
}

impl Needs {
    /// The refusal of a request; a dead token has been refused before. First
    /// comes the token's scope, then what its user may do.
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

/// The refusal of a token whose scopes don't cover what it is used for.
pub(crate) const OUTSIDE_SCOPES: &str = "This action is outside the authorized scopes";
