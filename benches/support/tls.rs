//! TLS before the simulated instances: an authority, a certificate for each name that is
//! asked for, and a count of the connections.

#![allow(dead_code, reason = "not every run needs everything")]

use std::collections::HashMap;
use std::fmt::Debug;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use fedimeter::simulator::Simulator;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SigningKey};
use tempfile::NamedTempFile;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::bridge::{Failure, instances_at};

/// What speaks TLS with the bridge, and passes on to a simulator. It has the simulator's
/// port on the address to which names below localhost lead, because the instances write
/// links with their own port.
pub struct Front {
    accepted: Arc<AtomicUsize>,
    authority: NamedTempFile,
}

impl Front {
    /// So many instances to be put behind it.
    pub async fn instances(size: usize) -> Result<Simulator, Failure> {
        instances_at([127, 0, 0, 2], size).await
    }

    /// Offers this protocol (`http/1.1`, `h2`).
    pub async fn start(simulator: &Simulator, protocol: &str) -> Result<Front, Failure> {
        let certificates = Certificates::new()?;
        let authority = NamedTempFile::new()?;
        authority.as_file().write_all(certificates.authority.as_ref().pem().as_bytes())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::new(certificates));
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let to = simulator.addr();
        let listener = TcpListener::bind(("127.0.0.1", to.port())).await?;
        let accepted = Arc::<AtomicUsize>::default();
        let count = accepted.clone();
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                count.fetch_add(1, Ordering::Relaxed);
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut client = acceptor.accept(stream).await?;
                    let mut server = TcpStream::connect(to).await?;
                    server.set_nodelay(true)?;
                    tokio::io::copy_bidirectional(&mut client, &mut server).await
                });
            }
        });
        Ok(Front { accepted, authority })
    }

    /// How many connections there have been.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// The URL of one of the instances.
    pub fn url(simulator: &Simulator, i: usize) -> String {
        format!("https://{}", simulator.host(i))
    }

    /// What a configuration's `defaults` needs.
    pub fn defaults(&self) -> Result<String, Failure> {
        let mut defaults = String::new();
        writeln!(defaults, "  ca_file: {}", self.authority.path().display())?;
        // The instances write links with the scheme by which they are reached.
        writeln!(defaults, "  forwarded_proto: https")?;
        Ok(defaults)
    }
}

struct Certificates {
    authority: CertifiedIssuer<'static, KeyPair>,
    key: KeyPair,
    signing: Arc<dyn SigningKey>,
    made: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

impl Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Certificates")
    }
}

impl Certificates {
    fn new() -> Result<Certificates, Failure> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let der = PrivateKeyDer::try_from(key.serialize_der())?;
        let signing = rustls::crypto::ring::sign::any_supported_type(&der)?;
        Ok(Certificates { authority, key, signing, made: Mutex::default() })
    }

    fn of(&self, name: &str) -> Result<Arc<CertifiedKey>, rcgen::Error> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = made.get(name) {
            return Ok(known.clone());
        }
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let leaf = params.signed_by(&self.key, &self.authority)?;
        let chain = vec![leaf.der().clone(), self.authority.as_ref().der().clone()];
        let certified = Arc::new(CertifiedKey::new(chain, self.signing.clone()));
        made.insert(name.to_owned(), certified.clone());
        Ok(certified)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.of(hello.server_name()?).ok()
    }
}
