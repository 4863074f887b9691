//! The web configuration file, in the format of Prometheus's exporters
//! (exporter-toolkit): TLS, passwords, headers and a limit on requests.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use rustls::{ServerConfig, SupportedProtocolVersion};

use super::discovery::read_text;
use super::error::{ConfigErrors, Errors, Place};
use super::suggest::{did_you_mean, list};
use super::values;
use super::yaml::{Document, Fields, Node};
use crate::tls::server::{ClientAuth, Part, Server, cipher_suite, group};

/// Settings for access, besides those in the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebSettings {
    /// The web configuration file.
    pub file: Option<PathBuf>,
    /// Files with tokens that clients may use.
    pub token_files: Vec<PathBuf>,
    /// Whether `/-/healthy` needs no password or token.
    pub open_health: bool,
}

/// The content of the file.
#[derive(Debug, Clone)]
pub struct Web {
    /// The TLS configuration, if TLS is on.
    pub tls: Option<Arc<ServerConfig>>,
    /// The server certificate in DER, by which the health check recognises the bridge.
    pub certificate: Option<Vec<u8>>,
    /// Whether HTTP/2 is used, which requires TLS.
    pub http2: bool,
    /// Headers for every response.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Users with the bcrypt hashes of their passwords.
    pub users: BTreeMap<String, String>,
    /// The interval in which one more request is allowed, and the burst.
    pub rate_limit: Option<(Duration, u32)>,
    /// The file, and the files that it names.
    pub files: Vec<PathBuf>,
}

const TOP: [&str; 4] = ["tls_server_config", "http_server_config", "basic_auth_users", "rate_limit"];
const TLS: [&str; 13] = [
    "cert",
    "key",
    "client_ca",
    "cert_file",
    "key_file",
    "client_ca_file",
    "client_auth_type",
    "client_allowed_sans",
    "min_version",
    "max_version",
    "cipher_suites",
    "prefer_server_cipher_suites",
    "curve_preferences",
];
const HEADERS: [(&str, &[&str]); 5] = [
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
    ("Content-Security-Policy", &[]),
];
const CLIENT_AUTH: [(&str, ClientAuth); 6] = [
    ("NoClientCert", ClientAuth::NoClientCert),
    ("RequestClientCert", ClientAuth::RequestClientCert),
    ("RequireAnyClientCert", ClientAuth::RequireAnyClientCert),
    // An older name for the same.
    ("RequireClientCert", ClientAuth::RequireAnyClientCert),
    ("VerifyClientCertIfGiven", ClientAuth::VerifyClientCertIfGiven),
    ("RequireAndVerifyClientCert", ClientAuth::RequireAndVerifyClientCert),
];

impl Web {
    /// Reads the file and the files that it names. Blocks: do not call it on an async
    /// thread.
    ///
    /// # Errors
    ///
    /// All errors, each with its line.
    pub fn read(path: &Path) -> Result<Web, ConfigErrors> {
        let errors = Errors::default();
        let cannot = |e: std::io::Error| format!("cannot be read: {e}; check web_config_file");
        let text = File::open(path).map_err(cannot).and_then(|file| read_text(file, cannot));
        let text = match text {
            Ok(text) => text,
            Err(message) => {
                errors.push(Place::outside(path.display().to_string()).error(message));
                String::new()
            }
        };
        let document = Document::parse(path, &text, &errors);
        let mut web = Web {
            tls: None,
            certificate: None,
            http2: true,
            headers: Vec::new(),
            users: BTreeMap::new(),
            rate_limit: None,
            files: vec![path.to_owned()],
        };
        if let Some(top) = document.root().and_then(|root| root.fields("a map", &TOP, |_| None)) {
            if let Some(http) = top.get("http_server_config") {
                web.read_http(http);
            }
            if let Some(users) = top.get("basic_auth_users") {
                web.read_users(users);
            }
            if let Some(limit) = top.get("rate_limit") {
                web.rate_limit = rate_limit(limit);
            }
            if let Some(tls) = top.get("tls_server_config") {
                web.read_tls(tls, path.parent().unwrap_or(Path::new("")));
            }
        }
        errors.none_or(web)
    }

