//! The pages below a path of a real proxy, configured as in docs/page.md.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use reqwest::header::HOST;
use reqwest::{Response, Url};

use crate::bench::{PATIENCE, RUNTIME, TICK, eventually, free_address, get};
use crate::programs::root;
use crate::support::http;
use crate::support::program::{Serving, signal};

/// The address of the bridge in docs/page.md, and the path.
const BRIDGE: &str = "127.0.0.1:9464";
const PREFIX: &str = "/fedimeter/";

/// nginx: `location` with a slash at its end.
pub fn nginx(program: &Path) {
    nginx_as(program, 0, None);
}

/// nginx that passes on path and host, in front of a bridge with an external URL.
pub fn nginx_that_passes_all_on(program: &Path) {
    nginx_as(program, 1, Some("metrics.example.org"));
}

fn nginx_as(program: &Path, example: usize, host: Option<&str>) {
    through("nginx", example, host, |snippet, address, folder| {
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|what| format!("{what}_temp_path {}/{what};", folder.display()));
        let text = format!(
            "daemon off;\nmaster_process off;\npid {0}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\n{1}\naccess_log off;\n\
             server {{\nlisten {address};\n{snippet}}}\n}}\n",
            folder.display(),
            temporary.join("\n"),
        );
        let file = written(folder, &text);
        let mut command = Command::new(program);
        command.args(["-p", folder.to_str().unwrap(), "-c", &file]);
        command
    });
}

/// Apache: `ProxyPass`.
pub fn apache(program: &Path) {
    through("apache", 0, None, |snippet, address, folder| {
        let modules = ["mpm_event", "authz_core", "proxy", "proxy_http"]
            .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"));
        let text = format!(
            "ServerRoot {0}\nDefaultRuntimeDir {0}\nPidFile {0}/pid\nListen {address}\nServerName localhost\n\
             User www-data\nGroup www-data\nErrorLog /dev/stderr\n{1}{snippet}",
            folder.display(),
            modules.concat(),
        );
        let file = written(folder, &text);
        let mut command = Command::new(program);
        command.args(["-f", &file, "-DFOREGROUND"]);
        command
    });
}

/// Caddy: `handle_path`.
pub fn caddy(program: &Path) {
    through("caddy", 0, None, |snippet, address, folder| {
        let text = format!("{{\nadmin off\nauto_https off\n}}\nhttp://{address} {{\n{snippet}}}\n");
        let file = written(folder, &text);
        let mut command = Command::new(program);
        command.args(["run", "--adapter", "caddyfile", "--config", &file]).env("HOME", folder);
        command
    });
}

fn written(folder: &Path, text: &str) -> String {
    let file = folder.join("configuration");
    fs::write(&file, text).unwrap();
    file.display().to_string()
}

/// A proxy, until it is dropped.
struct Proxy(Child);

impl Drop for Proxy {
    fn drop(&mut self) {
        // After a kill, its workers would remain.
        signal(self.0.id(), "TERM");
        let began = Instant::now();
        while began.elapsed() < PATIENCE && matches!(self.0.try_wait(), Ok(None)) {
            std::thread::sleep(TICK);
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An example of docs/page.md for a proxy.
fn snippet(name: &str, example: usize) -> String {
    let page = fs::read_to_string(root().join("docs/page.md")).unwrap();
    let rest = page.split(&format!("```{name}\n")).nth(example + 1);
    let rest = rest.unwrap_or_else(|| panic!("no example {example} of {name}"));
    rest.split("```").next().unwrap().to_owned()
}

/// The example of docs/page.md for the external URL.
fn external_url() -> String {
    let page = fs::read_to_string(root().join("docs/page.md")).unwrap();
    page.lines().find_map(|line| line.strip_prefix("external_url: ")).unwrap().to_owned()
}

/// Sends a request to a proxy with this host name.
fn ask(url: &Url, host: Option<&str>) -> Result<Response, reqwest::Error> {
    let mut request = http::client().get(url.clone());
    if let Some(host) = host {
        request = request.header(HOST, host);
    }
    RUNTIME.block_on(async { request.send().await })
}

/// Follows every link from the first page: each stays below the path, and exists. With a
/// host, the bridge has an external URL with that host.
fn through(
    name: &str,
    example: usize,
    host: Option<&str>,
    command: impl FnOnce(&str, &str, &Path) -> Command,
) {
    let mut args = vec!["demo", "--listen", "127.0.0.1:0"];
    let external = external_url();
    if let Some(host) = host {
        assert_eq!(external, format!("https://{host}{PREFIX}"));
        args.extend(["--external-url", &external]);
    }
    let demo = Serving::start(&args, &[]);
    let bridge = demo.url();
    eventually("the bridge collects", || get(&format!("{bridge}/-/ready")));
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    let snippet = snippet(name, example).replace(BRIDGE, bridge.trim_start_matches("http://"));
    let mut command = command(&snippet, &address, folder.path());
    let proxy = Proxy(command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap());
    let start = Url::parse(&format!("http://{address}{PREFIX}")).unwrap();
    eventually("the proxy answers", || ask(&start, host).map_err(|e| e.to_string()));
    let without_slash = Url::parse(start.as_str().trim_end_matches('/')).unwrap();
    if host.is_some() {
        // A relative link leads back through the proxy.
        let response = ask(&without_slash, host).unwrap();
        assert_eq!((response.status().as_u16(), response.url()), (200, &start));
    }

    let mut waiting = vec![start.clone()];
    let mut seen: BTreeSet<String> = [start.to_string()].into();
    while let Some(url) = waiting.pop() {
        assert!(url.path().starts_with(PREFIX), "{url} leads away");
        let response = ask(&url, host).unwrap();
        assert_eq!(response.status(), 200, "{url}");
        let is_page = response.headers()["content-type"].to_str().unwrap().starts_with("text/html");
        let body = RUNTIME.block_on(response.text()).unwrap();
        if !is_page {
            continue;
        }
        for link in links(&body) {
            let mut next = url.join(&link).unwrap();
            next.set_fragment(None);
            // The table has many views, of which one is enough.
            let is_view =
                next.query().is_some_and(|query| query.contains("sort=") || query.contains("state="));
            if !is_view && seen.insert(next.to_string()) {
                waiting.push(next);
            }
        }
    }
    let paths: BTreeSet<&str> = seen.iter().map(|url| url.split_once(PREFIX).unwrap().1).collect();
    for expected in ["", "style.css", "icon.svg", "metrics", "api/v1/targets", "-/healthy", "-/ready"] {
        assert!(paths.contains(expected), "{expected:?} is not linked: {paths:?}");
    }
    // Names of targets are URLs. Proxies decode or reject their slashes in a path.
    let targets: Vec<&&str> = paths.iter().filter(|path| path.starts_with("target?")).collect();
    assert!(targets.iter().filter(|path| path.contains("http%3A%2F%2F")).count() >= 6, "{targets:?}");
    let search = Url::parse(&format!("{start}?q=art.localhost&refresh=off")).unwrap();
    let found = RUNTIME.block_on(ask(&search, host).unwrap().text()).unwrap();
    assert!(found.contains("1 to 1 of"), "the search finds one");
    drop(proxy);
}

/// The links and resources of a page.
fn links(html: &str) -> Vec<String> {
    let values = |attribute: &str| {
        let start = format!(" {attribute}=\"");
        let parts = html.split(&start).skip(1);
        parts
            .filter_map(|rest| rest.split('"').next())
            .map(|link| link.replace("&amp;", "&"))
            .collect::<Vec<_>>()
    };
    [values("href"), values("src"), values("action")].concat()
}
