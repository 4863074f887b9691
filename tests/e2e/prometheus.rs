//! A running Prometheus.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use url::Url;

use crate::bench::{eventually, free_address, get, get_json};
use crate::support::program::Serving;

pub type Labels = BTreeMap<String, String>;

/// Values by name and labels. `None` is a value that changes with each collection.
pub type Series = BTreeMap<(String, Labels), Option<f64>>;

/// A series, without the labels of its scrape.
pub fn series(name: String, mut labels: Labels, value: f64) -> ((String, Labels), Option<f64>) {
    labels.retain(|label, _| !label.starts_with("otel_scope_") && label != "job" && label != "instance");
    labels.remove("__name__");
    let passing = name.ends_with("_duration_seconds") || name.ends_with("last_success_timestamp_seconds");
    ((name, labels), Some(value).filter(|_| !passing))
}

pub struct Prometheus {
    serving: Serving,
    url: String,
    start: Box<dyn Fn() -> Serving + Send>,
    _directory: TempDir,
}

impl Prometheus {
    /// Starts it with this configuration and more arguments.
    pub fn start(program: &Path, configuration: &str, args: &[&str]) -> Prometheus {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("prometheus.yml");
        fs::write(&file, configuration).unwrap();
        let address = free_address();
        let mut all = vec![
            format!("--config.file={}", file.display()),
            format!("--storage.tsdb.path={}", directory.path().join("data").display()),
            format!("--web.listen-address={address}"),
        ];
        all.extend(args.iter().map(|&arg| arg.to_owned()));
        let program = program.to_owned();
        let url = format!("http://{address}");
        let ready = format!("{url}/-/ready");
        let start = move || {
            let serving = Serving::with(Command::new(&program).args(&all).env_clear());
            eventually("Prometheus", || get(&ready).map_err(|e| format!("{e}\n{}", serving.log())));
            serving
        };
        Prometheus { serving: start(), url, start: Box::new(start), _directory: directory }
    }

    /// Ends it, and starts it again with its data after this time.
    pub fn away(mut self, time: Duration) -> Prometheus {
        self.serving.end("TERM");
        std::thread::sleep(time);
        self.serving = (self.start)();
        self
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn log(&self) -> String {
        self.serving.log()
    }

    /// The `data` of a response of its API.
    pub fn api(&self, path: &str, query: &[(&str, &str)]) -> Value {
        self.ask(path, query).unwrap()
    }

    /// The same, or an error. Warnings count as errors, too.
    pub fn ask(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, String> {
        let url = format!("{}/api/v1/{path}", self.url);
        let url = Url::parse_with_params(&url, query).unwrap();
        let mut answer = get_json(url.as_str())?;
        let remarks = ["warnings", "infos"].map(|kind| answer[kind].take());
        if answer["status"] != "success" || remarks.iter().any(|remark| !remark.is_null()) {
            return Err(format!("{url}: {answer} {remarks:?}"));
        }
        Ok(answer["data"].take())
    }

    /// The current series of a server, without counters.
    pub fn about(&self, server: &str) -> Series {
        let port = server.rsplit_once(':').unwrap().1;
        let about = self.query(&format!(r#"{{server_port="{port}",__name__!~".*_total"}}"#));
        about.into_iter().map(|(labels, value)| series(labels["__name__"].clone(), labels, value)).collect()
    }

    /// The series of an instant query.
    pub fn query(&self, expression: &str) -> Vec<(Labels, f64)> {
        let data = self.api("query", &[("query", expression)]);
        let series = data["result"].as_array().unwrap_or_else(|| panic!("no vector: {data}"));
        let one = |series: &Value| {
            let labels = serde_json::from_value(series["metric"].clone()).unwrap();
            (labels, series["value"][1].as_str().unwrap().parse().unwrap())
        };
        series.iter().map(one).collect()
    }
}
