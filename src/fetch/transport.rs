//! Sends requests over kept connections. A request that begins gets no connection that
//! has reached its maximum age. If a kept connection is closed before an answer, the
//! request is repeated once.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::PROXY_AUTHORIZATION;
use http::uri::Scheme;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::{CaptureConnection, capture_connection};
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use url::Url;

use crate::fetch::Http;
use crate::target::Target;

use super::connector::{Ages, Connector, Shared, Streams};
use super::dns::Dns;
use super::proxy::Proxies;
use super::room::{Keeps, Room};
use super::state::{State, give_up};

/// How long an unused connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);
/// How much a server may send on one HTTP/2 stream, and on all streams of a connection,
/// before we have read it.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 512 << 10;

type HyperClient = Client<Connector, Full<Bytes>>;

/// A client's connections. Those to configured servers are separate from those to
/// servers that answers named, which are also separate for each configured host. So a
/// connection of one kind is never used for the other.
#[derive(Debug)]
pub struct Transports {
    shared: Arc<Shared>,
    direct: Transport,
    /// Connections for servers with another name than in their URL. HTTP/2 would send
    /// both names, which servers refuse (RFC 9113, 8.3.1).
    renamed: Transport,
    /// Connections for targets that somebody else than the user named.
    public: Transport,
    guarded: Mutex<HashMap<Arc<str>, Transport>>,
    limits: KeptLimits,
}

/// How many connections to a host are kept, and for how long.
#[derive(Debug, Clone, Copy)]
struct KeptLimits {
    age: Duration,
    per_host: usize,
}

impl Transports {
    pub fn new(
        settings: &Http,
        streams: Streams,
        dns: Dns,
        proxies: Proxies,
        tls: &ClientConfig,
    ) -> Transports {
        let mut tls_http1 = tls.clone();
        tls_http1.alpn_protocols = vec![b"http/1.1".to_vec()];
        let hosts = settings.most_open.saturating_sub(settings.max_requests) / settings.kept_per_host.max(1);
        let shared = Arc::new(Shared {
            streams,
            dns,
            proxies,
            tls: Arc::new(tls.clone()),
            tls_http1: Arc::new(tls_http1),
            connect_timeout: settings.connect_timeout,
            ages: Ages::new(settings.connection_age),
            room: Room::new(settings.most_open, hosts),
            permitted: Mutex::default(),
        });
        let limits = KeptLimits { age: settings.connection_age, per_host: settings.kept_per_host };
        let connector = |is_http1_only| Connector {
            shared: shared.clone(),
            guarded_for: None,
            is_http1_only,
            is_kept: true,
        };
        let (direct, renamed) =
            (Transport::new(connector(false), limits), Transport::new(connector(true), limits));
        // No configured name exempts any address.
        let guarded_for = Some("".into());
        let public = Connector { shared: shared.clone(), guarded_for, is_http1_only: false, is_kept: true };
        let public = Transport::new(public, limits);
        Transports { shared, direct, renamed, public, guarded: Mutex::default(), limits }
    }

    /// Returns the connections for a URL of the target, or for one that its answers
    /// named.
    pub fn to(&self, target: &Target, url: &Url) -> Transport {
        if target.only_public {
            return self.public.clone();
        }
        if url.host() == target.url.host() {
            return if target.host.is_some() { self.renamed.clone() } else { self.direct.clone() };
        }
        let configured: Arc<str> = target.url.host_str().unwrap_or_default().into();
        let mut guarded = self.guarded.lock().unwrap_or_else(PoisonError::into_inner);
        let make = |configured: &Arc<str>| {
            let (shared, guarded_for) = (self.shared.clone(), Some(configured.clone()));
            Transport::new(
                Connector { shared, guarded_for, is_http1_only: false, is_kept: true },
                self.limits,
            )
        };
        guarded.entry(configured).or_insert_with_key(make).clone()
    }

    /// Forgets the connections to servers that answers of other targets named.
    pub fn keep_only(&self, targets: &[Target]) {
        let hosts: HashSet<&str> = targets.iter().filter_map(|target| target.url.host_str()).collect();
        let mut guarded = self.guarded.lock().unwrap_or_else(PoisonError::into_inner);
        guarded.retain(|configured, _| hosts.contains(&**configured));
    }

    /// From now on targets that others named may be in these networks, too.
    #[cfg(feature = "program")]
    pub fn permit(&self, networks: &[ipnet::IpNet]) {
        *self.shared.permitted.lock().unwrap_or_else(PoisonError::into_inner) = networks.into();
    }

    /// Whether a proxy is used for this URL.
    pub fn has_proxy_for(&self, url: &Url) -> bool {
        url.as_str().parse().is_ok_and(|uri| self.shared.proxies.for_uri(&uri).is_some())
    }
}

/// A client with its own connections.
#[derive(Debug, Clone)]
pub struct Transport {
    connector: Connector,
    kept: HyperClient,
    /// The same, with a new connection for each request.
    fresh: HyperClient,
}

