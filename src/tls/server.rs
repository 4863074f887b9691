//! TLS for clients of the bridge.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{cipher_suite, default_provider, kx_group};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    ServerConfig, SignatureScheme, SupportedCipherSuite, SupportedProtocolVersion,
};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The identity of a listener, and the clients that it accepts.
pub struct Server {
    /// The certificate with its chain, in PEM.
    pub certificate: Vec<u8>,
    /// The key, in PEM.
    pub key: Vec<u8>,
    /// Whether clients send a certificate.
    pub client_auth: ClientAuth,
    /// The authorities of client certificates, in PEM; `None` for those that this
    /// machine trusts.
    pub client_ca: Option<Vec<u8>>,
    /// The names of which a client certificate must contain one. Empty allows all.
    pub client_names: Vec<String>,
    /// The TLS versions, the preferred one first.
    pub versions: Vec<&'static SupportedProtocolVersion>,
    /// The cipher suites of TLS 1.2, if they are limited.
    pub cipher_suites: Option<Vec<SupportedCipherSuite>>,
    /// The groups for the key exchange, if they are limited.
    pub groups: Option<Vec<&'static dyn rustls::crypto::SupportedKxGroup>>,
    /// Whether HTTP/2 is used.
    pub http2: bool,
}

/// Whether clients send a certificate, with the names of Go's `crypto/tls`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// Clients are not asked for one.
    NoClientCert,
    /// Clients may send any certificate.
    RequestClientCert,
    /// Clients must send any certificate.
    RequireAnyClientCert,
    /// Clients may send a certificate, which must come from a trusted authority.
    VerifyClientCertIfGiven,
    /// Clients must send a certificate from a trusted authority.
    RequireAndVerifyClientCert,
}

/// The invalid part of a [`Server`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The certificate.
    Certificate,
    /// The key.
    Key,
    /// The authorities of client certificates.
    ClientCa,
    /// Another part.
    Other,
}

/// Returns the cipher suite of TLS 1.2 with this name in Go.
#[must_use]
pub fn cipher_suite(name: &str) -> Option<SupportedCipherSuite> {
    Some(match name {
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256" => cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384" => cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" => cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384" => cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256" => {
            cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
        }
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256" => {
            cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
        }
        _ => return None,
    })
}

/// Returns the group with this name in Go.
#[must_use]
pub fn group(name: &str) -> Option<&'static dyn rustls::crypto::SupportedKxGroup> {
    Some(match name {
        "CurveP256" => kx_group::SECP256R1,
        "CurveP384" => kx_group::SECP384R1,
        "X25519" => kx_group::X25519,
        _ => return None,
    })
}

impl Server {
    /// Creates the configuration for rustls.
    ///
    /// # Errors
    ///
    /// The invalid part and the reason, without the key.
    pub fn config(&self) -> Result<ServerConfig, (Part, String)> {
        let chain = certificates(&self.certificate).map_err(|why| (Part::Certificate, why))?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| {
            let why = "has no unencrypted private key in PEM form (`-----BEGIN PRIVATE KEY-----`)";
            (Part::Key, why.to_owned())
        })?;
        let mut provider = default_provider();
        if let Some(suites) = &self.cipher_suites {
            // As in Go, those of TLS 1.3 cannot be chosen.
            let is_1_3 = |suite: &SupportedCipherSuite| matches!(suite, SupportedCipherSuite::Tls13(_));
            provider.cipher_suites.retain(is_1_3);
            provider.cipher_suites.extend(suites);
        }
        if let Some(groups) = &self.groups {
            provider.kx_groups.clone_from(groups);
        }
        let provider = Arc::new(provider);
        let other = |error: &Error| (Part::Other, error.to_string());
        let verifier = self.verifier(&provider)?;
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&self.versions)
            .map_err(|error| other(&error))?;
        let builder = match verifier {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|error| {
            let why = match error {
                Error::InconsistentKeys(_) => "is not the key of the certificate".to_owned(),
                error => format!("cannot be used with the certificate: {error}"),
            };
            (Part::Key, why)
        })?;
        let protocols: &[&[u8]] = if self.http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(config)
    }

    /// Returns the certificate without its chain, in DER.
    #[must_use]
    pub fn first_certificate(&self) -> Option<Vec<u8>> {
        certificates(&self.certificate).ok()?.first().map(|certificate| certificate.to_vec())
    }

    fn verifier(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Option<Arc<dyn ClientCertVerifier>>, (Part, String)> {
        let by_authority = |is_required: bool| {
            let roots = match &self.client_ca {
                Some(pem) => authorities(pem).map_err(|why| (Part::ClientCa, why))?,
                None => super::roots(),
            };
            let builder = WebPkiClientVerifier::builder_with_provider(roots, provider.clone());
            let builder = if is_required { builder } else { builder.allow_unauthenticated() };
            builder.build().map_err(|error| (Part::ClientCa, format!("cannot be used: {error}")))
        };
        let any = |is_required| Arc::new(AnyCertificate { is_required, provider: provider.clone() });
        let verifier: Arc<dyn ClientCertVerifier> = match self.client_auth {
            ClientAuth::NoClientCert => return Ok(None),
            ClientAuth::RequestClientCert => any(false),
            ClientAuth::RequireAnyClientCert => any(true),
            ClientAuth::VerifyClientCertIfGiven => by_authority(false)?,
            ClientAuth::RequireAndVerifyClientCert => by_authority(true)?,
        };
        if self.client_names.is_empty() {
            return Ok(Some(verifier));
        }
        Ok(Some(Arc::new(Named { inner: verifier, names: self.client_names.clone() })))
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|error| format!("is not PEM: {error}"))?;
    if found.is_empty() {
        return Err("has no certificate in PEM form (`-----BEGIN CERTIFICATE-----`)".to_owned());
    }
    Ok(found)
}

fn authorities(pem: &[u8]) -> Result<Arc<RootCertStore>, String> {
    let mut store = RootCertStore::empty();
    for (certificate, number) in certificates(pem)?.into_iter().zip(1..) {
        let added = store.add(certificate);
        added.map_err(|error| {
            format!("has a certificate that is not an authority's, number {number}: {error}")
        })?;
    }
    Ok(Arc::new(store))
}

/// Accepts any certificate whose key the client has.
#[derive(Debug)]
struct AnyCertificate {
    is_required: bool,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for AnyCertificate {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        self.is_required
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Accepts clients that `inner` accepts and whose certificate has one of these names.
#[derive(Debug)]
struct Named {
    inner: Arc<dyn ClientCertVerifier>,
    names: Vec<String>,
}

/// A client's certificate has none of the allowed names.
#[derive(Debug, thiserror::Error)]
#[error("the client's certificate has none of the allowed names")]
struct NotAllowed;

impl ClientCertVerifier for Named {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.inner.verify_client_cert(certificate, intermediates, now)?;
        if names_of(certificate).iter().any(|name| self.names.contains(name)) {
            return Ok(verified);
        }
        Err(Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(NotAllowed)))))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// Returns the subject's alternative names of a certificate: hosts, addresses and URIs.
fn names_of(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) | GeneralName::RFC822Name(name) | GeneralName::URI(name) => {
            Some((*name).to_owned())
        }
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|ip| std::net::Ipv4Addr::from(ip).to_string()),
            16 => <[u8; 16]>::try_from(*bytes).ok().map(|ip| std::net::Ipv6Addr::from(ip).to_string()),
            _ => None,
        },
        _ => None,
    };
    names.value.general_names.iter().filter_map(name).collect()
}
