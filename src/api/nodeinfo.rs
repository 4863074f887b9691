//! NodeInfo: `/.well-known/nodeinfo` and the document that it names. Without one, the
//! older `x-nodeinfo2` and `statistics.json`.

use std::sync::Arc;

use url::Url;

use crate::fetch;
use crate::json::{Kind, Raw};
use crate::outcome::ErrorType;
use crate::snapshot::{Facts, Nodeinfo};

use super::{Answer, Attempt, Verdict};
use crate::document::{Document, Fields, Top};

type Reader = fn(&mut Document) -> Nodeinfo;

/// The documents that servers had before NodeInfo, newest first.
const OLDER: [(&str, Reader); 2] =
    [("/.well-known/x-nodeinfo2", nodeinfo2), ("/statistics.json", statistics)];

impl Attempt<'_> {
    /// Finds the URL of the document.
    pub(super) async fn discovery(&self) -> Answer {
        let asked = self.ask("/.well-known/nodeinfo").if_changed().send().await;
        let Some(reply) = &asked.reply else { return asked.answer };
        // Links are relative to the URL of the answer. The target's own origin replaces
        // the server's public one.
        let own = reply.url.origin() == self.target.url.origin();
        let base = if own { fetch::public_url(self.target) } else { reply.url.clone() };
        let base = base.join("/.well-known/nodeinfo").unwrap_or_else(|_| reply.url.clone());
        let (answer, link) = asked.read(Top::Object, |doc| href(doc, &base)).await;
        let Some(link) = link else { return answer };
        match link.map(|link| fetch::follow(self.target, &base, &link)) {
            Some(Ok(url)) => answer.with(Facts::Discovery(url.into())),
            Some(Err((error, why))) => {
                answer.failed(Verdict::Failed(error), &format!("the link to the document: {why}"))
            }
            None => {
                let why = "the discovery names no document of a schema from 1.0 to 2.2";
                answer.failed(Verdict::NotOffered, why)
            }
        }
    }

    /// Reads the discovered document, or else the older kinds.
    pub(super) async fn nodeinfo(&self) -> Answer {
        let discovered = self.known.slots.iter().find_map(|slot| match slot.facts() {
            Some(Facts::Discovery(url)) => Some(Url::clone(url)),
            _ => None,
        });
        match discovered {
            Some(url) => {
                let asked = self.ask_url(url).if_changed().send().await;
                let noindex = asked.reply.as_ref().is_some_and(|reply| reply.noindex);
                let read = |doc: &mut Document| Nodeinfo { noindex, ..document(doc) };
                asked.facts(Top::Object, |doc| Some(Facts::Nodeinfo(read(doc).into()))).await
            }
            None => self.older_document().await,
        }
    }

    /// Reads the newest of the older kinds that the server has.
    async fn older_document(&self) -> Answer {
        let mut answer = Answer::new(self);
        // If robots.txt forbids the discovery, the older documents are not requested
        // either.
        if let Some((verdict, why)) = self.robots_forbid(&self.url("/.well-known/nodeinfo")) {
            return answer.failed(verdict, &why);
        }
        for (path, read) in OLDER {
            let read = |doc: &mut Document| Some(Facts::Nodeinfo(read(doc).into()));
            let mut one = self.ask(path).send().await.facts(Top::Object, read).await;
            if one.verdict == Verdict::Ok {
                // The ETag would not belong to a document that is discovered later.
                one.validity.etag = None;
                return one;
            }
            answer = answer.and(one, path);
        }
        // Many servers answer every path with a page, or refuse it. Then there is no
        // document. A server that cannot answer has said nothing.
        let tells = [
            ErrorType::Timeout,
            ErrorType::RateLimited,
            ErrorType::Http5xx,
            ErrorType::Connect,
            ErrorType::Tls,
            ErrorType::Local,
        ];
        if !answer.requests.asked || tells.map(Verdict::Failed).contains(&answer.verdict) {
            return answer;
        }
        let error = match answer.verdict {
            Verdict::Missing(error) | Verdict::Failed(error) => error,
            _ => ErrorType::Http4xx,
        };
        answer.failed(Verdict::Missing(error), "no document was discovered")
    }
}

/// There are five versions of the schema.
const MAX_BESIDE: usize = 5;
/// The maximum number of links that are read.
const MAX_LINKS: usize = 64;
/// The maximum length of a key among the links in a message, in characters.
const MAX_KEY: usize = 40;

