//! `/sd`: the targets as Prometheus's HTTP service discovery has them, so that whoever
//! probes need not list them a second time.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Map, Value, json};

use crate::target::Target;

use super::body::Pieces;
use super::{Asked, Served, busy, text};

/// Labels that begin so are for relabelling: no series keeps them.
const META: &str = "__meta_fedimeter_";

pub(super) async fn answer(
    State(served): State<Served>,
    Extension(connection): Extension<Asked>,
    headers: HeaderMap,
) -> Response {
    let Served { bridge, clients, .. } = served;
    let Some(turn) = clients.turn(&connection).await else { return busy(&clients) };
    let listed = tokio::task::spawn_blocking(move || listed(&bridge.refresher().targets())).await;
    let Ok(json) = listed else {
        return text(StatusCode::INTERNAL_SERVER_ERROR, "no targets: making the list panicked\n");
    };
    let tag = tag(&json);
    let mut answer = HeaderMap::new();
    // Whoever keeps the list asks whether it still holds.
    answer.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    answer.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(tag) = HeaderValue::try_from(tag.as_str()) {
        answer.insert(ETAG, tag);
    }
    if has_it(&headers, &tag) {
        return (StatusCode::NOT_MODIFIED, answer).into_response();
    }
    answer.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    (answer, Body::new(Pieces::of(json.into(), turn))).into_response()
}

/// A group for each target: its name is what `/probe` takes.
fn listed(targets: &[Arc<Target>]) -> String {
    let groups: Vec<Value> = targets.iter().map(|target| group(target)).collect();
    Value::Array(groups).to_string()
}

fn group(target: &Target) -> Value {
    let mut labels = Map::new();
    let mut put = |name: &str, value: &str| {
        labels.insert(format!("{META}{name}"), value.into());
    };
    put("name", &target.name);
    put("address", target.address());
    put("port", &target.port().to_string());
    if let Some(source) = &target.source {
        put("source", source);
    }
    for (name, value) in target.attributes() {
        let label: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        put(&format!("attribute_{label}"), value);
    }
    json!({ "targets": [*target.name], "labels": labels })
}

/// The same for the same list.
fn tag(json: &str) -> String {
    let mut hasher = DefaultHasher::new();
    json.hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
}

/// Whether the client has this list already (RFC 9110, section 13.1.2: weak comparison).
fn has_it(headers: &HeaderMap, tag: &str) -> bool {
    let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut known = known.flat_map(|value| value.split(',')).map(str::trim);
    known.any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn target(url: &str, attributes: &[(&str, &str)]) -> Arc<Target> {
        let attributes: BTreeMap<String, String> =
            attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Arc::new(Target::new(url.parse().unwrap(), None, None, &attributes))
    }

    #[test]
    fn a_target_is_a_group_with_labels_for_relabelling() {
        assert_eq!(listed(&[]), "[]");
        let mut listed_elsewhere = Target::clone(&target("https://b.example", &[]));
        listed_elsewhere.source = Some("targets/*.yaml".into());
        let targets = [
            target("http://a.example:8080", &[("deployment.environment", "staging"), ("team", "social")]),
            Arc::new(listed_elsewhere),
        ];
        let expected = json!([
            { "targets": ["http://a.example:8080"], "labels": {
                "__meta_fedimeter_name": "http://a.example:8080",
                "__meta_fedimeter_address": "a.example",
                "__meta_fedimeter_port": "8080",
                "__meta_fedimeter_attribute_deployment_environment": "staging",
                "__meta_fedimeter_attribute_team": "social",
            } },
            { "targets": ["b.example"], "labels": {
                "__meta_fedimeter_name": "b.example",
                "__meta_fedimeter_address": "b.example",
                "__meta_fedimeter_port": "443",
                "__meta_fedimeter_source": "targets/*.yaml",
            } },
        ]);
        assert_eq!(serde_json::from_str::<Value>(&listed(&targets)).unwrap(), expected);
    }

    #[test]
    fn who_has_the_list_is_not_sent_it() {
        let tag = tag("[]");
        for (known, expected) in [
            (tag.clone(), true),
            (format!("W/{tag}"), true),
            (format!("\"other\", {tag}"), true),
            ("*".to_owned(), true),
            ("\"other\"".to_owned(), false),
            (tag.trim_matches('"').to_owned(), false),
        ] {
            let headers = HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::try_from(&known).unwrap())]);
            assert_eq!(has_it(&headers, &tag), expected, "{known}");
        }
        assert!(!has_it(&HeaderMap::new(), &tag));
        assert_ne!(tag, super::tag("[{}]"));
    }
}
