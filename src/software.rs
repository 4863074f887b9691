//! The software of a server, by its own information: NodeInfo if it exists, or else the
//! version strings of Mastodon's API, which other software fills with its own.

use crate::snapshot::{InstanceV1, Reading};

/// A server's software.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Software {
    /// The name in lower case: `mastodon`, `gotosocial`, `iceshrimp.net`.
    pub name: Option<String>,
    /// The version, as the software spells it.
    pub version: Option<String>,
    /// The major and minor version of Mastodon that the software is, or was forked
    /// from. `None` for software that only supports Mastodon's API.
    pub mastodon: Option<(u32, u32)>,
}

/// Software derived from or related to Misskey, besides names that end in `key`.
const MISSKEY_FAMILY: &[&str] = &[
    "firefish",
    "iceshrimp",
    "iceshrimp.net",
    "cherrypick",
    "catodon",
    "magnetar",
    "dolphin",
    "groundpolis",
    "yojo-art",
    "qip",
];

/// Forks of Mastodon with their own name in NodeInfo.
const MASTODON_FAMILY: &[&str] =
    &["mastodon", "hometown", "glitchcafe", "ecko", "kmyblue", "fedibird", "corgidon"];

impl Software {
    /// Determines a target's software from all that it reported.
    #[must_use]
    pub fn of(reading: &Reading<'_>) -> Software {
        let (v2, v1, nodeinfo) = (reading.v2(), reading.v1(), reading.nodeinfo());
        let spelt = v2.and_then(|v| v.version.as_deref()).or_else(|| v1.and_then(|v| v.version.as_deref()));
        let mut found = spelt.map(Software::parse).unwrap_or_default();
        // What came later than the version shows that the version counts something else.
        if found.mastodon.is_some_and(|version| version < shown_by_documents(reading)) {
            (found.name, found.mastodon) = (None, None);
        }
        // The source URL names software whose version is a bare number, like
        // Mastodon's.
        if let Some(name) = v2.and_then(|v| v.source_url.as_deref()).and_then(of_source) {
            found = Software { name: Some(name.to_owned()), mastodon: None, ..found };
        }
        let Some(nodeinfo) = nodeinfo else { return found };
        if let Some(name) = &nodeinfo.software {
            let name = name.trim().to_lowercase();
            if MASTODON_FAMILY.contains(&name.as_str()) {
                let own = nodeinfo.version.as_deref().and_then(|v| Software::parse(v).mastodon);
                // A fork may count its own versions in NodeInfo.
                found.mastodon =
                    if name == "mastodon" { own.or(found.mastodon) } else { found.mastodon.or(own) };
            } else {
                found.mastodon = None;
            }
            found.name = Some(name);
        }
        if let Some(version) = &nodeinfo.version {
            found.version = Some(version.to_string());
        }
        found
    }

    /// Parses a version string of Mastodon's API.
    #[must_use]
    pub fn parse(spelt: &str) -> Software {
        let spelt = spelt.trim();
        if let Some((own, inner)) = spelt.split_once(" (").filter(|(_, i)| i.ends_with(')')) {
            let inner = inner.trim_end_matches(')');
            if let Some(named) =
                inner.strip_prefix("compatible; ").or_else(|| inner.strip_prefix("not true; "))
            {
                let named = named.strip_prefix("really ").unwrap_or(named);
                // `Akkoma 3.13.2`, `Iceshrimp.NET/2024.1`, `Sharkey 2024.1; like Akkoma`
                let named = named.split(';').next().unwrap_or(named).trim();
                let (name, version) = match named.split_once(['/', ' ']) {
                    Some((name, version)) => (name, Some(version.trim())),
                    None => (named, None),
                };
                // The string only names what it is compatible with: `0.1.0 (compatible;
                // Mastodon/4.2.0)`.
                if name.eq_ignore_ascii_case("mastodon") {
                    return Software { version: not_empty(own.trim()), ..Software::default() };
                }
                return Software {
                    name: not_empty(&name.to_lowercase()),
                    version: version.and_then(not_empty),
                    mastodon: None,
                };
            }
        }
        // `takahe/0.11.0`, `WordPress/6.1.9, EMA/1.6.1`
        if let Some((name, version)) = spelt.split_once('/')
            && is_name(name)
            && version.starts_with(|c: char| c.is_ascii_digit())
        {
            let version = version.split(',').next().unwrap_or(version).trim();
            return Software { name: Some(name.to_lowercase()), version: not_empty(version), mastodon: None };
        }
        // `Owncast v0.2.3-linux-64bit (33e6b5f)`
        if let Some((name, version)) = spelt.split_once(" v")
            && is_name(name)
            && version.starts_with(|c: char| c.is_ascii_digit())
        {
            let version = version.split(' ').next().unwrap_or(version);
            return Software { name: Some(name.to_lowercase()), version: not_empty(version), mastodon: None };
        }
        let hometown = spelt.contains("+hometown-");
        // Hometown once put its own version before Mastodon's: `1.0.7+3.5.5`.
        let (base, hometown) = match spelt.split_once('+') {
            Some((own, base)) if own.starts_with("1.0.") && numbers(base).is_some() => (base, true),
            _ => (spelt, hometown),
        };
        // GoToSocial can put a version of Mastodon before its own, so that clients
        // mistake it for one: `3.5.3+0.17.3+git-6f4cb2f`. Forks add words.
        let injected =
            base.split_once('+').and_then(|(_, own)| numbers(own)).is_some_and(|(major, _)| major < 100);
        let mastodon = numbers(base).filter(|(major, _)| (1..100).contains(major) && !injected);
        Software {
            name: mastodon.map(|_| if hometown { "hometown" } else { "mastodon" }.to_owned()),
            version: not_empty(spelt),
            mastodon,
        }
    }

