//! The few numbers that people look at first: users, posts, active users.

use std::fmt;

use crate::metrics::{Number, Row, ShownAs, rows};
use crate::snapshot::Reading;

/// The rows of the metric table that have these numbers.
pub(crate) struct Headline {
    users: Vec<&'static Row>,
    posts: Vec<&'static Row>,
    active: Vec<&'static Row>,
}

impl fmt::Debug for Headline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Headline").finish_non_exhaustive()
    }
}

impl Headline {
    pub fn new() -> Headline {
        let of = |shown| rows().filter(|row| row.shown == shown).collect();
        Headline { users: of(ShownAs::Users), posts: of(ShownAs::Posts), active: of(ShownAs::ActiveUsers) }
    }

    /// Users, if the target says how many.
    pub fn users(&self, r: &Reading<'_>) -> Option<i64> {
        first(r, &self.users)
    }

    /// Posts.
    pub fn posts(&self, r: &Reading<'_>) -> Option<i64> {
        first(r, &self.posts)
    }

    /// Users of the last month.
    pub fn active(&self, r: &Reading<'_>) -> Option<i64> {
        first(r, &self.active)
    }
}

fn first(r: &Reading<'_>, rows: &[&'static Row]) -> Option<i64> {
    rows.iter().find_map(|row| {
        let mut found = None;
        row.points(r, &mut |value, _| {
            found = match value {
                Number::Int(n) => Some(n),
                Number::Float(f) => Some(f as i64),
            };
        });
        found
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_read_from_metrics_that_there_are() {
        let Headline { users, posts, active } = Headline::new();
        assert!([users, posts, active].iter().all(|rows| rows.len() == 2));
    }
}
