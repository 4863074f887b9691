//! The configuration file: what each key says, and all that is wrong with it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use super::attributes::{MAX_ATTRIBUTES, check_name, collision};
use super::error::{ConfigError, Place};
use super::keys;
use super::layers::{BridgeSettings, FileSettings, GivenTarget, TargetSettings};
use super::log_filter::LogFilter;
use super::token::TokenSource;
use super::values;
use super::yaml::{Document, Fields, MAX_FILE, Node};
use crate::endpoint::Endpoint;
use crate::target::{AccountRef, parse_target};

/// Reads the file at `path`. Settings that are wrong are left out of the
/// result and noted in `errors`.
pub(super) fn read(path: &Path, errors: &mut Vec<ConfigError>) -> FileSettings {
    match read_text(path) {
        Ok(text) => parse(path, &text, errors),
        Err(message) => {
            errors.push(Place::outside(path.display().to_string()).error(message));
            FileSettings::default()
        }
    }
}

/// Reads the contents of a file; see [`read`].
pub(super) fn parse(path: &Path, text: &str, errors: &mut Vec<ConfigError>) -> FileSettings {
    let document = Document::parse(path, text);
    let settings = document.root().and_then(|root| read_root(&root)).unwrap_or_default();
    errors.extend(document.into_errors());
    settings
}

fn read_text(path: &Path) -> Result<String, String> {
    let cannot =
        |e: std::io::Error| format!("cannot read the configuration: {e}; check the path of --config");
    let file = File::open(path).map_err(cannot)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err("is larger than 16 MiB; divide the targets among several bridges".to_owned());
    }
    String::from_utf8(bytes).map_err(|e| {
        let read = String::from_utf8_lossy(&e.as_bytes()[..e.utf8_error().valid_up_to()]);
        let line = read.matches('\n').count() + 1;
        format!("is not UTF-8 at line {line}; save it as UTF-8")
    })
}

fn read_root(root: &Node<'_>) -> Option<FileSettings> {
    let fields = root.fields("a map of settings", &keys::all(keys::BRIDGE), |_| None)?;
    let defaults = fields.get("defaults").and_then(|node| {
        let fields = node.fields("a map of settings", &keys::defaults(), not_in_defaults)?;
        Some(target_settings(&fields))
    });
    let targets = fields.get("targets").and_then(|node| node.items("a list of targets"));
    Some(FileSettings {
        bridge: bridge_settings(&fields),
        listen_place: fields.get("listen").map(Node::place),
        compat_place: fields.get("compat").map(Node::place),
        defaults: defaults.unwrap_or_default(),
        targets: targets.unwrap_or_default().iter().filter_map(target).collect(),
    })
}

/// Why a key of a target is none of `defaults`, which the list of known keys
/// alone would not say.
fn not_in_defaults(key: &str) -> Option<&'static str> {
    match key {
        "token_file" | "token_env" => {
            Some("a token belongs to one server and must not go to all; move it to its target")
        }
        "url" | "host" => Some("names one server; move it to its target"),
        _ => no_token(key),
    }
}

fn no_token(key: &str) -> Option<&'static str> {
    let message = "a token never stands in the configuration; name its file in `token_file` or its variable in \
                   `token_env`";
    matches!(key, "token" | "access_token" | "bearer_token").then_some(message)
}

fn bridge_settings(fields: &Fields<'_>) -> BridgeSettings {
    let time = |name| fields.get(name)?.parse("a duration such as 10s", values::request_time);
    let requests = |name| fields.get(name)?.parse("a number", values::requests);
    let boolean = |name| fields.get(name)?.boolean();
    BridgeSettings {
        listen: fields.get("listen").and_then(|node| {
            if node.is_list() {
                node.parse_all("a list of addresses", values::listen)
            } else {
                node.parse("an address such as 127.0.0.1:9464", values::listen).map(|one| vec![one])
            }
        }),
        compat: fields.get("compat").and_then(|n| n.parse("dada or systemli", values::one_of)),
        scope_labels: boolean("scope_labels"),
        endpoint_details: boolean("endpoint_details"),
        deadline: time("deadline"),
        timeout: time("timeout"),
        connect_timeout: time("connect_timeout"),
        max_requests: requests("max_requests"),
        max_requests_per_host: requests("max_requests_per_host"),
        max_body: fields.get("max_body").and_then(|n| n.parse("a size such as 1MiB", values::size)),
        contact: fields.get("contact").and_then(|n| n.parse("a URL", values::contact)),
        log_level: fields.get("log_level").and_then(|n| n.parse("a level such as info", LogFilter::parse)),
        log_format: fields.get("log_format").and_then(|n| n.parse("a format such as text", values::one_of)),
    }
}

