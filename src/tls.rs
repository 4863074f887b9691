//! The TLS stack (rustls with ring): the trusted authorities and the client identity.

#[cfg(feature = "program")]
pub mod pinned;
#[cfg(feature = "program")]
pub mod server;
mod words;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use x509_parser::prelude::{FromDer, X509Certificate, X509Version};

pub use words::in_words;

/// Why a file for TLS cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A certificate in the file cannot be used.
    #[error("{path}: certificate {number} in it cannot be used: {reason}")]
    BadCertificate {
        /// The file.
        path: PathBuf,
        /// Its number, counted from 1.
        number: usize,
        /// Why, and what to do about it.
        reason: String,
    },
    /// The file contains no certificate.
    #[error("{0}: no certificate in PEM form (`-----BEGIN CERTIFICATE-----`) in it")]
    NoCertificate(PathBuf),
    /// The file contains no usable private key.
    #[error("{0}: no unencrypted private key in PEM form (`-----BEGIN PRIVATE KEY-----`) in it")]
    NoKey(PathBuf),
    /// Only one half of a client certificate is configured.
    #[error("a client certificate needs both its certificate and its key; only {0} is set")]
    HalfIdentity(PathBuf),
    /// rustls refuses the pair: the key does not belong to the certificate, or is of an
    /// unknown kind.
    #[error("the client certificate {certificate} and its key {key} cannot be used: {}", reason(source))]
    Identity {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// rustls's reason.
        source: rustls::Error,
    },
    /// rustls could not be set up.
    #[error("failed to set up TLS: {0}")]
    Setup(rustls::Error),
}

impl TlsError {
    /// The invalid file, if it is a single one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            TlsError::Read { path, .. }
            | TlsError::BadCertificate { path, .. }
            | TlsError::NoCertificate(path)
            | TlsError::NoKey(path) => Some(path),
            TlsError::HalfIdentity(_) | TlsError::Identity { .. } | TlsError::Setup(_) => None,
        }
    }
}

/// Returns rustls's reason without its first words, which call every invalid
/// certificate a peer's.
fn reason(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(error) => format!("invalid certificate: {error}"),
        other => other.to_string(),
    }
}

/// A client certificate with its key, both in PEM.
#[derive(Clone)]
pub struct Identity {
    /// The file of the certificate.
    certificate_path: PathBuf,
    /// The file of the key.
    key_path: PathBuf,
    /// The certificate with its chain.
    pub certificate: Vec<u8>,
    /// The private key, which is never shown.
    pub key: Vec<u8>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity")
            .field("certificate", &self.certificate_path)
            .field("key", &self.key_path)
            .finish_non_exhaustive()
    }
}

impl Identity {
    /// Reads a client certificate and its key. Returns `None` if neither is configured.
    ///
    /// # Errors
    ///
    /// When only one of them is configured, or a file cannot be read.
    pub fn read(certificate: Option<&Path>, key: Option<&Path>) -> Result<Option<Identity>, TlsError> {
        match (certificate, key) {
            (None, None) => Ok(None),
            (Some(certificate), Some(key)) => Ok(Some(Identity {
                certificate: read(certificate)?,
                key: read(key)?,
                certificate_path: certificate.to_owned(),
                key_path: key.to_owned(),
            })),
            (Some(only), None) | (None, Some(only)) => Err(TlsError::HalfIdentity(only.to_owned())),
        }
    }
}

static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();

/// Whether [`roots`] will read no files.
#[must_use]
pub fn roots_are_read() -> bool {
    ROOTS.get().is_some()
}

/// Returns the authorities that this machine trusts, or the bundled ones if it has none
/// (a container from scratch). They are read once.
#[must_use]
pub fn roots() -> Arc<RootCertStore> {
    ROOTS
        .get_or_init(|| {
            let native = rustls_native_certs::load_native_certs();
            for error in &native.errors {
                tracing::debug!(%error, "a system certificate file cannot be read");
            }
            Arc::new(native_or_bundled(native.certs))
        })
        .clone()
}

