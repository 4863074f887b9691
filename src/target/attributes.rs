//! The names and values that static attributes may have.

use std::collections::BTreeMap;

/// The beginnings of Prometheus labels that are reserved for us and OpenTelemetry.
const RESERVED_NAMESPACES: [&str; 5] = ["fedimeter_", "mastodon_", "nodeinfo_", "fediverse_", "otel_"];

/// Labels that points already have, and labels with a meaning in Prometheus.
const RESERVED_LABELS: [&str; 7] =
    ["server_address", "server_port", "error_type", "job", "instance", "le", "quantile"];

/// The maximum number. With more, every point of a target would be larger than its
/// numbers.
pub const MAX_ATTRIBUTES: usize = 32;

/// Returns the Prometheus label of an attribute.
#[must_use]
pub fn label(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect()
}

/// Checks the name of an attribute: lower-case parts separated by dots, with words in a
/// part joined by `_`, as OpenTelemetry names attributes. Built-in names are refused.
pub fn check_name(name: &str) -> Result<(), String> {
    let word =
        |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let part = |part: &str| part.starts_with(|c: char| c.is_ascii_lowercase()) && part.split('_').all(word);
    if name.len() > 128 || !name.split('.').all(part) {
        return Err(
            "is not the name of an attribute; write lowercase words with dots between its parts, such \
                    as deployment.environment"
                .to_owned(),
        );
    }
    let label = label(name);
    if RESERVED_LABELS.contains(&label.as_str())
        || RESERVED_NAMESPACES.iter().any(|space| label.starts_with(space))
        || RESERVED_NAMESPACES.iter().any(|space| space.strip_suffix('_') == Some(name))
    {
        return Err(format!(
            "is a name that points have or Prometheus uses already (label `{label}`); choose another, such \
             as my.{name}"
        ));
    }
    Ok(())
}

/// Checks the value of an attribute.
pub fn check_value(value: &str) -> Result<(), &'static str> {
    if value.is_empty() || value.len() > 1024 { Err("must have 1 to 1024 bytes") } else { Ok(()) }
}

/// Returns two names that become the same Prometheus label.
#[must_use]
pub fn collision(attributes: &BTreeMap<String, String>) -> Option<(&str, &str)> {
    let mut labels = BTreeMap::new();
    attributes
        .keys()
        .find_map(|name| labels.insert(label(name), name.as_str()).map(|first| (first, name.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for name in ["team", "deployment.environment", "k8s.cluster.name", "cloud.availability_zone", "a.b2"]
        {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in [
            "",
            "Team",
            "a..b",
            ".a",
            "a.",
            "2a",
            "a-b",
            "a b",
            "_a",
            "a__b",
            "a_",
            "__name__",
            "ä",
            "server.address",
            "server.port",
            "server_address",
            "error.type",
            "job",
            "instance",
            "le",
            "quantile",
            "fedimeter.x",
            "mastodon.instance.x",
            "nodeinfo.x",
            "fediverse.x",
            "otel.x",
            "otel_scope_name",
            "mastodon",
        ] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn labels_are_unique() {
        let attributes = |names: &[&str]| names.iter().map(|n| ((*n).to_owned(), String::new())).collect();
        assert_eq!(collision(&attributes(&["a.b", "a_b", "c"])), Some(("a.b", "a_b")));
        assert_eq!(collision(&attributes(&["a.b", "a.c"])), None);
    }
}
