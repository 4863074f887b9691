//! TLS to servers: the trusted authorities, and when the servers' certificates expire.
//! The chain is read while a connection is made, without another request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::tls::Authorities;

/// By host: when the certificates expire, and which authorities are trusted besides the
/// machine's.
#[derive(Debug, Default)]
pub struct Certificates {
    usual: Arc<Usual>,
    ends: Arc<Mutex<HashMap<String, Option<i64>>>>,
    trusted: Arc<Mutex<HashMap<String, Arc<WebPkiServerVerifier>>>>,
}

impl Certificates {
    /// Watches these hosts: records when their certificates expire, and trusts the
    /// given authorities for them. All others are forgotten, because redirects could
    /// name any number of hosts.
    pub fn watch<'a>(&self, hosts: impl Iterator<Item = (&'a str, Option<&'a Authorities>)>) {
        let (mut ends, mut trusted) = (HashMap::new(), HashMap::new());
        for (host, authorities) in hosts {
            let host = host.trim_matches(['[', ']']);
            ends.insert(host.to_owned(), self.expiry(host));
            let verifier = authorities.and_then(verifier_of);
            trusted.extend(verifier.map(|verifier| (host.to_owned(), verifier)));
        }
        *self.ends.lock().unwrap_or_else(PoisonError::into_inner) = ends;
        *self.trusted.lock().unwrap_or_else(PoisonError::into_inner) = trusted;
    }

    /// The same of one host more.
    pub fn watch_one(&self, host: &str, authorities: Option<&Authorities>) {
        let host = host.trim_matches(['[', ']']);
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        if ends.contains_key(host) {
            return;
        }
        ends.insert(host.to_owned(), None);
        drop(ends);
        if let Some(verifier) = authorities.and_then(verifier_of) {
            let mut trusted = self.trusted.lock().unwrap_or_else(PoisonError::into_inner);
            trusted.insert(host.to_owned(), verifier);
        }
    }

    /// Takes a host out again.
    pub fn forget(&self, host: &str) {
        let host = host.trim_matches(['[', ']']);
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).remove(host);
        self.trusted.lock().unwrap_or_else(PoisonError::into_inner).remove(host);
    }

    /// Returns when the first certificate of the host's last chain expires, in Unix
    /// seconds.
    pub fn expiry(&self, host: &str) -> Option<i64> {
        let host = host.trim_matches(['[', ']']);
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).get(host).copied().flatten()
    }

    /// Creates a TLS configuration that records the chains.
    pub fn client_config(&self) -> Result<ClientConfig, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = RecordingVerifier {
            usual: self.usual.clone(),
            algorithms: provider.signature_verification_algorithms,
            ends: self.ends.clone(),
            trusted: self.trusted.clone(),
        };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        // The client uses this configuration unchanged, including its protocols.
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// What trusts these authorities. What is wrong with them is logged.
fn verifier_of(authorities: &Authorities) -> Option<Arc<WebPkiServerVerifier>> {
    let verifier = verifier(authorities.roots().clone()).map_err(|error| {
        tracing::error!(
            "{}: its certificates cannot be used as authorities: {error}; see ca_file",
            authorities.path().display()
        );
    });
    verifier.ok()
}

fn verifier(roots: Arc<RootCertStore>) -> Result<Arc<WebPkiServerVerifier>, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = WebPkiServerVerifier::builder_with_provider(roots, provider);
    builder.build().map_err(|e| Error::General(e.to_string()))
}

/// The verification by the machine's authorities. Reading those takes most of a start,
/// and whoever asks no server over TLS needs none.
#[derive(Debug, Default)]
struct Usual(OnceLock<Result<Arc<WebPkiServerVerifier>, Error>>);

impl Usual {
    /// The connector has had the authorities read by then.
    fn get(&self) -> Result<&Arc<WebPkiServerVerifier>, Error> {
        self.0.get_or_init(|| verifier(crate::tls::roots())).as_ref().map_err(Clone::clone)
    }
}

/// The usual verification, which also records when a chain expires. It records rejected
/// chains, too: an expired certificate is the one that matters.
#[derive(Debug)]
struct RecordingVerifier {
    usual: Arc<Usual>,
    algorithms: WebPkiSupportedAlgorithms,
    ends: Arc<Mutex<HashMap<String, Option<i64>>>>,
    trusted: Arc<Mutex<HashMap<String, Arc<WebPkiServerVerifier>>>>,
}

impl ServerCertVerifier for RecordingVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain = std::iter::once(end_entity).chain(intermediates);
        let earliest = chain
            .filter_map(|der| X509Certificate::from_der(der).ok())
            .map(|(_, certificate)| certificate.validity().not_after.timestamp())
            .min();
        if let Some(end) = earliest {
            let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(noted) = ends.get_mut(&*server_name.to_str()) {
                *noted = Some(end);
            }
        }
        let usual = self.usual.get()?;
        let verified = usual.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        let Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) = verified else {
            return verified;
        };
        let trusted = self.trusted.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(other) = trusted.get(&*server_name.to_str()).cloned() else { return verified };
        drop(trusted);
        other.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
