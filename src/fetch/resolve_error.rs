//! Why a name leads nowhere.

use std::net::IpAddr;

use crate::outcome::ErrorType;

/// A name has no address that may be asked.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The name leads to a special address.
    #[error("{name} is at {address}, an address that no server's answer may lead to")]
    Blocked {
        /// The name that was resolved.
        name: String,
        /// The first special address that it has.
        address: IpAddr,
    },
    /// There is no such name.
    #[error("the name {name} was not found ({cause})")]
    NotFound {
        /// The name.
        name: String,
        /// What the resolver said.
        cause: String,
    },
    /// This machine had nothing left to ask with.
    #[error("the name {name} could not be looked up ({cause})")]
    Local {
        /// The name.
        name: String,
        /// What is lacking.
        cause: String,
    },
    /// Nobody said whether there is such a name.
    #[error("the name {name} could not be resolved for now ({cause})")]
    Unanswered {
        /// The name.
        name: String,
        /// What the resolver said.
        cause: String,
    },
}

impl ResolveError {
    /// What it counts as.
    #[must_use]
    pub fn error_type(&self) -> ErrorType {
        match self {
            ResolveError::Blocked { .. } => ErrorType::BlockedAddress,
            ResolveError::Local { .. } => ErrorType::Local,
            ResolveError::NotFound { .. } | ResolveError::Unanswered { .. } => ErrorType::Dns,
        }
    }
}
