use super::*;

/// Creates a directory with an authority's certificate, and a server's certificate and
/// key.
fn pki() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| std::fs::write(directory.path().join(name), text).unwrap();
    for name in ["one", "two"] {
        let made = rcgen::generate_simple_self_signed([format!("{name}.test")]).unwrap();
        write(&format!("{name}.pem"), made.cert.pem());
        write(&format!("{name}.key"), made.signing_key.serialize_pem());
    }
    directory
}

fn read(directory: &Path, text: &str) -> Result<Web, String> {
    let file = directory.join("web.yaml");
    std::fs::write(&file, text).unwrap();
    let prefix = format!("{}/", directory.display());
    Web::read(&file).map_err(|errors| errors.to_string().replace(&prefix, ""))
}

const PAIR: &str = "cert_file: one.pem, key_file: one.key";

#[test]
fn a_whole_file_is_read() {
    let directory = pki();
    let web = read(
        directory.path(),
        "tls_server_config:
  cert_file: one.pem
  key_file: one.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: two.pem
  client_allowed_sans: [prometheus.example]
  min_version: TLS12
  max_version: TLS13
  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256]
  prefer_server_cipher_suites: true
  curve_preferences: [X25519, CurveP256]
http_server_config:
  http2: false
  headers:
    Strict-Transport-Security: max-age=31536000
    X-Frame-Options: deny
basic_auth_users:
  alice: $2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi
rate_limit:
  interval: 1s
  burst: 20
",
    )
    .unwrap();
    let tls = web.tls.unwrap();
    assert_eq!(tls.alpn_protocols, [b"http/1.1"]);
    assert!(!web.http2);
    assert_eq!(web.headers.len(), 2);
    assert_eq!(web.users.keys().collect::<Vec<_>>(), ["alice"]);
    assert_eq!(web.rate_limit, Some((Duration::from_secs(1), 20)));
    let files: Vec<_> = web.files.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(files, ["web.yaml", "one.pem", "one.key", "two.pem"]);
}

#[test]
fn what_is_not_said_is_off() {
    let directory = pki();
    for text in ["", "{}\n", "tls_server_config: {}\n", "http_server_config: {http2: true}\n"] {
        let web = read(directory.path(), text).unwrap();
        assert!(web.tls.is_none() && web.users.is_empty() && web.rate_limit.is_none(), "{text}");
    }
    let web = read(directory.path(), "rate_limit: {interval: 0}\n").unwrap();
    assert_eq!(web.rate_limit, None);
}

#[test]
fn certificates_may_stand_in_the_file() {
    let directory = pki();
    let indented = |name: &str| {
        let text = std::fs::read_to_string(directory.path().join(name)).unwrap();
        text.lines().flat_map(|line| ["    ", line, "\n"]).collect::<String>()
    };
    let text =
        format!("tls_server_config:\n  cert: |\n{}  key: |\n{}", indented("one.pem"), indented("one.key"));
    let web = read(directory.path(), &text).unwrap();
    assert!(web.tls.is_some() && web.files.len() == 1);
}

