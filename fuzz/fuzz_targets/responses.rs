//! Whole responses, from the bytes on a connection to points, reasons and log lines.
//!
//! The input is a list of responses between lines `%%`. The first line of each is the
//! path that it answers; several of one path are given in turn. A response that tells
//! its length leaves its connection open. What has no response is 404.
//!
//! Nothing that is shown has a secret of ours, a control character or one that turns
//! text around, and the token goes to nobody but the target.
#![no_main]

#[path = "judged/points.rs"]
mod points;
#[path = "judged/words.rs"]
mod words;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fedimeter::clock::Clock;
use fedimeter::endpoint::Endpoint;
use fedimeter::fuzzing::client_over;
use fedimeter::refresh::Refresher;
use fedimeter::snapshot::Reading;
use fedimeter::target::{AccountRef, Target, Token};
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use url::Url;

const OWN_PLACE: &str = "127.0.0.1:3000";
const NOTHING: &[u8] = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
/// Bytes of a request's head and small body: more is none of ours.
const MAX_REQUEST: usize = 16 << 10;
/// Longer than any interval, so that the second collection asks for everything again.
const LATER: Duration = Duration::from_secs(30 * 3600);

/// The responses of each path, and how many were given.
type Script = HashMap<Vec<u8>, (Vec<Vec<u8>>, usize)>;

fuzz_target!(init: words::listen(), |data: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(collect_twice(script(data)));
    for line in words::logged() {
        words::judge("the log", &line);
    }
});

fn target() -> Target {
    let url = Url::parse(&format!("http://{OWN_PLACE}/")).unwrap();
    let (host, proto) = (Some("a.example".to_owned()), Some("https".to_owned()));
    let mut target = Target::new(url, host, proto, &BTreeMap::new());
    target.token = Some(Token::new(words::SECRET));
    target.accounts = vec![AccountRef::Acct("admin".into()), AccountRef::Id("1".into())];
    target.tags = vec!["art".into()];
    target.obey_robots = true;
    target.select_endpoints(Endpoint::ALL);
    target
}

async fn collect_twice(script: Script) {
    let script = Arc::new(Mutex::new(script));
    let client = client_over(move |uri| {
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        let is_own = uri.authority().is_some_and(|authority| authority == OWN_PLACE);
        tokio::spawn(serve(theirs, script.clone(), is_own));
        ours
    });
    let clock = Clock::default();
    let refresher = Refresher::new(vec![target()], client.unwrap(), clock.clone());
    for _ in 0..2 {
        let view = refresher.refresh(Duration::from_secs(600)).await;
        let (target, snapshot) = &view.targets[0];
        let reading = Reading::new(target, snapshot, view.started, view.unix);
        points::judge(&reading, |label| words::judge("a label", label));
        for slot in &snapshot.slots {
            words::judge(slot.endpoint.name(), slot.reason().unwrap_or_default());
        }
        clock.advance(LATER);
    }
}

fn script(data: &[u8]) -> Script {
    let mut script = Script::new();
    let mut rest = data;
    while !rest.is_empty() {
        let end = find(rest, b"\n%%\n");
        let one = &rest[..end.unwrap_or(rest.len())];
        rest = end.map_or(&[], |end| &rest[end + 4..]);
        if let Some(line) = find(one, b"\n") {
            let response = one[line + 1..].to_vec();
            script.entry(one[..line].to_vec()).or_default().0.push(response);
        }
    }
    script
}

/// Answers the requests on a connection.
async fn serve(mut stream: DuplexStream, script: Arc<Mutex<Script>>, is_own: bool) {
    while let Some(request) = read_request(&mut stream).await {
        let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
        assert!(is_own || !text.contains(words::SECRET), "the token goes to another place: {text}");
        let path = request.split(|b| *b == b' ').nth(1).unwrap_or_default();
        let path = path.split(|b| *b == b'?').next().unwrap_or_default();
        let response = {
            let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
            script.get_mut(path).map(|(all, given)| {
                *given += 1;
                all[(*given - 1) % all.len()].clone()
            })
        };
        let response = response.as_deref().unwrap_or(NOTHING);
        let head = find(response, b"\n\n").or_else(|| find(response, b"\r\n\r\n")).unwrap_or(response.len());
        let head = response[..head].to_ascii_lowercase();
        let has_length = find(&head, b"content-length").or_else(|| find(&head, b"chunked")).is_some();
        if stream.write_all(response).await.is_err() || !has_length {
            return;
        }
    }
}

/// A request with its body, if it has one.
async fn read_request(stream: &mut DuplexStream) -> Option<Vec<u8>> {
    let mut request = Vec::new();
    loop {
        if let Some(head) = find(&request, b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&request[..head]).to_ascii_lowercase();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
            if request.len() >= head + 4 + length {
                return Some(request);
            }
        }
        assert!(request.len() < MAX_REQUEST, "a request of {} bytes", request.len());
        if stream.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}
