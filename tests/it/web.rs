//! Access control: TLS, passwords, tokens, and a limit on requests.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, StatusCode, Version};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::support::pki::Pki;
use crate::support::program::{PATIENCE, Serving, run};

/// A target that is never reached.
const TARGET: &str = "http://127.0.0.1:1";
/// `fakepassword` and `secret`, with the minimum cost of bcrypt.
const USERS: &str = "basic_auth_users:\n  alice: HASH\n";

fn hash(password: &str) -> String {
    bcrypt::hash(password, 4).unwrap()
}

/// A directory with a web configuration and a server's certificate.
struct Files {
    pki: Pki,
    directory: tempfile::TempDir,
}

impl Files {
    fn with(text: &str) -> Files {
        let files = Files { pki: Pki::new(), directory: tempfile::tempdir().unwrap() };
        files.write("server.pem", &files.pki.server.0);
        files.write("server.key", &files.pki.server.1);
        files.write("ca.pem", &files.pki.ca_pem);
        files.write("web.yaml", text);
        files
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn file(&self) -> String {
        self.path().join("web.yaml").display().to_string()
    }

    fn serve(&self, more: &[&str]) -> (Serving, String) {
        let file = self.file();
        let args =
            [&["serve", "--listen", "127.0.0.1:0", "--web-config-file", &file], more, &[TARGET]].concat();
        let serving = Serving::start(&args, &[]);
        let url = serving.line(|line| {
            let (_, url) = line.split_once(" on http")?;
            Some(format!("http{}", url.strip_suffix("/metrics")?))
        });
        (serving, url)
    }

    /// A client that trusts the authority, with or without a certificate.
    fn client(&self, identity: Option<&Pki>) -> Client {
        client(&self.pki.ca_pem, identity)
    }
}

fn client(ca: &str, identity: Option<&Pki>) -> Client {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    let mut tls = match identity {
        Some(pki) => {
            let chain = vec![CertificateDer::from_pem_file(&pki.client_certificate).unwrap()];
            let key = PrivateKeyDer::from_pem_file(&pki.client_key).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
        None => builder.with_no_client_auth(),
    };
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Each request has a new connection, with the current certificate.
    let builder = Client::builder().tls_backend_preconfigured(tls).no_proxy().timeout(PATIENCE);
    builder.pool_max_idle_per_host(0).build().unwrap()
}

const TLS: &str = "tls_server_config: {cert_file: server.pem, key_file: server.key}\n";

async fn status(client: &Client, url: &str) -> StatusCode {
    client.get(format!("{url}/metrics")).send().await.unwrap().status()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_are_served_over_tls() {
    let files = Files::with(TLS);
    let (serving, url) = files.serve(&[]);
    assert!(url.starts_with("https://"), "{url}");
    let client = files.client(None);
    let answer = client.get(format!("{url}/metrics")).send().await.unwrap();
    assert_eq!((answer.status(), answer.version()), (StatusCode::OK, Version::HTTP_2));
    let plain = crate::support::http::client();
    assert!(plain.get(format!("{}/metrics", url.replace("https", "http"))).send().await.is_err());
    let other = self::client(&Pki::new().ca_pem, None);
    assert!(other.get(format!("{url}/metrics")).send().await.is_err(), "its authority is unknown");
    // The health check trusts the bridge's certificate.
    let port = url.rsplit(':').next().unwrap();
    let listen = format!("127.0.0.1:{port}");
    let ran = run(&["healthcheck", "--listen", &listen, "--web-config-file", &files.file()], &[]);
    assert_eq!((ran.status, &*ran.out), (Some(0), "fedimeter is healthy\n"), "{}", ran.err);
    let other = Files::with(TLS);
    let ran = run(&["healthcheck", "--listen", &listen, "--web-config-file", &other.file()], &[]);
    assert_eq!(ran.status, Some(1), "another bridge's certificate: {}", ran.err);
    assert_eq!(serving.end("TERM").0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_can_be_left_out_and_headers_are_on_every_response() {
    let text = format!("{TLS}http_server_config: {{http2: false, headers: {{X-Frame-Options: deny}}}}\n");
    let files = Files::with(&text);
    let (_serving, url) = files.serve(&[]);
    let client = files.client(None);
    for (path, expected) in [("/metrics", 200), ("/none", 404)] {
        let answer = client.get(format!("{url}{path}")).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (expected, Version::HTTP_11));
        assert_eq!(answer.headers()["x-frame-options"], "deny");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_show_certificates_as_they_are_asked() {
    for (kind, without, own, foreign) in [
        ("RequestClientCert", true, true, true),
        ("RequireAnyClientCert", false, true, true),
        ("VerifyClientCertIfGiven", true, true, false),
        ("RequireAndVerifyClientCert", false, true, false),
    ] {
        let ca = if kind.contains("Verify") { ", client_ca_file: ca.pem" } else { "" };
        let text = TLS.replace("}\n", &format!(", client_auth_type: {kind}{ca}}}\n"));
        let files = Files::with(&text);
        let (_serving, url) = files.serve(&[]);
        let foreigner = Pki::new();
        let clients = [
            (files.client(None), without, "without"),
            (files.client(Some(&files.pki)), own, "own"),
            (files.client(Some(&foreigner)), foreign, "foreign"),
        ];
        for (client, is_let_in, who) in clients {
            let answer = client.get(format!("{url}/metrics")).send().await;
            assert_eq!(answer.is_ok_and(|answer| answer.status() == 200), is_let_in, "{kind}: {who}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_clients_with_certificates_only_allowed_names_are_let_in() {
    for (names, is_let_in) in [("client.test", true), ("other.test", false)] {
        let more = format!(
            ", client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem, client_allowed_sans: [{names}]}}\n"
        );
        let files = Files::with(&TLS.replace("}\n", &more));
        let (_serving, url) = files.serve(&[]);
        let client = files.client(Some(&files.pki));
        let answer = client.get(format!("{url}/metrics")).send().await;
        assert_eq!(answer.is_ok(), is_let_in, "{names}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_and_tokens_open_every_page() {
    let files = Files::with(&USERS.replace("HASH", &hash("right")));
    files.write("token", "scraper-token\n");
    let token = files.path().join("token").display().to_string();
    let (serving, url) = files.serve(&["--web-token-file", &token]);
    let client = files.client(None);
    let ask = async |path: &str, who: Option<(&str, &str)>| {
        let request = client.get(format!("{url}{path}"));
        let request = match who {
            Some(("bearer", token)) => request.bearer_auth(token),
            Some((user, password)) => request.basic_auth(user, Some(password)),
            None => request,
        };
        request.send().await.unwrap()
    };
    for path in ["/metrics", "/", "/-/healthy", "/api/v1/targets"] {
        for (who, expected) in [
            (None, 401),
            (Some(("alice", "right")), 200),
            (Some(("alice", "right")), 200),
            (Some(("alice", "wrong")), 401),
            (Some(("alice", "")), 401),
            (Some(("bob", "right")), 401),
            (Some(("bearer", "scraper-token")), 200),
            (Some(("bearer", "scraper-toke")), 401),
        ] {
            assert_eq!(ask(path, who).await.status().as_u16(), expected, "{path} {who:?}");
        }
    }
    let schemes: Vec<_> =
        ask("/metrics", None).await.headers().get_all("www-authenticate").into_iter().cloned().collect();
    assert_eq!(schemes, ["Basic realm=\"fedimeter\"", "Bearer realm=\"fedimeter\""]);
    assert!(!serving.log().contains("scraper-token") && !serving.log().contains("right"));
    // The health check sends the token.
    let listen = url.trim_start_matches("http://");
    let file = files.file();
    let args = ["healthcheck", "--listen", listen, "--web-config-file", &file];
    assert_eq!(run(&[&args[..], &["--web-token-file", &token]].concat(), &[]).status, Some(0));
    let ran = run(&args, &[]);
    let told = "HTTP 401 Unauthorized: the bridge requires a password: set web_token_file";
    assert!(ran.status == Some(1) && ran.err.contains(told), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_may_be_told_to_anybody() {
    let files = Files::with(&USERS.replace("HASH", &hash("right")));
    let (_serving, url) = files.serve(&["--web-open-health"]);
    let client = files.client(None);
    let status =
        async |path: &str| client.get(format!("{url}{path}")).send().await.unwrap().status().as_u16();
    assert_eq!(
        [status("/-/healthy").await, status("/-/ready").await, status("/metrics").await],
        [200, 401, 401]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_beyond_the_limit_are_told_to_wait() {
    let files = Files::with("rate_limit: {interval: 1h, burst: 3}\n");
    let (_serving, url) = files.serve(&[]);
    let client = files.client(None);
    let mut seen = Vec::new();
    for _ in 0..5 {
        let answer = client.get(format!("{url}/-/healthy")).send().await.unwrap();
        seen.push((answer.status().as_u16(), answer.headers().contains_key("retry-after")));
    }
    assert_eq!(seen, [(200, false), (200, false), (200, false), (429, true), (429, true)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_file_is_read_again_and_a_broken_one_changes_nothing() {
    let files = Files::with(&format!("{TLS}{}", USERS.replace("HASH", &hash("first"))));
    let (serving, url) = files.serve(&[]);
    let client = || files.client(None);
    let ask = async |password: &str| {
        let answer = client().get(format!("{url}/metrics")).basic_auth("alice", Some(password)).send().await;
        answer.unwrap().status().as_u16()
    };
    assert_eq!(ask("first").await, 200);
    files.write("web.yaml", "tls_server_config: {cert_file: server.pem}\n");
    serving.line(|line| {
        (line.contains("has neither key nor key_file") && line.contains("stays in effect")).then_some(())
    });
    assert_eq!(ask("first").await, 200);
    files.write("web.yaml", &format!("{TLS}{}", USERS.replace("HASH", &hash("second"))));
    serving.line(|line| line.contains("is now in effect").then_some(()));
    assert_eq!([ask("first").await, ask("second").await], [401, 200]);
    // A certificate of another authority.
    let other = Pki::new();
    files.write("server.key", &other.server.1);
    files.write("server.pem", &other.server.0);
    for _ in 0..100 {
        if client().get(format!("{url}/metrics")).send().await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let trusting = self::client(&other.ca_pem, None);
    assert_eq!(status(&trusting, &url).await, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_reads_it_again_and_fails_with_it() {
    let files = Files::with("rate_limit: {interval: 0}\n");
    let (serving, url) = files.serve(&["--enable-reload"]);
    let client = files.client(None);
    let reload = async || {
        let answer = client.post(format!("{url}/-/reload")).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    files.write("web.yaml", "basic_auth_users: {alice: plain}\n");
    let (status, says) = reload().await;
    assert_eq!(status, 500);
    assert!(says.contains("web.yaml:1: basic_auth_users.alice: is not a bcrypt hash"), "{says}");
    files.write("web.yaml", &USERS.replace("HASH", &hash("right")));
    assert_eq!(reload().await.0, 200);
    assert_eq!(reload().await.0, 401);
    drop(serving);
}

#[test]
fn what_is_wrong_with_it_starts_nothing() {
    let files = Files::with("basic_auth_users: {alice: plain}\n");
    for command in ["serve", "check"] {
        let ran = run(&[command, "--listen", "127.0.0.1:0", "--web-config-file", &files.file(), TARGET], &[]);
        assert_eq!(ran.status, Some(2), "{}", ran.err);
        assert!(ran.err.contains("web.yaml:1: basic_auth_users.alice: is not a bcrypt hash"), "{}", ran.err);
    }
}