/// Each mistake gives one message, with its line.
#[test]
fn each_mistake_is_told_with_its_line_and_a_way_out() {
    let directory = pki();
    std::fs::write(directory.path().join("empty.pem"), "nothing\n").unwrap();
    let tls = |rest: &str| format!("tls_server_config: {{{PAIR}, {rest}}}\n");
    for (text, expected) in [
        (
            "tls_servers_config: {}\n".to_owned(),
            "web.yaml:1: tls_servers_config: unknown key; did you mean `tls_server_config`?",
        ),
        (
            tls("certfile: x"),
            "web.yaml:1: tls_server_config.certfile: unknown key; did you mean `cert_file`?",
        ),
        (
            "tls_server_config: {cert_file: one.pem}\n".to_owned(),
            "web.yaml:1: tls_server_config: has neither key nor key_file; ",
        ),
        (
            "tls_server_config: {key_file: one.key}\n".to_owned(),
            "web.yaml:1: tls_server_config: has neither cert nor cert_file; ",
        ),
        (
            "\ntls_server_config: {cert_file: none.pem, key_file: one.key}\n".to_owned(),
            "web.yaml:2: tls_server_config.cert_file: cannot read none.pem: No such file",
        ),
        (
            "tls_server_config: {cert_file: empty.pem, key_file: one.key}\n".to_owned(),
            "web.yaml:1: tls_server_config.cert_file: has no certificate in PEM form",
        ),
        (
            "tls_server_config: {cert_file: one.pem, key_file: empty.pem}\n".to_owned(),
            "web.yaml:1: tls_server_config.key_file: has no unencrypted private key",
        ),
        (
            "tls_server_config: {cert_file: one.pem, key_file: two.key}\n".to_owned(),
            "web.yaml:1: tls_server_config.key_file: is not the key of the certificate",
        ),
        (
            tls("cert: x"),
            "web.yaml:1: tls_server_config.cert_file: is given together with cert; keep one of them",
        ),
        (tls("client_auth_type: Require"), "web.yaml:1: tls_server_config.client_auth_type: must be one of "),
        (
            tls("client_ca_file: two.pem"),
            "web.yaml:1: tls_server_config.client_ca_file: is without effect: set client_auth_type",
        ),
        (
            tls("client_auth_type: RequireAndVerifyClientCert, client_ca_file: empty.pem"),
            "web.yaml:1: tls_server_config.client_ca_file: has no certificate",
        ),
        (tls("min_version: TLS10"), "web.yaml:1: tls_server_config.min_version: is not supported"),
        (tls("max_version: TLS11"), "web.yaml:1: tls_server_config.max_version: is not supported"),
        (tls("min_version: SSL3"), "web.yaml:1: tls_server_config.min_version: is not a TLS version"),
        (
            tls("min_version: TLS13, max_version: TLS12"),
            "web.yaml:1: tls_server_config.max_version: is below min_version",
        ),
        (
            tls("cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]"),
            "web.yaml:1: tls_server_config.cipher_suites[0]: TLS_RSA_WITH_AES_128_CBC_SHA: is not a cipher suite that fedimeter supports",
        ),
        (
            tls("curve_preferences: [CurveP521]"),
            "web.yaml:1: tls_server_config.curve_preferences[0]: CurveP521: is not a curve that fedimeter supports",
        ),
        (
            "http_server_config: {http2: yes please}\n".to_owned(),
            "web.yaml:1: http_server_config.http2: expected true or false, found text",
        ),
        (
            "http_server_config: {headers: {X-Frame-Options: never}}\n".to_owned(),
            "web.yaml:1: http_server_config.headers.X-Frame-Options: must be ",
        ),
        (
            "http_server_config: {headers: {Set-Cookie: a=b}}\n".to_owned(),
            "web.yaml:1: http_server_config.headers.Set-Cookie: unknown key; known are ",
        ),
        (
            "basic_auth_users: {alice: secret-password}\n".to_owned(),
            "web.yaml:1: basic_auth_users.alice: is not a bcrypt hash; never write a password into this file",
        ),
        ("rate_limit: {interval: 5}\n".to_owned(), "web.yaml:1: rate_limit.interval: is not a duration"),
        ("rate_limit: {interval: 1s}\n".to_owned(), "web.yaml:1: rate_limit: lets no request through"),
        (
            "rate_limit: {interval: 1s, burst: many}\n".to_owned(),
            "web.yaml:1: rate_limit.burst: is not a number of requests",
        ),
        ("- a\n".to_owned(), "web.yaml:1: expected a map, found a list"),
        ("{\n".to_owned(), "web.yaml:2: not YAML: "),
    ] {
        let error = read(directory.path(), &text).unwrap_err();
        assert!(error.starts_with(expected), "{error:?} of {text:?}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(!error.contains("secret-password") && !error.contains("PRIVATE KEY-----\n"), "{error}");
    }
    let missing = Web::read(&directory.path().join("none.yaml")).unwrap_err().to_string();
    assert!(missing.contains("none.yaml: cannot be read: No such file"), "{missing}");
}
