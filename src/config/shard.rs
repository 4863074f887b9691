//! The part of the targets that this bridge polls, if several bridges divide them.

use super::syntax::{Count, Parsed};
use crate::target::Target;

/// The maximum is more than any installation needs.
pub const SHARDS: Count = Count { min: 1, max: 65_536 };

/// A number, or a name that ends with one, like those of a StatefulSet's pods.
pub const ORDINAL: Parsed<usize> = Parsed {
    kind: "number, or name of a pod",
    placeholder: "N",
    expected: "a number from 0, or a name that ends in one, such as fedimeter-0",
    parse: ordinal,
    show: ToString::to_string,
};

/// One of several parts of the targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// The number of this part, from 0.
    pub index: usize,
    /// The number of parts.
    pub total: usize,
}

impl Default for Shard {
    /// All targets.
    fn default() -> Shard {
        Shard { index: 0, total: 1 }
    }
}

impl Shard {
    /// Whether targets are divided at all.
    #[must_use]
    pub fn is_part(self) -> bool {
        self.total > 1
    }

    /// Whether a target belongs to this part. It depends only on the target's name, not
    /// on its place in a list. Of M + 1 parts, a target is in the same part as among M
    /// parts, or in the new one.
    #[must_use]
    pub fn has(self, target: &Target) -> bool {
        !self.is_part() || place(&target.name, self.total) == self.index
    }

    /// Returns this part, or the one that the machine's name ends with.
    ///
    /// # Errors
    ///
    /// When the number is too large, or the name does not end with one.
    pub fn of(index: Option<usize>, total: usize, host_name: &str) -> Result<Shard, String> {
        let (index, from) = match index {
            _ if total == 1 && index.unwrap_or_default() == 0 => return Ok(Shard::default()),
            Some(index) => (index, String::new()),
            None => match ordinal(host_name) {
                Ok(index) => (index, format!(" (from the host name {host_name})")),
                Err(_) => {
                    return Err(format!(
                        "total_shards is {total}, and the host name {host_name} does not end in the number \
                         of a shard; set shard to a number from 0 to {}",
                        total - 1
                    ));
                }
            },
        };
        if index >= total {
            return Err(match total {
                1 => {
                    format!("shard {index} needs total_shards, the number of bridges that divide the targets")
                }
                _ => {
                    format!("there is no shard {index}{from} of {total}; they count from 0 to {}", total - 1)
                }
            });
        }
        Ok(Shard { index, total })
    }
}

fn ordinal(text: &str) -> Result<usize, String> {
    let digits = text.rsplit('-').next().unwrap_or_default();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.parse().ok().filter(|_| is_number);
    number.ok_or_else(|| "is neither a number nor a name that ends in one, such as fedimeter-0".to_owned())
}

/// Jump consistent hashing (Lamping and Veach, 2014) with a hash that is the same on
/// every machine and in every release. With one more part, only one of M + 1 targets
/// moves.
fn place(name: &str, total: usize) -> usize {
    let (mut key, _) = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_DNS, name.as_bytes()).as_u64_pair();
    let (mut place, mut next) = (0_u64, 0_u64);
    while next < total as u64 {
        place = next;
        key = key.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        next = ((place + 1) as f64 * ((1_u64 << 31) as f64 / ((key >> 33) + 1) as f64)) as u64;
    }
    usize::try_from(place).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_even_and_stay() {
        let names: Vec<String> = (0..9000).map(|i| format!("i{i}.example")).collect();
        for total in 2..=9 {
            let mut sizes = vec![0_usize; total];
            for name in &names {
                let (before, now) = (place(name, total - 1), place(name, total));
                assert!(now == before || now == total - 1, "{name} moved from {before} to {now}");
                sizes[now] += 1;
            }
            let fair = names.len() / total;
            assert!(sizes.iter().all(|size| size.abs_diff(fair) * 10 < fair), "{sizes:?}");
        }
    }

    /// Users divide series over bridges by this, so no release may change it.
    #[test]
    fn places_are_for_ever() {
        let places =
            ["mastodon.social", "fosstodon.org", "http://127.0.0.1:3000"].map(|name| place(name, 10));
        assert_eq!(places, PLACES);
    }

    const PLACES: [usize; 3] = [8, 3, 4];

    #[test]
    fn a_shard_is_told_by_number_or_by_name() {
        for (given, number) in [("0", 0), ("fedimeter-12", 12), ("a-b-3", 3)] {
            assert_eq!(ordinal(given), Ok(number));
        }
        for wrong in ["", "fedimeter", "fedimeter-", "-", "3a", "-1x", "99999999999999999999999"] {
            assert!(ordinal(wrong).is_err(), "{wrong}");
        }
        let of = |index, total, host| Shard::of(index, total, host).map(|shard| (shard.index, shard.total));
        assert_eq!(of(None, 1, "any"), Ok((0, 1)));
        assert_eq!(of(Some(1), 3, "any"), Ok((1, 3)));
        assert_eq!(of(None, 3, "fedimeter-2"), Ok((2, 3)));
        assert_eq!(of(Some(3), 3, "any"), Err("there is no shard 3 of 3; they count from 0 to 2".to_owned()));
        for (index, total, host, part) in [
            (None, 3, "fedimeter-3", "no shard 3 (from the host name fedimeter-3) of 3"),
            (None, 3, "box", "the host name box does not end in the number"),
            (Some(2), 1, "box", "shard 2 needs total_shards"),
        ] {
            let message = of(index, total, host).unwrap_err();
            assert!(message.contains(part), "{message}");
        }
    }
}
