//! A running Collector.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::bench::{eventually, free_address, get};
use crate::programs::root;
use crate::support::program::Serving;
use crate::written::{Point, points, requests};

/// The addresses of its receivers, its files, and other values of a configuration.
pub struct Settings {
    program: PathBuf,
    configurations: Vec<PathBuf>,
    variables: Vec<(String, String)>,
    grpc: String,
    http: String,
    health: String,
    directory: TempDir,
}

pub struct Collector {
    serving: Serving,
    settings: Settings,
}

impl Settings {
    /// Starts a Collector with a configuration, by its path from the project's root.
    pub fn new(program: &Path, configuration: &str) -> Settings {
        let settings = Settings {
            program: program.to_owned(),
            configurations: vec![],
            variables: vec![],
            grpc: free_address(),
            http: free_address(),
            health: free_address(),
            directory: tempfile::tempdir().unwrap(),
        };
        settings.and(configuration).and("tests/e2e/collector-quiet.yaml")
    }

    /// Starts a Collector that writes received data to a file.
    pub fn to_file(program: &Path) -> Settings {
        Settings::new(program, "tests/e2e/collector-to-file.yaml")
    }

    /// Adds another configuration.
    pub fn and(mut self, configuration: &str) -> Settings {
        self.configurations.push(root().join(configuration));
        self
    }

    pub fn set(mut self, variable: &str, value: impl Into<String>) -> Settings {
        self.variables.push((variable.to_owned(), value.into()));
        self
    }

    fn command(&self, verb: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(verb).env_clear();
        for configuration in &self.configurations {
            command.arg("--config").arg(configuration);
        }
        command
            .env("HEALTH_ENDPOINT", &self.health)
            .env("OTLP_GRPC_ENDPOINT", &self.grpc)
            .env("OTLP_HTTP_ENDPOINT", &self.http)
            .env("STORAGE", self.directory.path().join("storage"))
            .env("WRITTEN", self.written())
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The result of the Collector's own check.
    pub fn validate(&self) -> Result<(), String> {
        let output = self.command(&["validate"]).output().map_err(|e| e.to_string())?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(()) } else { Err(said) }
    }

    pub fn start(self) -> Collector {
        let serving = Serving::with(&mut self.command(&[]));
        let health = format!("http://{}/", self.health);
        eventually("the Collector", || get(&health).map_err(|e| format!("{e}\n{}", serving.log())));
        Collector { serving, settings: self }
    }

    fn written(&self) -> PathBuf {
        self.directory.path().join("written.json")
    }
}

impl Collector {
    /// The address for OTLP/gRPC.
    pub fn grpc(&self) -> String {
        format!("http://{}", self.settings.grpc)
    }

    /// The address for OTLP/HTTP.
    pub fn http(&self) -> String {
        format!("http://{}", self.settings.http)
    }

    pub fn log(&self) -> String {
        self.serving.log()
    }

    /// The written points since its first start.
    pub fn points(&self) -> Vec<Point> {
        points(&self.settings.written())
    }

    /// The written requests so far, in OTLP's JSON.
    pub fn requests(&self) -> Vec<serde_json::Value> {
        requests(&self.settings.written())
    }

    /// Waits until a point with this name is written.
    pub fn wait_for(&self, name: &str) -> Vec<Point> {
        eventually(&format!("a point of {name}"), || {
            let points = self.points();
            if points.iter().any(|p| p.name == name) { Ok(points) } else { Err(self.log()) }
        })
    }

    /// Ends it like a service manager. It can be started again.
    pub fn stop(self) -> Settings {
        let log = self.serving.log();
        let (status, _) = self.serving.end("TERM");
        assert_eq!(status, Some(0), "{log}");
        self.settings
    }
}