fn native_or_bundled(native: Vec<CertificateDer<'static>>) -> RootCertStore {
    let mut store = RootCertStore::empty();
    let (usable, ignored) = store.add_parsable_certificates(native);
    tracing::debug!(usable, ignored, "system certificates");
    if store.is_empty() {
        tracing::debug!("this machine has no trusted certificates: using the bundled ones");
        store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    store
}

/// Reads the only authorities to trust from a PEM file.
///
/// # Errors
///
/// When the file cannot be read, contains no certificate, or an invalid one.
pub fn roots_from(path: &Path) -> Result<Arc<RootCertStore>, TlsError> {
    let mut store = RootCertStore::empty();
    for (certificate, number) in certificates(&read(path)?, path)?.into_iter().zip(1..) {
        store.add(certificate).map_err(|error| TlsError::BadCertificate {
            path: path.to_owned(),
            number,
            reason: format!("as an authority it is an {}", reason(&error)),
        })?;
    }
    Ok(Arc::new(store))
}

/// Authorities that are trusted for a target, besides those of this machine.
#[derive(Debug, Clone)]
pub struct Authorities {
    path: Arc<Path>,
    roots: Arc<RootCertStore>,
}

impl Authorities {
    /// Reads authorities from a PEM file.
    ///
    /// # Errors
    ///
    /// As for [`roots_from`].
    pub fn read(path: &Path) -> Result<Authorities, TlsError> {
        Ok(Authorities { path: path.into(), roots: roots_from(path)? })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The authorities.
    #[must_use]
    pub fn roots(&self) -> &Arc<RootCertStore> {
        &self.roots
    }
}

impl PartialEq for Authorities {
    fn eq(&self, other: &Authorities) -> bool {
        self.path == other.path && self.roots.roots == other.roots.roots
    }
}

/// Creates a client configuration that trusts `roots`, and sends `identity` to a server
/// that asks for it.
///
/// # Errors
///
/// When the identity's certificate or key cannot be used.
pub fn client_config(
    roots: Arc<RootCertStore>,
    identity: Option<&Identity>,
) -> Result<ClientConfig, TlsError> {
    // The provider is passed explicitly, because a process-wide default belongs to the
    // application, and this is also a library.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Setup)?
        .with_root_certificates(roots);
    let Some(identity) = identity else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates(&identity.certificate, &identity.certificate_path)?;
    if chain.first().is_some_and(is_old) {
        return Err(TlsError::BadCertificate {
            path: identity.certificate_path.clone(),
            number: 1,
            reason: "it is of X.509 version 1, and TLS needs version 3; \
                     `openssl x509 -req` makes one if it is given -extfile"
                .to_owned(),
        });
    }
    let key = PrivateKeyDer::from_pem_slice(&identity.key)
        .map_err(|_| TlsError::NoKey(identity.key_path.clone()))?;
    builder.with_client_auth_cert(chain, key).map_err(|source| TlsError::Identity {
        certificate: identity.certificate_path.clone(),
        key: identity.key_path.clone(),
        source,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

fn certificates(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let mut found = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        found.push(certificate.map_err(|error| TlsError::BadCertificate {
            path: path.to_owned(),
            number: found.len() + 1,
            reason: format!("it is not PEM: {error}"),
        })?);
    }
    if found.is_empty() { Err(TlsError::NoCertificate(path.to_owned())) } else { Ok(found) }
}

/// Whether the certificate is older than X.509 version 3, whose extensions TLS needs.
fn is_old(certificate: &CertificateDer<'_>) -> bool {
    X509Certificate::from_der(certificate)
        .is_ok_and(|(_, certificate)| certificate.version() != X509Version::V3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_certificates_gets_the_bundled_ones() {
        assert_eq!(native_or_bundled(Vec::new()).len(), webpki_roots::TLS_SERVER_ROOTS.len());
        // A certificate that cannot be parsed has no expiry.
        let garbage = vec![CertificateDer::from(vec![1, 2, 3])];
        assert_eq!(native_or_bundled(garbage).len(), webpki_roots::TLS_SERVER_ROOTS.len());
    }

    #[test]
    fn a_machine_with_certificates_gets_only_those() {
        let own = rcgen::generate_simple_self_signed(["ca.test".to_owned()]).unwrap();
        assert_eq!(native_or_bundled(vec![own.cert.der().clone()]).len(), 1);
    }

    #[test]
    fn errors_name_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let empty = dir.path().join("empty.pem");
        std::fs::write(&empty, "nothing here").unwrap();
        let missing = dir.path().join("missing.pem");
        let one = rcgen::generate_simple_self_signed(["one.test".to_owned()]).unwrap();
        let two = rcgen::generate_simple_self_signed(["two.test".to_owned()]).unwrap();
        let (certificate, key) = (dir.path().join("one.pem"), dir.path().join("two.key"));
        std::fs::write(&certificate, one.cert.pem()).unwrap();
        std::fs::write(&key, two.signing_key.serialize_pem()).unwrap();

        let text = |r: Result<(), TlsError>| r.unwrap_err().to_string();
        assert!(text(roots_from(&missing).map(drop)).contains("missing.pem: No such file"));
        assert!(text(roots_from(&empty).map(drop)).contains("empty.pem: no certificate"));
        assert!(
            text(Identity::read(Some(&certificate), None).map(drop)).contains("needs both"),
            "half an identity"
        );
        let with = |c: &Path, k: &Path| {
            let identity = Identity::read(Some(c), Some(k)).unwrap();
            client_config(roots(), identity.as_ref()).map(drop)
        };
        assert!(text(with(&certificate, &empty)).contains("empty.pem: no unencrypted private key"));
        assert!(text(with(&empty, &key)).contains("empty.pem: no certificate"));
        assert!(text(with(&certificate, &key)).contains("cannot be used"), "another one's key");
    }

    #[test]
    fn errors_name_the_certificate_that_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let one = rcgen::generate_simple_self_signed(["one.test".to_owned()]).unwrap();
        let good = one.cert.pem();
        let no_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let no_base64 = "-----BEGIN CERTIFICATE-----\n??\n-----END CERTIFICATE-----\n";
        let text = |r: Result<(), TlsError>| r.unwrap_err().to_string();
        for bad in [no_der, no_base64] {
            let bundle = file("bundle.pem", &format!("{good}{bad}{good}"));
            let text = text(roots_from(&bundle).map(drop));
            assert!(text.contains("bundle.pem: certificate 2 in it cannot be used: "), "{text}");
        }
        let old = file("old.pem", include_str!("../tests/certificates/version-1.pem"));
        let key = file("old.key", &one.signing_key.serialize_pem());
        let identity = Identity::read(Some(&old), Some(&key)).unwrap();
        let text = text(client_config(roots(), identity.as_ref()).map(drop));
        assert!(
            text.contains("old.pem: certificate 1 in it cannot be used: it is of X.509 version 1"),
            "{text}"
        );
        assert!(!text.contains("peer"), "{text}");
    }

    #[test]
    fn secrets_do_not_show() {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("k.pem");
        std::fs::write(&key, "hush").unwrap();
        let identity = Identity::read(Some(&key), Some(&key)).unwrap().unwrap();
        let shown = format!("{identity:?}");
        assert!(shown.contains("k.pem") && !shown.contains("104"), "{shown}");
    }
}
