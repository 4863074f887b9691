//! The polite HTTP client: limits, conditional requests, redirects within the same
//! site, a maximum body size, and a reason for every failure.

mod body;
mod cached;
mod certificates;
mod connector;
mod dns;
mod exchange;
mod failure;
pub mod guard;
pub(crate) mod headers;
mod limits;
pub(crate) mod link;
mod local;
mod manners;
pub(crate) mod proxy;
mod resolve_error;
mod room;
mod shortage;
mod site;
mod state;
mod traced;
mod transport;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, ETAG, HOST, IF_NONE_MATCH, LOCATION, USER_AGENT,
};
use http::{HeaderValue, Method, Response, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
#[cfg(feature = "program")]
use ipnet::IpNet;
use tracing::Instrument;
use url::Url;

use crate::document::length::ArrayLength;

use crate::outcome::ErrorType;
use crate::snapshot::RateLimit;
use crate::target::Target;

pub use self::exchange::{Exchange, Reply, Request, Take};
pub use self::failure::Failure;
pub use self::manners::{FLEET, Http, parse_contact};
pub use self::proxy::warn_of_the_environment as warn_of_proxies;
pub use self::site::{follow, public_url};

use self::certificates::Certificates;
use self::connector::Streams;
use self::dns::Dns;
use self::headers::Head;
use self::limits::Limits;
use self::link::Stream;
use self::proxy::Proxies;
use self::resolve_error::ResolveError;
use self::shortage::Shortage;
use self::transport::{Line, Transports};

/// The maximum number of redirects of one request.
const MAX_REDIRECTS: usize = 5;

/// The maximum number of simultaneous look-ups, if there are descriptors for them. Each
/// uses up to eight sockets, one for every retry of an address family.
const MAX_LOOKUPS: usize = 512;

/// How long a target's first look-up waits for its turn. A fleet that starts has tens of
/// thousands of look-ups.
const LOOKUP_PATIENCE: Duration = Duration::from_secs(30);

/// How many bytes of an error's body are read for its reason.
const MAX_ERROR_BODY: usize = 64 << 10;

/// The client. The whole bridge shares one.
#[derive(Debug)]
pub struct Client {
    settings: Http,
    user_agent: HeaderValue,
    transports: Transports,
    dns: Dns,
    certificates: Certificates,
    limits: Limits,
    shortage: Shortage,
}

impl Client {
    /// Creates a client with these settings. It uses the proxy that the environment
    /// names.
    ///
    /// # Errors
    ///
    /// When TLS cannot be set up, or the contact cannot be sent.
    pub fn new(settings: Http) -> Result<Client, ClientError> {
        Client::with(settings, Streams::Network, Proxies::of_the_system())
    }

    /// Creates a client that ignores the proxies of the environment, for servers on
    /// this machine.
    ///
    /// # Errors
    ///
    /// As for [`Client::new`].
    pub fn without_proxy(settings: Http) -> Result<Client, ClientError> {
        Client::with(settings, Streams::Network, Proxies::none())
    }

    /// Creates a client that uses the given streams, whatever a URL names.
    ///
    /// # Errors
    ///
    /// As for [`Client::new`].
    #[cfg_attr(not(feature = "program"), expect(dead_code, reason = "the fuzz targets use it"))]
    pub(crate) fn over<S: Stream>(
        settings: Http,
        dial: impl Fn(&Uri) -> S + Send + Sync + 'static,
    ) -> Result<Client, ClientError> {
        let streams = Streams::Given(Box::new(move |uri| Box::new(dial(uri))));
        Client::with(settings, streams, Proxies::none())
    }

    /// From now on targets that others named may be at addresses of these networks, too,
    /// beside public ones.
    #[cfg(feature = "program")]
    pub fn permit(&self, networks: &[IpNet]) {
        self.transports.permit(networks);
    }

    fn with(settings: Http, streams: Streams, proxies: Proxies) -> Result<Client, ClientError> {
        let certificates = Certificates::default();
        let user_agent = format!("fedimeter/{} (+{})", env!("CARGO_PKG_VERSION"), settings.contact);
        let user_agent = HeaderValue::try_from(user_agent).map_err(|_| ClientError::Contact)?;
        let dns = Dns::new(settings.dns_timeout, MAX_LOOKUPS.min((settings.most_open / 8).max(1)));
        let transports =
            Transports::new(&settings, streams, dns.clone(), proxies, &certificates.client_config()?);
        let limits = Limits::new(settings.max_requests, settings.max_requests_per_host);
        let shortage = Shortage::default();
        Ok(Client { settings, user_agent, transports, dns, certificates, limits, shortage })
    }

    /// The settings of the client.
    #[must_use]
    pub fn settings(&self) -> &Http {
        &self.settings
    }

    /// Prepares for these targets, and forgets others and their connections: records when
    /// their certificates expire, and trusts their own authorities.
    pub fn prepare_for(&self, targets: &[Target]) {
        let over_tls = targets.iter().filter(|target| target.url.scheme() == "https");
        let hosts = over_tls.filter_map(|target| Some((target.url.host_str()?, target.authorities.as_ref())));
        self.certificates.watch(hosts);
        self.transports.keep_only(targets);
    }

    /// The same for one target more.
    pub fn prepare_for_one(&self, target: &Target) {
        if let Some(host) = target.url.host_str().filter(|_| target.url.scheme() == "https") {
            self.certificates.watch_one(host, target.authorities.as_ref());
        }
    }

    /// The end of such a target's certificates is of no interest any more.
    pub fn forget(&self, target: &Target) {
        self.certificates.forget(target.url.host_str().unwrap_or_default());
    }

    /// When the first certificate in a host's last chain expires, in Unix seconds.
    #[must_use]
    pub fn certificate_expiry(&self, host: &str) -> Option<i64> {
        self.certificates.expiry(host)
    }

    /// Resolves the target's name before a request takes its turn, so that a slow name
    /// server delays no other target. Behind a proxy this is the proxy's task. `waits` is
    /// told when the wait for a turn to look up begins and ends.
    ///
    /// # Errors
    ///
    /// When the name is not found.
    pub async fn resolve(&self, target: &Target, waits: impl Fn(bool)) -> Result<(), Failure> {
        if self.transports.has_proxy_for(&target.url) {
            return Ok(());
        }
        let name = target.url.host_str().unwrap_or_default();
        let patience = LOOKUP_PATIENCE.max(self.settings.dns_timeout);
        let found = self.dns.lookup_in_turn(name, patience, waits).await;
        let failed =
            |e: ResolveError| Failure { unreachable: true, ..Failure::new(e.error_type(), e.to_string()) };
        found.map(drop).map_err(failed)
    }

    /// Makes a request, following redirects within the same site.
    pub async fn get(&self, request: Request<'_>, unix: f64) -> Exchange {
        let mut elapsed = Duration::ZERO;
        let mut rate_limit = None;
        let result = self.follow(&request, unix, &mut elapsed, &mut rate_limit).await;
        if let Err(failure) = &result
            && failure.error == ErrorType::Local
        {
            // No server was asked, so no time counts.
            elapsed = Duration::ZERO;
        }
        self.shortage.note(result.as_ref().err(), Instant::now());
        Exchange { result, elapsed, rate_limit }
    }

    async fn follow(
        &self,
        request: &Request<'_>,
        unix: f64,
        elapsed: &mut Duration,
        rate_limit: &mut Option<RateLimit>,
    ) -> Result<Reply, Failure> {
        let mut url = request.url.clone();
        for resends in 0..=MAX_REDIRECTS {
            let turn = self.limits.acquire(&name_asked(request.target, &url)).await;
            let began = Instant::now();
            let left = self.settings.timeout.saturating_sub(*elapsed);
            let line = Line::default();
            let span = traced::span(request, &url, resends);
            let hop = self.hop(request, &url, unix, rate_limit, &line).instrument(span.clone());
            let hop = tokio::time::timeout(left, hop).await;
            let took = began.elapsed();
            *elapsed += took;
            drop(turn);
            let hop = hop.unwrap_or_else(|_elapsed| {
                line.give_up();
                Err(failure::timed_out(self.settings.timeout))
            });
            traced::end(&span, &hop);
            traced::line(request, &url, &hop, took);
            // If another host of the site is down, the target's own host may still be
            // up.
            let own = url.origin() == request.target.url.origin();
            match hop.map_err(|failure| Failure { unreachable: failure.unreachable && own, ..failure })? {
                Hop::Answer(reply) => return Ok(reply),
                Hop::Redirect(status, to) => {
                    url = follow(request.target, &url, &to)
                        .map_err(|(error, why)| Failure::new(error, why).with_status(status))?;
                    if request.post.is_some() && !keeps_method(status) {
                        let why = "the redirect would turn POST into GET";
                        return Err(Failure::new(ErrorType::Redirect, why).with_status(status));
                    }
                }
            }
        }
        Err(Failure::new(ErrorType::Redirect, format!("more than {MAX_REDIRECTS} redirects")))
    }

    async fn hop(
        &self,
        request: &Request<'_>,
        url: &Url,
        unix: f64,
        rate_limit: &mut Option<RateLimit>,
        line: &Line,
    ) -> Result<Hop, Failure> {
        let response = self.send(request, url, line).await?;
        let status = response.status();
        let head = Head::of(status, response.headers());
        if request.token.is_none() {
            *rate_limit = head.rate_limit(unix);
        }
        if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
            let to = response.headers().get(LOCATION).and_then(|v| v.to_str().ok());
            let to = to.and_then(|to| url.join(to).ok()).ok_or_else(|| {
                Failure::new(ErrorType::Redirect, "the redirect has no valid Location").with_status(status)
            })?;
            return Ok(Hop::Redirect(status, to));
        }
        let etag = response.headers().get(ETAG).and_then(|v| v.to_str().ok()).map(Arc::from);
        let lifetime = head.lifetime(SystemTime::now());
        let known = status == StatusCode::NOT_MODIFIED && request.etag.is_some();
        if !status.is_success() && !known {
            let wait = head.retry_after(unix);
            let body = body::whole(response, MAX_ERROR_BODY).await.unwrap_or_default();
            return Err(failure::of_status(status, wait, &body));
        }
        let mut reply = Reply {
            status,
            url: url.clone(),
            body: Vec::new(),
            size: 0,
            length: None,
            next: headers::next_link(response.headers(), url),
            etag,
            lifetime,
            noindex: headers::is_noindex(response.headers()),
            served_from: head.served_from,
        };
        match request.take {
            _ if known => {}
            Take::Whole => reply.body = body::whole(response, self.settings.max_body).await?,
            Take::UpTo(most) => reply.body = body::whole(response, most).await?,
            Take::Length(most) => {
                let mut length = ArrayLength::default();
                reply.size = body::in_pieces(response, most, |piece| length.feed(piece)).await?;
                let length = length.end();
                reply.length = Some(length.map_err(|e| failure::undecodable(&e).with_status(status))?);
            }
        }
        reply.size = reply.size.max(reply.body.len() as u64);
        Ok(Hop::Answer(reply))
    }

    async fn send(
        &self,
        request: &Request<'_>,
        url: &Url,
        line: &Line,
    ) -> Result<Response<Incoming>, Failure> {
        let target = request.target;
        let own_place = url.origin() == target.url.origin();
        let method = if request.post.is_some() { Method::POST } else { Method::GET };
        let mut ask = http::Request::builder()
            .method(method)
            .uri(uri(url))
            .header(USER_AGENT, &self.user_agent)
            .header(ACCEPT, "application/json")
            .header(ACCEPT_ENCODING, "gzip");
        if request.post.is_some() {
            ask = ask.header(CONTENT_TYPE, "application/json");
        }
        if own_place {
            if let Some(host) = &target.host {
                ask = ask.header(HOST, host);
            }
            if let Some(proto) = &target.forwarded_proto {
                ask = ask.header("X-Forwarded-Proto", proto);
            }
        }
        if let Some(etag) = request.etag {
            ask = ask.header(IF_NONE_MATCH, etag);
        }
        // The token is sent only to the origin that the user configured.
        if let Some(token) = request.token.filter(|_| own_place) {
            let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.secret()))
                .map_err(|_| Failure::new(ErrorType::Other, "the token is not a valid header value"))?;
            bearer.set_sensitive(true);
            ask = ask.header(AUTHORIZATION, bearer);
        }
        let body = request.post.map(Bytes::copy_from_slice).unwrap_or_default();
        let ask = ask.body(Full::new(body)).map_err(|e| Failure::new(ErrorType::Other, e.to_string()))?;
        let transport = self.transports.to(target, url);
        transport.send(ask, line).await.map_err(|e| failure::of_send(&e))
    }
}

/// Returns a URL for the request: without user information and fragment.
fn uri(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}://{}{port}{}{query}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

/// Returns the name for the limits per host. Servers that share an address have
/// different names, so one that hangs does not delay the others.
fn name_asked(target: &Target, url: &Url) -> String {
    let own = url.origin() == target.url.origin();
    let name = target.host.clone().filter(|_| own);
    name.unwrap_or_else(|| url.host_str().unwrap_or_default().to_owned())
}

/// Whether a redirect keeps the method: 307 and 308 do, the others turn POST into GET.
fn keeps_method(status: StatusCode) -> bool {
    matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT)
}

enum Hop {
    Answer(Reply),
    Redirect(StatusCode, Url),
}

/// Why the HTTP client cannot be created.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// TLS cannot be set up.
    #[error("failed to set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The contact contains characters that a header must not have.
    #[error("the contact cannot be sent in the User-Agent; is it a plain URL?")]
    Contact,
}
