//! Parses the query of `/probe`.

use url::{Url, form_urlencoded};

use crate::clean::one_line;
use crate::config::DEFAULT_MODULE;
use crate::target::parse_target;

/// The maximum length of a target and of a module's name.
const MAX_TEXT: usize = 300;

/// A parsed query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The server to probe.
    pub url: Url,
    /// The module's name.
    pub module: String,
}

impl Query {
    /// Parses a query without its `?`. Unknown parameters are ignored.
    ///
    /// # Errors
    ///
    /// The mistake and how to correct it, in one sentence.
    pub fn parse(query: &str) -> Result<Query, String> {
        let target = one(query, "target")?.filter(|target| !target.trim().is_empty());
        let target = target.ok_or(
            "the target is missing: ask for /probe?target=HOST, such as /probe?target=mastodon.social",
        )?;
        let url = parse_target(&target).map_err(|why| {
            if why.contains("--config") {
                // A query has no command line.
                return "the target is not a host or a URL; write one such as mastodon.social".to_owned();
            }
            format!("the target {}", one_line(&why))
        })?;
        let module = one(query, "module")?.unwrap_or_else(|| DEFAULT_MODULE.to_owned());
        Ok(Query { url, module })
    }

    /// Whether the query requests the report for people.
    #[must_use]
    pub fn is_for_people(query: &str) -> bool {
        matches!(one(query, "debug").ok().flatten().as_deref(), Some("true" | "1"))
    }
}

/// The value of a parameter that may be given only once.
fn one(query: &str, name: &str) -> Result<Option<String>, String> {
    let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
    let value = values.next().map(|(_, value)| value.into_owned());
    if values.next().is_some() {
        return Err(format!("the parameter {name} is given twice; give it once"));
    }
    if value.as_ref().is_some_and(|value| value.len() > MAX_TEXT) {
        return Err(format!("the parameter {name} is longer than {MAX_TEXT} bytes; write a shorter one"));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_a_host_and_a_module() {
        for (query, url, module) in [
            ("target=mastodon.social", "https://mastodon.social/", "default"),
            ("module=light&target=Mastodon.Social.", "https://mastodon.social/", "light"),
            ("target=http%3A%2F%2Fa.example%3A8080%2F&x=y", "http://a.example:8080/", "default"),
            ("target=[2001:db8::1]:8443", "https://[2001:db8::1]:8443/", "default"),
        ] {
            let parsed = Query::parse(query).unwrap();
            assert_eq!((parsed.url.as_str(), parsed.module.as_str()), (url, module), "{query}");
        }
    }

    #[test]
    fn what_is_no_query_is_told_in_a_sentence_without_secrets() {
        for (query, expected) in [
            ("", "the target is missing: ask for /probe?target=HOST"),
            ("target=", "the target is missing"),
            ("module=light", "the target is missing"),
            ("target=a.example&target=b.example", "the parameter target is given twice"),
            ("target=a.example&module=a&module=b", "the parameter module is given twice"),
            ("target=ftp%3A%2F%2Fa.example", "the target has a scheme that is neither http nor https"),
            ("target=https%3A%2F%2Fme:hunter2@a.example", "the target has a user name or a password"),
            ("target=a.example%2Fsecret?key=hunter2", "the target has a query"),
            ("target=a%20b", "the target has a space"),
            ("target=a.example%0d%0aX:%20y", "the target has a space, a control character"),
            ("target=targets.yaml", "the target is not a host or a URL; write one such as mastodon.social"),
            ("target=-", "the target is not a host or a URL"),
            ("target=9464", "the target is not a host or a URL"),
            ("target=%ff", "the target is not a host or a URL"),
        ] {
            let message = Query::parse(query).unwrap_err();
            assert!(message.starts_with(expected), "{query}: {message}");
            assert!(!message.contains("hunter2") && !message.contains(['\r', '\n']), "{message}");
        }
        let long = Query::parse(&format!("target={}", "a".repeat(301))).unwrap_err();
        assert_eq!(long, "the parameter target is longer than 300 bytes; write a shorter one");
    }

    #[test]
    fn the_report_is_asked_for() {
        for (query, expected) in
            [("debug=true", true), ("debug=1", true), ("debug=false", false), ("debug", false), ("", false)]
        {
            assert_eq!(Query::is_for_people(query), expected, "{query}");
        }
    }
}
