//! Limits that a target's attempts share, so that its server is not overloaded.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Moment;

use super::Paging;

/// The limits for one target.
#[derive(Debug, Default)]
pub struct Pacing {
    /// The paging budget.
    pub paging: Paging,
    /// The pause for everything below `/api`.
    pub hold: Hold,
}

/// Until when nothing below `/api` is requested, because the rate limit is used up.
#[derive(Debug, Default)]
pub struct Hold(Mutex<Moment>);

impl Hold {
    /// Returns the end of the pause. It is in the past if there is none.
    #[must_use]
    pub fn until(&self) -> Moment {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the remaining pause at this moment.
    #[must_use]
    pub fn left(&self, now: Moment) -> Option<Duration> {
        Some(self.until().since(now)).filter(|left| !left.is_zero())
    }

    /// Extends the pause to this moment, if it is shorter.
    pub fn extend(&self, until: Moment) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *held = until.max(*held);
    }
}
