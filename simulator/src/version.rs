//! The features of a Mastodon version.

use std::sync::Arc;

/// The default versions of the instances in turn: one of each generation of formats.
pub(crate) const GENERATIONS: [&str; 4] = ["4.6.4", "4.2.13", "3.4.10", "2.4.5"];

/// A Mastodon version, compared by its first three numbers.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    /// The version as the server writes it.
    pub text: Arc<str>,
    number: (u32, u32, u32),
}

impl Version {
    /// Parses `4.6.4`, and the numbers in `4.5.0+glitch` or `2.4.1rc1`. A missing
    /// number counts as 0.
    pub fn new(text: &str) -> Version {
        let mut numbers = text.split('.').map(|part| {
            let digits = part.find(|c: char| !c.is_ascii_digit()).map_or(part, |end| &part[..end]);
            digits.parse().unwrap_or(0)
        });
        let mut next = || numbers.next().unwrap_or(0);
        Version { text: text.into(), number: (next(), next(), next()) }
    }

    /// Whether this is `major.minor` or later.
    pub fn since(&self, major: u32, minor: u32) -> bool {
        self.since_patch((major, minor, 0))
    }

    /// Whether this is the given release or later.
    pub fn since_patch(&self, number: (u32, u32, u32)) -> bool {
        self.number >= number
    }

    /// Whether this has the security fixes of 2026-07-27, which made the dashboard's
    /// endpoints check their parameters.
    pub fn checks_parameters(&self) -> bool {
        match self.number {
            (4, 4, patch) => patch >= 21,
            (4, 5, patch) => patch >= 14,
            number => number >= (4, 6, 4),
        }
    }

    /// `api_versions.mastodon`, which counts the changes of the API from 4.3 on.
    pub fn api_version(&self) -> Option<u32> {
        match self.number {
            (4, 3, _) => Some(2),
            (4, 4, _) => Some(6),
            (4, 5, _) => Some(7),
            (4, 6, _) => Some(10),
            number if number > (4, 6, 0) => Some(11),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_versions_as_they_occur() {
        for (text, number) in [
            ("4.6.4", (4, 6, 4)),
            ("2.4.1rc1", (2, 4, 1)),
            ("4.5.0+glitch", (4, 5, 0)),
            ("4.3", (4, 3, 0)),
            ("unknown version", (0, 0, 0)),
            ("", (0, 0, 0)),
        ] {
            assert_eq!(Version::new(text).number, number, "{text}");
        }
        for (text, checks) in
            [("4.4.20", false), ("4.4.21", true), ("4.5.13", false), ("4.5.14", true), ("4.6.3", false)]
        {
            assert_eq!(Version::new(text).checks_parameters(), checks, "{text}");
        }
        assert_eq!(Version::new("4.2.13").api_version(), None);
        assert_eq!(Version::new("4.6.4").api_version(), Some(10));
    }
}