fn target(node: &Node<'_>) -> Option<GivenTarget> {
    if node.is_text() {
        let url = node.parse("a host or a URL", parse_target)?;
        return Some(GivenTarget { place: node.place(), url, settings: TargetSettings::default() });
    }
    let fields = node.fields("a host, a URL or a map with `url`", &keys::all(keys::TARGET), no_token)?;
    let settings = target_settings(&fields);
    if fields.get("url").is_none() {
        // A misspelt or empty `url` has been noted already.
        if fields.complete {
            node.error("has no `url`; give the host or the URL of the server");
        }
        return None;
    }
    let url = fields.get("url")?.parse("a host or a URL", parse_target)?;
    Some(GivenTarget { place: node.place(), url, settings })
}

fn target_settings(fields: &Fields<'_>) -> TargetSettings {
    let host = fields.get("host").and_then(|n| Some((n.text("a host")?.to_owned(), n.place())));
    TargetSettings {
        host,
        forwarded_proto: fields
            .get("forwarded_proto")
            .and_then(|n| n.parse("http or https", values::forwarded_proto)),
        token: token(fields),
        collect: fields
            .get("collect")
            .and_then(|n| n.parse_all("a list of endpoints", values::collect))
            .unwrap_or_default(),
        accounts: fields.get("accounts").and_then(accounts).unwrap_or_default(),
        tags: fields
            .get("tags")
            .and_then(|n| n.parse_all("a list of hashtags", values::tag))
            .unwrap_or_default(),
        obey_robots: fields.get("robots").and_then(|n| n.parse("obey or ignore", values::robots)),
        attributes: fields.get("attributes").and_then(attributes).unwrap_or_default(),
        endpoint_details: fields.get("endpoint_details").and_then(Node::boolean),
        intervals: fields.get("intervals").and_then(intervals).unwrap_or_default(),
    }
}

fn token(fields: &Fields<'_>) -> Option<TokenSource> {
    if let (Some(_), Some(second)) = (fields.get("token_file"), fields.get("token_env")) {
        second.error("a token is given twice, by token_file too; keep one of them");
    }
    if let Some(node) = fields.get("token_file") {
        let path = node.text("the path of a file")?;
        return Some(TokenSource::File(node.directory().join(path), node.place()));
    }
    let node = fields.get("token_env")?;
    Some(TokenSource::Env(node.text("the name of an environment variable")?.to_owned(), node.place()))
}

fn accounts(node: &Node<'_>) -> Option<Vec<AccountRef>> {
    node.parse_all("a list of accounts", values::account)
}

fn attributes(node: &Node<'_>) -> Option<BTreeMap<String, String>> {
    let mut attributes = BTreeMap::new();
    for (name, value) in node.entries("a map of attributes")? {
        if let Err(message) = check_name(&name) {
            value.error(message);
        } else if let Some(text) = value.any_scalar("text, a number or a boolean") {
            if text.is_empty() || text.len() > 1024 {
                value.error("must have 1 to 1024 bytes");
            } else {
                attributes.insert(name, text);
            }
        }
    }
    if attributes.len() > MAX_ATTRIBUTES {
        node.error(format!("has more than {MAX_ATTRIBUTES} attributes; remove some"));
    }
    if let Some((a, b)) = collision(&attributes) {
        node.error(format!("`{a}` and `{b}` become the same Prometheus label; rename one"));
        return None;
    }
    Some(attributes)
}

fn intervals(node: &Node<'_>) -> Option<BTreeMap<Endpoint, Duration>> {
    let mut intervals = BTreeMap::new();
    for (name, value) in node.entries("a map of endpoint to duration")? {
        match values::endpoint(&name) {
            Ok(endpoint) => {
                if let Some(interval) = value.parse("a duration such as 5m", values::interval) {
                    intervals.insert(endpoint, interval);
                }
            }
            Err(message) => value.error(message),
        }
    }
    Some(intervals)
}
