//! Text of a server, from its answers to all outputs of the program.

use std::fmt::Write;

use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::support::http as client;
use crate::support::program::{self, Serving};
use fedimeter_simulator::{Settings, Simulator, TokenSpec};

const SECRET: &str = "s3cr3t-t0ken-abcdefgh";
/// A mark that appears in every output with text of the server.
const MARK: &str = "wort";

/// Text that controls a terminal, forges a line, reverses text, and repeats our token.
fn words() -> String {
    let hidden = SECRET.replace("3t", "3\u{200b}t");
    format!(
        "{MARK} {SECRET}\u{1b}[31m\u{7}\r\nlevel=info\u{202e}gpj\u{2066}\u{85}\u{9b}\u{2028}{hidden} {MARK}"
    )
}

const PATHS: [&str; 9] = [
    "/api/v2/instance",
    "/api/v1/instance",
    "/.well-known/nodeinfo",
    "/nodeinfo/2.0",
    "/api/v1/instance/activity",
    "/api/v1/instance/peers",
    "/api/v1/tags/art",
    "/api/v1/accounts/lookup",
    "/api/v1/accounts/verify_credentials",
];

/// Servers with this text at its usual places, instead of numbers, as keys, in errors, in
/// headers, and outside JSON.
async fn servers() -> Simulator {
    let settings = Settings {
        instances: 6,
        versions: vec!["4.6.4".to_owned()],
        tokens: vec![TokenSpec::everything(SECRET)],
        ..Settings::default()
    };
    let simulator = Simulator::start(settings, ([127, 0, 0, 1], 0).into()).await.unwrap();
    let words = words();
    let instance = json!({
        "domain": words, "uri": words, "title": words, "version": words,
        "usage": {"users": {"active_month": 5}}, "stats": {"user_count": 5},
        "configuration": {"urls": {"streaming": format!("wss://{SECRET}.example/{words}")}},
        "urls": {"streaming_api": format!("wss://{SECRET}.example")},
    });
    for path in &PATHS[..2] {
        simulator.set_json(0, path, instance.to_string());
    }
    let nodeinfo = json!({"version": "2.0", "software": {"name": words, "version": words}, "usage": {"users": {"total": 5}}});
    simulator.set_json(0, PATHS[3], nodeinfo.to_string());
    simulator.set_json(
        0,
        PATHS[6],
        json!({"name": words, "history": [{"day": words, "uses": "1"}]}).to_string(),
    );

    let wrong = json!({
        "domain": 1, "version": 1, "stats": {"user_count": words}, "usage": {"users": words}, "software": words,
        "history": words, "links": [{"rel": "http://nodeinfo.diaspora.software/ns/schema/2.0", "href": words}],
        "followers_count": words, "role": {"permissions": words},
    });
    let keys = json!({ "links": { words.clone(): {"rel": 0, "href": 0}}, words.clone(): {words.clone(): words}, "stats": [words] });
    for path in PATHS {
        let list = path.ends_with("activity") || path.ends_with("peers");
        let shaped = |value: &Value| if list { json!([value]) } else { value.clone() }.to_string();
        simulator.set_json(1, path, shaped(&wrong));
        simulator.set_json(2, path, shaped(&keys));
        let mut headers = HeaderMap::new();
        let error = json!({"error": words, "error_description": words}).to_string();
        let status = if list { StatusCode::OK } else { StatusCode::FORBIDDEN };
        simulator.set_answer(3, path, status, HeaderMap::new(), error);
        let location =
            [format!("/{SECRET}/").as_bytes(), b"\xc2\x85\x9b\xe2\x80\xae", MARK.as_bytes()].concat();
        headers.insert("location", HeaderValue::from_bytes(&location).unwrap());
        headers.insert("x-cache", HeaderValue::from_bytes(&location).unwrap());
        headers.insert(
            "link",
            HeaderValue::from_bytes(&[b"<", &location[..], b">; rel=next"].concat()).unwrap(),
        );
        headers.insert("content-type", HeaderValue::from_bytes(&location).unwrap());
        let elsewhere = format!("https://{SECRET}.example/{MARK}");
        if list {
            headers.insert("location", elsewhere.parse().unwrap());
        }
        simulator.set_answer(4, path, StatusCode::FOUND, headers, words.clone());
        simulator.set_answer(5, path, StatusCode::OK, HeaderMap::new(), words.clone());
    }
    let other = json!({"links": [{"rel": "http://nodeinfo.diaspora.software/ns/schema/2.0",
        "href": format!("https://{SECRET}.example/{words}")}]});
    simulator.set_json(3, PATHS[2], other.to_string());
    simulator
}

