//! Why a name cannot be resolved.

use std::net::IpAddr;

use crate::outcome::ErrorType;

/// Why a name has no address that may be used.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The name has a special address.
    #[error(
        "{name} has the special address {address}; only configured servers may, unless probe.allow or \
         targets_url_allow_private permits it"
    )]
    Blocked {
        /// The name that was resolved.
        name: String,
        /// The first special address of the name.
        address: IpAddr,
    },
    /// The name does not exist.
    #[error("the name {name} was not found ({cause})")]
    NotFound {
        /// The name.
        name: String,
        /// The resolver's reason.
        cause: String,
    },
    /// This machine lacked the resources to ask.
    #[error("the name {name} could not be looked up ({cause})")]
    Local {
        /// The name.
        name: String,
        /// The missing resource.
        cause: String,
    },
    /// No name server answered whether the name exists.
    #[error("the name {name} could not be resolved for now ({cause})")]
    Unanswered {
        /// The name.
        name: String,
        /// The resolver's reason.
        cause: String,
    },
}

impl ResolveError {
    /// Returns the type of failure.
    #[must_use]
    pub fn error_type(&self) -> ErrorType {
        match self {
            ResolveError::Blocked { .. } => ErrorType::BlockedAddress,
            ResolveError::Local { .. } => ErrorType::Local,
            ResolveError::NotFound { .. } | ResolveError::Unanswered { .. } => ErrorType::Dns,
        }
    }
}
