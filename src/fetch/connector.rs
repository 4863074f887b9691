//! Makes connections: name, proxy, TCP and TLS, each with its own timeout and checks.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use std::{fmt, io, vec};

use http::Uri;
use http::uri::{Authority, Scheme};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use rustls::ClientConfig;
use tower_service::Service;

use crate::tls::{roots, roots_are_read};

use super::dns::Dns;
use super::guard;
use super::link::{Link, Stream};
use super::proxy::{Proxies, Proxy};
use super::resolve_error::ResolveError;
use super::room::Room;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why no connection could be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name has no address that may be used.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// As many connections are open as there are file descriptors for.
    #[error("too many connections to servers are open")]
    NoRoom,
    /// The connection took too long.
    #[error("no connection within {0:?}")]
    Timeout(Duration),
    /// The URL has no host. All our URLs have one.
    #[error("a URL without a host")]
    NoHost,
    /// The proxy is not an HTTP proxy.
    #[error("the proxy {0} is not an HTTP proxy")]
    ProxyKind(String),
    /// TCP, TLS or the proxy failed.
    #[error("no connection{}: {source}", through(proxy.as_ref()))]
    Other {
        /// The proxy of the connection.
        proxy: Option<String>,
        /// The cause.
        source: BoxError,
    },
}

fn through(proxy: Option<&String>) -> String {
    proxy.map(|proxy| format!(" through the proxy {proxy}")).unwrap_or_default()
}

type Dial = dyn Fn(&Uri) -> Box<dyn Stream> + Send + Sync;

/// How a stream to a server is opened.
pub enum Streams {
    /// Over the network, by the server's name and the proxy before it.
    Network,
    /// In memory, by the fuzz targets, without name look-ups.
    Given(Box<Dial>),
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Streams::Network => "Network",
            Streams::Given(_) => "Given",
        })
    }
}

/// What all connections of a client share.
#[derive(Debug)]
pub struct Shared {
    pub streams: Streams,
    pub dns: Dns,
    pub proxies: Proxies,
    /// The TLS configuration for servers, which offers HTTP/2.
    pub tls: Arc<ClientConfig>,
    /// The TLS configuration for HTTP/1.1 only.
    pub tls_http1: Arc<ClientConfig>,
    pub connect_timeout: Duration,
    pub ages: Ages,
    /// The room for open connections.
    pub room: Room,
    /// Networks that guarded connections may lead to, beside public addresses.
    pub permitted: Mutex<Arc<[IpNet]>>,
}

/// The maximum age of connections.
#[derive(Debug)]
pub struct Ages {
    greatest: Duration,
    made: AtomicU64,
}

impl Ages {
    pub fn new(greatest: Duration) -> Ages {
        Ages { greatest, made: AtomicU64::new(0) }
    }

    /// Returns the maximum age of the next connection, between three quarters of the
    /// setting and the whole, so that the connections of one collection do not end
    /// together.
    fn next(&self) -> Duration {
        let made = self.made.fetch_add(1, Relaxed);
        // Multiples of the golden ratio are evenly spread, however many there are.
        let fraction = (made as f64 * 0.618_033_988_749_895).fract();
        self.greatest.mul_f64(0.75 + 0.25 * fraction)
    }
}

/// Makes connections. Clones share everything.
#[derive(Debug, Clone)]
pub struct Connector {
    pub shared: Arc<Shared>,
    /// Set if answers name the servers: the host that the user configured. Special
    /// addresses are refused, except those of that host.
    pub guarded_for: Option<Arc<str>>,
    /// Whether only HTTP/1.1 is offered.
    pub is_http1_only: bool,
    /// Whether its connections are kept after a request.
    pub is_kept: bool,
}

impl Connector {
    /// The name of the host of a URI, for the connections that are kept to it. Hosts with
    /// connections that do not serve the same requests have different names.
    pub fn kept_name(&self, uri: &Uri) -> String {
        let scheme = uri.scheme_str().unwrap_or_default();
        let authority = uri.authority().map_or("", Authority::as_str);
        let protocols = if self.is_http1_only { "HTTP/1.1" } else { "any" };
        // A host has no slash.
        let guarded_for = self.guarded_for.as_deref().unwrap_or("/");
        format!("{scheme}://{authority} {protocols} {guarded_for}")
    }