/// Asserts that a text cannot mislead a terminal, a log or a reader.
fn is_fit(what: &str, text: &str) {
    let unseen =
        ['\u{61c}', '\u{180e}', '\u{200b}', '\u{200e}', '\u{200f}', '\u{2028}', '\u{2029}', '\u{feff}'];
    let is_harm = |c: &char| {
        (c.is_control() && *c != '\n')
            || unseen.contains(c)
            || ('\u{202a}'..='\u{202e}').contains(c)
            || ('\u{2060}'..='\u{206f}').contains(c)
    };
    let line = |found: &str| text.lines().find(|line| line.contains(found)).unwrap_or_default().to_owned();
    if let Some(harm) = text.chars().find(is_harm) {
        panic!("{what} has {harm:?}: {:?}", line(&harm.to_string()));
    }
    let small = text.to_lowercase();
    assert!(!small.contains(SECRET), "{what} shows the token: {:?}", line(SECRET));
    let forged = text.lines().find(|line| line.starts_with("level=info"));
    assert!(forged.is_none(), "{what} has a line of the server's: {forged:?}");
}

/// The texts of a JSON value, because JSON escapes control characters.
fn texts(value: &Value, out: &mut String) {
    match value {
        Value::String(text) => writeln!(out, "{text}").unwrap(),
        Value::Array(items) => items.iter().for_each(|item| texts(item, out)),
        Value::Object(members) => members.iter().for_each(|(key, value)| {
            writeln!(out, "{key}").unwrap();
            texts(value, out);
        }),
        _ => {}
    }
}

fn texts_of(json: &str) -> String {
    let mut out = String::new();
    let values = serde_json::Deserializer::from_str(json).into_iter::<Value>();
    values.for_each(|value| texts(&value.unwrap(), &mut out));
    out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_words_of_a_server_do_harm_wherever_they_are_shown() {
    let simulator = servers().await;
    let directory = tempfile::tempdir().unwrap();
    let mut yaml = "targets:\n".to_owned();
    for url in simulator.urls() {
        writeln!(
            yaml,
            "  - {{url: '{url}', token_env: TOKEN, collect: [peers], accounts: [admin], tags: [art]}}"
        )
        .unwrap();
    }
    let path = directory.path().join("f.yaml");
    std::fs::write(&path, yaml).unwrap();
    let config = ["--config", path.to_str().unwrap(), "--log-level", "trace"];
    let env = [("TOKEN", SECRET)];

    let mut shown = 0;
    let mut look = |what: &str, text: &str| {
        is_fit(what, text);
        shown += usize::from(text.contains(MARK));
    };
    let args = [&["serve", "--listen", "127.0.0.1:0"], &config[..]].concat();
    let bridge = Serving::start(&args, &env);
    let url = bridge.url();
    for accept in ["text/plain", "application/openmetrics-text; version=1.0.0"] {
        let get = client::client().get(format!("{url}/metrics")).header("accept", accept);
        look(accept, &client::body(get).await);
    }
    look("the fleet's page", &client::body(client::client().get(&url)).await);
    for target in simulator.urls() {
        let own = format!("{url}/target?name={}", target.replace(':', "%3A").replace('/', "%2F"));
        look(&format!("the page of {target}"), &client::body(client::client().get(own)).await);
    }
    look("the log", &bridge.log());

    for (format, log) in [("table", "text"), ("table", "logfmt"), ("json", "json")] {
        let args = [&["once", "--format", format, "--log-format", log], &config[..]].concat();
        let ran = program::run(&args, &env);
        let of = |text: &str, format| if format == "json" { texts_of(text) } else { text.to_owned() };
        look(&format!("once as {format}"), &of(&ran.out, format));
        look(&format!("its log as {log}"), &of(&ran.err, log));
    }
    let ran = program::run(&[&["check"], &config[..2]].concat(), &env);
    look("check", &(ran.out + &ran.err));
    assert!(shown >= 10, "words of servers are shown at {shown} places only");
}
