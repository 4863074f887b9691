//! The polite HTTP client: limits, conditional requests, redirects on the
//! same site only, bodies read up to a cap, and a reason for every failure.

mod certificates;
mod failure;
pub mod guard;
pub(crate) mod headers;
mod limits;
mod site;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, HOST, IF_NONE_MATCH, LOCATION};
use http::{HeaderValue, Method, StatusCode};
use url::Url;

use crate::api::document::DocumentError;
use crate::api::length::ArrayLength;
use crate::config::Http;
use crate::outcome::ErrorType;
use crate::snapshot::RateLimit;
use crate::target::{Target, Token};

pub use self::failure::Failure;
pub use self::site::{follow, public_url};

use self::certificates::Certificates;
use self::limits::Limits;

/// Redirects that are followed for one request.
const MAX_REDIRECTS: usize = 5;

/// What to ask a target for.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The target.
    pub target: &'a Target,
    /// Where: below [`Target::url`], or where an answer led on the same site.
    pub url: Url,
    /// The `ETag` of the answer that is known.
    pub etag: Option<&'a str>,
    /// The token to show.
    pub token: Option<&'a Token>,
    /// A JSON body to send with POST, else it is a GET.
    pub post: Option<&'a [u8]>,
    /// What of the body is wanted.
    pub take: Take,
}

/// What of a body is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// All of it, up to the general cap of decoded bytes.
    Whole,
    /// All of it, up to this cap.
    UpTo(usize),
    /// The length of the JSON array that it is, counted as it streams in, up
    /// to this cap of decoded bytes.
    Length(usize),
}

/// An answer: 2xx, or 304 to a conditional request.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: StatusCode,
    /// Where it came from, after redirects.
    pub url: Url,
    /// The decoded body; empty with 304 and where only the length was wanted.
    pub body: Vec<u8>,
    /// Decoded bytes that were read.
    pub size: u64,
    /// The length of the array, where that was wanted.
    pub length: Option<i64>,
    /// `Link` with `rel="next"`.
    pub next: Option<Url>,
    /// Its `ETag`.
    pub etag: Option<Arc<str>>,
    /// How long it stays fresh by its own headers.
    pub lifetime: Duration,
}

/// A request's end, good or bad.
#[derive(Debug)]
pub struct Exchange {
    /// The answer, or why there is none.
    pub result: Result<Reply, Failure>,
    /// Time under way, without waiting for a turn.
    pub elapsed: Duration,
    /// What the server says of its rate limit to the anonymous.
    pub rate_limit: Option<RateLimit>,
}

/// The client. One for the whole bridge.
#[derive(Debug)]
pub struct Client {
    settings: Http,
    direct: reqwest::Client,
    /// Clients for hosts that answers named, by the host that the user
    /// configured: each refuses special addresses but that host's own.
    guarded: Mutex<HashMap<Arc<str>, reqwest::Client>>,
    tls: rustls::ClientConfig,
    certificates: Certificates,
    limits: Limits,
}

impl Client {
    /// A client with these limits and manners.
    ///
    /// # Errors
    ///
    /// When the machine's TLS set-up cannot be used, or the contact is no
    /// header value.
    pub fn new(settings: Http) -> Result<Client, ClientError> {
        Client::with(settings, Proxies::OfTheSystem)
    }

    /// The same past every proxy that the environment names: for what is on
    /// this machine.
    ///
    /// # Errors
    ///
    /// As [`Client::new`].
    pub fn without_proxy(settings: Http) -> Result<Client, ClientError> {
        Client::with(settings, Proxies::Never)
    }

    fn with(settings: Http, proxies: Proxies) -> Result<Client, ClientError> {
        let certificates = Certificates::default();
        let tls = certificates.client_config()?;
        let direct = build(&settings, tls.clone(), guard::Configured, proxies)?;
        let limits = Limits::new(settings.max_requests, settings.max_requests_per_host);
        Ok(Client { settings, direct, guarded: Mutex::default(), tls, certificates, limits })
    }

    /// The limits and manners.
    #[must_use]
    pub fn settings(&self) -> &Http {
        &self.settings
    }

    /// From now on notes when the certificates of this host end.
    pub fn watch_certificates(&self, host: &str) {
        self.certificates.watch(host);
    }

    /// When the earliest certificate of the chain that a host last served ends.
    #[must_use]
    pub fn certificate_expiry(&self, host: &str) -> Option<i64> {
        self.certificates.expiry(host)
    }

