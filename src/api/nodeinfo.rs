//! NodeInfo: `/.well-known/nodeinfo` and the document that it names.

use serde_json::Value;
use url::Url;

use crate::snapshot::Nodeinfo;

use super::document::{Document, Fields};

/// There are five schemas.
const MOST_BESIDE: usize = 5;

/// Where the newest document of a schema that we understand (1.0 to 2.2) is,
/// relative to the URL that the links came from. `None` when there is none.
pub fn href(doc: &mut Document, base: &Url) -> Option<Url> {
    let fields = &mut doc.fields();
    let mut found = Vec::new();
    for (path, link) in links(fields) {
        let mut text = |name: &str| match link.get(name) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.trim()),
            Some(other) => {
                fields.wrong(&format!("{path}.{name}"), other);
                None
            }
        };
        let (rel, href) = (text("rel"), text("href"));
        // Without a `rel` the path is all that tells.
        let version = rel.or(href).and_then(schema_version);
        if let (Some(version), Some(href)) = (version, href)
            && let Ok(url) = base.join(href)
        {
            found.push((version, url));
        }
    }
    found.into_iter().max_by_key(|(version, _)| *version).map(|(_, url)| url)
}

/// The links with their paths. Hubzilla gives the first as an object where a
/// list is due, and the others beside `links`, under numbers.
fn links<'a>(fields: &mut Fields<'a>) -> Vec<(String, &'a Value)> {
    match fields.get("links") {
        Some(Value::Array(list)) => {
            list.iter().enumerate().map(|(i, link)| (format!("links[{i}]"), link)).collect()
        }
        Some(Value::Object(one)) => {
            let within = one.iter().map(|(key, link)| (format!("links.{key}"), link));
            let beside = (0..MOST_BESIDE).filter_map(|i| {
                let key = i.to_string();
                let link = fields.get(&key)?;
                Some((key, link))
            });
            let beside: Vec<_> = beside.collect();
            let own = fields.get("links").map(|link| ("links".to_owned(), link));
            within.filter(|(_, link)| link.is_object()).chain(beside).chain(own).collect()
        }
        Some(other) => {
            fields.wrong("links", other);
            Vec::new()
        }
        None => Vec::new(),
    }
}

/// The schema version in the last segment of a `rel`
/// (`http://nodeinfo.diaspora.software/ns/schema/2.0`) or path, if understood.
fn schema_version(rel: &str) -> Option<(u8, u8)> {
    let last = rel.trim().trim_end_matches('/').rsplit('/').next()?;
    match last.trim_end_matches(".json") {
        "1.0" => Some((1, 0)),
        "1.1" => Some((1, 1)),
        "2.0" => Some((2, 0)),
        "2.1" => Some((2, 1)),
        "2.2" => Some((2, 2)),
        _ => None,
    }
}

/// Reads a NodeInfo document of any schema.
pub fn document(doc: &mut Document) -> Nodeinfo {
    let f = &mut doc.fields();
    Nodeinfo {
        software: f.text("software.name"),
        version: f.text("software.version"),
        users: f.count("usage.users.total"),
        active_month: f.count("usage.users.activeMonth"),
        // GoToSocial spells it with a capital Y.
        active_half_year: f
            .count("usage.users.activeHalfyear")
            .or_else(|| f.count("usage.users.activeHalfYear")),
        active_week: f.count("usage.users.activeWeek"),
        local_posts: f.count_or_all("usage.localPosts"),
        local_comments: f.count_or_all("usage.localComments"),
        registrations_open: f.flag("openRegistrations"),
        users_hidden: users_hidden(f),
    }
}

fn users_hidden(f: &mut Fields<'_>) -> bool {
    match f.get("usage.users") {
        Some(Value::Object(users)) => users.is_empty(),
        Some(Value::Array(users)) => users.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::document::Top;

    #[test]
    fn the_highest_schema_understood_is_taken() {
        const NS: &str = "http://nodeinfo.diaspora.software/ns/schema";
        for (links, expected) in [
            (format!(r#"[{{"rel":"{NS}/2.0","href":"https://a.example/n/2.0"}}]"#), Some("https://a.example/n/2.0")),
            (
                format!(r#"[{{"href":"/n/2.1","rel":"{NS}/2.1"}},{{"rel":"{NS}/2.0","href":"/n/2.0"}},{{"rel":"{NS}/9.0","href":"/n/9"}}]"#),
                Some("https://a.example/n/2.1"),
            ),
            (format!(r#"{{"rel":"{NS}/1.0","href":"https://a.example/n/1.0"}}"#), Some("https://a.example/n/1.0")),
            (r#"[{"href":"https://a.example/nodeinfo/2.0.json"}]"#.to_owned(), Some("https://a.example/nodeinfo/2.0.json")),
            (r#"[{"rel":"https://www.w3.org/ns/activitystreams#Application","href":"https://a.example/app"}]"#.to_owned(), None),
            (r#"[1, null, {"rel": 5}, {"rel":"x/2.0"}]"#.to_owned(), None),
            (r#""none""#.to_owned(), None),
        ] {
            let json = format!(r#"{{"links":{links}}}"#);
            let mut doc = Document::parse(json.as_bytes(), Top::Object).unwrap();
            let base = Url::parse("https://a.example/.well-known/nodeinfo").unwrap();
            assert_eq!(href(&mut doc, &base).as_ref().map(Url::as_str), expected, "{json}");
        }
    }

    #[test]
    fn links_of_php() {
        for json in [
            r#"{"links":{"rel":"x/1.0","href":"/n/1.0"},"0":{"rel":"x/2.0","href":"/n/2.0"}}"#,
            r#"{"links":{"1":{"rel":"x/1.0","href":"/n/1.0"},"2":{"rel":"x/2.0","href":"/n/2.0"}}}"#,
        ] {
            let mut doc = Document::parse(json.as_bytes(), Top::Object).unwrap();
            let base = Url::parse("https://a.example/").unwrap();
            assert_eq!(href(&mut doc, &base).unwrap().path(), "/n/2.0", "{json}");
            assert!(doc.into_problems().is_empty());
        }
    }

    #[test]
    fn links_of_a_wrong_type_are_named() {
        let json = br#"{"links":[{"rel":["x/2.0"],"href":"/a"},{"rel":"x/2.0","href":5},{"rel":null}]}"#;
        let mut doc = Document::parse(json, Top::Object).unwrap();
        assert_eq!(href(&mut doc, &Url::parse("https://a.example/").unwrap()), None);
        assert_eq!(doc.into_problems(), ["links[0].rel is an array", "links[1].href is the number 5"]);
    }

    #[test]
    fn deviations_of_the_wild() {
        let read = |json: &str| {
            let mut doc = Document::parse(json.as_bytes(), Top::Object).unwrap();
            (document(&mut doc), doc.into_problems())
        };
        let (n, problems) = read(
            r#"{"software":{"name":"pleroma","version":"2.5"},"usage":{"localPosts":{"all":3,"direct":1},"users":{"total":"5","activeHalfYear":2,"activeMonth":null}},"metadata":[]}"#,
        );
        assert_eq!(
            (n.local_posts, n.users, n.active_half_year, n.active_month),
            (Some(3), Some(5), Some(2), None)
        );
        assert!(problems.is_empty(), "{problems:?}");
        assert!(read(r#"{"usage":{"users":{}}}"#).0.users_hidden);
        assert!(read(r#"{"usage":{"users":[]}}"#).0.users_hidden);
        assert_eq!(read("{}").0, Nodeinfo::default());
    }
}
