//! Access control with Prometheus and curl, and in comparison with an exporter with the
//! same web configuration.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::bench::{eventually, free_address};
use crate::programs::root;
use crate::prometheus::Prometheus;
use crate::support::pki::Pki;
use crate::support::program::Serving;

/// A target that is never reached.
const TARGET: &str = "http://127.0.0.1:1";

/// A directory with a web configuration, and the files that it names.
fn directory(pki: &Pki, text: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &[u8]| fs::write(directory.path().join(name), text).unwrap();
    write("server.pem", pki.server.0.as_bytes());
    write("server.key", pki.server.1.as_bytes());
    write("ca.pem", pki.ca_pem.as_bytes());
    write("client.pem", &fs::read(&pki.client_certificate).unwrap());
    write("client.key", &fs::read(&pki.client_key).unwrap());
    write("password", b"right");
    write("wrong-password", b"wrong");
    write("web.yaml", text.replace("HASH", &bcrypt::hash("right", 4).unwrap()).as_bytes());
    directory
}

fn path(directory: &TempDir, name: &str) -> String {
    directory.path().join(name).display().to_string()
}

pub fn prometheus_shows_who_it_is(prometheus: &Path) {
    let pki = Pki::new();
    let text = "tls_server_config:
  cert_file: server.pem
  key_file: server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.pem
basic_auth_users:
  alice: HASH
";
    let directory = directory(&pki, text);
    let file = |name: &str| path(&directory, name);
    let address = free_address();
    let web = file("web.yaml");
    let bridge = Serving::start(&["--listen", &address, "--web-config-file", &web, TARGET], &[]);
    bridge.line(|line| line.contains(" on https://").then_some(()));
    let (ca, certificate, key) = (file("ca.pem"), file("client.pem"), file("client.key"));
    let with_key = format!("ca_file: {ca}, cert_file: {certificate}, key_file: {key}");
    let without = format!("ca_file: {ca}");
    let job = |name: &str, tls: &str, password: &str| {
        format!(
            "- job_name: {name}
  scheme: https
  tls_config: {{{tls}}}
  basic_auth: {{username: alice, password_file: {}}}
  static_configs: [{{targets: ['{address}']}}]
",
            file(password)
        )
    };
    let jobs = [
        job("let-in", &with_key, "password"),
        job("wrong-password", &with_key, "wrong-password"),
        job("no-certificate", &without, "password"),
    ];
    let configuration = format!("global: {{scrape_interval: 1s}}\nscrape_configs:\n{}", jobs.concat());
    let prometheus = Prometheus::start(prometheus, &configuration, &[]);
    let health = |job: &str| {
        eventually("three scraped targets", || {
            let targets = prometheus.api("targets", &[]);
            let targets = targets["activeTargets"].as_array().unwrap().clone();
            let target = targets.into_iter().find(|target| target["labels"]["job"] == job);
            let target = target.ok_or_else(|| format!("{job} is not there yet"))?;
            let health = target["health"].as_str().unwrap().to_owned();
            if health == "unknown" {
                Err(target.to_string())
            } else {
                Ok((health, target["lastError"].to_string()))
            }
        })
    };
    assert_eq!(health("let-in"), ("up".to_owned(), "\"\"".to_owned()));
    let (wrong, why) = health("wrong-password");
    assert!(wrong == "down" && why.contains("401"), "{wrong}: {why}");
    // A client that has not written its request when it is refused sees a broken pipe.
    eventually("a refusal by TLS", || {
        let (refused, why) = health("no-certificate");
        assert_eq!(refused, "down");
        if why.contains("tls") { Ok(()) } else { Err(why) }
    });
}

/// The exporter and the bridge behave the same, with the same file and the same clients.
pub fn as_exporters_have_it(toolkit: &Path, curl: &Path) {
    let pki = Pki::new();
    let foreigner = Pki::new();
    let mut files: Vec<PathBuf> =
        fs::read_dir(root().join("tests/fixtures/web")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 20, "{files:?}");
    let mut refused = 0;
    for file in files {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&file).unwrap();
        let directory = directory(&pki, &text);
        let web = path(&directory, "web.yaml");
        let (theirs, ours) = (free_address(), free_address());
        let exporter = Serving::with(Command::new(toolkit).args([&theirs, &web]));
        let bridge = Serving::start(&["--listen", &ours, "--web-config-file", &web, TARGET], &[]);
        let has_started = |serving: &Serving, words: [&str; 2]| {
            eventually("a start or a refusal", || {
                let log = serving.log();
                let found = words.iter().position(|word| log.contains(word));
                found.ok_or_else(|| format!("{name}: {log}"))
            }) == 0
        };
        let starts = [
            has_started(&exporter, ["TLS is ", "cannot serve"]),
            has_started(&bridge, [" on http", "web.yaml:"]),
        ];
        assert_eq!(starts[0], starts[1], "{name}: {}\n{}", exporter.log(), bridge.log());
        if !starts[0] {
            refused += 1;
            continue;
        }
        let scheme = if text.contains("tls_server_config") { "https" } else { "http" };
        let ask =
            |address: &str| clients(curl, &format!("{scheme}://{address}/metrics"), &directory, &foreigner);
        assert_eq!(ask(&ours), ask(&theirs), "{name}");
    }
    assert_eq!(refused, 6);
}

/// The results of clients: whether there is an answer, its status and HTTP version, and its
/// configurable headers.
fn clients(curl: &Path, url: &str, directory: &TempDir, foreigner: &Pki) -> Vec<String> {
    let file = |name: &str| path(directory, name);
    let foreign =
        [&foreigner.client_certificate, &foreigner.client_key].map(|path| path.display().to_string());
    let own = [file("client.pem"), file("client.key")];
    let certificates = [("no certificate", None), ("own", Some(&own)), ("foreign", Some(&foreign))];
    let passwords = [("no password", None), ("right", Some("alice:right")), ("wrong", Some("alice:wrong"))];
    let mut seen = Vec::new();
    for (shown, certificate) in certificates {
        for (said, password) in passwords {
            let mut command = Command::new(curl);
            command.args(["-sS", "-o", "/dev/null", "--max-time", "20", "--cacert", &file("ca.pem")]);
            let headers = "%header{x-frame-options} %header{strict-transport-security}";
            command.args(["-w", &format!("%{{http_code}} HTTP/%{{http_version}} {headers}")]);
            if let Some([certificate, key]) = certificate {
                command.args(["--cert", certificate, "--key", key]);
            }
            if let Some(password) = password {
                command.args(["-u", password]);
            }
            let output = command.arg(url).output().unwrap();
            let told = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            // Both end a handshake differently.
            let told = if output.status.success() { told } else { "not answered".to_owned() };
            seen.push(format!("{shown}, {said}: {told}"));
        }
    }
    seen
}
