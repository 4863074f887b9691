//! Lists in pages: newest first, by `max_id`, `since_id` and `min_id`, with `Link` if
//! there may be more.

use http::header::LINK;
use serde_json::Value;
use url::form_urlencoded;

use crate::call::Call;
use crate::reply::Reply;

/// The number of entries on a page.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub default: usize,
    pub most: usize,
}

/// Returns a page of the entries with these ids, highest first. `entry` gets the
/// position of an id.
pub(crate) fn page(call: &Call<'_>, size: Size, ids: &[u64], entry: impl Fn(usize) -> Value) -> Reply {
    let limit = call.limit(size.default, size.most);
    let parameter = |name: &str| call.parameter(name)?.parse::<u64>().ok();
    let above = |id: u64| ids.partition_point(|other| *other > id);
    let mut start = parameter("max_id").map_or(0, |id| ids.partition_point(|other| *other >= id));
    let mut end = parameter("since_id").map_or(ids.len(), above);
    match parameter("min_id") {
        // The oldest entries after that id, not the newest of all.
        Some(id) => {
            end = end.min(above(id));
            start = start.max(end.saturating_sub(limit));
        }
        None => end = end.min(start.saturating_add(limit)),
    }
    let entries: Vec<Value> = (start..end).map(entry).collect();
    let mut links = Vec::new();
    if entries.len() == limit
        && let Some(last) = ids[..end].last()
    {
        links.push(("next", "max_id", *last));
    }
    if let Some(first) = ids[start..end.max(start)].first() {
        links.push(("prev", "min_id", *first));
    }
    linked(call, Reply::json(Value::Array(entries)), &links)
}

/// Returns the ids of a list of which only the length is known.
pub(crate) fn ids(count: usize) -> Vec<u64> {
    (1..=count as u64).rev().collect()
}

/// Adds `Link` to other pages of the same list: relation, parameter, value.
fn linked(call: &Call<'_>, reply: Reply, links: &[(&str, &str, u64)]) -> Reply {
    linked_at(call, call.path, reply, links)
}

/// The same with links to the list at another path.
pub(crate) fn linked_at(call: &Call<'_>, path: &str, reply: Reply, links: &[(&str, &str, u64)]) -> Reply {
    if links.is_empty() {
        return reply;
    }
    let place = |name: &str| matches!(name, "max_id" | "since_id" | "min_id" | "offset");
    let url = |parameter: &str, value: u64| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(form_urlencoded::parse(call.query.as_bytes()).filter(|(name, _)| !place(name)));
        query.append_pair(parameter, &value.to_string());
        format!("{}{path}?{}", call.base(), query.finish())
    };
    let links: Vec<String> = links
        .iter()
        .map(|(relation, parameter, value)| format!("<{}>; rel=\"{relation}\"", url(parameter, *value)))
        .collect();
    reply.with(LINK, &links.join(", "))
}
