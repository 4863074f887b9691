//! Suggestions for misspelt names.

/// Returns `; did you mean …?` if one of `names` is close to `word`, otherwise nothing.
#[must_use]
pub fn did_you_mean(word: &str, names: &[&str]) -> String {
    let word = word.to_lowercase().replace('-', "_");
    closest(&word, names).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

/// Returns the name of which `word`, in lower case, is a misspelling.
#[must_use]
pub fn closest<'a>(word: &str, names: &[&'a str]) -> Option<&'a str> {
    let word: Vec<char> = word.chars().collect();
    // A longer word is not a misspelt name, and the comparison is quadratic.
    if word.len() > 64 {
        return None;
    }
    let (distance, name) = names.iter().map(|name| (distance(&word, name), *name)).min()?;
    (distance <= (name.len() / 3).max(1)).then_some(name)
}

/// Returns the name that differs from `word` by at most two mistakes.
#[must_use]
pub fn misspelt<'a>(word: &str, names: &[&'a str]) -> Option<&'a str> {
    const MAX_SLIPS: usize = 2;
    let word: Vec<char> = word.chars().collect();
    if word.len() > 64 {
        return None;
    }
    let (distance, name) = names.iter().map(|name| (distance(&word, name), *name)).min()?;
    (1..=MAX_SLIPS).contains(&distance).then_some(name)
}

/// `a`, `b`, `c`.
#[must_use]
pub fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Returns how many characters must be added, removed, replaced or swapped with their
/// neighbour to turn one into the other.
fn distance(word: &[char], name: &str) -> usize {
    let name: Vec<char> = name.chars().collect();
    let first: Vec<usize> = (0..=word.len()).collect();
    let mut rows = vec![first];
    for (i, b) in name.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, a) in word.iter().enumerate() {
            let replaced = rows[i][j] + usize::from(a != b);
            let mut least = replaced.min(row[j] + 1).min(rows[i][j + 1] + 1);
            if i > 0 && j > 0 && *a == name[i - 1] && word[j - 1] == *b {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[name.len()][word.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_names_only() {
        let names = ["collect", "accounts", "token_file"];
        for (word, expected) in [
            ("colect", "; did you mean `collect`?"),
            ("clolect", "; did you mean `collect`?"),
            ("account", "; did you mean `accounts`?"),
            ("token-file", "; did you mean `token_file`?"),
            ("Collect", "; did you mean `collect`?"),
            ("zebra", ""),
            ("", ""),
        ] {
            assert_eq!(did_you_mean(word, &names), expected, "{word}");
        }
    }
}