impl Transport {
    fn new(connector: Connector, limits: KeptLimits) -> Transport {
        let client = |kept: usize| {
            Client::builder(TokioExecutor::new())
                .timer(TokioTimer::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(IDLE_TIMEOUT.min(limits.age))
                .pool_max_idle_per_host(kept)
                .http2_initial_stream_window_size(STREAM_WINDOW)
                .http2_initial_connection_window_size(CONNECTION_WINDOW)
                .build(Connector { is_kept: kept > 0, ..connector.clone() })
        };
        let (kept, fresh) = (client(limits.per_host), client(0));
        Transport { connector, kept, fresh }
    }

    /// Sends a request that changes nothing on the server. If the connection had
    /// answered before and is closed before the first byte of this answer, the request
    /// is sent once more, on a new connection.
    pub async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
        line: &Line,
    ) -> Result<Response<Incoming>, Error> {
        // A proxy does not see the headers inside a tunnel.
        if request.uri().scheme() == Some(&Scheme::HTTP)
            && let Some(proxy) = self.connector.shared.proxies.for_uri(request.uri())
            && let Some(authorization) = proxy.authorization
        {
            request.headers_mut().insert(PROXY_AUTHORIZATION, authorization);
        }
        let kept = self.connector.shared.room.keep(&self.connector.kept_name(request.uri()));
        // Whether a connection is kept is decided before it is made: an answer that comes
        // in one piece has put it back before it can be judged.
        let first = self.once(kept.as_ref(), request.clone(), line).await;
        drop(kept);
        if first.is_stale { self.once(None, request, line).await.result } else { first.result }
    }

    async fn once(&self, kept: Option<&Keeps>, mut request: Request<Full<Bytes>>, line: &Line) -> Sent {
        let client = if kept.is_some() { &self.kept } else { &self.fresh };
        let is_post = request.method() == Method::POST;
        let seen = capture_connection(&mut request);
        line.follow(&seen);
        let result = client.request(request).await;
        let Some(connection) = State::of(&seen) else { return Sent { result, is_stale: false } };
        let is_stale = match &result {
            Ok(response) => {
                let is_used = connection.answers_again();
                if let Some(kept) = kept
                    && !is_used
                {
                    kept.limit(connection.clone(), seen);
                }
                // The server had already given up the connection (RFC 9110, 15.5.9).
                is_used && response.status() == StatusCode::REQUEST_TIMEOUT
            }
            Err(_) => connection.died_unheard(),
        };
        if let Ok(response) = &result {
            // A server that refuses a POST may not have read its body, and closes the
            // connection silently (Mitra).
            let is_refused = is_post && !response.status().is_success();
            // A request that waits for a connection would get this one.
            if is_refused || is_stale || connection.has_expired() {
                line.give_up();
            }
        }
        Sent { result, is_stale }
    }
}

/// The result of a request.
struct Sent {
    result: Result<Response<Incoming>, Error>,
    /// Whether the connection was kept too long. Then nothing is known about the
    /// request itself.
    is_stale: bool,
}

/// The connection of a request, once it has one.
#[derive(Debug, Default)]
pub struct Line(Mutex<Option<CaptureConnection>>);

impl Line {
    fn follow(&self, seen: &CaptureConnection) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen.clone());
    }

    /// Keeps other requests off the connection, because one that hangs would delay them
    /// all.
    pub fn give_up(&self) {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = &*seen {
            give_up(seen);
        }
    }
}

#[cfg(all(test, feature = "program"))]
mod tests {
    use std::collections::BTreeMap;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::super::certificates::Certificates;
    use super::*;

    /// A server that answers each request on a connection with 204.
    async fn server() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                tokio::spawn(async move {
                    while client.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {
                        let _ = client.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
                    }
                });
            }
        });
        port
    }

    /// Each of them has connections of its own to the host.
    #[tokio::test]
    async fn a_host_to_which_answers_of_many_targets_lead_leaves_room_for_others() {
        let connect_timeout = Duration::from_secs(2);
        let few =
            Http { connect_timeout, max_requests: 1, kept_per_host: 1, most_open: 3, ..Http::default() };
        let (dns, tls) = (Dns::new(connect_timeout, 1), Certificates::default().client_config().unwrap());
        let transports = Transports::new(&few, Streams::Network, dns, Proxies::none(), &tls);
        transports.permit(&["127.0.0.0/8", "::1/128"].map(|network| network.parse().unwrap()));
        let url: Url = format!("http://shared.localhost:{}/", server().await).parse().unwrap();
        let targets: Vec<Target> = (0..5)
            .map(|i| format!("http://t{i}.localhost").parse().unwrap())
            .map(|url| Target::new(url, None, None, &BTreeMap::new()))
            .collect();
        for target in &targets {
            let request = Request::get(url.as_str()).body(Full::default()).unwrap();
            let response = transports.to(target, &url).send(request, &Line::default()).await;
            assert_eq!(response.unwrap().status(), StatusCode::NO_CONTENT, "for {}", target.name);
        }
        transports.keep_only(&targets[1..3]);
        assert_eq!(transports.guarded.lock().unwrap().len(), 2);
    }
}
