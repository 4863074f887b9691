//! VictoriaMetrics, set up as in the guide to OTLP backends.

use std::fs;
use std::path::Path;
use std::process::Command;

use axum::Router;
use axum::routing::get as route;
use serde_json::Value;
use tempfile::TempDir;

use crate::bench::{RUNTIME, eventually, free_address, get, get_json};
use crate::mock::Mock;
use crate::pipeline::pushing;
use crate::programs::root;
use crate::support::program::Serving;

/// A block of the guide, from this beginning to its end.
fn block(beginning: &str) -> String {
    let guide = fs::read_to_string(root().join("docs/guides/otlp-backends.md")).unwrap();
    let (_, rest) = guide.split_once(beginning).unwrap_or_else(|| panic!("no {beginning:?}"));
    rest.split("```").next().unwrap().to_owned()
}

struct Victoria {
    serving: Serving,
    url: String,
    _folder: TempDir,
}

impl Victoria {
    /// Starts it with these arguments, in a folder with these files.
    fn start(program: &Path, args: &[&str], files: &[(&str, &str)]) -> Victoria {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let address = free_address();
        let mut command = Command::new(program);
        command.args(args).env_clear().current_dir(folder.path());
        command.args([&format!("-httpListenAddr={address}"), "-storageDataPath=data"]);
        let victoria = Victoria {
            serving: Serving::with(&mut command),
            url: format!("http://{address}"),
            _folder: folder,
        };
        let health = format!("{}/health", victoria.url);
        eventually("VictoriaMetrics", || {
            get(&health).map_err(|e| format!("{e}\n{}", victoria.serving.log()))
        });
        victoria
    }

    /// Waits for series with this name, and returns them.
    fn series(&self, name: &str) -> Vec<Value> {
        let url = format!("{}/api/v1/series?match[]={name}", self.url);
        eventually(name, || {
            let found = get_json(&url)?["data"].as_array().cloned().unwrap_or_default();
            if found.is_empty() { Err(self.serving.log()) } else { Ok(found) }
        })
    }
}

/// Pushed points have the labels that the dashboard of bridges uses.
pub fn has_job_and_instance(victoria: &Path, mock: &Path) {
    let mock = Mock::start(mock);
    let flags = block("```sh\nvictoria-metrics ");
    let flags: Vec<&str> = flags.split_whitespace().collect();
    let relabel = block("```yaml\n# relabel.yaml");
    let victoria = Victoria::start(victoria, &flags, &[("relabel.yaml", &format!("#{relabel}"))]);
    let endpoint = block("```sh\nexport OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:8428");
    let endpoint = format!("{}{}", victoria.url, endpoint.lines().next().unwrap());
    // A restarted bridge has the same identity.
    for _ in 0..2 {
        let bridge = pushing(&mock.url, &endpoint, "http/protobuf", &[]);
        let pushed = bridge.line(|line| line.contains("pushing metrics to ").then(|| line.to_owned()));
        assert!(pushed.contains("/opentelemetry/v1/metrics"), "{pushed}");
        victoria.series("mastodon_instance_users");
        assert_eq!(bridge.end("TERM").0, Some(0));
    }
    let built = victoria.series("fedimeter_build_info");
    let [built] = &built[..] else { panic!("{built:#?}") };
    assert_eq!(built["job"], "fedimeter");
    assert!(built["instance"].as_str().is_some_and(|instance| !instance.is_empty()), "{built}");
    let users = victoria.series("mastodon_instance_users");
    assert_eq!((&users[0]["job"], &users[0]["instance"]), (&built["job"], &built["instance"]));
}

/// A page over the limit is rejected with the message in the guide, and accepted with the
/// setting in the guide.
pub fn takes_a_large_page_where_it_may(victoria: &Path) {
    let line = format!("large{{padding=\"{}\"}} 1\n", "x".repeat(1000));
    let lines = (0..).map(|n| line.replacen("padding", &format!("padding_{n}"), 1));
    let page: String = lines.take(17 * 1024).collect();
    assert!(page.len() > 16 << 20);
    let address = RUNTIME.block_on(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().route("/metrics", route(async move || page));
        tokio::spawn(async { axum::serve(listener, routes).await });
        address
    });
    let guide = fs::read_to_string(root().join("docs/guides/otlp-backends.md")).unwrap();
    let setting = "max_scrape_size: 64MiB";
    assert!(guide.contains(&format!("`{setting}`")), "the guide names the setting");
    let refusal = "exceeds -promscrape.maxScrapeSize";
    assert!(guide.contains(refusal), "the guide has the words");
    for (setting, is_taken) in [("", false), (setting, true)] {
        let scrape = format!(
            "scrape_configs:\n- job_name: large\n  scrape_interval: 15s\n  scrape_timeout: 15s\n  static_configs: [{{targets: ['{address}']}}]\n  {setting}\n"
        );
        let args = ["-promscrape.config=scrape.yaml", "-promscrape.suppressScrapeErrors=false"];
        let victoria = Victoria::start(victoria, &args, &[("scrape.yaml", &scrape)]);
        let targets = format!("{}/api/v1/targets", victoria.url);
        let (health, error) = eventually("a scrape", || {
            let targets = get_json(&targets)?;
            let target = &targets["data"]["activeTargets"][0];
            match (target["health"].as_str(), target["lastError"].as_str()) {
                (Some("up"), error) => Ok(("up", error.unwrap_or_default().to_owned())),
                (Some("down"), Some(error)) if !error.is_empty() => Ok(("down", error.to_owned())),
                _ => Err(targets.to_string()),
            }
        });
        assert_eq!(health == "up", is_taken, "{setting}: {error}");
        assert_eq!(error.contains(refusal), !is_taken, "{setting}: {error}");
    }
}
