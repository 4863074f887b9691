//! TLS to servers: who is trusted, and when the certificates that they serve
//! end. The chain passes here when a connection is made; nothing is asked twice.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use x509_parser::prelude::{FromDer, X509Certificate};

/// The ends of the served chains, by host.
#[derive(Debug, Default)]
pub struct Certificates {
    ends: Arc<Mutex<HashMap<String, Option<i64>>>>,
}

impl Certificates {
    /// Notes the ends of this host's chains. No others: redirects could name
    /// hosts without end.
    pub fn watch(&self, host: &str) {
        let host = host.trim_matches(['[', ']']).to_owned();
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).entry(host).or_default();
    }

    /// Unix seconds at which the earliest certificate of the chain that this
    /// host last served ends.
    pub fn expiry(&self, host: &str) -> Option<i64> {
        let host = host.trim_matches(['[', ']']);
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).get(host).copied().flatten()
    }

    /// A TLS configuration that notes what it sees.
    pub fn client_config(&self) -> Result<ClientConfig, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let inner = WebPkiServerVerifier::builder_with_provider(crate::tls::roots(), provider.clone())
            .build()
            .map_err(|e| Error::General(e.to_string()))?;
        let verifier = Noting { inner, ends: self.ends.clone() };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        // The client is given this configuration whole, and offers what is in it.
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// The usual verification, with a note of when the chain ends; of one that is
/// refused, too: an expired certificate is the one that people want to see.
#[derive(Debug)]
struct Noting {
    inner: Arc<WebPkiServerVerifier>,
    ends: Arc<Mutex<HashMap<String, Option<i64>>>>,
}

impl ServerCertVerifier for Noting {
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
        self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
