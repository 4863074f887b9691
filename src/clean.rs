//! Prepares foreign text (of servers, receivers and clients of the pages) for logs,
//! pages, labels and terminals. Text is cleaned where it is read, so that writers need
//! not do it.

use std::fmt;
use std::sync::Arc;

/// The replacement for a secret.
const MASK: &str = "***";
/// The minimum length of a secret. A shorter value is not a key, and masking it would
/// damage ordinary words.
const MIN_SECRET: usize = 4;

/// Cleans foreign text, which may repeat our secrets.
#[derive(Clone, Default)]
pub struct Cleaner {
    /// The longest come first, because one may contain another.
    secrets: Arc<[String]>,
}

impl Cleaner {
    /// Creates a cleaner that masks these secrets.
    #[must_use]
    pub fn hiding(secrets: impl IntoIterator<Item = String>) -> Cleaner {
        let visible =
            |secret: String| secret.chars().filter_map(visible).collect::<String>().trim().to_owned();
        let mut secrets: Vec<String> =
            secrets.into_iter().map(visible).filter(|secret| secret.len() >= MIN_SECRET).collect();
        secrets.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        secrets.dedup();
        Cleaner { secrets: secrets.into() }
    }

    /// Returns at most `max` bytes of a text, on one line and without secrets. Control
    /// characters become spaces. Invisible characters, and characters that change the
    /// direction of text, are removed. Joiners stay, because scripts need them.
    #[must_use]
    pub fn clean(&self, text: &str, max: usize) -> String {
        self.clean_characters(text.chars(), max)
    }

    /// The same for a text that is not in memory as a whole.
    #[must_use]
    pub fn clean_characters(&self, text: impl Iterator<Item = char>, max: usize) -> String {
        let longest = self.secrets.first().map_or(0, String::len);
        let mut out = String::new();
        let mut is_cut = false;
        for c in text.filter_map(visible).skip_while(|c| c.is_whitespace()) {
            // A secret that begins within `max` must be read to its end.
            is_cut = out.len() + c.len_utf8() > max + longest;
            if is_cut {
                break;
            }
            out.push(c);
        }
        if longest > 0 {
            out = self.mask(&out);
            if is_cut {
                // An incomplete secret may begin here.
                out.truncate(out.floor_char_boundary(out.len().saturating_sub(longest - 1)));
            }
        }
        out.truncate(out.floor_char_boundary(max));
        out.truncate(out.trim_end().len());
        out
    }

    fn mask(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            // Case is ignored: a host name that repeats a secret is in lower case.
            let starts = |secret: &&String| {
                let start = rest.as_bytes().get(..secret.len());
                start.is_some_and(|start| start.eq_ignore_ascii_case(secret.as_bytes()))
            };
            if let Some(secret) = self.secrets.iter().find(starts) {
                out.push_str(MASK);
                rest = &rest[secret.len()..];
            } else {
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
        out
    }
}

impl fmt::Debug for Cleaner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cleaner").field("secrets", &self.secrets.len()).finish()
    }
}

/// Returns a text without secrets, on one line: for names and labels from the
/// configuration.
#[must_use]
#[cfg(feature = "program")]
pub fn one_line(text: &str) -> String {
    Cleaner::default().clean(text, text.len())
}

/// Returns the visible replacement of a character, if it has one.
fn visible(c: char) -> Option<char> {
    match c {
        c if c.is_control() => Some(' '),
        '\u{2028}' | '\u{2029}' => Some(' '),
        // Marks and overrides of direction, and characters without width.
        '\u{61c}'
        | '\u{180e}'
        | '\u{200b}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' => None,
        c => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_deceives_goes_and_what_scripts_need_stays() {
        for (text, expected) in [
            ("4.6.4", "4.6.4"),
            (" 4.6.4\r\n", "4.6.4"),
            ("a\nb\tc\u{0}d\u{1b}[31me\u{85}f\u{7f}", "a b c d [31me f"),
            ("\u{202e}txt.exe\u{202c} \u{2066}x\u{2069}\u{200e}", "txt.exe x"),
            ("line\u{2028}line", "line line"),
            ("zero\u{200b}width\u{feff}", "zerowidth"),
            // A family emoji and a Persian word need their joiners.
            ("\u{1f468}\u{200d}\u{1f469}", "\u{1f468}\u{200d}\u{1f469}"),
            (
                "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}",
                "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}",
            ),
            ("\n\n", ""),
        ] {
            assert_eq!(Cleaner::default().clean(text, 100), expected, "{text:?}");
        }
        assert_eq!(Cleaner::default().clean(&"é".repeat(100), 9), "éééé", "cut between characters");
    }

    #[test]
    fn secrets_are_masked_in_any_disguise_of_a_text() {
        let cleaner =
            Cleaner::hiding(["abcdefghij", "abcd", "xyz", "two\nlines", "a:abcdefghij"].map(str::to_owned));
        for (text, max, expected) in [
            ("no abcdefghij, no entry", 100, "no ***, no entry"),
            ("abcdefghijabcdefghij", 100, "******"),
            ("abcdefghi and abcd", 100, "***efghi and ***"),
            ("to ABCDEFGHIJ.example", 100, "to ***.example"),
            ("abc\u{200b}def\u{202e}ghij", 100, "***"),
            ("user a:abcdefghij", 100, "user ***"),
            ("two lines", 100, "***"),
            ("xyz is no key", 100, "xyz is no key"),
            // The secret is masked wherever the text is cut.
            ("12345 abcdefghij", 10, "12345 ***"),
            ("12345 abcdefghij", 8, "12345 **"),
            ("12345 abcdefghij 12345", 100, "12345 *** 12345"),
        ] {
            assert_eq!(cleaner.clean(text, max), expected, "{text:?}");
        }
        assert!(!format!("{cleaner:?}").contains("abcd"));
    }

    proptest! {
        #[test]
        fn no_part_of_a_secret_shows(before in "[ x]{0,40}", times in 1_usize..6, after in "[ x]{0,40}", max in 0_usize..80) {
            let secret = "0123456789abcdefghijk";
            let cleaner = Cleaner::hiding([secret.to_owned()]);
            let cleaned = cleaner.clean(&format!("{before}{}{after}", secret.repeat(times)), max);
            prop_assert!(!cleaned.contains(|c: char| c.is_ascii_digit() || c.is_ascii_lowercase() && c != 'x'), "{}", cleaned);
            prop_assert!(cleaned.len() <= max);
        }

        #[test]
        fn words_are_on_one_line_and_bounded(text: String, max in 0_usize..40) {
            let cleaned = Cleaner::hiding(["secret".to_owned()]).clean(&text, max);
            prop_assert!(cleaned.len() <= max && cleaned.trim() == cleaned);
            prop_assert!(!cleaned.contains(char::is_control), "{:?}", cleaned);
            // Cleaning is idempotent.
            prop_assert_eq!(Cleaner::default().clean(&cleaned, max), cleaned);
        }
    }
}
