//! A token that is renewed while the bridge runs.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use fedimeter::endpoint::Endpoint;
use fedimeter::simulator::{Settings, Simulator, TokenSpec};
use fedimeter::snapshot::Slot;
use fedimeter::target::{Target, Token};
use serde_json::json;
use tokio::sync::Notify;

use crate::support::http;
use crate::support::poll::{Bench, outcome, reading};
use crate::support::program::Serving;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_file_that_is_replaced_is_read_again() {
    let tokens = vec![TokenSpec::everything("the-second-token")];
    let settings =
        Settings { instances: 1, versions: vec!["4.6.4".to_owned()], tokens, ..Settings::default() };
    let simulator = Simulator::start(settings, ([127, 0, 0, 1], 0).into()).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    std::fs::write(&token, "the-first-token").unwrap();
    let file = token.to_str().unwrap();
    let bridge =
        Serving::start(&["serve", &simulator.url(0), "--token-file", file, "--listen", "127.0.0.1:0"], &[]);
    let scrape = async || http::body(http::client().get(format!("{}/metrics", bridge.url()))).await;
    assert!(!scrape().await.contains("mastodon_admin_accounts_pending"), "the first token is of no use");
    // As orchestrators do.
    let new = directory.path().join("new");
    std::fs::write(&new, "the-second-token\n").unwrap();
    std::fs::rename(&new, &token).unwrap();
    bridge.line(|line| line.contains("its token file has changed").then_some(()));
    let mut page = scrape().await;
    for _ in 0..100 {
        if page.contains("mastodon_admin_accounts_pending") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        page = scrape().await;
    }
    assert!(page.contains("mastodon_admin_accounts_pending"), "{}", bridge.log());
    assert!(!bridge.log().contains("-token\"") && !bridge.log().contains("the-second"), "{}", bridge.log());
}

const OLD: &str = "the-old-token-aaaa";
const NEW: &str = "the-new-token-bbbb";
const CREDENTIALS: &str = "/api/v1/accounts/verify_credentials";

/// A server that accepts only the new token, and repeats tokens in its errors. `asked` gets
/// the path and the token of each request, and may block.
async fn server<F>(asked: impl Fn(String, Option<String>) -> F + Clone + Send + Sync + 'static) -> Target
where
    F: Future<Output = ()> + Send + 'static,
{
    let handler = move |request: Request| {
        let token = request.headers().get(AUTHORIZATION).and_then(|bearer| bearer.to_str().ok());
        let token = token.and_then(|bearer| bearer.strip_prefix("Bearer ")).map(str::to_owned);
        let (path, asked) = (request.uri().path().to_owned(), asked.clone());
        async move {
            asked(path.clone(), token.clone()).await;
            let error = json!({"error": format!("neither {OLD} nor {NEW}")}).to_string();
            match token.as_deref() {
                Some(NEW) if path == CREDENTIALS => {
                    (StatusCode::OK, json!({"role": {"permissions": "1"}}).to_string())
                }
                Some(NEW) => (StatusCode::FORBIDDEN, error),
                _ => (StatusCode::UNAUTHORIZED, error),
            }
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(handler)).await });
    let mut target = Target::new(url.parse().unwrap(), None, None, &BTreeMap::new());
    target.token = Some(Token::new(OLD));
    target.select_endpoints(&[]);
    target
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_the_new_token_nor_the_old_one_shows_while_one_replaces_the_other() {
    let token = Arc::<OnceLock<Token>>::default();
    let of_server = token.clone();
    // The token is replaced during a request, which is then repeated with the new one.
    let target = server(move |_, _| {
        of_server.get().unwrap().replace(&Token::new(NEW));
        std::future::ready(())
    })
    .await;
    token.set(target.token.clone().unwrap()).unwrap();
    let bench = Bench::of(vec![target]);
    for view in [bench.refresh().await, bench.after(3600).await] {
        let slots = &reading(&view, 0).snapshot.slots;
        let reasons: Vec<&str> = slots.iter().filter_map(Slot::reason).collect();
        assert!(reasons.iter().any(|reason| reason.contains("neither *** nor ***")), "{reasons:?}");
        assert!(!reasons.iter().any(|reason| reason.contains("-token-")), "{reasons:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_old_token_is_refused_while_the_new_one_is_read_is_asked_again_at_once() {
    let (arrived, replaced) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (has_arrived, is_replaced) = (arrived.clone(), replaced.clone());
    let target = server(move |path, token| {
        let (has_arrived, is_replaced) = (has_arrived.clone(), is_replaced.clone());
        async move {
            if path == CREDENTIALS && token.as_deref() == Some(OLD) {
                has_arrived.notify_one();
                is_replaced.notified().await;
            }
        }
    })
    .await;
    let token = target.token.clone().unwrap();
    let bench = Bench::of(vec![target]);
    let renew = async {
        arrived.notified().await;
        token.replace(&Token::new(NEW));
        bench.refresher.has_new_token(&bench.refresher.targets()[0]);
        replaced.notify_one();
    };
    let (view, ()) = tokio::join!(bench.refresh(), renew);
    assert_eq!(outcome(&view, 0, Endpoint::Credentials), "unauthorized");
    let view = bench.refresh().await;
    assert_eq!(outcome(&view, 0, Endpoint::Credentials), "ok");
}
