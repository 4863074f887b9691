//! The programs of others that the scenarios start. They are built once from the package
//! registries, in `target/e2e/`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use crate::support::venv::venv;

/// A program, or why it is missing.
pub type Program = Result<PathBuf, String>;

const PROMETHEUS_MODULE: &str = "github.com/prometheus/prometheus";
const PROMETHEUS_VERSION: &str = "v0.316.0";
const BUILDER: &str = "go.opentelemetry.io/collector/cmd/builder@v0.161.0";
const COLLECTOR_PARTS: &str = include_str!("collector.yaml");
const TOOLKIT_MODULE: &str = include_str!("toolkit/go.mod");
const TOOLKIT_PROGRAM: &str = include_str!("toolkit/main.go");
const CADDY_MODULE: &str = "github.com/caddyserver/caddy/v2/cmd/caddy@v2.11.9";
const VICTORIA_MODULE: &str = "github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-metrics@v1.140.0";
const VMAGENT_MODULE: &str = "github.com/VictoriaMetrics/VictoriaMetrics/app/vmagent@v1.150.0";
const MASTODON_MOCK: &str = "mastodon_mock==0.6.1";

/// A program that is built when a scenario needs it.
pub type Lazy = LazyLock<Program>;

pub static COLLECTOR: Lazy = LazyLock::new(collector);
pub static PROMETHEUS: Lazy = LazyLock::new(|| prometheus("prometheus"));
pub static PROMTOOL: Lazy = LazyLock::new(|| prometheus("promtool"));
/// `mastodon_mock`.
pub static MOCK: Lazy = LazyLock::new(|| {
    venv("mastodon-mock", &[MASTODON_MOCK]).map(|python| python.with_file_name("mastodon_mock"))
});
/// The driver's `node_modules`, beside a Node.js and a Chromium.
pub static BROWSER: Lazy = LazyLock::new(browser);
pub static NGINX: Lazy = LazyLock::new(|| installed("nginx"));
pub static APACHE: Lazy = LazyLock::new(|| installed("apache2"));
pub static CADDY: Lazy = LazyLock::new(|| module("caddy", CADDY_MODULE));
pub static VICTORIA: Lazy = LazyLock::new(|| module("victoria-metrics", VICTORIA_MODULE));
pub static VMAGENT: Lazy = LazyLock::new(|| module("vmagent", VMAGENT_MODULE));
pub static TOOLKIT: Lazy = LazyLock::new(toolkit);
pub static CURL: Lazy = LazyLock::new(|| versioned("curl"));
/// A service manager of a user, in a new namespace.
pub static SYSTEMD: Lazy = LazyLock::new(crate::systemd::manager);
pub static SOCKET_ACTIVATE: Lazy = LazyLock::new(|| versioned("systemd-socket-activate"));

/// `target/e2e`.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("e2e")
}

/// The project's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Without its pages and without service discovery, which needs most of the dependencies.
/// Prometheus 3.N is v0.3NN of the module.
fn prometheus(name: &str) -> Program {
    let bin = directory().join("bin");
    let program = format!("{PROMETHEUS_MODULE}/cmd/{name}@{PROMETHEUS_VERSION}");
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
    kept(&built, &format!("{BUILDER}\n{COLLECTOR_PARTS}"), || {
        run(Command::new("go").args(["install", BUILDER]).env("GOBIN", &bin))?;
        let manifest = directory.join("collector.yaml");
        let written = fs::write(&manifest, COLLECTOR_PARTS.replace("OUTPUT", &sources.display().to_string()));
        written.map_err(|e| format!("cannot write {}: {e}", manifest.display()))?;
        // Not all versions are those of the builder.
        let lenient = ["--skip-strict-versioning", "--ldflags=-s -w", "--config"];
        run(Command::new(bin.join("builder")).args(lenient).arg(manifest))
    })
}

/// Playwright's driver, without a browser. Chromium comes from Debian.
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

/// A program of a Go module, by its name.
fn module(name: &str, module: &str) -> Program {
    let bin = directory().join("bin");
    kept(&bin.join(name), module, || {
        run(Command::new("go").args(["install", "-ldflags=-s -w", module]).env("GOBIN", &bin))
    })
}

/// A page behind the web configuration of Prometheus's exporters.
fn toolkit() -> Program {
    let directory = directory().join("toolkit");
    let built = directory.join("toolkit");
    kept(&built, &format!("{TOOLKIT_MODULE}\n{TOOLKIT_PROGRAM}"), || {
        let cannot = |e: std::io::Error| format!("cannot write below {}: {e}", directory.display());
        fs::create_dir_all(&directory).map_err(cannot)?;
        fs::write(directory.join("go.mod"), TOOLKIT_MODULE).map_err(cannot)?;
        fs::write(directory.join("main.go"), TOOLKIT_PROGRAM).map_err(cannot)?;
        // The checksums of its dependencies are fetched.
        run(Command::new("go").args(["mod", "tidy"]).current_dir(&directory))?;
        run(Command::new("go")
            .args(["build", "-ldflags=-s -w", "-o", "toolkit", "."])
            .current_dir(&directory))
    })
}

/// A program of the distribution, which may be outside the PATH of users.
fn installed(name: &str) -> Program {
    let places = [PathBuf::from(name), Path::new("/usr/sbin").join(name)];
    let found = places.iter().find(|place| Command::new(place).arg("-v").output().is_ok());
    found.cloned().ok_or_else(|| format!("{name} is not installed"))
}

/// A program that prints its version.
fn versioned(name: &str) -> Program {
    let told = Command::new(name).arg("--version").output();
    told.map(|_| PathBuf::from(name)).map_err(|e| format!("{name}: {e}"))
}

/// The earlier build from the same input, or a new one.
fn kept(product: &Path, made_from: &str, make: impl FnOnce() -> Result<(), String>) -> Program {
    let directory = directory();
    let name = product.file_name().unwrap_or_default().display();
    // Written last, so that an incomplete build is repeated.
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
