//! Lists of targets behind URLs, which a running bridge requests again and again.

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;

use fedimeter::config::{Config, Flags, Sources};
use fedimeter::reload::{Setup, Start};

use crate::reload::{Bridge, names, simulated};
use crate::support::samples::{only, samples};

/// The answer of a server of lists, and the tokens that it received.
#[derive(Clone, Default)]
struct Inventory {
    answer: std::sync::Arc<std::sync::Mutex<(u16, String)>>,
    shown: std::sync::Arc<std::sync::Mutex<Vec<String>>>,
}

impl Inventory {
    async fn start(&self) -> String {
        let answer = async |State(this): State<Inventory>, request: Request| {
            let token = request.headers().get(AUTHORIZATION).map_or("", |token| token.to_str().unwrap());
            this.shown.lock().unwrap().push(token.to_owned());
            let (status, text) = this.answer.lock().unwrap().clone();
            (axum::http::StatusCode::from_u16(status).unwrap(), text)
        };
        let routes = axum::Router::new().fallback(answer).with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/targets.json", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        url
    }

    fn answers(&self, status: u16, text: impl Into<String>) {
        *self.answer.lock().unwrap() = (status, text.into());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_url_lists_targets_and_its_last_list_holds() {
    let simulator = simulated(3).await;
    let inventory = Inventory::default();
    let url = inventory.start().await;
    let group = |instances: &[usize]| {
        let urls: Vec<String> = instances.iter().map(|i| format!("{:?}", simulator.url(*i))).collect();
        format!(r#"[{{"targets": [{}]}}]"#, urls.join(","))
    };
    inventory.answers(200, group(&[0]));
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "inventory-token").unwrap();
    let text = format!(
        "targets: ['{}']\ntargets_url: '{url}'\ntargets_url_interval: 5s\ntargets_url_allow_private: true\ntargets_url_token_file: {}\n",
        simulator.url(2),
        token.path().display()
    );
    let bridge = Bridge::start(&text);
    // The list was requested before the first collection.
    assert_eq!(bridge.up().await, names(&simulator, &[0, 2]));
    assert_eq!(inventory.shown.lock().unwrap()[0], "Bearer inventory-token");
    // Duplicates count once, and existing targets stay.
    inventory.answers(200, group(&[0, 1, 2]));
    bridge.serving.line(|line| line.contains("targets: 2 stay, 1 is new").then_some(()));
    bridge.serving.line(|line| {
        (line.contains("left out: http") && line.contains("is given twice, first as ")).then_some(())
    });
    assert_eq!(bridge.up().await, names(&simulator, &[0, 1, 2]));
    assert_eq!(bridge.own("fedimeter_source_targets").await, Some(2.0));
    // A failed request changes nothing.
    for (status, answer, told) in
        [(500, "no", "HTTP 500"), (200, "<html>", "expected a list of groups"), (200, "", "found nothing")]
    {
        inventory.answers(status, answer);
        bridge.serving.line(|line| {
            (line.contains("its last list stays in effect") && line.contains(told)).then_some(())
        });
        assert_eq!(bridge.up().await, names(&simulator, &[0, 1, 2]));
        assert_eq!(bridge.own("fedimeter_source_last_refresh_successful").await, Some(0.0));
    }
    inventory.answers(200, "[]");
    bridge.serving.line(|line| line.contains("targets: 1 stays, 2 are gone").then_some(()));
    assert_eq!(bridge.up().await, names(&simulator, &[2]));
    assert!(!bridge.serving.log().contains("inventory-token"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_url_lists_is_asked_at_public_addresses_only() {
    let simulator = simulated(1).await;
    let inventory = Inventory::default();
    let url = inventory.start().await;
    inventory.answers(200, format!(r#"[{{"targets": ["{}"]}}]"#, simulator.url(0)));
    let bridge = Bridge::start(&format!("targets_url: '{url}'\n"));
    let page = bridge.scrape().await;
    assert_eq!(only(&samples(&page), "fedimeter_target_up"), Some(0.0));
    assert_eq!(simulator.requests(0, "*"), 0);
    assert!(page.contains("error_type=\"blocked\"") || bridge.serving.log().contains("127.0.0.1"), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_at_the_start_is_asked_on() {
    let simulator = simulated(1).await;
    let inventory = Inventory::default();
    let url = inventory.start().await;
    inventory.answers(503, "starting");
    let text = format!("targets_url: '{url}'\ntargets_url_interval: 5s\ntargets_url_allow_private: true\n");
    let bridge = Bridge::start(&text);
    bridge.serving.line(|line| line.contains("it has no earlier list").then_some(()));
    assert_eq!(bridge.own("fedimeter_targets").await, Some(0.0));
    inventory.answers(200, format!(r#"[{{"targets": ["{}"]}}]"#, simulator.url(0)));
    // A reload requests the list at once.
    assert_eq!(bridge.reload().await.0, 200);
    bridge.serving.line(|line| line.contains("targets: 1 is new").then_some(()));
    assert_eq!(bridge.up().await, names(&simulator, &[0]));
}

#[tokio::test]
async fn a_fleet_that_a_url_lists_is_asked_for_one_thing_at_a_time() {
    let inventory = Inventory::default();
    let url = inventory.start().await;
    for (listed, set, expected) in [(100, "", 2), (101, "", 1), (101, "max_requests_per_host: 3\n", 3)] {
        let names: Vec<String> = (0..listed).map(|i| format!("\"i{i}.example\"")).collect();
        inventory.answers(200, format!(r#"[{{"targets": [{}]}}]"#, names.join(",")));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, format!("{set}targets: []\ntargets_url: '{url}'\n")).unwrap();
        let file = Some(file.path());
        let sources = Sources { file, text: None, targets: &[], flags: Flags::default(), env: &|_| None };
        let loaded = Config::load_with_origins(&sources).unwrap();
        let mut config = loaded.config.clone();
        Start::of(Setup { loaded, load: None }, 0.0).await.unwrap().complete(&mut config);
        assert_eq!((config.targets.len(), config.http.max_requests_per_host), (listed, expected), "{set}");
    }
}
