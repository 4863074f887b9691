//! The number of series of a bridge, as a guide states it, because hosted backends charge
//! by series.

use fedimeter::endpoint::{Endpoint, On};
use fedimeter::simulator::{Settings, Simulator};

use crate::support::http::client;
use crate::support::program::{Serving, run};

/// Values that depend on the time of day, and rounded ones.
const TOLERANCE: usize = 5;

fn series(page: &str) -> usize {
    page.lines().filter(|line| !line.starts_with('#')).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_guide_counts_the_series_of_a_server_and_of_the_bridge() {
    let settings = Settings { instances: 1, token: Some("demo".to_owned()), ..Settings::default() };
    let simulator = Simulator::start(settings, ([127, 0, 0, 1], 0).into()).await.unwrap();
    let url = simulator.url(0);
    let once = |args: &[&str]| {
        let ran = run(&[&["once", "--format", "prometheus"], args].concat(), &[("TOKEN", "demo")]);
        assert_eq!(ran.status, Some(0), "{}", ran.err);
        series(&ran.out)
    };

    let server = once(&[&url]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fedimeter.yaml");
    let on_request = Endpoint::ALL.iter().filter(|endpoint| endpoint.on() == On::OptIn);
    let on_request: Vec<&str> = on_request.map(|endpoint| endpoint.name()).collect();
    let all = format!(
        "targets:\n  - url: {url}\n    token_env: TOKEN\n    collect: [{}]\n    accounts: [admin]\n    tags: [fediverse]\n",
        on_request.join(", ")
    );
    std::fs::write(&file, all).unwrap();
    let whole = once(&["--config", file.to_str().unwrap()]);

    let bridge = Serving::start(&["serve", "--listen", "127.0.0.1:0", &url], &[]);
    // The duration of a scrape is on a page of the next second.
    let page = loop {
        let answer = client().get(format!("{}/metrics", bridge.url())).send().await.unwrap();
        let page = answer.text().await.unwrap();
        if page.contains("fedimeter_exporter_name=\"prometheus\"") {
            break page;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    let own = series(&page) - server;

    let guide = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/guides/grafana-cloud.md"));
    let guide = guide.unwrap();
    let said = |before: &str, after: &str| -> usize {
        let (_, rest) = guide.split_once(before).unwrap_or_else(|| panic!("no {before:?}"));
        rest.split_once(after).unwrap().0.parse().unwrap()
    };
    for (what, said, counted) in [
        ("a server", said("A current Mastodon has about ", " without a token"), server),
        ("all of a server", said("without a token, and about ", " with an administrator's"), whole),
        ("the bridge", said("The bridge itself has about ", ","), own),
    ] {
        assert!(
            said.abs_diff(counted) <= TOLERANCE,
            "{what}: the guide says {said}, and there are {counted}"
        );
    }
}
