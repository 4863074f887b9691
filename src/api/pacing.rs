//! What a target's attempts share so that its server is not asked more than it
//! wants.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Moment;

use super::Paging;

/// One target's.
#[derive(Debug, Default)]
pub struct Pacing {
    /// What of the paging budget is left.
    pub paging: Paging,
    /// Until when nothing below `/api` is asked.
    pub hold: Hold,
}

/// Until when nothing below `/api` is asked, because the rate limit is spent.
#[derive(Debug, Default)]
pub struct Hold(Mutex<Moment>);

impl Hold {
    /// Until when; in the past where requests go out.
    #[must_use]
    pub fn until(&self) -> Moment {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much longer, at this moment.
    #[must_use]
    pub fn left(&self, now: Moment) -> Option<Duration> {
        Some(self.until().since(now)).filter(|left| !left.is_zero())
    }

    /// Holds until this moment at least.
    pub fn extend(&self, until: Moment) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *held = until.max(*held);
    }
}
