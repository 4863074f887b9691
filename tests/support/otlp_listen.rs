//! The listeners of receivers: plain, with TLS, or without any answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The listener of a sink.
#[derive(Clone)]
pub struct Options {
    /// Certificate and key (PEM), for TLS.
    pub tls: Option<(String, String)>,
    /// The authority (PEM) of required client certificates.
    pub client_ca: Option<String>,
    /// The largest message in bytes, for gRPC.
    pub max_message: usize,
}

impl Default for Options {
    /// The defaults of a Collector: plain, 4 MiB.
    fn default() -> Options {
        Options { tls: None, client_ca: None, max_message: 4 << 20 }
    }
}

/// A TLS listener for axum. A failed handshake ends the connection.
pub struct TlsListener {
    pub tcp: TcpListener,
    pub acceptor: tokio_rustls::TlsAcceptor,
}

impl axum::serve::Listener for TlsListener {
    type Io = tokio_rustls::server::TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, address)) = self.tcp.accept().await else { continue };
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

pub fn acceptor(options: &Options) -> Option<tokio_rustls::TlsAcceptor> {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let (certificate, key) = options.tls.as_ref()?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match &options.client_ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap()).unwrap();
            let verifier =
                rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    Some(Arc::new(builder.with_single_cert(chain, key).unwrap()).into())
}

/// A port that accepts connections and never answers.
pub struct SilentPort {
    pub address: SocketAddr,
    _stop: DropGuard,
}

impl SilentPort {
    pub async fn start() -> SilentPort {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(async move {
            let mut taken = Vec::new();
            let accept = async {
                loop {
                    taken.push(listener.accept().await);
                }
            };
            tokio::select! { () = accept => {}, () = stopped => {} }
        });
        SilentPort { address, _stop: stop.drop_guard() }
    }
}

/// A port that accepts no connections: the listener's queue is full, so the system drops
/// new ones.
pub struct FullPort {
    pub address: SocketAddr,
    _listener: TcpListener,
    _queued: Vec<TcpStream>,
}

impl FullPort {
    pub async fn start() -> FullPort {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queued = Vec::new();
        // A local connection is made at once or not at all.
        while let Ok(stream) = timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
            queued.push(stream.unwrap());
            assert!(queued.len() < 100, "the queue never fills");
        }
        FullPort { address, _listener: listener, _queued: queued }
    }
}
