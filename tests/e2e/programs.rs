//! The programs that the scenarios start, none of them ours: built from the
//! package registries, once, under `target/e2e/`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::venv::venv;

/// A program, or why it cannot be had.
pub type Program = Result<PathBuf, String>;

const PROMETHEUS: &str = "github.com/prometheus/prometheus";
const PROMETHEUS_VERSION: &str = "v0.316.0";
const BUILDER: &str = "go.opentelemetry.io/collector/cmd/builder@v0.161.0";
const COLLECTOR: &str = include_str!("collector.yaml");
const MOCK: &str = "mastodon_mock==0.6.1";

/// What there is to start.
#[derive(Clone)]
pub struct Programs {
    pub collector: Program,
    pub prometheus: Program,
    pub promtool: Program,
    /// `mastodon_mock`.
    pub mock: Program,
    /// The driver's `node_modules`, beside a Node.js and a Chromium.
    pub browser: Program,
}

impl Programs {
    /// Builds what is missing. Takes minutes the first time.
    pub fn get() -> Programs {
        Programs {
            collector: collector(),
            prometheus: prometheus("prometheus"),
            promtool: prometheus("promtool"),
            mock: venv("mastodon-mock", &[MOCK]).map(|python| python.with_file_name("mastodon_mock")),
            browser: browser(),
        }
    }

    /// None, for a list of the tests.
    pub fn none() -> Programs {
        let none = || Err("only listed".to_owned());
        Programs { collector: none(), prometheus: none(), promtool: none(), mock: none(), browser: none() }
    }
}

/// `target/e2e`.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("e2e")
}

/// The project's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Without service discovery, which is most of its dependencies, and without
/// its pages. Prometheus 3.N is v0.3NN of the module.
fn prometheus(name: &str) -> Program {
    let bin = directory().join("bin");
    let program = format!("{PROMETHEUS}/cmd/{name}@{PROMETHEUS_VERSION}");
    kept(&bin.join(name), &program, || {
        let go = ["install", "-ldflags=-s -w", "-tags=netgo,remove_all_sd", &program];
        run(Command::new("go").args(go).env("GOBIN", &bin))
    })
}

fn collector() -> Program {
    let directory = directory();
    let bin = directory.join("bin");
    let sources = directory.join("collector");
    let built = sources.join("otelcol");
    kept(&built, &format!("{BUILDER}\n{COLLECTOR}"), || {
        run(Command::new("go").args(["install", BUILDER]).env("GOBIN", &bin))?;
        let manifest = directory.join("collector.yaml");
        let written = fs::write(&manifest, COLLECTOR.replace("OUTPUT", &sources.display().to_string()));
        written.map_err(|e| format!("cannot write {}: {e}", manifest.display()))?;
        // Its versions are not all the builder's own.
        let lenient = ["--skip-strict-versioning", "--ldflags=-s -w", "--config"];
        run(Command::new(bin.join("builder")).args(lenient).arg(manifest))
    })
}

/// Playwright's driver, which brings no browser; Chromium is Debian's.
fn browser() -> Program {
    let package = fs::read_to_string(root().join("tests/e2e/page/package.json"));
    let package = package.map_err(|e| format!("tests/e2e/page/package.json: {e}"))?;
    let directory = directory().join("page");
    let chromium = Command::new("chromium").arg("--version").output();
    chromium.map_err(|e| format!("chromium: {e}"))?;
    kept(&directory.join("node_modules"), &package, || {
        fs::write(directory.join("package.json"), &package).map_err(|e| e.to_string())?;
        let npm = ["install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"];
        run(Command::new("npm").args(npm).current_dir(&directory))
    })
}

/// What was made before from the same, or is made now.
fn kept(product: &Path, made_from: &str, make: impl FnOnce() -> Result<(), String>) -> Program {
    let directory = directory();
    let name = product.file_name().unwrap_or_default().display();
    // Written last, so that a build that broke off is made again.
    let stamp = directory.join(format!("{name}.made-from"));
    let cannot = |e: std::io::Error| format!("cannot write below {}: {e}", directory.display());
    fs::create_dir_all(product.parent().unwrap_or(&directory)).map_err(cannot)?;
    let lock = File::create(directory.join("lock")).map_err(cannot)?;
    lock.lock().map_err(cannot)?;
    if product.exists() && fs::read_to_string(&stamp).is_ok_and(|before| before == made_from) {
        return Ok(product.to_owned());
    }
    eprintln!("making {} …", product.display());
    make()?;
    fs::write(&stamp, made_from).map_err(cannot)?;
    Ok(product.to_owned())
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|e| format!("{}: {e}", command.get_program().display()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last: Vec<&str> = said.lines().rev().take(6).collect();
    let last: Vec<&str> = last.into_iter().rev().collect();
    Err(format!("{command:?}: {}: {}", output.status, last.join("\n")))
}
