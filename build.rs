//! What `fedimeter.build.info` says: the git revision and the compiler.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=RUSTC");
    println!("cargo::rerun-if-env-changed=FEDIMETER_REVISION");
    let revision = revision().or_else(given_revision).unwrap_or_else(|| "unknown".to_owned());
    let version = std::env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let shown = if revision == "unknown" { version } else { format!("{version} ({revision})") };
    // `cargo run` hands these on to the program, which knows all variables with its prefix.
    println!("cargo::rustc-env=BUILT_VERSION={shown}");
    println!("cargo::rustc-env=BUILT_REVISION={revision}");
    println!("cargo::rustc-env=BUILT_RUSTC={}", compiler().unwrap_or_else(|| "unknown".to_owned()));
}

/// The commit, where this is a checkout of its own and not a copy inside of
/// another project's.
fn revision() -> Option<String> {
    let root = std::env::var_os("CARGO_MANIFEST_DIR")?;
    let top = run("git", &["rev-parse", "--show-toplevel"])?;
    if Path::new(&top).canonicalize().ok()? != Path::new(&root).canonicalize().ok()? {
        return None;
    }
    // Cargo runs this anew at every build if it is told to watch a file that is
    // not there: a branch may be in `packed-refs` alone.
    let branch = run("git", &["symbolic-ref", "--quiet", "HEAD"]);
    for name in ["HEAD", "packed-refs"].into_iter().chain(branch.as_deref()) {
        let file = run("git", &["rev-parse", "--git-path", name]).unwrap_or_default();
        if Path::new(&file).is_file() {
            println!("cargo::rerun-if-changed={file}");
        }
    }
    run("git", &["rev-parse", "--short=12", "HEAD"])
}

/// The commit as whoever builds without a checkout says: an image, a package.
/// It becomes a label, so it is nothing but a name.
fn given_revision() -> Option<String> {
    let given = std::env::var("FEDIMETER_REVISION").ok()?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+');
    if given.is_empty() {
        return None;
    }
    if given.len() > 64 || !given.chars().all(is_name) {
        println!(
            "cargo::warning=FEDIMETER_REVISION is ignored: write at most 64 letters, digits, dots, - or _"
        );
        return None;
    }
    Some(given)
}

/// The compiler's version, as in `1.90.0`.
fn compiler() -> Option<String> {
    let rustc = std::env::var("RUSTC").ok()?;
    run(&rustc, &["--version"])?.split(' ').nth(1).map(str::to_owned)
}

fn run(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
