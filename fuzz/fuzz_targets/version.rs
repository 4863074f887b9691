//! Version strings of any software.
#![no_main]

use fedimeter::software::Software;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|spelt: &str| {
    let found = Software::parse(spelt);
    assert_eq!(found, Software::parse(spelt.trim()), "white space around it says nothing");
    if let Some(name) = &found.name {
        assert!(!name.is_empty() && *name == name.to_lowercase(), "{found:?}");
    }
    if let Some(version) = &found.version {
        assert!(!version.is_empty() && spelt.contains(version.as_str()), "{found:?}");
    }
    if let Some((major, _)) = found.mastodon {
        assert!((1..100).contains(&major), "{found:?}");
        assert!(matches!(found.name.as_deref(), Some("mastodon" | "hometown")), "{found:?}");
    }
});