/// Returns the URL of the newest document of a supported schema (1.0 to 2.2), relative
/// to the URL of the links. `None` if there is none.
pub fn href(doc: &mut Document, base: &Url) -> Option<Url> {
    let fields = &mut doc.fields();
    // Epicyon answers with the document itself.
    if fields.get("links").is_none() && fields.get("software").is_some() && fields.get("usage").is_some() {
        return Some(base.clone());
    }
    let mut found = Vec::new();
    for (path, link) in links(fields) {
        let mut text = |name: &str| {
            let value = link.get(name).filter(|value| value.kind() != Kind::Null)?;
            if value.kind() != Kind::Text {
                fields.wrong(&format!("{path}.{name}"), value);
            }
            value.text().map(|text| text.trim().to_owned())
        };
        let (rel, href) = (text("rel"), text("href"));
        // Without a `rel` only the path tells the version.
        let version = rel.as_deref().or(href.as_deref()).and_then(schema_version);
        if let (Some(version), Some(href)) = (version, href)
            && let Ok(url) = base.join(&href)
        {
            found.push((version, url));
        }
    }
    found.into_iter().max_by_key(|(version, _)| *version).map(|(_, url)| url)
}

/// Returns the links with their paths. Hubzilla gives an object instead of a list for
/// the first one, and puts the others next to `links`, with numbers as keys.
fn links<'a>(fields: &mut Fields<'a>) -> Vec<(String, Raw<'a>)> {
    let Some(links) = fields.get("links") else { return Vec::new() };
    match links.kind() {
        Kind::Array => {
            let links = links.items().take(MAX_LINKS).enumerate();
            links.map(|(i, link)| (format!("links[{i}]"), link)).collect()
        }
        Kind::Object => {
            let within = links.members().filter(|(_, link)| link.kind() == Kind::Object).take(MAX_LINKS);
            let shown = |key: Raw<'_>| key.characters().take(MAX_KEY).collect::<String>();
            let within = within.map(|(key, link)| (format!("links.{}", shown(key)), link));
            let beside = (0..MAX_BESIDE).filter_map(|i| {
                let key = i.to_string();
                let link = fields.get(&key)?;
                Some((key, link))
            });
            within.chain(beside).chain([("links".to_owned(), links)]).collect()
        }
        _ => {
            fields.wrong("links", links);
            Vec::new()
        }
    }
}

/// Returns the schema version in the last segment of a `rel`
/// (`http://nodeinfo.diaspora.software/ns/schema/2.0`) or path, if it is supported.
fn schema_version(rel: &str) -> Option<(u8, u8)> {
    let last = rel.trim().trim_end_matches(['/', '#']).rsplit('/').next()?;
    match last.trim_end_matches(".json") {
        "1.0" => Some((1, 0)),
        "1.1" => Some((1, 1)),
        "2.0" => Some((2, 0)),
        "2.1" => Some((2, 1)),
        "2.2" => Some((2, 2)),
        _ => None,
    }
}

/// Reads a NodeInfo document of any supported schema.
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
        users_hidden: is_empty(f, "usage") || is_empty(f, "usage.users"),
        metadata_usage: f.get("metadata.usage").is_some(),
        noindex: false,
    }
}

/// Reads `/.well-known/x-nodeinfo2` (NodeInfo2 1.0).
pub fn nodeinfo2(doc: &mut Document) -> Nodeinfo {
    let mut read = document(doc);
    let f = &mut doc.fields();
    // Epicyon also serves its NodeInfo document here.
    read.software = f.text("server.software").or(read.software);
    read.version = f.text("server.version").or(read.version);
    read
}

/// Reads `/statistics.json`, which diaspora* and Friendica had before NodeInfo.
pub fn statistics(doc: &mut Document) -> Nodeinfo {
    let f = &mut doc.fields();
    Nodeinfo {
        software: f.text("network").map(|name| Arc::from(name.to_lowercase())),
        version: f.text("version"),
        users: f.count("total_users"),
        active_month: f.count("active_users_monthly"),
        active_half_year: f.count("active_users_halfyear"),
        active_week: None,
        local_posts: f.count("local_posts"),
        local_comments: f.count("local_comments"),
        registrations_open: f.flag("registrations_open"),
        ..Nodeinfo::default()
    }
}

/// Whether an object exists and is empty. PHP writes an empty object as an array.
fn is_empty(f: &mut Fields<'_>, path: &str) -> bool {
    let is_container = |value: &Raw<'_>| matches!(value.kind(), Kind::Object | Kind::Array);
    f.get(path).filter(is_container).is_some_and(Raw::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            (format!(r#"[{{"rel":"{NS}/2.0#","href":"/n/2.0"}}]"#), Some("https://a.example/n/2.0")),
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