    /// Asks, following redirects on the same site.
    pub async fn get(&self, request: Request<'_>, unix: f64) -> Exchange {
        let mut elapsed = Duration::ZERO;
        let mut rate_limit = None;
        let result = self.follow(&request, unix, &mut elapsed, &mut rate_limit).await;
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
        for _ in 0..=MAX_REDIRECTS {
            let turn = self.limits.acquire(url.host_str().unwrap_or_default()).await;
            let began = Instant::now();
            let left = self.settings.timeout.saturating_sub(*elapsed);
            let hop = tokio::time::timeout(left, self.hop(request, &url, unix, rate_limit)).await;
            *elapsed += began.elapsed();
            drop(turn);
            let hop = hop.unwrap_or_else(|_| Err(failure::timed_out(self.settings.timeout)));
            // Another host of the site that is away says nothing of the target's own.
            let own = url.origin() == request.target.url.origin();
            match hop.map_err(|failure| Failure { unreachable: failure.unreachable && own, ..failure })? {
                Hop::Answer(reply) => return Ok(reply),
                Hop::Redirect(status, to) => {
                    url = follow(request.target, &url, &to)
                        .map_err(|(error, why)| Failure::new(error, why).with_status(status))?;
                    if request.post.is_some() && !keeps_method(status) {
                        let why = "a redirect that would turn POST into GET";
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
    ) -> Result<Hop, Failure> {
        let response = self.send(request, url).await?;
        let status = response.status();
        if request.token.is_none() {
            *rate_limit = headers::rate_limit(response.headers(), unix);
        }
        if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
            let to = response.headers().get(LOCATION).and_then(|v| v.to_str().ok());
            let to = to.and_then(|to| url.join(to).ok()).ok_or_else(|| {
                Failure::new(ErrorType::Redirect, "a redirect that names no place").with_status(status)
            })?;
            return Ok(Hop::Redirect(status, to));
        }
        let etag = response.headers().get(ETAG).and_then(|v| v.to_str().ok()).map(Arc::from);
        let lifetime = headers::lifetime(status, response.headers(), SystemTime::now());
        let known = status == StatusCode::NOT_MODIFIED && request.etag.is_some();
        if !status.is_success() && !known {
            let wait = headers::retry_after(status, response.headers(), unix);
            let body = self.body(response, 64 << 10).await.unwrap_or_default();
            return Err(failure::of_status(status, wait, &body));
        }
        let next = headers::next_link(response.headers(), url);
        let mut reply =
            Reply { status, url: url.clone(), body: Vec::new(), size: 0, length: None, next, etag, lifetime };
        match request.take {
            _ if known => {}
            Take::Whole => reply.body = self.body(response, self.settings.max_body).await?,
            Take::UpTo(most) => reply.body = self.body(response, most).await?,
            Take::Length(most) => {
                let mut length = ArrayLength::default();
                reply.size = self.read(response, most, |chunk| length.feed(chunk)).await?;
                let length = length.end();
                reply.length = Some(length.map_err(|e| failure::undecodable(&e).with_status(status))?);
            }
        }
        reply.size = reply.size.max(reply.body.len() as u64);
        Ok(Hop::Answer(reply))
    }

    async fn send(&self, request: &Request<'_>, url: &Url) -> Result<reqwest::Response, Failure> {
        let target = request.target;
        let own_host = url.host() == target.url.host();
        let own_place = url.origin() == target.url.origin();
        let client = if own_host { self.direct.clone() } else { self.guarded(target)? };
        let method = if request.post.is_some() { Method::POST } else { Method::GET };
        let mut ask = client.request(method, url.clone()).header(ACCEPT, "application/json");
        if let Some(body) = request.post {
            ask = ask.header(CONTENT_TYPE, "application/json").body(body.to_vec());
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
        // The token is for the place that the user named, and no other.
        if let Some(token) = request.token.filter(|_| own_place) {
            let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.secret()))
                .map_err(|_| Failure::new(ErrorType::Other, "the token is no valid header value"))?;
            bearer.set_sensitive(true);
            ask = ask.header(AUTHORIZATION, bearer);
        }
        ask.send().await.map_err(|e| failure::of_client(&e))
    }

    async fn body(&self, response: reqwest::Response, most: usize) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        let keep = |chunk: &[u8]| {
            body.extend_from_slice(chunk);
            Ok(())
        };
        self.read(response, most, keep).await?;
        Ok(body)
    }

    /// Reads a body up to a cap of decoded bytes, and not a byte further.
    async fn read(
        &self,
        mut response: reqwest::Response,
        most: usize,
        mut take: impl FnMut(&[u8]) -> Result<(), DocumentError>,
    ) -> Result<u64, Failure> {
        let status = response.status();
        let mut size = 0;
        while let Some(chunk) =
            response.chunk().await.map_err(|e| failure::of_client(&e).with_status(status))?
        {
            size += chunk.len();
            if size > most {
                let why = format!("the body is larger than {most} bytes");
                return Err(Failure::new(ErrorType::TooLarge, why).with_status(status));
            }
            take(&chunk).map_err(|e| failure::undecodable(&e).with_status(status))?;
        }
        Ok(size as u64)
    }

    fn guarded(&self, target: &Target) -> Result<reqwest::Client, Failure> {
        let configured: Arc<str> = target.url.host_str().unwrap_or_default().into();
        let mut clients = self.guarded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&configured) {
            return Ok(client.clone());
        }
        let resolver = guard::Guarded { configured: configured.clone() };
        let client = build(&self.settings, self.tls.clone(), resolver, Proxies::Never)
            .map_err(|e| Failure::new(ErrorType::Other, e.to_string()))?;
        clients.insert(configured, client.clone());
        Ok(client)
    }
}

/// 307 and 308; the others make a GET of a POST.
fn keeps_method(status: StatusCode) -> bool {
    matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT)
}

enum Hop {
    Answer(Reply),
    Redirect(StatusCode, Url),
}

/// The HTTP client cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// A setting that the client refuses.
    #[error("the HTTP client cannot be set up: {0}; is the contact a plain URL?")]
    Build(#[from] reqwest::Error),
}

/// Whether the system's proxies are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proxies {
    OfTheSystem,
    /// Where a proxy would resolve a name itself, out of the guard's sight, or
    /// stand between this machine and itself.
    Never,
}

fn build(
    settings: &Http,
    tls: rustls::ClientConfig,
    resolver: impl reqwest::dns::Resolve + 'static,
    proxies: Proxies,
) -> Result<reqwest::Client, ClientError> {
    let mut client = reqwest::Client::builder();
    if proxies == Proxies::Never {
        client = client.no_proxy();
    }
    let client = client
        .user_agent(format!("fedimeter/{} (+{})", env!("CARGO_PKG_VERSION"), settings.contact))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(settings.connect_timeout)
        .read_timeout(settings.timeout)
        .pool_max_idle_per_host(settings.kept_per_host)
        .tls_backend_preconfigured(tls)
        .dns_resolver(Arc::new(resolver))
        .build()?;
    Ok(client)
}