    fn read_http(&mut self, node: &Node<'_>) {
        let Some(fields) = node.fields("a map", &["http2", "headers"], |_| None) else { return };
        if let Some(http2) = fields.get("http2").and_then(Node::boolean) {
            self.http2 = http2;
        }
        let names = HEADERS.map(|(name, _)| name);
        let Some(headers) = fields.get("headers") else { return };
        let Some(headers) = headers.fields("a map of headers", &names, |_| None) else { return };
        for (name, allowed) in HEADERS {
            let Some(node) = headers.get(name) else { continue };
            let Some(value) = node.any_scalar("text") else { continue };
            if !allowed.is_empty() && !allowed.contains(&&*value) {
                node.error(format!("must be {}", list(allowed)));
                continue;
            }
            match (HeaderName::try_from(name), HeaderValue::try_from(&value)) {
                (Ok(name), Ok(value)) => self.headers.push((name, value)),
                _ => node.error("is not a valid header value; write it on one line, in ASCII"),
            }
        }
    }

    fn read_users(&mut self, node: &Node<'_>) {
        for (user, node) in node.entries("a map of users and hashes of passwords").unwrap_or_default() {
            let Some(hash) = node.text("the bcrypt hash of a password") else { continue };
            if hash.parse::<bcrypt::HashParts>().is_err() {
                node.error(
                    "is not a bcrypt hash; never write a password into this file: `htpasswd -nBC 10 USER` \
                     prints its hash",
                );
            } else if user.contains(':') {
                node.error("is the password of a user whose name has a colon, which no client can send");
            } else {
                self.users.insert(user, hash.to_owned());
            }
        }
    }

    fn read_tls(&mut self, node: &Node<'_>, directory: &Path) {
        let Some(fields) = node.fields("a map", &TLS, |_| None) else { return };
        let certificate = self.pem(&fields, "cert", "cert_file", directory);
        let key = self.pem(&fields, "key", "key_file", directory);
        let client_ca = self.pem(&fields, "client_ca", "client_ca_file", directory);
        let client_auth = fields.get("client_auth_type").and_then(|node| choice(node, &CLIENT_AUTH));
        let is_given = |names: &[&str]| names.iter().any(|name| fields.get(name).is_some());
        if !is_given(&[
            "cert",
            "cert_file",
            "key",
            "key_file",
            "client_ca",
            "client_ca_file",
            "client_auth_type",
        ]) {
            return;
        }
        for [inline, file] in [["cert", "cert_file"], ["key", "key_file"]] {
            if !is_given(&[inline, file]) {
                node.error(format!("has neither {inline} nor {file}; TLS needs a certificate and its key"));
            }
        }
        let client_auth = client_auth.unwrap_or(ClientAuth::NoClientCert);
        let of_ca = ["client_ca", "client_ca_file"].into_iter().find_map(|name| fields.get(name));
        if let Some(node) = of_ca
            && client_auth == ClientAuth::NoClientCert
        {
            node.error("is without effect: set client_auth_type to RequireAndVerifyClientCert, or remove it");
        }
        let client_names = fields.get("client_allowed_sans").and_then(|node| node.items("a list of names"));
        let client_names = client_names.unwrap_or_default();
        let client_names =
            client_names.iter().filter_map(|node| node.text("a name")).map(str::to_owned).collect();
        let versions = versions(&fields);
        let cipher_suites = many(&fields, "cipher_suites", "a list of cipher suites", |name| {
            // As in Go, those of TLS 1.3 are always enabled.
            if name.starts_with("TLS_AES_") || name.starts_with("TLS_CHACHA20_") {
                return Ok(None);
            }
            cipher_suite(name).map(Some).ok_or(
                "is not a cipher suite that fedimeter supports: it has ECDHE \
                                                with AES-GCM and ChaCha20-Poly1305",
            )
        });
        let groups = many(&fields, "curve_preferences", "a list of curves", |name| {
            group(name)
                .map(Some)
                .ok_or("is not a curve that fedimeter supports: it has X25519, CurveP256 and CurveP384")
        });
        // The setting has no effect: Go and rustls always choose themselves.
        let _ = fields.get("prefer_server_cipher_suites").and_then(Node::boolean);
        let (Some(certificate), Some(key), Some(versions)) = (certificate, key, versions) else { return };
        let server = Server {
            certificate,
            key,
            client_auth,
            client_ca,
            client_names,
            versions,
            cipher_suites,
            groups,
            http2: self.http2,
        };
        let place = |names: &[&str]| names.iter().find_map(|name| fields.get(name)).unwrap_or(node).clone();
        match server.config() {
            Ok(config) => {
                self.certificate = server.first_certificate();
                self.tls = Some(Arc::new(config));
            }
            Err((part, why)) => match part {
                Part::Certificate => place(&["cert", "cert_file"]).error(why),
                Part::Key => place(&["key", "key_file"]).error(why),
                Part::ClientCa => place(&["client_ca", "client_ca_file"]).error(why),
                Part::Other => node.error(why),
            },
        }
    }