    /// Whether the software is Misskey or derived from it. Forks keep the end of the
    /// name: Calckey, Foundkey, Sharkey, and some new ones every year.
    #[must_use]
    pub fn is_misskey_family(&self) -> bool {
        self.name.as_deref().is_some_and(|name| name.ends_with("key") || MISSKEY_FAMILY.contains(&name))
    }

    /// Whether the software has this name.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name.as_deref() == Some(name)
    }
}

/// Software that reports a bare version number over Mastodon's API, and is recognised
/// by its `source_url`.
const BY_SOURCE: &[&str] =
    &["gotosocial", "hollo", "epicyon", "kitsune", "mitra", "piefed", "pixelfed", "snac", "takahe", "tootik"];

/// The version of Mastodon from which on its instance documents are as these: v2 came
/// with 4.0, rules and limits in v1 with 3.4.
fn shown_by_documents(reading: &Reading<'_>) -> (u32, u32) {
    let has_rules = |v1: &InstanceV1| v1.rules.is_some() || v1.media_attachments.is_some();
    match (reading.v2(), reading.v1()) {
        (Some(_), _) => (4, 0),
        (None, Some(v1)) if has_rules(v1) => (3, 4),
        _ => (0, 0),
    }
}

/// Returns the software of a repository's URL.
fn of_source(url: &str) -> Option<&'static str> {
    let last = url.trim().trim_end_matches('/').rsplit('/').next()?.to_ascii_lowercase();
    let last = last.strip_suffix(".git").unwrap_or(&last);
    BY_SOURCE.iter().copied().find(|name| *name == last)
}

/// Reads the major and minor version at the start: `4.3` of `v4.3.0-rc.1+glitch`.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let version = version.strip_prefix('v').unwrap_or(version);
    let (major, rest) = version.split_once('.')?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    Some((major.parse().ok()?, rest[..end].parse().ok()?))
}

/// Whether a word is the name of a software.
fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphabetic())
        && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

fn not_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn software_is_known_by_its_source() {
        for (url, name) in [
            ("https://codeberg.org/superseriousbusiness/gotosocial", Some("gotosocial")),
            ("https://github.com/fedify-dev/hollo.git", Some("hollo")),
            ("https://github.com/mastodon/mastodon", None),
            ("https://example.org/my-gotosocial-fork", None),
            ("", None),
        ] {
            assert_eq!(of_source(url), name, "{url}");
        }
    }

    #[test]
    fn version_strings_of_the_wild() {
        for (spelt, name, version, mastodon) in [
            ("4.6.4", "mastodon", "4.6.4", Some((4, 6))),
            ("4.0.0rc2", "mastodon", "4.0.0rc2", Some((4, 0))),
            ("3.5.3~hello", "mastodon", "3.5.3~hello", Some((3, 5))),
            ("4.3.0-alpha.1+glitch", "mastodon", "4.3.0-alpha.1+glitch", Some((4, 3))),
            ("4.0.15+hometown-1.1.1", "hometown", "4.0.15+hometown-1.1.1", Some((4, 0))),
            ("1.0.7+3.5.5", "hometown", "1.0.7+3.5.5", Some((3, 5))),
            ("2.7.2 (compatible; Akkoma 3.13.2-0-g050bc74)", "akkoma", "3.13.2-0-g050bc74", None),
            (
                "2.7.2 (compatible; Pleroma 2.5.54-640-gacbec640.develop+soapbox)",
                "pleroma",
                "2.5.54-640-gacbec640.develop+soapbox",
                None,
            ),
            ("4.2.1 (compatible; Iceshrimp.NET/2024.1-beta2)", "iceshrimp.net", "2024.1-beta2", None),
            ("3.0.0 (compatible; Sharkey 2024.1.0.beta1; like Akkoma)", "sharkey", "2024.1.0.beta1", None),
            ("4.0.0 (not true; really snac/2.52)", "snac", "2.52", None),
            ("takahe/0.11.0", "takahe", "0.11.0", None),
            ("WordPress/6.1.9, EMA/1.6.1", "wordpress", "6.1.9", None),
            ("Owncast v0.2.3-linux-64bit (33e6b5f)", "owncast", "0.2.3-linux-64bit", None),
            ("GNU social v2", "", "GNU social v2", None),
            ("3.5.3+0.17.3+git-6f4cb2f", "", "3.5.3+0.17.3+git-6f4cb2f", None),
            ("0.1.0 (compatible; Mastodon/4.2.0)", "", "0.1.0", None),
            (
                "4.5.10+-zach (with modifications)",
                "mastodon",
                "4.5.10+-zach (with modifications)",
                Some((4, 5)),
            ),
            ("0.20.0+git-f1cbf6f", "", "0.20.0+git-f1cbf6f", None),
            ("git-8ab30d0", "", "git-8ab30d0", None),
            ("unknown version", "", "unknown version", None),
            ("20240909", "", "20240909", None),
            ("", "", "", None),
        ] {
            let found = Software::parse(spelt);
            assert_eq!(found.name.as_deref().unwrap_or_default(), name, "{spelt}");
            assert_eq!(found.version.as_deref().unwrap_or_default(), version, "{spelt}");
            assert_eq!(found.mastodon, mastodon, "{spelt}");
        }
    }
}
