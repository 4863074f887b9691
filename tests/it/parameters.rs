//! Query parameters: docs/servers.md lists exactly those that are sent, with their meaning
//! for servers.

use std::collections::BTreeSet;
use std::path::Path;

use fedimeter::endpoint::Endpoint;
use fedimeter::simulator::{Settings, Simulator, TokenSpec};
use fedimeter::target::{AccountRef, Token};
use serde_json::json;

use crate::support::poll::{Bench, target};

/// Paths with their parameters.
type Parameters = BTreeSet<(String, String)>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_that_is_sent_is_described() {
    const SECRET: &str = "a-token-of-the-test";
    let versions = ["2.9.1", "3.4.10", "4.2.13", "4.6.4", "4.6.4"];
    let settings = Settings {
        instances: versions.len(),
        versions: versions.iter().map(|version| (*version).to_owned()).collect(),
        tokens: vec![TokenSpec::everything(SECRET)],
        request_log: 2000,
        ..Settings::default()
    };
    let simulator = Simulator::start(settings, ([127, 0, 0, 1], 0).into()).await.unwrap();
    // The last server is not a Mastodon server.
    let gotosocial = "0.1.0 (compatible; GoToSocial 0.20.0)";
    let v2 = json!({"domain": "a.example", "version": gotosocial, "source_url": ""});
    simulator.set_json(versions.len() - 1, "/api/v2/instance", v2.to_string());
    for path in ["/api/v1/instance", "/.well-known/nodeinfo"] {
        simulator.set_fault(versions.len() - 1, path, Some("status:404".parse().unwrap()));
    }
    let targets = (0..versions.len()).map(|i| {
        let mut target = target(&simulator, i);
        target.token = Some(Token::new(SECRET));
        target.accounts = simulator
            .truth(i)
            .accounts
            .iter()
            .map(|a| AccountRef::Acct(a.username.as_str().into()))
            .collect();
        target.tags = vec!["cats".into()];
        target.select_endpoints(&[]);
        target.endpoints.push(Endpoint::Timelines);
        target
    });
    let bench = Bench::of(targets.collect());
    bench.refresh().await;
    // Accounts with known ids are requested together, and further trends by offset.
    bench.after(6 * 3600).await;
    let sent: Parameters = simulator.request_log().iter().flat_map(|r| parameters(&r.target)).collect();
    assert_eq!(sent, described());
}

fn parameters(target: &str) -> Vec<(String, String)> {
    let Some((path, query)) = target.split_once('?') else { return Vec::new() };
    let path = match path.strip_prefix("/api/v1/admin/trends/") {
        Some(_kind) => "/api/v1/admin/trends/…",
        None => path,
    };
    let names = query.split('&').filter_map(|pair| Some(pair.split_once('=')?.0.replace("%5B%5D", "[]")));
    // The server chooses the parameters in `Link`.
    let own = names.filter(|name| name != "max_id");
    own.map(|name| (path.to_owned(), name)).collect()
}

fn described() -> Parameters {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/servers.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, section) = page.split_once("| request | parameters |").expect("a table of parameters");
    let (table, _) = section.split_once("\n\n").unwrap();
    let quoted =
        |cell: &str| -> Vec<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let mut all = Parameters::new();
    for row in table.lines().skip(2) {
        let cells: Vec<&str> = row.split('|').collect();
        let paths = quoted(cells[1]);
        let before = paths[0].rsplit_once('/').unwrap().0.to_owned();
        for path in &paths {
            let path = path.strip_prefix('…').map_or(path.clone(), |rest| format!("{before}{rest}"));
            all.extend(quoted(cells[2]).into_iter().map(|name| (path.clone(), name)));
        }
    }
    all
}