    /// Returns the inline PEM, or that of the named file.
    fn pem(&mut self, fields: &Fields<'_>, inline: &str, file: &str, directory: &Path) -> Option<Vec<u8>> {
        match (fields.get(inline), fields.get(file)) {
            (Some(_), Some(node)) => {
                node.error(format!("is given together with {inline}; keep one of them"));
                None
            }
            (Some(node), None) => node.text("PEM").map(|text| text.as_bytes().to_vec()),
            (None, Some(node)) => {
                let path = directory.join(node.text("the path of a file")?);
                self.files.push(path.clone());
                let read = std::fs::read(&path);
                read.map_err(|e| node.error(format!("cannot read {}: {e}", path.display()))).ok()
            }
            (None, None) => None,
        }
    }
}

fn choice<T: Copy>(node: &Node<'_>, choices: &[(&'static str, T)]) -> Option<T> {
    let text = node.text("a name")?;
    let found = choices.iter().find(|(name, _)| *name == text);
    if found.is_none() {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let meant = did_you_mean(text, &names);
        node.error(format!("must be one of {}{meant}", list(&names)));
    }
    found.map(|(_, value)| *value)
}

/// Returns the items of a list that `read` accepts; empty without a list.
fn many<T>(
    fields: &Fields<'_>,
    key: &str,
    due: &str,
    read: impl Fn(&str) -> Result<Option<T>, &'static str>,
) -> Option<Vec<T>> {
    let items = fields.get(key)?.items(due)?;
    let mut found = Vec::new();
    for item in items {
        let Some(name) = item.text("a name") else { continue };
        match read(name) {
            Ok(value) => found.extend(value),
            Err(why) => item.error(format!("{name}: {why}")),
        }
    }
    (!found.is_empty()).then_some(found)
}

/// Returns the TLS versions from the configured minimum to the maximum.
fn versions(fields: &Fields<'_>) -> Option<Vec<&'static SupportedProtocolVersion>> {
    let of = |key: &str, otherwise: u8| match fields.get(key) {
        None => Some(otherwise),
        Some(node) => match node.text("a version of TLS")? {
            "TLS12" => Some(12),
            "TLS13" => Some(13),
            "TLS10" | "TLS11" => {
                node.error("is not supported, because it is insecure; write TLS12 or TLS13");
                None
            }
            _ => {
                node.error("is not a TLS version; write TLS12 or TLS13");
                None
            }
        },
    };
    let (least, greatest) = (of("min_version", 12), of("max_version", 13));
    let (least, greatest) = (least?, greatest?);
    if least > greatest {
        fields.get("max_version")?.error("is below min_version");
        return None;
    }
    let all = [(13, &rustls::version::TLS13), (12, &rustls::version::TLS12)];
    Some(
        all.into_iter().filter(|(n, _)| (least..=greatest).contains(n)).map(|(_, version)| version).collect(),
    )
}

fn rate_limit(node: &Node<'_>) -> Option<(Duration, u32)> {
    let fields = node.fields("a map", &["interval", "burst"], |_| None)?;
    let interval = match fields.get("interval") {
        Some(node) => node.parse("a duration", |text| match text.trim() {
            "0" => Ok(Duration::ZERO),
            text => values::duration(text),
        })?,
        None => Duration::ZERO,
    };
    let burst = match fields.get("burst") {
        Some(node) => node.parse("a number", |text| {
            text.trim().parse::<u32>().map_err(|_| "is not a number of requests".to_owned())
        })?,
        None => 0,
    };
    if interval.is_zero() {
        return None;
    }
    if burst == 0 {
        node.error("lets no request through: its burst is 0; write at least 1");
    }
    Some((interval, burst))
}

#[cfg(test)]
mod tests;