    async fn connect(self, uri: Uri) -> Result<TokioIo<Link>, ConnectError> {
        let shared = &self.shared;
        if let Streams::Given(dial) = &shared.streams {
            let place = shared.room.take(None).await;
            return Ok(TokioIo::new(Link::new(dial(&uri), shared.ages.next(), place, false)));
        }
        let host = uri.host().ok_or(ConnectError::NoHost)?;
        let proxy = shared.proxies.for_uri(&uri);
        if let Some(proxy) = &proxy {
            if !proxy.is_http() {
                return Err(ConnectError::ProxyKind(proxy.to_string()));
            }
            self.guard_before_proxy(host).await?;
        }
        let is_https = uri.scheme() == Some(&Scheme::HTTPS);
        // The user chose the proxy, so its address may be special.
        let addresses = match &proxy {
            Some(proxy) => shared.dns.lookup(proxy.uri.host().ok_or(ConnectError::NoHost)?).await?,
            None => self.guarded_lookup(host).await?,
        };
        let to_proxy_over_tls =
            proxy.as_ref().is_some_and(|proxy| proxy.uri.scheme() == Some(&Scheme::HTTPS));
        if (is_https || to_proxy_over_tls) && !roots_are_read() {
            // They are files: not for a handshake, and a start may need none.
            let _ = tokio::task::spawn_blocking(roots).await;
        }
        let keeps = self.is_kept.then(|| self.kept_name(&uri));
        let place = tokio::time::timeout(shared.connect_timeout, shared.room.take(keeps.as_deref())).await;
        let place = place.map_err(|_elapsed| ConnectError::NoRoom)?;
        let tcp = self.tcp(&addresses);
        let age = shared.ages.next();
        let tls = if self.is_http1_only { &shared.tls_http1 } else { &shared.tls };
        let connecting = async {
            let Some(Proxy { uri: proxy, authorization }) = proxy.clone() else {
                let stream = HttpsConnector::from((tcp, tls.clone())).call(uri.clone()).await?;
                return Ok(Link::new(Box::new(stream), age, place, false));
            };
            let mut to_proxy = HttpsConnector::from((tcp, shared.tls_http1.clone()));
            if !is_https {
                return Ok(Link::new(Box::new(to_proxy.call(proxy).await?), age, place, true));
            }
            let tunnel = Tunnel::new(proxy, to_proxy);
            let tunnel = match authorization {
                Some(authorization) => tunnel.with_auth(authorization),
                None => tunnel,
            };
            let stream = HttpsConnector::from((tunnel, tls.clone())).call(uri.clone()).await?;
            Ok::<Link, BoxError>(Link::new(Box::new(stream), age, place, false))
        };
        match tokio::time::timeout(shared.connect_timeout, connecting).await {
            Ok(Ok(link)) => Ok(TokioIo::new(link)),
            Ok(Err(source)) => {
                Err(ConnectError::Other { proxy: proxy.as_ref().map(ToString::to_string), source })
            }
            Err(_elapsed) => Err(ConnectError::Timeout(shared.connect_timeout)),
        }
    }

    /// Returns the addresses that may be used. The connection is made to the addresses
    /// that were checked, so that the name cannot resolve differently the second time.
    async fn guarded_lookup(&self, host: &str) -> Result<Arc<[IpAddr]>, ResolveError> {
        let found = self.shared.dns.lookup(host).await?;
        if let Some(configured) = &self.guarded_for {
            let permitted = self.shared.permitted.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let is_judged = |ip: &IpAddr| !permitted.iter().any(|network| network.contains(ip));
            let judged: Vec<IpAddr> = found.iter().copied().filter(is_judged).collect();
            guard::check(&self.shared.dns, host, &judged, configured).await?;
        }
        Ok(found)
    }

    /// A proxy resolves names itself, and may know names that are unknown here. A name
    /// that is known here must not have a special address.
    async fn guard_before_proxy(&self, host: &str) -> Result<(), ResolveError> {
        if self.guarded_for.is_none() {
            return Ok(());
        }
        match self.guarded_lookup(host).await {
            Err(blocked @ ResolveError::Blocked { .. }) => Err(blocked),
            _ => Ok(()),
        }
    }

    fn tcp(&self, addresses: &Arc<[IpAddr]>) -> HttpConnector<Found> {
        let mut tcp = HttpConnector::new_with_resolver(Found(addresses.clone()));
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // Several addresses share this time.
        tcp.set_connect_timeout(Some(self.shared.connect_timeout));
        tcp
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Link>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<Link>, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// A resolver with a fixed result.
#[derive(Debug, Clone)]
struct Found(Arc<[IpAddr]>);

impl Service<Name> for Found {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = std::future::Ready<Result<vec::IntoIter<SocketAddr>, io::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Name) -> Self::Future {
        let all: Vec<SocketAddr> = self.0.iter().map(|address| SocketAddr::new(*address, 0)).collect();
        std::future::ready(Ok(all.into_iter()))
    }
}

#[cfg(test)]
mod tests;
